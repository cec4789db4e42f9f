"""Time from the click on Detect to the first points in a fresh napari, and the longest gap of its event loop.

Needs a display (``xvfb-run -a python measurements/first_touch.py``). Prints one line of JSON: seconds to open the dock,
to the points of the first click (diameter measured, automatic), of a second image with a typed diameter and of a third
one, automatic; the CPU time that each took, which a busy machine changes less; and for each the longest time
(milliseconds) in which the window handled no event.
"""

import argparse
import json
import time
from dataclasses import replace

import napari
import numpy as np
from qtpy.QtCore import QElapsedTimer, QEventLoop, Qt, QTimer
from qtpy.QtTest import QTest

#: Between two looks at the event loop.
_TICK_MS = 10


class Gaps:
    """The longest time between two turns of the event loop."""

    def __init__(self) -> None:
        self._clock, self._timer = QElapsedTimer(), QTimer()
        self._timer.timeout.connect(self._on_tick)
        self.restart()
        self._timer.start(_TICK_MS)

    def restart(self) -> None:
        """Forget the gaps so far."""
        self.longest_ms = 0.0
        self._clock.start()

    def _on_tick(self) -> None:
        self.longest_ms = max(self.longest_ms, float(self._clock.restart()))


def wait(condition, limit_s=300.0):
    """Run the event loop until a condition holds; return the seconds it took."""
    start, loop, timer = time.perf_counter(), QEventLoop(), QTimer()
    timer.timeout.connect(lambda: loop.quit() if condition() or time.perf_counter() - start > limit_s else None)
    timer.start(_TICK_MS)
    loop.exec()
    return time.perf_counter() - start


def rest(seconds):
    """Run the event loop for a while."""
    wait(lambda: False, seconds)


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--edge", type=int, default=128, help="voxels each way")
    parser.add_argument("--think", type=float, default=5.0, help="seconds between opening the dock and the click")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    viewer = napari.Viewer(show=True)
    gaps = Gaps()
    rest(1.0)
    gaps.restart()
    start, cpu = time.perf_counter(), time.process_time()
    _, detect = viewer.window.add_plugin_dock_widget("napari-colloids", "Detect")
    measured = {"open_s": time.perf_counter() - start, "open_cpu_s": time.process_time() - cpu}
    rest(arguments.think)
    measured["open_gap_ms"] = gaps.longest_ms

    from napari_colloids.simulation import PRESETS, simulate

    made = simulate(replace(PRESETS["dense"], shape=(arguments.edge,) * 3, seed=1))
    stack = np.asarray(made.stack.data)
    for name, unit in (("first", ""), ("typed", "diameter"), ("automatic", "")):
        image = np.clip(stack.astype(int) + rng.integers(-1, 2, stack.shape), 0, 255).astype(np.uint8)
        detect.form.image.value = viewer.add_image(image, name=name)
        detect.controls["diameter_unit"].value = unit
        if unit:  # and not the one that was typed last, in another window
            detect.controls["diameter"].value = 2 * PRESETS["dense"].radius
        detect.controls["method"].value, detect.controls["refine"].value = "network", False
        rest(1.0)
        before = len(viewer.layers)
        gaps.restart()
        cpu = time.process_time()
        QTest.mouseClick(detect.button, Qt.MouseButton.LeftButton, pos=detect.button.rect().center())
        measured[f"{name}_s"] = wait(lambda before=before: len(viewer.layers) > before)
        measured[f"{name}_cpu_s"] = time.process_time() - cpu
        rest(1.0)
        measured[f"{name}_gap_ms"] = gaps.longest_ms
    print(json.dumps({key: round(value, 2) for key, value in measured.items()}))
    viewer.close()


if __name__ == "__main__":
    main()
