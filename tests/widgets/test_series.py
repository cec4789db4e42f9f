"""Time series and regions in the Detect widget, in a real window."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from napari_colloids.detection import detect
from napari_colloids.errors import ColloidsError
from napari_colloids.particles import positions_of
from napari_colloids.simulation import simulate
from napari_colloids.widgets import layers
from napari_colloids.widgets.detect import DetectWidget
from napari_colloids.widgets.regions import region_of

FRAMES = 5


@pytest.fixture(scope="module")
def series():
    return np.array(
        [
            simulate(shape=(16, 40, 44), volume_fraction=0.3, radius=4, snr=9, cnr=9, seed=seed).stack.data
            for seed in range(FRAMES)
        ]
    )


@pytest.fixture
def image(viewer, series):
    return viewer.add_image(
        series, name="series", scale=(1, 0.2, 0.1, 0.1), axis_labels=("t", "z", "y", "x"), units=("s", "um", "um", "um")
    )


@pytest.fixture
def widget(viewer, image):
    widget = DetectWidget(viewer)
    viewer.window.add_dock_widget(widget)
    choose(widget.mode, "px")
    widget.pixels.setValue(8)
    choose(widget.method, "log")
    return widget


def choose(combo, value):
    combo.setCurrentIndex(combo.findData(value))


def finish(widget, qtbot, click):
    click(widget.button)
    qtbot.waitUntil(lambda: not widget._task.running, timeout=60_000)


def found(viewer):
    (layer,) = [layer for layer in viewer.layers if "particles" in layer.name and layer.visible]
    return layer


def test_all_frames_lie_in_their_time_step(viewer, widget, series, qtbot, click):
    choose(widget.frames, "all")
    finish(widget, qtbot, click)
    layer = found(viewer)
    assert layer.ndim == 4
    np.testing.assert_array_equal(layer.scale, viewer.layers["series"].scale)
    table = layers.table_of(layer, shown_only=False)
    for frame in range(FRAMES):
        # The voxels are twice as high as wide.
        alone = detect(layers.stack_of(viewer.layers["series"], (frame,)), diameter=8, method="log", threshold=0.05)
        here = table[table["frame"] == frame].reset_index(drop=True)
        np.testing.assert_allclose(positions_of(here), positions_of(alone))


@pytest.mark.parametrize("edited", [False, True])
def test_cancel_keeps_what_is_done_and_detect_goes_on(viewer, widget, qtbot, click, edited):
    choose(widget.method, "network")
    choose(widget.frames, "all")
    finish(widget, qtbot, click)
    whole = layers.table_of(found(viewer), shown_only=False)

    def cancel(done, total, message):
        if done > 2 * total / FRAMES and widget.button.isEnabled():
            click(widget.button)

    widget._task.progressed.connect(cancel)
    finish(widget, qtbot, click)
    widget._task.progressed.disconnect(cancel)
    assert "Cancelled" in widget.status.text()
    partial = found(viewer)
    done = layers.table_of(partial, shown_only=False)
    count = done["frame"].nunique()
    assert 2 <= count < FRAMES
    assert f"{count} of {FRAMES}" in widget.status.text()
    pd.testing.assert_frame_equal(done, whole[whole["frame"] < count])

    if edited:
        partial.add([[0.0, 3.0, 3.0, 3.0]])
    seen = []
    widget._task.progressed.connect(lambda done, total, message: seen.append(message))
    finish(widget, qtbot, click)
    assert f"frame {count} of" not in " ".join(seen)
    assert (partial in viewer.layers) == edited, "what was added by hand is not lost"
    assert not partial.visible or not edited
    pd.testing.assert_frame_equal(layers.table_of(found(viewer), shown_only=False), whole)


def test_an_error_in_a_frame_keeps_those_before(viewer, widget, series, qtbot, click):
    broken = series.copy()
    broken[3] = 7
    viewer.layers["series"].data = broken
    choose(widget.frames, "all")
    finish(widget, qtbot, click)
    assert "constant" in widget.status.text()
    assert f"3 of {FRAMES}" in widget.status.text()
    assert set(found(viewer).data[:, 0]) == {0, 1, 2}
    assert widget.button.text() == "Detect"
    assert widget.button.isEnabled()


def test_a_range_and_the_frame_on_show(viewer, widget, qtbot, click):
    choose(widget.frames, "range")
    widget.frame_from.setValue(1)
    widget.frame_to.setValue(2)
    finish(widget, qtbot, click)
    assert set(found(viewer).data[:, 0]) == {1, 2}
    choose(widget.frames, "shown")
    viewer.dims.set_point(0, 3)
    finish(widget, qtbot, click)
    assert set(found(viewer).data[:, 0]) == {3}


def test_other_settings_start_anew(viewer, widget, qtbot, click):
    choose(widget.frames, "all")

    def cancel(done, total, message):
        if done > total / FRAMES and widget.button.isEnabled():
            click(widget.button)

    widget._task.progressed.connect(cancel)
    finish(widget, qtbot, click)
    widget._task.progressed.disconnect(cancel)
    widget.pixels.setValue(9)
    finish(widget, qtbot, click)
    assert layers.note_of(found(viewer))["diameter"] == 9
    assert set(found(viewer).data[:, 0]) == set(range(FRAMES))
    assert sum("particles" in layer.name for layer in viewer.layers) == 2, "what was found before is kept, hidden"


def test_only_inside_a_drawn_rectangle_or_the_labels(viewer, widget, series, qtbot, click):
    finish(widget, qtbot, click)
    everything = found(viewer).data.copy()
    # Drawn in the world: 0.1 um a voxel.
    shapes = viewer.add_shapes([[[0, 0, 1.0, 1.0], [0, 0, 1.0, 3.0], [0, 0, 3.0, 3.0], [0, 0, 3.0, 1.0]]])
    widget.region.choose(shapes)
    finish(widget, qtbot, click)
    inside = ((everything[:, 2:] > 10) & (everything[:, 2:] < 30)).all(axis=1)
    np.testing.assert_allclose(found(viewer).data, everything[inside], atol=0.5)

    mask = np.zeros(series.shape[1:], int)
    mask[:, :, :20] = 3
    labels = viewer.add_labels(mask, scale=(0.2, 0.1, 0.1))
    widget.region.choose(labels)
    finish(widget, qtbot, click)
    assert found(viewer).data[:, 3].max() < 19.6
    assert len(found(viewer).data) > 10

    viewer.layers.remove(labels)
    assert widget.region.layer is None
    widget.region.choose(viewer.add_shapes([[[0, 0, 1.0, 1.0], [0, 0, 1.0, 3.0]]], shape_type="line"))
    click(widget.button)
    assert "draw one" in widget.status.text()


def test_labels_of_a_series(viewer, image, series):
    same = np.ones(series.shape, int)
    labels = viewer.add_labels(same, scale=image.scale)
    assert region_of(labels, image, (1,), range(FRAMES)).mask.shape == series.shape[1:]
    other = same.copy()
    other[-1, :, :9] = 0
    for data, frames, message in (
        (other, range(FRAMES), "differ between the frames"),
        (same[:1], range(FRAMES), "fewer frames"),
        (0 * same, None, "0 everywhere"),
    ):
        with pytest.raises(ColloidsError, match=message):
            region_of(viewer.add_labels(data, scale=image.scale), image, (0,), frames)
    assert not region_of(viewer.add_labels(other, scale=image.scale), image, (FRAMES - 1,)).mask.all()
    with pytest.raises(ColloidsError, match="one volume"):
        region_of(labels, viewer.add_image(series[0], scale=image.scale[1:]))
    with pytest.raises(ColloidsError, match="another shape or place"):
        region_of(viewer.add_labels(same, scale=image.scale, translate=(0, 0, 1, 1)), image, (0,))


def test_ellipses_are_round(viewer, image):
    shapes = viewer.add_shapes(
        [[[0, 0], [0, 4.0], [2.0, 4.0], [2.0, 0]]], shape_type="ellipse", scale=(0.1, 0.1), translate=(0.5, 0)
    )
    (outline,) = region_of(shapes, image).outlines
    # Centre (1, 2) and half axes 1 and 2 in the shapes' own units, which are voxels here, 5 voxels further down.
    np.testing.assert_allclose(((outline - [6, 2]) / [1, 2] ** np.array(1.0)) ** 2 @ [1, 1], 1)
