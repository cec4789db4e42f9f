"""HDF5 files whose values were not all written, that refer to others, or hold what no program writes."""

import json
import os
import zlib

import h5py
import numpy as np
import pytest

from napari_colloids.errors import ColloidsError
from napari_colloids.io.stacks import list_series, read_stack

SIZE = (0.3, 0.1, 0.1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.h5"


@pytest.mark.parametrize(
    ("axes", "shape", "chunks"),
    [("zyx", (6, 8, 8), (1, 8, 8)), ("zyx", (6, 8, 8), (2, 4, 4)), ("xyz", (8, 8, 6), (8, 8, 1))],
)
def test_slices_that_were_never_written_at_the_end_are_cut(path, volume, holds, axes, shape, chunks):
    data = volume(*shape)
    index = (slice(4),) if axes == "zyx" else (slice(None), slice(None), slice(4))
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("raw", shape, data.dtype, chunks=chunks)
        dataset[index] = data[index]
        dataset.attrs["axistags"] = json.dumps({"axes": [{"key": axis} for axis in axes]})
    written = data[index] if axes == "zyx" else data[index].T
    assert holds(path, written, "zyx").notices == (
        "'a.h5 raw' promises 6 slices, but 4 were written: only that is read.",
    )


def test_gaps_are_refused_or_known(path, volume):
    data = volume(2, 6, 8, 8)
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("raw", data.shape, data.dtype, chunks=(1, 1, 8, 8), compression="gzip")
        for where in np.ndindex(2, 6):
            if where != (0, 3):
                dataset[where] = data[where]
        for dimension, axis in zip(dataset.dims, "tzyx", strict=True):
            dimension.label = axis
    with pytest.raises(ColloidsError, match=r"lacks 1 of 12 slices .the first is frame 0, slice 3"):
        read_stack(path)
    for lazy in (False, True):
        stack = read_stack(path, allow_missing=True, lazy=lazy)
        assert np.argwhere(~stack.recorded).tolist() == [[0, 3]]
        np.testing.assert_array_equal(np.asarray(stack.data)[stack.recorded], data[stack.recorded])


def test_chunks_that_are_missing_within_slices_are_told(path, volume):
    data = volume(6, 8, 8)
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("raw", data.shape, data.dtype, chunks=(1, 4, 4))
        dataset[:, :, :4] = data[:, :, :4]
        dataset[:4] = data[:4]
    stack = read_stack(path)
    assert stack.notices == (
        "4 of the 24 chunks of 'a.h5 raw' were never written; where they belong it has its fill value.",
    )
    assert stack.shape == (6, 8, 8)


def test_dark_slices_that_were_written_are_there(path, holds):
    with h5py.File(path, "w") as file:
        file.create_dataset("raw", data=np.zeros((4, 8, 8), np.uint8), chunks=(1, 8, 8))
    assert holds(path, np.zeros((4, 8, 8), np.uint8), "zyx").notices == ()


@pytest.mark.parametrize("chunks", [None, (2, 8, 8)])
def test_what_was_never_written_is_empty(path, chunks):
    with h5py.File(path, "w") as file:
        file.create_dataset("raw", (4, 8, 8), np.uint8, chunks=chunks)
    with pytest.raises(ColloidsError, match=r"'a\.h5 raw' is empty: no slice of it was recorded"):
        read_stack(path, allow_missing=True)


def virtual(path, sources, shape=(4, 8, 8)):
    """Write a virtual dataset with a slice from each of the sources, (file, dataset)."""
    layout = h5py.VirtualLayout(shape, np.uint16)
    for k, (file, name) in enumerate(sources):
        layout[k] = h5py.VirtualSource(file, name, shape[1:])
    with h5py.File(path, "a") as file:
        file.create_virtual_dataset("raw", layout)


def test_virtual_dataset_needs_its_sources(tmp_path, path, volume, holds):
    data = volume(4, 8, 8)
    for k in range(4):
        with h5py.File(tmp_path / f"s{k}.h5", "w") as file:
            file["x"] = data[k]
    virtual(path, [(f"s{k}.h5", "x") for k in range(4)])
    holds(path, data, "zyx", dataset="raw")
    for k in (1, 2):
        (tmp_path / f"s{k}.h5").unlink()
    with pytest.raises(ColloidsError, match=r"lacks 2 of 4 slices .*the files 's1\.h5', 's2\.h5' are missing"):
        read_stack(path)
    assert read_stack(path, allow_missing=True).recorded.tolist() == [True, False, False, True]


def test_virtual_dataset_that_interleaves_its_sources(tmp_path, path, volume):
    data = volume(6, 8, 8)
    layout = h5py.VirtualLayout((6, 8, 8), np.uint16)
    for k in range(2):
        layout[k::2] = h5py.VirtualSource(f"s{k}.h5", "x", (3, 8, 8))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("raw", layout)
    with h5py.File(tmp_path / "s1.h5", "w") as file:
        file["x"] = data[1::2]
    stack = read_stack(path, allow_missing=True)
    assert stack.recorded.tolist() == [False, True] * 3
    np.testing.assert_array_equal(stack.data[1::2], data[1::2])


@pytest.mark.parametrize("source", ["self", "virtual", "none"])
def test_virtual_datasets_that_go_round_in_a_circle_are_refused(tmp_path, path, source):
    """The library of HDF5 ends the process when it reads one."""
    (tmp_path / "none.h5").unlink(missing_ok=True)
    virtual(path, [(".", "raw" if source == "self" else source)] * 4)
    if source == "virtual":
        layout = h5py.VirtualLayout((8, 8), np.uint16)
        layout[:] = h5py.VirtualSource(".", "raw", (8, 8))
        with h5py.File(path, "a") as file:
            file.create_virtual_dataset("virtual", layout)
    with pytest.raises(ColloidsError, match="which is no dataset with values"):
        read_stack(path, allow_missing=True)


@pytest.mark.parametrize("name", ["pipe.h5", "../away.h5", "/dev/zero"])
def test_only_plain_files_beside_a_file_are_followed(tmp_path, name, volume):
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in" / "pipe.h5")
    with h5py.File(tmp_path / "away.h5", "w") as file:
        file["x"] = volume(8, 8)
        file["stack"] = volume(4, 8, 8)
    path = tmp_path / "in" / "a.h5"
    virtual(path, [(name, "x")] * 4)
    with pytest.raises(ColloidsError, match=r"is missing|is empty"):
        read_stack(path)
    with h5py.File(path, "w") as file:
        file["0"] = h5py.ExternalLink(name, "stack")
    with pytest.raises(ColloidsError, match="what other files hold is not followed"):
        read_stack(path)


def test_values_in_another_file_are_not_followed(tmp_path, path):
    (tmp_path / "raw.bin").write_bytes(bytes(48))
    with h5py.File(path, "w") as file:
        file.create_dataset("raw", (3, 4, 4), np.uint8, external=[(str(tmp_path / "raw.bin"), 0, 48)])
    with pytest.raises(ColloidsError, match="keeps its values in another file"):
        read_stack(path)


def test_names_that_are_not_text_or_numbers_without_end(path, volume):
    with h5py.File(path, "w") as file:
        file["9" * 5000] = volume(4, 5, 6)
    assert read_stack(path).shape == (4, 5, 6)
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple((4, 5, 6))
        dataset = h5py.h5d.create(file.id, b"caf\xe9", h5py.h5t.NATIVE_UINT8, space)
        dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ones((4, 5, 6), np.uint8))
    (series,) = list_series(path)
    assert series.name.encode() == rb"caf\udce9"
    assert read_stack(path, dataset=series.name).data.min() == 1


def test_types_that_numpy_does_not_have_are_left_out(path, volume):
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple((4, 5, 6))
        h5py.h5d.create(file.id, b"0", h5py.h5t.UNIX_D32LE, space)
        file["1"] = volume(4, 5, 6)
        h5py.h5a.create(file["1"].id, b"when", h5py.h5t.UNIX_D32LE, h5py.h5s.create(h5py.h5s.SCALAR))
    assert [series.name for series in list_series(path)] == ["1"]
    assert read_stack(path).shape == (4, 5, 6)


def test_groups_without_end_are_left_out(path, volume):
    with h5py.File(path, "w") as file:
        group = file["a"] = file.create_group("b")
        group["round"] = file["b"]
        for _ in range(3000):
            group = group.create_group("g")
        group["deep"] = volume(4, 5, 6)
        file["b/stack"] = volume(4, 5, 6)
    assert len(list_series(path)) == 1


def test_chunk_that_unpacks_to_more_than_its_values_is_damage(path):
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("raw", (4, 8, 8), np.uint8, chunks=(4, 8, 8), compression="gzip")
        dataset.id.write_direct_chunk((0, 0, 0), zlib.compress(bytes(20_000_000)))
    with pytest.raises(ColloidsError, match="is damaged: a chunk at"):
        read_stack(path)


def test_shape_that_no_memory_holds_is_refused_in_one_line(path):
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("raw", (2**40, 64, 64), np.uint8, chunks=(1, 64, 64))
        dataset[0] = 1
    for lazy in (False, True):
        with pytest.raises(ColloidsError, match="damaged: its header promises 1099511627776 chunks"):
            read_stack(path, lazy=lazy, allow_missing=True)


@pytest.mark.parametrize(
    ("units", "resolution", "size", "interval"),
    [
        ({"z": "nm", "y": "um", "x": "micrometer", "t": "ms"}, (300, 0.1, 0.05, 40), (0.3, 0.1, 0.05), 0.04),
        ({"z": "mm", "y": "nm", "x": "nm", "t": "s"}, (2e-4, 90, 90, 2), (0.2, 0.09, 0.09), 2.0),
        ({"z": "µm", "y": "µm", "x": "µm", "t": "frames"}, (0.3, 0.1, 0.1, 1), SIZE, None),
        ({"z": "um", "y": "um", "x": "um"}, (0, 0.1, 0.1, 0), None, None),
        ({"z": "pixel", "y": "um", "x": "um"}, (0.3, 0.1, 0.1, 0), None, None),
        ({}, (0.3, 0.1, 0.1, 1), None, None),
        ("text", (0.3, 0.1, 0.1, 1), None, None),
    ],
)
def test_units_and_resolution_by_ilastik(path, volume, holds, units, resolution, size, interval):
    data = volume(2, 4, 5, 6)
    with h5py.File(path, "w") as file:
        file["exported_data"] = data
        tags = [
            {"key": axis, "typeFlags": 2, "resolution": step, "description": ""}
            for axis, step in zip("tzyx", (resolution[3], *resolution[:3]), strict=True)
        ]
        file["exported_data"].attrs["axistags"] = json.dumps({"axes": tags})
        file["exported_data"].attrs["axis_units"] = json.dumps(units)
    lazy = holds(path, data, "tzyx", voxel_size=size, frame_interval=interval)
    notice = "'a.h5 exported_data' does not say how far apart voxels are along z: its voxel size counts as unknown."
    part = size is None and isinstance(units, dict) and bool(units)
    assert lazy.notices == ((notice,) if part else ())
