import json

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_colloids.errors import ColloidsError
from napari_colloids.io.stacks import list_series, read_stack


def text(value):
    """Write text as Imaris does: as single characters."""
    return np.array([c.encode() for c in str(value)], dtype="S1")


def write_ims(path, data, extents=((0, 0, 0), (1, 1, 1)), channels=(), times=(), unit="um"):
    """Write an array (t, c, z, y, x) as Imaris does: padded to whole chunks, text as single characters."""
    shape = data.shape[2:]
    padded = tuple(-(-n // 4) * 4 for n in shape)
    with h5py.File(path, "w") as file:
        for t, c in np.ndindex(data.shape[:2]):
            whole = np.full(padded, 9, data.dtype)
            whole[tuple(slice(n) for n in shape)] = data[t, c]
            for level, values in enumerate([whole, whole[:, ::2, ::2]]):
                name = f"DataSet/ResolutionLevel {level}/TimePoint {t}/Channel {c}/Data"
                file.create_dataset(name, data=values, chunks=(4, 4, 4), compression="gzip")
        image = file.create_group("DataSetInfo/Image")
        for axis, n in zip("ZYX", shape, strict=True):
            image.attrs[axis] = text(n)
        for k in range(3):
            image.attrs[f"ExtMin{k}"] = text(extents[0][2 - k])
            image.attrs[f"ExtMax{k}"] = text(extents[1][2 - k])
        image.attrs["Unit"] = text(unit)
        for c, name in enumerate(channels):
            file.create_group(f"DataSetInfo/Channel {c}").attrs["Name"] = text(name)
        info = file.create_group("DataSetInfo/TimeInfo")
        info.attrs["DatasetTimePoints"] = text(data.shape[0])
        for t, time in enumerate(times):
            info.attrs[f"TimePoint{t + 1}"] = text(time)


def test_large_datasets_stay_in_the_file(tmp_path, volume, holds, read_elsewhere):
    path = tmp_path / "a.h5"
    data = volume(4, 8, 8)
    with h5py.File(path, "w") as file:
        file.create_dataset("group/raw", data=data, chunks=(2, 4, 4), compression="gzip")
        file["group/raw"].attrs["element_size_um"] = (0.3, 0.1, 0.1)
    lazy = holds(path, data, "zyx", dataset="group/raw", voxel_size=(0.3, 0.1, 0.1))
    box = (slice(1, 3), slice(None), slice(2, 5))
    np.testing.assert_array_equal(read_elsewhere(lazy.data, box), data[box])
    with h5py.File(path, "a") as file:  # nothing keeps the file from being written to
        file["more"] = 1


def test_datasets_are_listed_and_chosen_by_path(tmp_path, volume, holds):
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        file["film"] = volume(2, 4, 5, 6)
        file["b/stack"] = volume(4, 5, 6)
        file["table"] = volume(4, 5)
    assert [(series.name, series.axes) for series in list_series(path)] == [("b/stack", "ZYX"), ("film", "????")]
    holds(path, volume(4, 5, 6), "zyx")
    holds(path, volume(2, 4, 5, 6), "tzyx", index=1, given="tzyx")
    holds(path, volume(2, 4, 5, 6), "czyx", index=1, dataset="/film", given="czyx")
    with pytest.raises(ColloidsError, match="no stack called 'none'; it holds b/stack, film"):
        read_stack(path, dataset="none")


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(axes=st.permutations("tczyx"), scales=st.booleans())
def test_axes_by_ilastik_and_by_dimension_scales(tmp_path, volume, holds, axes, scales):
    sizes = {"t": 2, "c": 3, "z": 4, "y": 5, "x": 6}
    data = volume(*(sizes[axis] for axis in axes))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("exported_data", data=data)
        if scales:
            for dimension, axis in zip(dataset.dims, axes, strict=True):
                dimension.label = axis
        else:
            dataset.attrs["axistags"] = json.dumps({"axes": [{"key": axis, "typeFlags": 1} for axis in axes]})
    holds(tmp_path / "a.h5", data.transpose([axes.index(axis) for axis in "tczyx"]), "tczyx")


def test_imaris(tmp_path, volume, holds, read_elsewhere):
    path = tmp_path / "beads.ims"
    data = volume(3, 2, 5, 6, 7)
    times = [f"2026-01-31 23:59:59.{k}00" for k in (0, 4, 8)]
    write_ims(path, data, ((-1, 2, 0), (0.5, 3.2, 2.1)), ("core", "shell"), times)
    size = (1.5 / 5, 1.2 / 6, 2.1 / 7)
    lazy = holds(path, data, "tczyx", voxel_size=size, channel_names=("core", "shell"), frame_interval=0.4)
    assert lazy.name == "beads"
    box = (2, 1, slice(1, 5), slice(None), slice(2, 7))
    np.testing.assert_array_equal(read_elsewhere(lazy.data, box), data[box])


def test_imaris_of_one_volume(tmp_path, volume, holds):
    times = ["2026-01-31 10:00:00"]
    write_ims(tmp_path / "a.ims", volume(1, 1, 5, 6, 7), ((0, 0, 0), (5, 6, 7)), ("core",), times, "nm")
    expected = {"voxel_size": (0.001,) * 3, "channel_names": ("core",)}
    holds(tmp_path / "a.ims", volume(1, 1, 5, 6, 7)[0, 0], "zyx", **expected)


def test_imaris_without_a_unit_is_taken_for_micrometres_and_told(tmp_path, volume):
    for unit, assumed in (("um", ""), ("", "zyx")):
        write_ims(tmp_path / "a.ims", volume(1, 1, 5, 6, 7), ((0, 0, 0), (5, 6, 7)), unit=unit)
        stack = read_stack(tmp_path / "a.ims")
        assert (stack.voxel_size, stack.assumed) == ((1, 1, 1), assumed)


def test_imaris_that_was_stopped_ends_where_it_stopped(tmp_path, volume):
    """The chunks of the last volumes were never written."""
    path, data = tmp_path / "a.ims", volume(3, 1, 8, 6, 7)
    write_ims(path, data)
    with h5py.File(path, "a") as file:
        for t, slices in ((1, 4), (2, 0)):
            name = f"DataSet/ResolutionLevel 0/TimePoint {t}/Channel 0/Data"
            whole = file[name][...]
            del file[name]
            file.create_dataset(name, whole.shape, whole.dtype, chunks=(4, 4, 4))[:slices] = whole[:slices]
    for lazy in (False, True):
        stack = read_stack(path, lazy=lazy)
        assert "promises 3 frames, but 1 was written completely" in stack.notices[0]
        np.testing.assert_array_equal(np.asarray(stack.data), data[:1, 0])


def test_imaris_volume_in_another_file_is_not_followed(tmp_path, volume, refused):
    path = tmp_path / "a.ims"
    write_ims(path, volume(1, 1, 5, 6, 7))
    with h5py.File(path, "a") as file:
        file.move("DataSet/ResolutionLevel 0/TimePoint 0", "kept")
        file["DataSet/ResolutionLevel 0/TimePoint 0"] = h5py.ExternalLink("b.ims", "kept")
    refused(path, "damaged")


def test_imaris_cut_off_and_foreign(tmp_path, volume, refused, refused_when_cut):
    path = tmp_path / "a.ims"
    with h5py.File(path, "w") as file:
        file["raw"] = volume(4, 5, 6)
    refused(path, "not by Imaris")
    write_ims(path, volume(2, 1, 5, 6, 7))
    refused_when_cut(path)


def test_a_filter_that_is_missing_is_told(tmp_path, volume):
    path, data = tmp_path / "a.h5", volume(4, 5, 6)
    with h5py.File(path, "w") as file:
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_chunk(data.shape)
        created.set_filter(32008, h5py.h5z.FLAG_OPTIONAL)  # bitshuffle, of which h5py knows the number only
        space = h5py.h5s.create_simple(data.shape)
        dataset = h5py.h5d.create(file.id, b"0", h5py.h5t.py_create(data.dtype), space, created)
        dataset.write_direct_chunk((0,) * data.ndim, data.tobytes(), filter_mask=0)
    with pytest.raises(ColloidsError, match="filter of HDF5 that is not installed"):
        read_stack(path)
