"""Dark particles in the Detect widget, in a real window."""

from __future__ import annotations

import numpy as np
from napari.utils._proxies import PublicOnlyProxy

from napari_colloids.scoring import score
from napari_colloids.widgets.detect import DetectWidget
from napari_colloids.widgets.layers import layers

TIMEOUT = 60_000


def test_dark_particles_are_found_and_their_residual_shows_the_one_that_is_missed(viewer, simulated, qtbot, click):
    bright = np.asarray(simulated.stack.data)
    viewer.add_image(bright.max() - bright, name="dyed")
    widget = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    widget.controls["diameter_unit"].value = "diameter"
    widget.controls["diameter"].value = 10
    widget.controls["dark"].value = True
    click(widget.button)
    qtbot.waitUntil(lambda: not widget.button.busy, timeout=TIMEOUT)
    points = viewer.layers["dyed particles"]
    shown = layers.table_of(points)
    assert f"{len(shown)} dark particles" in widget.status.text(), "the choice is hidden under Advanced"
    assert score(simulated.particles, shown, diameter=10, shape=bright.shape).f1 == 1

    missed = int(np.argmin(np.linalg.norm(points.data - np.array(bright.shape) / 2, axis=1)))
    points.features.loc[missed, "confidence"] = 0.0
    widget.threshold.slider.setValue(0.5)
    residual_button = widget.threshold.residual
    click(residual_button)
    qtbot.waitUntil(lambda: not residual_button.busy, timeout=TIMEOUT)
    residual = viewer.layers["dyed residual"].data
    assert residual[tuple(np.rint(points.data[missed]).astype(int))] > 4 * residual.std()


def test_the_choice_is_remembered(viewer):
    first = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(first)
    assert not first.form.options().dark
    first.controls["dark"].value = True
    second = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(second)
    assert second.form.options().dark


def test_a_notice_in_the_window_names_no_option_of_the_command_line(viewer, simulated, qtbot, click):
    bright = np.asarray(simulated.stack.data)
    viewer.add_image(bright.max() - bright, name="dyed")
    widget = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    click(widget.button)
    qtbot.waitUntil(lambda: not widget.button.busy, timeout=TIMEOUT)
    assert "dark" in widget.status.text(), "nothing was said of the particles that are dark"
    assert "--" not in widget.status.text()
