"""The demo's window: a stack, its true particles and the detections, with docks."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import napari
    import pandas as pd

    from napari_colloids.stack import Stack
    from napari_colloids.widgets.score import ScoreWidget

#: Of the window, in pixels.
_WINDOW_SIZE_PX = (1400, 1130)
#: Longest wait for the score before the picture is taken without it (seconds).
_MAX_WAIT_S = 60.0


def show_demo(stack: Stack, truth: pd.DataFrame, particles: pd.DataFrame, *, screenshot: Path | None) -> None:
    """Open napari with a stack, its true particles (hidden) and the detections, with the record of their run.

    A screenshot of the whole window is written to a file, if one is given, and the window is closed again.
    """
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_colloids.widgets.detect import DetectWidget
    from napari_colloids.widgets.layers import layers, places
    from napari_colloids.widgets.layers.reader import layers_of
    from napari_colloids.widgets.layers.spheres import add_layer
    from napari_colloids.widgets.results import detection_summary
    from napari_colloids.widgets.score import ScoreWidget

    stack = replace(stack, name="demo")
    viewer = napari.Viewer(title="napari-colloids demo", show=True)
    image, true = (add_layer(viewer, one) for one in layers_of(stack, truth))
    true.visible = False
    note = {**{str(key): value for key, value in particles.attrs.items()}, "image": image.name}
    found = add_layer(
        viewer, layers.particle_layer_data(particles, places.place_of(image), name="demo particles", note=note)
    )
    # What is shown was found with the defaults, whatever was chosen in this window last time.
    detect, score = DetectWidget(viewer, remembers=False), ScoreWidget(viewer)
    docks = [
        viewer.window.add_dock_widget(widget, name=name, area="right")
        for name, widget in (("Detect", detect), ("Score", score))
    ]
    detect.threshold.layers.value = found
    detect.status.keep(detection_summary(particles, int(found.shown.sum())), found)
    score.button.click()
    viewer.window.resize(*_WINDOW_SIZE_PX)
    QApplication.processEvents()  # the canvas must have its size before the view is fitted to it
    docks[0].raise_()
    viewer.reset_view()
    if screenshot is None:
        napari.run()
        return
    try:
        _take(viewer, score, screenshot)
    finally:
        viewer.close()


def _take(viewer: napari.Viewer, score: ScoreWidget, screenshot: Path) -> None:
    """Write a screenshot of the window once the scoring is done and everything is drawn."""
    from qtpy.QtWidgets import QApplication

    from napari_colloids.io.atomic import atomic_write

    deadline = time.monotonic() + _MAX_WAIT_S
    while score.button.busy and time.monotonic() < deadline:
        QApplication.processEvents()
        time.sleep(0.02)
    for _ in range(5):  # layouts and canvases settle over several rounds of events
        QApplication.processEvents()
    with atomic_write(screenshot) as temporary:
        viewer.screenshot(str(temporary), canvas_only=False, flash=False)
