"""Zarr folders of which chunks are missing, that lie in containers, or hold what no program writes."""

import json
import os

import numpy as np
import pytest

from napari_colloids.batch import Job, Selection
from napari_colloids.batch.stack_file import StackFile
from napari_colloids.errors import ColloidsError, UnusableVolumeError
from napari_colloids.io.formats.registry import is_stack_folder
from napari_colloids.io.stacks import list_series, read_stack

zarr = pytest.importorskip("zarr")

SIZE = (0.3, 0.1, 0.05)


def write_image(group, data, axes="zyx", scale=SIZE, units=("um", "um", "um"), **options):
    """Write an OME-Zarr image of one level, whose first chunks along y and x are smaller than the image."""
    array = group.create_array("0", shape=data.shape, dtype=data.dtype, **options)
    array[...] = data
    level = {"path": "0"}
    if scale is not None:
        level["coordinateTransformations"] = [{"type": "scale", "scale": list(scale)}]
    about = [{"name": axis, **({"unit": unit} if unit else {})} for axis, unit in zip(axes, units, strict=True)]
    image = {"axes": about, "datasets": [level]}
    version = group.metadata.zarr_format
    group.attrs.update({"multiscales": [image]} if version == 2 else {"ome": {"multiscales": [image]}})


@pytest.fixture(params=[2, 3])
def group(request, tmp_path):
    return zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=request.param)


def remove(folder, *places):
    """Remove the chunks at places in the grid, whatever their names are in the version."""
    for place in places:
        names = ("c/" + "/".join(map(str, place)), ".".join(map(str, place)))
        (file,) = (folder / name for name in names if (folder / name).is_file())
        file.unlink()


def test_slices_without_any_chunk_are_known_and_keep_their_place(tmp_path, group, volume, holds):
    data = volume(6, 8, 8) + np.uint16(1)
    write_image(group, data, chunks=(1, 4, 8))
    remove(tmp_path / "a.zarr" / "0", *((z, y, 0) for z in (4, 5) for y in (0, 1)))
    data[4:] = 0
    lazy = holds(tmp_path / "a.zarr", data, "zyx", voxel_size=SIZE)
    assert lazy.recorded.tolist() == [True] * 4 + [False] * 2
    assert "no pixels in 2 of 6 slices (the first is slice 4)" in lazy.notices[0]


def test_an_array_that_is_zero_all_over_holds_nothing_to_search(tmp_path, group):
    write_image(group, np.zeros((4, 8, 8), np.uint16))
    with pytest.raises(UnusableVolumeError, match="recorded"):
        read_stack(tmp_path / "a.zarr").volume()


def test_a_mask_is_zero_where_its_chunks_are_left_out(tmp_path, group):
    mask = np.zeros((6, 8, 8), np.uint8)
    mask[2:4] = 1
    write_image(group, mask, chunks=(1, 8, 8))
    job = Job(StackFile("unused.tif"), tmp_path / "unused.csv", selection=Selection(mask=str(tmp_path / "a.zarr")))
    assert job.region().contains(np.array([(z, 4.0, 4.0) for z in range(6)])).tolist() == mask[:, 4, 4].tolist()


def test_gaps_are_known(tmp_path, group, volume):
    data = volume(2, 5, 8, 8) + np.uint16(1)
    write_image(group, data, "tzyx", (2, *SIZE), ("s", "um", "um", "um"), chunks=(1, 1, 8, 8))
    remove(tmp_path / "a.zarr" / "0", (0, 3, 0, 0), (1, 0, 0, 0))
    for lazy in (False, True):
        stack = read_stack(tmp_path / "a.zarr", lazy=lazy)
        assert "2 of 10 slices (the first is frame 0, slice 3)" in stack.notices[0]
        assert np.argwhere(~stack.recorded).tolist() == [[0, 3], [1, 0]]
        np.testing.assert_array_equal(np.asarray(stack.data)[stack.recorded], data[stack.recorded])


def test_chunks_that_are_missing_within_slices_are_told(tmp_path, group, volume):
    data = volume(4, 8, 8) + np.uint16(1)
    write_image(group, data, chunks=(1, 4, 4))
    remove(tmp_path / "a.zarr" / "0", (0, 0, 1), (2, 1, 1), (2, 0, 0))
    stack = read_stack(tmp_path / "a.zarr")
    assert stack.shape == (4, 8, 8)
    assert "3 of the 16 chunks of 'a.zarr' were never written" in stack.notices[0]


def test_chunks_that_a_shard_lacks(tmp_path, volume, holds):
    data = volume(8, 8, 8) + np.uint16(1)
    array = zarr.create_array(
        tmp_path / "a.zarr", shape=data.shape, dtype=data.dtype, chunks=(1, 8, 4), shards=(4, 8, 8)
    )
    array[:6] = data[:6]
    assert holds(tmp_path / "a.zarr", np.where(np.arange(8)[:, None, None] < 6, data, 0), "zyx").recorded.sum() == 6
    array[6:, :, 4:] = data[6:, :, 4:]
    array[3] = 0
    notices = read_stack(tmp_path / "a.zarr").notices
    assert any("2 of the 16 chunks" in notice for notice in notices)
    assert any("1 of 8 slices (the first is slice 3)" in notice for notice in notices)


@pytest.mark.parametrize(
    ("scale", "units", "size", "part"),
    [
        ((300, 0.1, 5e-5), ("nanometer", "micrometer", "millimeter"), SIZE, False),
        (SIZE, (None, "um", "um"), None, True),
        (SIZE, ("um", "pixel", "um"), None, True),
        ((0, 0.1, 0.05), ("um", "um", "um"), None, True),
        (None, ("um", "um", "um"), None, False),
    ],
)
def test_units_and_scales_of_some_axes_only(tmp_path, group, volume, holds, scale, units, size, part):
    """An edge is never taken for 1 micrometre because the file does not say it."""
    write_image(group, volume(4, 8, 8), scale=scale, units=units)
    lazy = holds(tmp_path / "a.zarr", volume(4, 8, 8), "zyx", voxel_size=size)
    assert bool(lazy.notices) == part


def test_images_of_a_container_open_by_their_own_folder(tmp_path, group, volume, holds):
    group.attrs["bioformats2raw.layout"] = 3
    for k in range(2):
        write_image(group.create_group(str(k)), volume(3, 4, 6) + np.uint16(k))
    (tmp_path / "a.zarr" / "OME").mkdir()
    (tmp_path / "a.zarr" / "OME" / "METADATA.ome.xml").write_text("<OME/>")
    assert [series.name for series in list_series(tmp_path / "a.zarr")] == ["0", "1"]
    assert is_stack_folder(tmp_path / "a.zarr" / "1")
    lazy = holds(tmp_path / "a.zarr" / "1", volume(3, 4, 6) + 1, "zyx", voxel_size=SIZE)
    assert lazy.name == "1"
    holds(tmp_path / "a.zarr" / "1" / "0", volume(3, 4, 6) + 1, "zyx")


@pytest.mark.parametrize("name", ["beads", "beads.ngff", "beads.tif"])
def test_folders_with_another_ending_are_known_by_their_files(tmp_path, group, volume, holds, name):
    write_image(group, volume(3, 4, 6))
    path = (tmp_path / "a.zarr").rename(tmp_path / name)
    assert is_stack_folder(path)
    holds(path, volume(3, 4, 6), "zyx", voxel_size=SIZE)
    (tmp_path / "other").mkdir()
    assert not is_stack_folder(tmp_path / "other")


def test_wells_of_a_plate_are_series(tmp_path, group, volume):
    group.attrs["plate"] = {"rows": [{"name": "A"}], "columns": [{"name": "1"}]}
    for field in (0, 1):
        write_image(group.require_group(f"A/1/{field}"), volume(3, 4, 6) + np.uint16(field))
    assert [series.name for series in list_series(tmp_path / "a.zarr")] == ["A/1/0", "A/1/1"]
    assert read_stack(tmp_path / "a.zarr", dataset="A/1/1").data.min() == 1


@pytest.mark.parametrize("what", ["chunk", "metadata", "child"])
def test_pipes_are_not_waited_for(tmp_path, group, volume, refused, what):
    write_image(group, volume(3, 4, 6), chunks=(1, 4, 6))
    folder = tmp_path / "a.zarr"
    version = group.metadata.zarr_format
    chunk = folder / "0" / ("c/1/0/0" if version == 3 else "1.0.0")
    array, child = ("zarr.json", "zarr.json") if version == 3 else (".zarray", ".zgroup")
    file = {"chunk": chunk, "metadata": folder / "0" / array, "child": folder / child}[what]
    file.unlink()
    os.mkfifo(file)
    refused(folder, "is no file")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"chunks": [0, 4, 6]}, "damaged"),
        ({"shape": [2**40, 4, 6]}, "promises 1099511627776 chunks"),
        ({"shape": [-3, 4, 6]}, "damaged"),
        ({"chunks": [1, 4]}, "damaged"),
    ],
)
def test_numbers_that_no_program_writes_are_damage(tmp_path, volume, change, match):
    path = tmp_path / "a.zarr"
    zarr.create_array(path, data=volume(3, 4, 6), chunks=(1, 4, 6), zarr_format=2)
    about = json.loads((path / ".zarray").read_text())
    (path / ".zarray").write_text(json.dumps({**about, **change}))
    with pytest.raises(ColloidsError, match=match):
        read_stack(path)


def test_level_in_another_folder_is_refused(tmp_path, group, volume, refused):
    write_image(group, volume(3, 4, 6))
    file = tmp_path / "a.zarr" / ("zarr.json" if group.metadata.zarr_format == 3 else ".zattrs")
    file.write_text(file.read_text().replace('"path": "0"', '"path": "../a.zarr/0"'))
    refused(tmp_path / "a.zarr", "in another folder")


def test_names_of_axes_that_are_no_letters(tmp_path, group, volume):
    """The capital of some letters is two."""
    write_image(group, volume(3, 4, 6), ("İ", "y", "x"))
    with pytest.raises(ColloidsError, match=r"labelled '\?YX', which is not clear"):
        read_stack(tmp_path / "a.zarr")
