"""Choosing what of a file is loaded: series, channel, frames, axes; and dropping such files onto the window."""

import os
import threading

import numpy as np
import pytest
import tifffile
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtCore import Qt

from napari_colloids.widgets.load import LoadWidget, _look

TIMEOUT = 30_000


@pytest.fixture
def film(tmp_path):
    """An OME-TIFF of a flat overview, and of a series in time with two channels."""
    path = tmp_path / "beads.ome.tif"
    data = np.random.default_rng(0).integers(0, 200, (3, 2, 8, 20, 24)).astype(np.uint8)
    size = {"PhysicalSizeZ": 0.3, "PhysicalSizeY": 0.1, "PhysicalSizeX": 0.1}
    with tifffile.TiffWriter(path, ome=True) as tif:
        tif.write(data[0, 0, 0], metadata={"axes": "YX", "Name": "overview"})
        tif.write(data[0, 0], metadata={"axes": "ZYX", "Name": "before"}, photometric="minisblack")
        metadata = {"axes": "TCZYX", "Name": "sheared", "Channel": {"Name": ["core", "shell"]}, "TimeIncrement": 0.5}
        tif.write(data, metadata={**metadata, **size}, photometric="minisblack")
    return path, data


@pytest.fixture
def look(viewer, qtbot):
    """Open the widget and have it look at a file."""

    def at(path):
        widget = LoadWidget(PublicOnlyProxy(viewer))
        viewer.window.add_dock_widget(widget, name="Load")
        widget.path.value = str(path)
        widget.path.native.editingFinished.emit()
        qtbot.waitUntil(lambda: bool(widget.status.text()), timeout=TIMEOUT)
        return widget

    return at


@pytest.fixture
def load(viewer, qtbot, click):
    def press(widget):
        click(widget.button)
        qtbot.waitUntil(lambda: widget.status.text().startswith("Loaded"), timeout=TIMEOUT)
        return list(viewer.layers)

    return press


def test_series_channel_and_frames_are_picked(look, load, film):
    path, data = film
    widget = look(path)
    picker = widget.picker
    labels = [picker.series.native.itemText(k) for k in range(3)]
    assert labels[2] == "sheared: 3 x 2 x 8 x 20 x 24 TCZYX, 0.3 x 0.1 x 0.1 µm"
    item = picker.series.native.model().item(0)
    assert not item.isEnabled()
    assert "single 2D image" in item.data(Qt.ItemDataRole.ToolTipRole)
    assert picker.series.value == 1, "the first that can be read"
    assert not picker.channel.enabled
    assert not picker.frames.enabled
    assert widget.controls["voxel_size"].enabled

    picker.series.value = 2
    assert not picker.axes.enabled
    assert [picker.channel.native.itemText(k) for k in range(3)] == ["all", "core", "shell"]
    assert not widget.controls["voxel_size"].enabled
    assert widget.controls["voxel_size"].value == (0.3, 0.1, 0.1)
    assert "every 0.5 s" in widget.status.text()
    picker.channel.value = 2
    picker.frames.value = (1, 2)
    (image,) = load(widget)
    assert image.name == "beads sheared shell"
    np.testing.assert_array_equal(image.data, data[1:, 1])
    np.testing.assert_allclose(image.scale, (0.5, 0.3, 0.1, 0.1))


@pytest.mark.parametrize("form", ["'{}'", '  "{}" ', "file://{}"])
def test_a_path_is_pasted_as_it_comes(look, film, form):
    path, _ = film
    widget = look(form.format(path))
    assert widget.button.isEnabled()


def test_what_is_no_longer_so_is_not_shown(look, film, qtbot):
    path, data = film
    widget = look(path)
    tifffile.imwrite(path, data[0, 0], metadata={"axes": "ZYX"}, photometric="minisblack")
    os.utime(path, ns=(1, 1))
    widget.path.native.editingFinished.emit()
    qtbot.waitUntil(lambda: widget.picker.series.native.count() == 1, timeout=TIMEOUT)
    for text in ("nowhere.tif", ""):
        widget.path.value = text
        widget.path.native.editingFinished.emit()
        qtbot.waitUntil(lambda: not widget.button.isEnabled(), timeout=TIMEOUT)
        assert widget.picker.series.native.count() == 0


def test_a_file_is_not_offered_when_its_path_was_emptied_meanwhile(viewer, film, qtbot, monkeypatch):
    looks, goes_on = threading.Event(), threading.Event()

    def look_later(path):
        looks.set()
        goes_on.wait(TIMEOUT / 1000)
        return _look(path)

    monkeypatch.setattr("napari_colloids.widgets.load._look", look_later)
    widget = LoadWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    for text in (str(film[0]), ""):
        widget.path.value = text
        widget.path.native.editingFinished.emit()
        qtbot.waitUntil(looks.is_set, timeout=TIMEOUT)
    goes_on.set()
    qtbot.waitUntil(lambda: not widget._looking.running, timeout=TIMEOUT)
    assert widget.picker.series.native.count() == 0
    assert not widget.button.isEnabled()


def test_depth_factor_corrects_the_voxel_size_along_z(look, load, film, tmp_path):
    widget = look(film[0])
    widget.picker.series.value = 2
    widget.controls["depth_factor"].value = 0.9
    for layer in load(widget):
        assert layer.scale[-3:] == pytest.approx([0.27, 0.1, 0.1])
        assert layer.scale[0] == pytest.approx(0.5)
        assert str(layer.units[0]) == "second"


def test_depth_factor_needs_a_voxel_size(look, click, film, qtbot):
    widget = look(film[0])
    widget.picker.series.value = 1
    widget.controls["depth_factor"].value = 0.9
    click(widget.button)
    qtbot.waitUntil(lambda: "voxel size" in widget.status.text() and widget.button.isEnabled(), timeout=TIMEOUT)


def test_one_frame_of_all_channels(look, load, film):
    path, data = film
    widget = look(path)
    widget.picker.series.value = 2
    widget.picker.frames.value = (0, 0)
    core, shell = load(widget)
    np.testing.assert_array_equal(core.data, data[0, 0])
    np.testing.assert_array_equal(shell.data, data[0, 1])


def test_axes_are_asked_for_where_the_file_does_not_say_them(look, load, tmp_path):
    data = np.random.default_rng(0).integers(0, 200, (2, 6, 8, 9)).astype(np.uint8)
    np.save(tmp_path / "a.npy", data)
    widget = look(tmp_path / "a.npy")
    picker = widget.picker
    assert picker.axes.enabled
    assert picker.axes.value == "czyx"
    assert "Check the suggested axes" in widget.status.text()
    assert picker.channel.native.count() == 3
    picker.axes.value = "tzyx"
    assert not picker.channel.enabled
    assert picker.frames.value == (0, 1)
    (image,) = load(widget)
    assert tuple(image.axis_labels) == ("t", "z", "y", "x")
    np.testing.assert_array_equal(image.data, data)


def test_wrong_axes_are_said(look, click, qtbot, viewer, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 6, 8, 9), np.uint8))
    widget = look(tmp_path / "a.npy")
    widget.picker.axes.value = "zyq"
    click(widget.button)
    qtbot.waitUntil(lambda: "not understood" in widget.status.text(), timeout=TIMEOUT)
    assert not viewer.layers


def test_file_without_a_stack_says_why(look, tmp_path):
    tifffile.imwrite(tmp_path / "flat.tif", np.zeros((20, 30), np.uint8))
    widget = look(tmp_path / "flat.tif")
    assert "single 2D image" in widget.status.text()
    assert not widget.button.isEnabled()


def test_numbered_volumes_are_chosen_by_a_spin_box(look, challenge_file):
    widget = look(challenge_file)
    picker = widget.picker
    assert picker.index.native.isVisibleTo(widget)
    assert not picker.series.native.isVisibleTo(widget)
    picker.index.value = 1
    assert picker.choice()["index"] == 1


def test_zarr_folder(look, load, tmp_path):
    zarr = pytest.importorskip("zarr")
    data = np.random.default_rng(0).integers(0, 200, (6, 8, 9)).astype(np.uint8)
    zarr.create_array(tmp_path / "a.zarr", data=data)
    (image,) = load(look(tmp_path / "a.zarr"))
    np.testing.assert_array_equal(image.data, data)


def test_dropped_file_opens_its_first_stack_and_tells_of_the_others(viewer, film, monkeypatch):
    from napari.utils import notifications

    said = []
    monkeypatch.setattr(notifications, "show_info", said.append)
    path, data = film
    (image,) = viewer.open(path, plugin="napari-colloids")
    assert image.name == "beads before"
    np.testing.assert_array_equal(image.data, data[0, 0])
    assert said == ["beads.ome.tif holds 2 stacks; this is the first. The Load widget opens the others."]


def test_dropped_zarr_folder(viewer, tmp_path):
    zarr = pytest.importorskip("zarr")
    zarr.create_array(tmp_path / "a.zarr", data=np.ones((6, 8, 9), np.uint8))
    (image,) = viewer.open(tmp_path / "a.zarr", plugin="napari-colloids")
    assert image.data.shape == (6, 8, 9)


def test_dropped_file_without_a_stack_is_refused_in_one_line(viewer, tmp_path):
    tifffile.imwrite(tmp_path / "flat.tif", np.zeros((20, 30), np.uint8))
    with pytest.raises(Exception, match="single 2D image") as refusal:
        viewer.open(tmp_path / "flat.tif", plugin="napari-colloids")
    assert "\n" not in str(refusal.value).strip()


def test_a_plain_stack_is_described_in_words_and_has_no_rows_without_a_choice(viewer, qtbot, stack_file):
    widget = LoadWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    widget.path.value = str(stack_file)
    widget.path.native.editingFinished.emit()
    qtbot.waitUntil(widget.button.isEnabled, timeout=TIMEOUT)
    assert "(z, y, x; the first taken for z" in widget.status.text()
    rows = (widget.picker.axes, widget.picker.channel, widget.picker.frames, widget.allow_missing)
    assert not any(row.native.isVisibleTo(widget) for row in rows)
    assert widget.controls["voxel_size"].native.isVisibleTo(widget)
