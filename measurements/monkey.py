"""Use the window at random for long: detections, deletions, edits, reruns; and watch for errors and memory.

Needs a display (``xvfb-run -a python measurements/monkey.py --detections 100 --seed 1``). Every action is a click or a
key of a user, or what napari does for one. Ends with status 1 where an error reached the user as one of the program
(anything but a message of the docks). Prints one line of JSON: actions by kind, errors, the most results at a time, and
the memory (MB) after the tenth detection and at the end, both without results. Results are deleted as often as they
come: of 40 Points layers at a time napari alone keeps 160 MB when they are gone, once, with software OpenGL.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import time
import traceback
from collections import Counter
from typing import TYPE_CHECKING

import napari
import numpy as np
import psutil
from napari.layers import Points
from napari.utils.notifications import NotificationSeverity, notification_manager
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_colloids.simulation import simulate

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from napari_colloids.widgets.detect import DetectWidget

#: Detections after which memory is compared with that at the end: by then all that is loaded once is there.
SETTLED = 10
#: Longest wait for a detection.
_LIMIT_S = 120.0


class Monkey:
    """Chooses and does actions in a window."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.viewer = napari.Viewer()
        self.done: Counter[str] = Counter()
        self.most_results = 0
        for number in range(2):
            made = simulate(shape=(24, 48, 48), radius=4, volume_fraction=0.3, snr=6, cnr=5, seed=seed + number)
            self.viewer.add_image(np.asarray(made.stack.data), name=f"stack {number}", scale=(0.1, 0.1, 0.1))
        self.detect = self._open("Detect")
        self.actions: dict[str, tuple[int, Callable[[], None]]] = {
            "detect": (6, self.detection),
            "cancel": (1, self.cancelled),
            "threshold": (3, self.threshold),
            "diameter": (2, self.diameter),
            "delete layer": (8, self.delete_layer),  # as often as one comes
            "hide layer": (2, self.hide_layer),
            "delete points": (2, self.delete_points),
            "add point": (2, self.add_point),
            "undo": (2, self.undo),
            "dimensions": (1, self.dimensions),
            "slice": (2, self.slice),
            "inspect": (1, self.inspect),
            "reopen": (1, self.reopen),
        }

    def _open(self, name: str) -> DetectWidget:
        _, widget = self.viewer.window.add_plugin_dock_widget("napari-colloids", name)
        QTest.qWait(50)
        return widget

    def act(self) -> None:
        """Do one action at random."""
        names = list(self.actions)
        name = self.chance.choices(names, [self.actions[name][0] for name in names])[0]
        self.actions[name][1]()
        self.done[name] += 1
        self.most_results = max(self.most_results, len(self.results()))
        QTest.qWait(10)

    def results(self) -> list[Points]:
        """Return the Points layers."""
        return [layer for layer in self.viewer.layers if isinstance(layer, Points)]

    def points(self) -> Points | None:
        """Return a Points layer."""
        some = self.results()
        return self.chance.choice(some) if some else None

    def click(self) -> None:
        """Click on Detect, or Cancel."""
        QTest.mouseClick(self.detect.button, Qt.MouseButton.LeftButton, pos=self.detect.button.rect().center())

    def wait(self) -> None:
        """Wait for the end of a detection."""
        end = time.monotonic() + _LIMIT_S
        while self.detect.button.busy:
            QTest.qWait(10)
            if time.monotonic() > end:
                raise TimeoutError("A detection does not end.")

    def detection(self) -> None:
        """Detect in one of the images."""
        self.detect.form.image.value = self.viewer.layers[f"stack {self.chance.randrange(2)}"]
        self.click()
        self.wait()

    def cancelled(self) -> None:
        """Cancel a detection under way."""
        self.click()
        QTest.qWait(self.chance.randrange(200))
        if self.detect.button.busy:
            self.click()
        self.wait()

    def threshold(self) -> None:
        """Move the threshold with the arrow keys."""
        slider = self.detect.threshold.slider
        slider.setFocus()
        for _ in range(self.chance.randrange(1, 20)):
            QTest.keyClick(slider, self.chance.choice([Qt.Key.Key_Left, Qt.Key.Key_Right]))

    def diameter(self) -> None:
        """Give another diameter, or none."""
        self.detect.controls["diameter_unit"].value = self.chance.choice(["", "diameter"])
        self.detect.controls["diameter"].value = self.chance.uniform(5, 12)

    def delete_layer(self) -> None:
        """Delete a result, shown or hidden."""
        layer = self.points()
        if layer is not None:
            self.viewer.layers.selection = {layer}
            self.viewer.layers.remove_selected()

    def hide_layer(self) -> None:
        """Hide or show a result."""
        layer = self.points()
        if layer is not None:
            layer.visible = not layer.visible

    def delete_points(self) -> None:
        """Delete some particles."""
        layer = self.points()
        if layer is not None and len(layer.data):
            layer.selected_data = set(self.chance.sample(range(len(layer.data)), min(3, len(layer.data))))
            layer.remove_selected()

    def add_point(self) -> None:
        """Add a particle."""
        layer = self.points()
        if layer is not None:
            layer.add([self.chance.uniform(0, 20) for _ in range(layer.ndim)])

    def undo(self) -> None:
        """Take an edit back, or the taking back."""
        layer = self.points()
        if layer is not None:
            self.viewer.layers.selection = {layer}
            modifiers = Qt.KeyboardModifier.ControlModifier
            if self.chance.random() < 0.5:
                modifiers |= Qt.KeyboardModifier.ShiftModifier
            QTest.keyClick(self.viewer.window._qt_viewer.canvas.native, Qt.Key.Key_Z, modifiers)

    def dimensions(self) -> None:
        """Change between 2D and 3D."""
        self.viewer.dims.ndisplay = 5 - self.viewer.dims.ndisplay

    def slice(self) -> None:
        """Go to another slice."""
        if self.viewer.dims.ndisplay == 2:
            self.viewer.dims.set_current_step(0, self.chance.randrange(24))

    def inspect(self) -> None:
        """Open the dock with the table."""
        self._open("Inspect")

    def reopen(self) -> None:
        """Close the dock, during a run or not, and open it again."""
        if self.chance.random() < 0.5:
            self.click()
        self.viewer.window.remove_dock_widget(self.detect)
        QTest.qWait(50)
        self.detect = self._open("Detect")
        self.wait()


def main() -> None:
    """Act until there were so many detections, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detections", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    errors: list[str] = []

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        errors.append("".join(traceback.format_exception(kind, error, trace)))
        sys.__excepthook__(kind, error, trace)

    sys.excepthook = hook
    notification_manager.notification_ready.connect(
        lambda note: errors.append(str(note)) if note.severity >= NotificationSeverity.ERROR else None
    )
    monkey, settled = Monkey(arguments.seed), 0
    while monkey.done["detect"] < arguments.detections:
        before = monkey.done["detect"]
        monkey.act()
        if monkey.done["detect"] == SETTLED != before:
            settled = _memory_mb(monkey)
    figures = {
        "actions": dict(monkey.done),
        "errors": len(errors),
        "most_results": monkey.most_results,
        "settled_mb": settled,
        "end_mb": _memory_mb(monkey),
    }
    print(json.dumps(figures))
    monkey.viewer.close()
    sys.exit(bool(errors))


def _memory_mb(monkey: Monkey) -> int:
    """Return the memory of the process with no results in the window."""
    for layer in monkey.results():
        monkey.viewer.layers.remove(layer)
    for _ in range(3):
        gc.collect()
        QTest.qWait(600)  # after which the memory of layers that are gone is given back
    return round(psutil.Process().memory_info().rss / 1e6)


if __name__ == "__main__":
    main()
