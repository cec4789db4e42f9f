"""Saving of a plot: as a picture that can be published, or as its numbers."""

from __future__ import annotations

import re
from io import BytesIO
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import Qt
from qtpy.QtGui import QAction
from qtpy.QtWidgets import QToolButton

from napari_colloids.errors import ColloidsError
from napari_colloids.io import atomic_write
from napari_colloids.widgets.parts.own_control import wrapped
from napari_colloids.widgets.parts.plot_data import numbers_of
from napari_colloids.widgets.parts.plot_look import Look
from napari_colloids.widgets.parts.saving import ask_for_file
from napari_colloids.widgets.parts.status import status_near
from napari_colloids.widgets.parts.task import Task, call

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.axes import Axes
    from qtpy.QtWidgets import QWidget

    from napari_colloids.widgets.parts.plot_look import Drawing

#: What a plot is saved as.
_FORMATS = {".png": "Picture (*.png)", ".svg": "Drawing (*.svg)", ".csv": "Numbers of the curves (*.csv)"}
#: Width and height in inches of a picture, those of a column of a journal (86 mm), and its dots per inch.
_SIZE_INCH, _DPI = (3.39, 2.54), 300
#: Of the button: small, and grey that suits both themes.
_STYLE = (
    "QToolButton { font-size: 10px; padding: 0px 3px; margin: 0px; border: none; border-radius: 3px;"
    " background-color: rgba(128, 128, 128, 50); } "
    "QToolButton:hover:enabled { background-color: rgba(128, 128, 128, 120); }"
)
#: Distance from the corner of the plot in pixels.
_MARGIN_PX = 1


class SaveButton(QToolButton):
    """Saves what a plot shows; in its lower right corner, and in its context menu.

    Parameters
    ----------
    plot
        That it stands in.
    drawing
        Returns what is on show, or None.
    """

    def __init__(self, plot: QWidget, drawing: Callable[[], Drawing | None]) -> None:
        super().__init__(plot)
        self._plot, self._drawing = plot, drawing
        self._task = Task(self, "Saving the plot")
        self._task.succeeded.connect(self._say)
        self._task.failed.connect(self._fail)
        self.action = QAction("Save plot…", plot)
        self.action.setIconText(self.action.text())  # else without its dots on the button
        self.action.setToolTip(
            wrapped("Save this plot as a picture on white, 86 mm wide (PNG at 300 dpi, or SVG), or its curves as CSV.")
        )
        self.action.triggered.connect(self._ask)
        self.setDefaultAction(self.action)
        self.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextOnly)
        self.setAutoRaise(True)
        self.setStyleSheet(_STYLE)
        plot.addAction(self.action)
        plot.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)

    @property
    def busy(self) -> bool:
        """Whether a file is being written."""
        return self._task.running

    def place(self) -> None:
        """Move into the corner."""
        self.resize(self.sizeHint())
        self.move(self._plot.width() - self.width() - _MARGIN_PX, self._plot.height() - self.height() - _MARGIN_PX)

    def write(self, path: Path) -> None:
        """Save to a file; its ending chooses the format."""
        drawing = self._drawing()
        if drawing is None or self.busy:
            return
        try:
            # Drawn at once, as it is on show: matplotlib draws in one thread. Only the disk may be slow.
            content = content_of(drawing, path.suffix.lower())
        except ColloidsError as error:
            self._fail(str(error))
            return
        self._task.start(call(lambda: _write(path, content)))

    def _ask(self) -> None:
        drawing = self._drawing()
        if drawing is None:
            return
        path = ask_for_file(self, "Save the plot", _name_of(drawing), ";;".join(_FORMATS.values()), tuple(_FORMATS))
        if path is not None:
            self.write(path)

    def _say(self, text: str) -> None:
        status = status_near(self)
        (show_info if status is None else status.say)(text)

    def _fail(self, text: str) -> None:
        status = status_near(self)
        (show_error if status is None else status.fail)(text)


def content_of(drawing: Drawing, ending: str) -> bytes:
    """Return what a plot is as a file of this ending.

    Raises
    ------
    ColloidsError
        If plots are not saved as such files.
    """
    if ending not in _FORMATS:
        raise ColloidsError(f"A plot is saved as {', '.join(_FORMATS)}, not as '{ending}': choose one of these.")
    if ending == ".csv":
        return bytes(numbers_of(_axes_of(drawing)).to_csv(index=False).encode())
    figure = Figure(figsize=_SIZE_INCH, layout="constrained")
    drawing.draw(figure.add_subplot(), Look.on_paper())
    content = BytesIO()
    figure.savefig(content, format=ending[1:], dpi=_DPI)
    return content.getvalue()


def _axes_of(drawing: Drawing) -> Axes:
    """Return axes as the result draws them, whose colours tell which errors are whose."""
    axes = Figure().add_subplot()
    drawing.plot(axes)
    return axes


def _name_of(drawing: Drawing) -> str:
    """Propose a name for the file: what is drawn against what, without units."""
    axes = _axes_of(drawing)
    y, x = (re.sub(r" \([^()]*\)$", "", text) for text in (axes.get_ylabel(), axes.get_xlabel()))
    return f"{y} against {x}"


def _write(path: Path, content: bytes) -> str:
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)
    return f"Saved the plot to {path}."
