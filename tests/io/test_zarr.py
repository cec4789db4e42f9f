import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_colloids.errors import ColloidsError
from napari_colloids.io.stacks import list_series, read_stack

zarr = pytest.importorskip("zarr")

SIZE = (0.3, 0.1, 0.05)
TYPES = {"t": "time", "c": "channel"}


def write_image(group, version, data, axes, scale, units, channels=(), chunks=None, whole=None):
    """Write an OME-Zarr image with a second level of half the resolution."""
    scales = [scale, [2 * one if axis in "yx" else one for axis, one in zip(axes, scale, strict=True)]]
    for level, values in enumerate([data, data[..., ::2, ::2]]):
        array = group.create_array(str(level), shape=values.shape, dtype=values.dtype, chunks=chunks or values.shape)
        array[...] = values
    image = {
        "axes": [
            {"name": axis, "type": TYPES.get(axis, "space"), **({"unit": units[axis]} if axis in units else {})}
            for axis in axes
        ],
        "datasets": [
            {"path": str(level), "coordinateTransformations": [{"type": "scale", "scale": list(map(float, one))}]}
            for level, one in enumerate(scales)
        ],
    }
    if whole:
        image["coordinateTransformations"] = [{"type": "scale", "scale": whole}]
    about = {"multiscales": [image], "omero": {"channels": [{"label": name} for name in channels]}}
    group.attrs.update({"ome": {"version": "0.5", **about}} if version == "0.5" else about)


@pytest.fixture(params=["0.4", "0.5"])
def written(request, tmp_path):
    """Make an OME-Zarr folder of the version."""

    def make(*image, **options):
        group = zarr.open_group(tmp_path / "beads.ome.zarr", mode="w", zarr_format=3 if request.param == "0.5" else 2)
        write_image(group, request.param, *image, **options)
        return tmp_path / "beads.ome.zarr"

    return make


UNITS = {"z": "micrometer", "y": "micrometer", "x": "micrometer", "t": "second"}


def test_series_of_channels(written, volume, holds):
    data = volume(3, 2, 4, 6, 8)
    path = written(data, "tczyx", (0.5, 1, *SIZE), UNITS, channels=("core", "shell"), chunks=(1, 1, 2, 6, 8))
    lazy = holds(path, data, "tczyx", voxel_size=SIZE, channel_names=("core", "shell"), frame_interval=0.5)
    assert lazy.name == "beads"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.tuples(*[st.floats(0.005, 20)] * 3),
    unit=st.sampled_from([("micrometer", 1.0), ("nanometer", 1e-3), ("millimeter", 1e3), ("angstrom", 1e-4)]),
    time=st.sampled_from([("second", 1.0), ("millisecond", 1e-3), ("minute", 60.0)]),
    interval=st.floats(1e-3, 1e4),
    whole=st.floats(0.1, 10),
)
def test_units_and_scales(written, volume, size, unit, time, interval, whole):
    scale = [interval / time[1] / whole, *(length / unit[1] / whole for length in size)]
    units = {"t": time[0], **dict.fromkeys("zyx", unit[0])}
    path = written(volume(2, 3, 4, 6), "tzyx", scale, units, whole=[whole] * 4)
    (series,) = list_series(path)
    assert series.voxel_size == pytest.approx(size, rel=1e-6)
    assert series.frame_interval == pytest.approx(interval, rel=1e-6)


def test_axes_of_length_one_are_left_out(written, volume, holds):
    data = volume(1, 1, 4, 6, 8)
    path = written(data, "tczyx", (1, 1, *SIZE), UNITS, channels=("core",))
    holds(path, data[0, 0], "zyx", voxel_size=SIZE, channel_names=("core",), frame_interval=1.0)


def test_without_units_the_voxel_size_is_unknown(written, volume, holds):
    holds(written(volume(4, 6, 8), "zyx", (1, 1, 1), {}), volume(4, 6, 8), "zyx", voxel_size=None)


def test_flat_images_and_strange_axes_are_told(written, volume):
    with pytest.raises(ColloidsError, match=r"2D channels.*without Z"):
        read_stack(written(volume(2, 1, 6, 8), "czyx", (1, *SIZE), UNITS))
    with pytest.raises(ColloidsError, match=r"'AZYX', which is not clear.*axes="):
        read_stack(written(volume(2, 4, 6, 8), "azyx", (1, *SIZE), UNITS))


def test_images_in_a_hierarchy_are_series(tmp_path, volume, holds):
    root = zarr.open_group(tmp_path / "all.zarr", mode="w", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    for k in (0, 1, 10):
        write_image(root.create_group(str(k)), "0.4", volume(3, 4, 6) + np.uint16(k), "zyx", SIZE, UNITS)
    root["0"].create_group("labels").create_array("cells", shape=(3, 4, 6), dtype="u1")
    assert [series.name for series in list_series(tmp_path / "all.zarr")] == ["0", "1", "10"]
    assert holds(tmp_path / "all.zarr", volume(3, 4, 6) + 10, "zyx", index=2, voxel_size=SIZE).name == "all 10"
    for name in ("1", "1/0"):
        assert int(np.min(read_stack(tmp_path / "all.zarr", dataset=name).data - volume(3, 4, 6))) == 1
    with pytest.raises(ColloidsError, match="no stack called 'none'; it holds 0/0, 1/0, 10/0"):
        read_stack(tmp_path / "all.zarr", dataset="none")


@pytest.mark.parametrize("version", [2, 3])
def test_bare_arrays(tmp_path, volume, holds, read_elsewhere, version):
    zarr.create_array(tmp_path / "a.zarr", data=volume(4, 5, 6), zarr_format=version)
    lazy = holds(tmp_path / "a.zarr", volume(4, 5, 6), "zyx")
    if version == 3:
        box = (slice(1, 3), slice(None), slice(2, 5))
        np.testing.assert_array_equal(read_elsewhere(lazy.data, box), volume(4, 5, 6)[box])
    group = zarr.open_group(tmp_path / "b.zarr", mode="w", zarr_format=version)
    group.create_array("raw/film", data=volume(2, 4, 5, 6))
    group.create_array("raw/table", data=volume(4, 5))
    holds(tmp_path / "b.zarr", volume(2, 4, 5, 6), "tzyx", dataset="raw/film", given="tzyx")
    with pytest.raises(ColloidsError, match=r"b\.zarr raw/film.*'\?\?\?\?', which is not clear"):
        read_stack(tmp_path / "b.zarr")


def test_damaged_and_foreign_folders_are_told(written, volume, tmp_path, refused):
    path = written(volume(4, 6, 8), "zyx", SIZE, UNITS, chunks=(4, 6, 8))
    (chunk,) = (file for file in (path / "0").rglob("*") if file.is_file() and not file.name.startswith((".z", "zarr")))
    chunk.write_bytes(chunk.read_bytes()[:10])
    with pytest.raises(ColloidsError, match="damaged"):
        read_stack(path)
    lazy = read_stack(path, lazy=True)
    with pytest.raises(ColloidsError, match="damaged"):
        lazy.data.compute(scheduler="sync")
    for file in [*path.glob("zarr.json"), *path.glob(".z*")]:
        file.write_bytes(file.read_bytes()[:20])
    refused(path, "is not a Zarr folder, or it is damaged")
    (tmp_path / "empty.zarr").mkdir()
    refused(tmp_path / "empty.zarr", "is not a Zarr folder")
    (tmp_path / "file.zarr").write_bytes(b"no folder")
    refused(tmp_path / "file.zarr", "is a file; a folder is expected")
    refused(tmp_path / "none.zarr", "There is no folder")
    zarr.open_group(tmp_path / "group.zarr", mode="w")
    refused(tmp_path / "group.zarr", "no array of 3 or more dimensions")
