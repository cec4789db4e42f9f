"""Go through docs/tutorial.md in a real window, by mouse and keys, and take its pictures.

Needs a display of 1366 x 768 pixels, a virtual one or your own, which is photographed whole:

xvfb-run -a -s "-screen 0 1366x768x24" python scripts/tutorial.py --theme dark
xvfb-run -a -s "-screen 0 1366x768x24" python scripts/tutorial.py --theme light

Prints what each step says. Ends with status 1 where an error reached the window, or a step does not come to its end.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import napari
from napari.layers import Image, Points
from qtpy.QtCore import QCoreApplication, QPoint, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QApplication,
    QComboBox,
    QDockWidget,
    QFileDialog,
    QLineEdit,
    QMenu,
    QScrollArea,
    QTableView,
    QWidget,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

SIZE_PX = (1366, 768)
#: Longest time that a step may take.
_LIMIT_S = 120.0
#: Grey levels and colours of a picture: enough for a window, and a quarter of the bytes.
_COLOURS = 192


class Window:
    """A napari window that is used as a user does."""

    def __init__(self, theme: str) -> None:
        self.viewer = napari.Viewer(show=False)
        self.viewer.theme = theme
        self.native = self.viewer.window._qt_window
        self.native.show()
        self.native.setGeometry(0, 0, *SIZE_PX)
        QTest.qWait(1000)

    def picture(self, path: Path) -> None:
        """Save what is on the screen."""
        from PIL import Image as Picture

        QTest.qWait(500)
        with tempfile.TemporaryDirectory() as folder:
            whole = Path(folder) / "screen.png"
            QApplication.primaryScreen().grabWindow(0).save(str(whole))
            Picture.open(whole).convert("RGB").quantize(_COLOURS).save(path, optimize=True)

    def choose(self, *entries: str) -> None:
        """Click through a menu; of each entry its beginning is given."""
        bar = self.native.menuBar()
        action = next(one for one in bar.actions() if _plain(one.text()) == entries[0])
        click(bar, bar.actionGeometry(action).center())
        for entry in entries[1:]:
            menu: QMenu = action.menu()
            QTest.qWait(300)
            action = next(one for one in menu.actions() if entry.lower() in _plain(one.text()).lower())
            QTest.mouseMove(menu, menu.actionGeometry(action).center())
            click(menu, menu.actionGeometry(action).center())

    def dock(self, name: str) -> QWidget:
        """Open a dock of this plugin, or bring it to the front, and return its widget."""
        self.choose("Plugins", "Colloids", name)
        QTest.qWait(500)
        docks = [one for one in self.native.findChildren(QDockWidget) if one.windowTitle().startswith(name)]
        return docks[-1].widget().findChild(QScrollArea) or docks[-1].widget()

    def layer(self, kind: type, words: str = "") -> Image | Points:
        """Return the uppermost layer of a kind with these words in its name."""
        return next(one for one in reversed(self.viewer.layers) if isinstance(one, kind) and words in one.name)


def _plain(text: str) -> str:
    return text.replace("&", "")


def click(widget: QWidget, where: QPoint | None = None) -> None:
    """Click on a widget with the mouse, in its middle unless told, after scrolling to it."""
    around = widget.parentWidget()
    while around is not None:
        if isinstance(around, QScrollArea):
            around.ensureWidgetVisible(widget)
        around = around.parentWidget()
    QTest.qWait(50)
    QTest.mouseClick(widget, Qt.MouseButton.LeftButton, pos=where or widget.rect().center())
    QTest.qWait(50)


def button(dock: QWidget, text: str) -> QAbstractButton:
    """Return the button of a dock that has a text."""
    shown = [one for one in dock.findChildren(QAbstractButton) if not one.isHidden()]
    return next(one for one in shown if text in _plain(one.text()))


def select(control: object, text: str) -> None:
    """Choose an entry of a combo box with the arrow keys."""
    native = control.native  # type: ignore[attr-defined]
    box = native if isinstance(native, QComboBox) else native.findChild(QComboBox)
    wanted = next(index for index in range(box.count()) if text in box.itemText(index))
    box.setFocus()
    while (behind := wanted - box.currentIndex()) != 0:
        QTest.keyClick(box, Qt.Key.Key_Down if behind > 0 else Qt.Key.Key_Up)


def wait(condition: Callable[[], object]) -> None:
    """Let the window work until a condition holds."""
    end = time.monotonic() + _LIMIT_S
    while not condition():
        QTest.qWait(20)
        if time.monotonic() > end:
            raise TimeoutError("A step of the tutorial does not end.")


def run(dock: QWidget) -> None:
    """Click on the button of a dock, wait until its work is done, and print what it says."""
    start = time.monotonic()
    click(dock.button)  # type: ignore[attr-defined]
    wait(lambda: not dock.button.busy)  # type: ignore[attr-defined]
    QTest.qWait(500)
    said = re.sub(r"<[^>]+>|&nbsp;", " ", dock.status.text())  # type: ignore[attr-defined]
    print(f"{type(dock).__name__} ({time.monotonic() - start:.1f} s): {' '.join(said.split())}", flush=True)


def answer(path: Path) -> None:
    """Type a path into the file dialog that opens next, and press Enter."""

    def fill() -> None:
        dialogs = [one for one in QApplication.topLevelWidgets() if isinstance(one, QFileDialog) and one.isVisible()]
        if not dialogs:
            QTimer.singleShot(100, fill)
            return
        QTest.qWait(500)  # it is visible before it is ready
        name = dialogs[0].findChild(QLineEdit, "fileNameEdit")
        name.selectAll()
        QTest.keyClicks(name, str(path))
        QTest.keyClick(name, Qt.Key.Key_Return)
        QTest.qWait(500)
        if dialogs[0].isVisible():
            raise RuntimeError(f"The file dialog does not take {path.name}: {name.text()!r}.")

    QTimer.singleShot(300, fill)


def written(path: Path, start: Callable[[], None]) -> None:
    """Have something written to a file through its dialog, and wait for it."""
    answer(path)
    start()
    wait(path.is_file)
    print(f"wrote {path.name}", flush=True)


def tutorial(theme: str, pictures: Path, results: Path) -> None:
    """Do every step of the page."""
    window = Window(theme)
    viewer = window.viewer

    def picture(name: str) -> None:
        window.picture(pictures / f"{name}_{theme}.png")

    window.choose("File", "Open Sample", "Colloids", "Dense")
    wait(lambda: len(viewer.layers) == 2)
    picture("start")

    detect = window.dock("Detect")
    for box in detect.controls["voxel_size"].parts():
        line = box.native.lineEdit()
        click(line)
        line.selectAll()
        QTest.keyClicks(line, "0.1")
        QTest.keyClick(line, Qt.Key.Key_Return)
    select(detect.controls["refine"], "fast")
    run(detect)
    picture("detect")
    slider = detect.threshold.slider
    slider.setFocus()
    for _ in range(10):
        QTest.keyClick(slider, Qt.Key.Key_Right)
    click(button(detect, "95% precision"))
    canvas = viewer.window._qt_viewer.canvas.native
    QTest.keyClick(canvas, Qt.Key.Key_Right)
    buttons = viewer.window._qt_viewer.viewerButtons
    for _ in range(3):
        click(buttons.rollDimsButton)
    click(buttons.ndisplayButton)
    picture("spheres")
    click(buttons.ndisplayButton)

    select(detect.controls["refine"], "accurate")
    run(detect)
    before = len(viewer.layers)
    click(button(detect, "Residual"))
    wait(lambda: len(viewer.layers) > before)
    picture("residual")
    window.layer(Image, "residual").visible = False
    written(results / "found.csv", lambda: click(button(detect, "Export CSV")))

    inspect = window.dock("Inspect")
    table = inspect.findChild(QTableView)
    middle = table.model().rowCount() // 2
    table.scrollTo(table.model().index(middle, 0))
    click(table.viewport(), table.visualRect(table.model().index(middle, 0)).center())
    QTest.keyClick(canvas, Qt.Key.Key_U)
    select(inspect.colours.column, "radius")
    picture("inspect")
    select(inspect.colours.column, "one colour")

    assess = window.dock("Assess")
    run(assess)
    picture("assess")
    written(results / "report.html", lambda: click(button(assess, "Save report")))

    structure = window.dock("Structure")
    run(structure)
    picture("structure")
    written(results / "g.csv", lambda: click(button(structure, "Save plot")))

    viewer.layers.selection = {window.layer(Points, "particles")}
    written(results / "saved.csv", lambda: window.choose("File", "Save Selected Layers"))

    score = window.dock("Score")
    run(score)
    picture("score")

    simulate = window.dock("Simulate")
    before = len(viewer.layers)
    run(simulate)
    wait(lambda: len(viewer.layers) > before)
    viewer.close()


def main() -> None:
    """Do the steps, and tell whether all was well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--theme", choices=("dark", "light"), default="dark")
    parser.add_argument("--output", type=Path, default=Path("docs/images/tutorial"), help="folder of the pictures")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    errors: list[BaseException] = []

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        errors.append(error)
        traceback.print_exception(kind, error, trace)

    sys.excepthook = hook
    QCoreApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    with tempfile.TemporaryDirectory() as results:
        tutorial(arguments.theme, arguments.output, Path(results))
    sys.exit(bool(errors))


if __name__ == "__main__":
    main()
