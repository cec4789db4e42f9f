"""Stacks of many files in the Load dock, and dropped onto the window."""

import numpy as np
import pytest
import tifffile

from napari_colloids.widgets.layers import reader
from napari_colloids.widgets.load import LoadWidget

TIMEOUT = 30_000


@pytest.fixture
def data():
    return np.random.default_rng(0).integers(0, 200, (12, 8, 9)).astype(np.uint8)


@pytest.fixture
def slices(tmp_path, data):
    """A folder of twelve slices."""
    folder = tmp_path / "slices"
    folder.mkdir()
    for z, plane in enumerate(data):
        tifffile.imwrite(folder / f"stack_z{z}.tif", plane)
    return folder


@pytest.fixture
def look(viewer, qtbot):
    def at(path):
        widget = LoadWidget(viewer)
        viewer.window.add_dock_widget(widget, name="Load")
        widget.path.value = str(path)
        widget.path.native.editingFinished.emit()
        qtbot.waitUntil(lambda: bool(widget.status.text()), timeout=TIMEOUT)
        return widget

    return at


@pytest.fixture
def said(monkeypatch):
    from napari.utils import notifications

    lines = []
    monkeypatch.setattr(notifications, "show_info", lines.append)
    return lines


@pytest.mark.parametrize("way", [".", "stack_z*.tif"])
def test_what_was_understood_is_shown_before_loading(look, click, qtbot, viewer, slices, data, way):
    widget = look(slices / way)
    assert widget.status.text().startswith("12 files 'stack_z*.tif': z from 0 to 11. 12 x 8 x 9 (z, y, x)")
    assert not widget.allow_missing.enabled
    widget.controls["voxel_size"].value = (0.3, 0.1, 0.1)
    click(widget.button)
    qtbot.waitUntil(lambda: widget.status.text().startswith("Loaded"), timeout=TIMEOUT)
    assert "z from 0 to 11" in widget.status.text()
    (image,) = viewer.layers
    np.testing.assert_array_equal(image.data, data)
    np.testing.assert_allclose(image.scale, (0.3, 0.1, 0.1))


def test_a_slice_that_was_added_is_seen(look, qtbot, slices, data):
    widget = look(slices)
    tifffile.imwrite(slices / "stack_z12.tif", data[0])
    widget.path.native.editingFinished.emit()
    qtbot.waitUntil(lambda: widget.status.text().startswith("13 files"), timeout=TIMEOUT)


def test_missing_slices_are_shown_and_can_be_allowed(look, click, qtbot, viewer, slices):
    (slices / "stack_z5.tif").unlink()
    widget = look(slices)
    assert "lacks 1 of 12 slices" in widget.status.text()
    assert "stack_z5.tif" in widget.status.text()
    assert widget.allow_missing.enabled
    assert not widget.allow_missing.value
    click(widget.button)
    qtbot.waitUntil(lambda: "allow it" in widget.status.text() and widget.button.isEnabled(), timeout=TIMEOUT)
    assert not viewer.layers
    widget.allow_missing.value = True
    click(widget.button)
    qtbot.waitUntil(lambda: widget.status.text().startswith("Loaded"), timeout=TIMEOUT)
    assert "nothing is searched there" in widget.status.text()
    assert viewer.layers[0].data.shape == (12, 8, 9)


def test_axes_of_many_files_can_be_corrected(look, click, qtbot, viewer, slices, data):
    for z in range(12):
        (slices / f"stack_z{z}.tif").rename(slices / f"frame{z}.tif")
    widget = look(slices)
    assert "t from 0 to 11" in widget.status.text()
    assert "Check the suggested axes" in widget.status.text()
    assert widget.picker.axes.value == "zyx"
    click(widget.button)
    qtbot.waitUntil(lambda: widget.status.text().startswith("Loaded"), timeout=TIMEOUT)
    np.testing.assert_array_equal(viewer.layers[0].data, data)


def test_several_stacks_in_a_folder_are_offered(look, slices, data):
    for z in range(4):
        tifffile.imwrite(slices / f"other_z{z}.tif", data[z])
    widget = look(slices)
    lines = [widget.picker.series.native.itemText(k) for k in range(2)]
    assert lines == ["stack_z*.tif: 12 x 8 x 9 ZYX", "other_z*.tif: 4 x 8 x 9 ZYX"]
    widget.picker.series.value = 1
    assert widget.status.text().startswith("4 files 'other_z*.tif'")


def test_a_dropped_folder(viewer, slices, data, said):
    (image,) = viewer.open(slices, plugin="napari-colloids")
    np.testing.assert_array_equal(image.data, data)
    assert image.name == "slices"
    assert said == ["slices: 12 files 'stack_z*.tif': z from 0 to 11."]


def test_slices_that_are_opened_as_a_stack(viewer, slices, data, said):
    files = [str(slices / f"stack_z{z}.tif") for z in (3, 11, 0, 2, 1, *range(4, 11))]
    (image,) = viewer.open(files, plugin="napari-colloids", stack=True)
    np.testing.assert_array_equal(image.data, data)
    assert said == ["stack: 12 files 'stack_z*.tif': z from 0 to 11."]


def test_dropped_slices_and_sets_are_one_stack_once(windowed_viewer, slices, tmp_path, data, said):
    files = [str(slices / f"stack_z{z}.tif") for z in (3, 11, 0, 2, 1, *range(4, 11))]
    (image,) = windowed_viewer.open(files, plugin="napari-colloids")
    np.testing.assert_array_equal(image.data, data)
    assert said[0].startswith("stack_z3.tif is one of 12 files of a stack")
    assert "z from 0 to 11" in said[1]
    assert windowed_viewer.open(files[0], plugin="napari-colloids") == []
    windowed_viewer.layers.clear()
    assert len(windowed_viewer.open(files[0], plugin="napari-colloids")) == 1

    names = [f"s_z{z}.ome.tif" for z in range(3)]
    parts = "".join(
        f'<TiffData FirstZ="{z}" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{z}</UUID></TiffData>'
        for z, name in enumerate(names)
    )
    sizes = 'SizeX="9" SizeY="8" SizeZ="3" SizeC="1" SizeT="1"'
    pixels = f'<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" {sizes}>{parts}</Pixels>'
    for z, name in enumerate(names):
        xml = f'<?xml version="1.0"?><OME UUID="urn:uuid:{z}"><Image ID="Image:0">{pixels}</Image></OME>'
        tifffile.imwrite(tmp_path / name, data[z], description=xml, metadata=None)
    (image,) = windowed_viewer.open([tmp_path / name for name in names], plugin="napari-colloids")
    np.testing.assert_array_equal(image.data, data[:3])


def test_what_is_no_stack_is_left_to_other_readers(tmp_path, slices):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("a")
    assert reader.get_stack_reader(str(tmp_path / "notes")) is None
    assert reader.get_stack_reader(str(slices)) is not None


def test_a_dropped_image_that_is_alone_is_refused_as_before(viewer, tmp_path, data):
    tifffile.imwrite(tmp_path / "flat1.tif", data[0])
    with pytest.raises(Exception, match="single 2D image"):
        viewer.open(tmp_path / "flat1.tif", plugin="napari-colloids")
