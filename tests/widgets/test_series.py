"""Time series and regions in the Detect widget."""

from __future__ import annotations

import html
import threading
import time
from contextlib import contextmanager

import dask.array
import numpy as np
import pandas as pd
import pytest
from napari.utils._proxies import PublicOnlyProxy

from napari_colloids.detection import METHODS, Options, detect
from napari_colloids.errors import ColloidsError
from napari_colloids.particles import positions_of
from napari_colloids.progress import result_of
from napari_colloids.simulation import simulate
from napari_colloids.widgets.detect import DetectWidget
from napari_colloids.widgets.layers import layers
from napari_colloids.widgets.layers.regions import Marked, marked_by
from napari_colloids.widgets.search import Search

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
    widget = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    widget.controls["diameter_unit"].value = "diameter"
    widget.controls["diameter"].value = 8
    widget.controls["method"].value = "log"
    return widget


def test_the_result_stays_beside_what_is_said_of_its_export(viewer, widget, export, qtbot, click, tmp_path):
    finish(widget, qtbot, click)
    result = widget.status.text()
    assert "particles" in result
    export(widget.threshold, tmp_path / "found.csv")
    assert widget.status.text().startswith(result)
    assert "Wrote" in widget.status.text()


def finish(widget, qtbot, click):
    click(widget.button)
    qtbot.waitUntil(lambda: not widget.button.busy, timeout=60_000)


def found(viewer):
    (layer,) = [layer for layer in viewer.layers if "particles" in layer.name and layer.visible]
    return layer


def test_all_frames_lie_in_their_time_step(viewer, widget, series, qtbot, click):
    widget.controls["frames"].value = "all"
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
def test_cancel_keeps_what_is_done_and_detect_goes_on(viewer, widget, image, series, qtbot, click, edited):
    image.data = series[:, :, :26, :28]
    widget.controls["method"].value = "network"
    widget.controls["frames"].value = "all"
    finish(widget, qtbot, click)
    whole = layers.table_of(found(viewer), shown_only=False)

    def cancel(done, total, message):
        if done > 2 * total / FRAMES and widget.button.isEnabled():
            click(widget.button)

    widget.button.task.progressed.connect(cancel)
    with slow_frames():
        finish(widget, qtbot, click)
    widget.button.task.progressed.disconnect(cancel)
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
    widget.button.task.progressed.connect(lambda done, total, message: seen.append(message))
    finish(widget, qtbot, click)
    assert f"frame {count} of" not in " ".join(seen)
    assert (partial in viewer.layers) == edited, "what was added by hand is not lost"
    assert not partial.visible or not edited
    pd.testing.assert_frame_equal(layers.table_of(found(viewer), shown_only=False), whole)


@pytest.mark.parametrize("bad", [0, 3])
def test_a_bad_frame_is_left_out_and_said(viewer, widget, series, qtbot, click, bad):
    broken = series.copy()
    broken[bad] = 7
    viewer.layers["series"].data = broken
    widget.controls["frames"].value = "all"
    finish(widget, qtbot, click)
    assert f"frame {bad}: constant, not searched" in widget.status.text()
    assert set(found(viewer).data[:, 0]) == set(range(FRAMES)) - {bad}
    assert widget.button.text() == "Detect"
    assert widget.button.isEnabled()
    viewer.dims.set_point(0, bad)
    widget.controls["frames"].value = "shown"
    click(widget.button)
    qtbot.waitUntil(lambda: not widget.button.busy, timeout=60_000)
    assert "The stack is constant" in widget.status.text()


def test_without_any_good_frame_it_is_one_message(viewer, widget, series, qtbot, click):
    viewer.layers["series"].data = np.zeros_like(series)
    widget.controls["frames"].value = "all"
    click(widget.button)
    qtbot.waitUntil(lambda: not widget.button.busy, timeout=60_000)
    assert widget.status.text().startswith(f"None of {FRAMES} volumes can be searched: frames 0-4: constant")
    assert not any("particles" in layer.name for layer in viewer.layers)


@pytest.mark.parametrize("bad", [0, 1])
def test_cancel_and_going_on_with_a_bad_frame(viewer, widget, image, series, qtbot, click, bad):
    broken = series.copy()
    broken[bad] = 7
    image.data = broken
    widget.controls["frames"].value = "all"

    def cancel(done, total, message):
        if done >= (bad + 1) * total / FRAMES and widget.button.isEnabled():
            click(widget.button)

    widget.button.task.progressed.connect(cancel)
    with slow_frames():
        finish(widget, qtbot, click)
    widget.button.task.progressed.disconnect(cancel)
    assert "Cancelled" in widget.status.text()
    frames = searched(widget, qtbot, click)
    assert frames
    assert bad not in frames
    assert f"frame {bad}: constant, not searched" in widget.status.text()
    assert set(found(viewer).data[:, 0]) == set(range(FRAMES)) - {bad}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "voxels 0.2 x 0.1 x 0.1 µm;"),
        ({"units": ("pixel",) * 4, "scale": (1, 1, 1, 1)}, "voxel size unknown: cubic voxels assumed;"),
    ],
)
def test_the_summary_says_the_voxel_size(viewer, widget, image, qtbot, click, changes, words):
    for name, value in changes.items():
        setattr(image, name, value)
    finish(widget, qtbot, click)
    assert words in widget.status.text()


def test_a_frame_that_cannot_be_read_is_left_out_and_alone_said_in_sentences(
    viewer, widget, image, series, qtbot, click
):
    def chunk(block_info=None):
        frame = block_info[None]["array-location"][0][0]
        if frame == 3:
            raise OSError(5, "Input/output error", "/mnt/nas/series.zarr")
        return series[frame : frame + 1]

    chunks = ((1,) * FRAMES, *((n,) for n in series.shape[1:]))
    image.data = dask.array.map_blocks(chunk, chunks=chunks, dtype=series.dtype, meta=np.empty((0,) * 4, series.dtype))
    widget.controls["frames"].value = "all"
    finish(widget, qtbot, click)
    words = "[Errno 5] Input/output error: '/mnt/nas/series.zarr'"
    assert f"frame 3: unreadable ({words}), not searched" in html.unescape(widget.status.text())
    assert set(found(viewer).data[:, 0]) == {0, 1, 2, 4}
    widget.controls["frames"].value = "range"
    widget.controls["frame_range"].value = (3, 3)
    click(widget.button)
    qtbot.waitUntil(lambda: not widget.button.busy, timeout=60_000)
    assert f"The image could not be read: {html.unescape(words)}." in html.unescape(widget.status.text())


def test_the_rows_that_a_series_needs_are_shown_for_one(viewer, widget, series):
    def shown():
        rows = ("image", "frames", "frame_range", "diameters", "method")
        return [widget.controls[row].native.isVisibleTo(widget) for row in rows]

    assert shown() == [True, True, False, True, True]
    widget.controls["frames"].value = "range"
    assert shown() == [True] * 5
    widget.form.image.value = viewer.add_image(series[0], name="one")
    assert shown() == [True, False, False, True, True]


def test_a_range_and_the_frame_on_show(viewer, widget, qtbot, click):
    widget.controls["frames"].value = "range"
    widget.controls["frame_range"].value = (1, 2)
    finish(widget, qtbot, click)
    assert set(found(viewer).data[:, 0]) == {1, 2}
    widget.controls["frames"].value = "shown"
    viewer.dims.set_point(0, 3)
    finish(widget, qtbot, click)
    assert set(found(viewer).data[:, 0]) == {3}


def test_other_settings_start_anew(viewer, widget, qtbot, click):
    widget.controls["frames"].value = "all"

    def cancel(done, total, message):
        if done > total / FRAMES and widget.button.isEnabled():
            click(widget.button)

    widget.button.task.progressed.connect(cancel)
    with slow_frames():
        finish(widget, qtbot, click)
    widget.button.task.progressed.disconnect(cancel)
    widget.controls["diameter"].value = 9
    finish(widget, qtbot, click)
    assert layers.note_of(found(viewer))["diameter"] == 9
    assert set(found(viewer).data[:, 0]) == set(range(FRAMES))
    assert sum("particles" in layer.name for layer in viewer.layers) == 2, "what was found before is kept, hidden"


@contextmanager
def slow_frames():
    """Let each frame take so long that a click comes before the last one, also on a busy machine."""
    locate = METHODS["log"].locator.locate

    def slowly(*given):
        time.sleep(0.2)
        return locate(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_colloids.detection.log_locator.locate", slowly)
        yield


def stop(widget, qtbot, click):
    """Cancel a search of all frames in the second one."""

    def cancel(done, total, message):
        if message.startswith("frame 2 of") and widget.button.isEnabled():
            click(widget.button)

    widget.controls["frames"].value = "all"
    widget.button.task.progressed.connect(cancel)
    with slow_frames():
        finish(widget, qtbot, click)
    widget.button.task.progressed.disconnect(cancel)
    assert "Cancelled" in widget.status.text()


def searched(widget, qtbot, click):
    """Go on, and return the frames that are searched."""
    seen = []
    widget.button.task.progressed.connect(lambda done, total, message: seen.append(message.partition(" of ")[0]))
    finish(widget, qtbot, click)
    return {int(message.removeprefix("frame ")) - 1 for message in seen if message.startswith("frame")}


@pytest.mark.parametrize("changed", ["nothing", "scale", "data", "psf", "labels"])
def test_another_image_or_region_is_not_mixed_with_what_was_done(viewer, widget, image, qtbot, click, changed):
    labels = viewer.add_labels(np.ones(image.data.shape[1:], int), scale=image.scale[1:])
    labels.data[:, :4] = 0
    widget.controls["region"].value = labels
    bead = np.zeros((9, 9, 9))
    bead[4, 4, 4] = 1
    psf = viewer.add_image(bead, name="psf")
    widget.form.image.value = image
    widget.controls["psf"].value = psf
    stop(widget, qtbot, click)
    partial = found(viewer)
    if changed == "scale":
        image.scale = (1, 0.1, 0.1, 0.1)
        labels.scale = image.scale[1:]
    elif changed == "data":
        image.data = image.data[::-1].copy()
    elif changed == "psf":  # of no interest where nothing is refined
        psf.scale = (2, 2, 2)
    elif changed == "labels":
        labels.data[:, :, :20] = 0
    frames = searched(widget, qtbot, click)
    assert set(found(viewer).data[:, 0]) == set(range(FRAMES))
    if changed in ("nothing", "psf"):
        assert 0 not in frames
        assert partial not in viewer.layers
    else:
        assert frames == set(range(FRAMES))
        assert partial in viewer.layers
        assert not partial.visible
    if changed == "labels":
        assert found(viewer).data[:, 3].min() >= 19


def test_another_psf_is_another_search(viewer, image):
    psf = viewer.add_image(np.ones((9, 9, 9)))

    def search():
        asked = Search(image, (0,), range(2), Options(refine=True), Marked(), psf)
        asked.tables[asked.parts[0]] = pd.DataFrame()
        return asked

    first = search()
    assert search().goes_on_with(first)
    psf.scale = (2, 1, 1)
    second = search()
    assert not second.goes_on_with(first)
    psf.data = np.ones((9, 9, 9))
    assert not search().goes_on_with(second)


def test_going_on_keeps_what_was_set_on_the_part_that_was_done(viewer, widget, qtbot, click):
    stop(widget, qtbot, click)
    partial = found(viewer)
    widget.threshold.slider.setValue(0.77)
    partial.name = "my particles"
    finish(widget, qtbot, click)
    assert partial not in viewer.layers
    whole = viewer.layers["my particles"]
    assert layers.note_of(whole)["threshold"] == pytest.approx(0.77)
    np.testing.assert_array_equal(whole.shown, whole.features["confidence"] >= widget.threshold.slider.value())
    assert widget.threshold.slider.value() == pytest.approx(0.77)


def test_features_edited_meanwhile_are_not_lost(viewer, widget, qtbot, click):
    stop(widget, qtbot, click)
    partial = found(viewer)
    features = partial.features.copy()
    features.loc[0, "radius"] = 9.0
    partial.features = features
    finish(widget, qtbot, click)
    assert partial in viewer.layers
    assert not partial.visible
    assert partial.features["radius"][0] == 9


def test_all_are_those_there_are_now(viewer, widget, image, series, qtbot, click):
    widget.controls["frames"].value = "all"
    image.data = series[:2]
    finish(widget, qtbot, click)
    assert set(found(viewer).data[:, 0]) == {0, 1}
    image.data = series
    assert widget.controls["frame_range"].value == (0, FRAMES - 1)
    finish(widget, qtbot, click)
    assert set(found(viewer).data[:, 0]) == set(range(FRAMES))

    widget.controls["slices"].value = (2, 9)
    widget.controls["frame_range"].value = (0, 3)
    image.data = np.concatenate([series, series])
    assert widget.form.z_range() == (2, 10)
    frames = widget.controls["frame_range"]
    assert (frames.value, frames.high) == ((0, 3), 2 * FRAMES - 1)
    image.data = series[:2, :6]
    assert widget.form.z_range() == (2, 6)
    assert frames.value == (0, 1)


def test_cancelling_stays_so_when_an_image_is_added(viewer, widget, series, qtbot, click):
    widget.controls["frames"].value = "all"
    with slow_frames():
        click(widget.button)
        qtbot.waitUntil(lambda: widget.button.bar.value > 0, timeout=60_000)
        click(widget.button)
        viewer.add_image(series[0], name="another")
        assert widget.button.text() == "Cancelling…"
        assert not widget.button.isEnabled()
        qtbot.waitUntil(lambda: not widget.button.busy, timeout=60_000)
    assert widget.button.text() == "Detect"
    assert widget.button.isEnabled()


@pytest.mark.parametrize("of_a_series", [False, True])
def test_labels_are_not_read_while_the_window_waits(viewer, widget, image, qtbot, click, of_a_series):
    shape = image.data.shape[0 if of_a_series else 1 :]
    read = []

    def chunk(block_info=None):
        read.append(threading.current_thread())
        return np.ones([end - begin for begin, end in block_info[None]["array-location"]], int)

    chunks = (1,) * (len(shape) - 2) + shape[-2:]
    chunks = dask.array.core.normalize_chunks(chunks, shape)
    lazy = dask.array.map_blocks(chunk, chunks=chunks, dtype=int, meta=np.empty((0,) * len(shape), int))
    with dask.config.set(scheduler="synchronous"):
        widget.controls["region"].value = viewer.add_labels(lazy, scale=image.scale[-len(shape) :])
        read.clear()
        click(widget.button)
        here = threading.main_thread()
        assert here not in read
        qtbot.waitUntil(lambda: not widget.button.busy, timeout=60_000)
    assert read
    assert len(found(viewer).data) > 10


def test_only_inside_a_drawn_rectangle_or_the_labels(viewer, widget, series, qtbot, click):
    finish(widget, qtbot, click)
    everything = found(viewer).data.copy()
    # Drawn in the world: 0.1 um a voxel.
    shapes = viewer.add_shapes([[[0, 0, 1.0, 1.0], [0, 0, 1.0, 3.0], [0, 0, 3.0, 3.0], [0, 0, 3.0, 1.0]]])
    widget.controls["region"].value = shapes
    finish(widget, qtbot, click)
    inside = ((everything[:, 2:] > 10) & (everything[:, 2:] < 30)).all(axis=1)
    np.testing.assert_allclose(found(viewer).data, everything[inside], atol=0.5)

    mask = np.zeros(series.shape[1:], int)
    mask[:, :, :20] = 3
    labels = viewer.add_labels(mask, scale=(0.2, 0.1, 0.1))
    widget.controls["region"].value = labels
    finish(widget, qtbot, click)
    assert found(viewer).data[:, 3].max() < 19.6
    assert len(found(viewer).data) > 10

    viewer.layers.remove(labels)
    assert widget.controls["region"].value is None
    widget.controls["region"].value = viewer.add_shapes([[[0, 0, 1.0, 1.0], [0, 0, 1.0, 3.0]]], shape_type="line")
    click(widget.button)
    assert "draw one" in widget.status.text()


def region_of(*args):
    """Read what is marked, as the worker does."""
    return result_of(marked_by(*args).read())[0]


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


@pytest.mark.parametrize("change", ["removed", "changed"])
def test_an_image_that_is_removed_or_changed_meanwhile(viewer, widget, image, series, qtbot, click, change):
    """What was started is finished on the image as it was."""
    widget.controls["frames"].value = "all"
    finish(widget, qtbot, click)
    expected = layers.table_of(found(viewer), shown_only=False)
    for layer in [layer for layer in viewer.layers if "particles" in layer.name]:
        viewer.layers.remove(layer)
    done = []

    def change_image(*_):
        if not done:
            done.append(True)
            if change == "removed":
                viewer.layers.remove(image)
            else:
                image.data = np.zeros((2, 3, 3, 3), np.uint8)

    widget.button.task.progressed.connect(change_image)
    finish(widget, qtbot, click)
    assert done
    pd.testing.assert_frame_equal(layers.table_of(found(viewer), shown_only=False), expected)
    assert widget.button.isEnabled() == (change == "changed")
