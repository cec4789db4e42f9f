import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_colloids.errors import ColloidsError
from napari_colloids.io import list_series, read_stack

UNITS = {
    "um": 1.0,
    "micron": 1.0,
    "microns": 1.0,
    "\\u00B5m": 1.0,
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
    "inch": 25400.0,
}


def volume(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "stack.tif"


lengths = st.tuples(*[st.floats(0.005, 20)] * 3)
reused = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@reused
@given(lengths, st.sampled_from(sorted(UNITS)), st.booleans())
def test_imagej_voxel_size(path, size, unit, imagej):
    z, y, x = (length / UNITS[unit] for length in size)
    kind = {"imagej": True} if imagej else {}
    tifffile.imwrite(
        path,
        volume(7, 5, 6),
        resolution=(1 / x, 1 / y),
        resolutionunit="NONE",
        metadata={"spacing": z, "unit": unit},
        **kind,
    )
    stack = read_stack(path)
    assert stack.axes == "zyx"
    assert stack.voxel_size == pytest.approx(size, rel=1e-5)  # older versions of tifffile round more


@reused
@given(lengths, st.sampled_from([("µm", 1.0), ("nm", 1e-3), ("mm", 1e3), (None, 1.0)]))
def test_ome_voxel_size(path, size, unit):
    name, factor = unit
    metadata = {"axes": "ZYX"}
    for axis, length in zip("ZYX", size, strict=True):
        metadata[f"PhysicalSize{axis}"] = length / factor
        if name:
            metadata[f"PhysicalSize{axis}Unit"] = name
    tifffile.imwrite(path, volume(7, 5, 6), ome=True, metadata=metadata)
    assert read_stack(path).voxel_size == pytest.approx(size, rel=1e-6)


def test_resolution_per_centimetre_with_spacing_in_micrometres(path):
    tifffile.imwrite(
        path,
        volume(7, 5, 6),
        resolution=(1e4 / 0.1, 1e4 / 0.2),
        resolutionunit="CENTIMETER",
        metadata={"spacing": 0.5, "unit": "um"},
    )
    assert read_stack(path).voxel_size == pytest.approx((0.5, 0.2, 0.1))


def test_negative_or_missing_spacing_of_imagej(path):
    for metadata, z in [({"spacing": -0.4}, 0.4), ({}, 1.0)]:
        tifffile.imwrite(
            path, volume(7, 5, 6), imagej=True, resolution=(10, 10), metadata={"unit": "um", "axes": "ZYX", **metadata}
        )
        assert read_stack(path).voxel_size == pytest.approx((z, 0.1, 0.1))


def test_unknown_voxel_size(path):
    tifffile.imwrite(path, volume(7, 5, 6), imagej=True, resolution=(72, 72), metadata={"unit": "pixel", "axes": "ZYX"})
    assert read_stack(path).voxel_size is None
    tifffile.imwrite(path, volume(7, 5, 6), ome=True, metadata={"axes": "ZYX", "PhysicalSizeX": 0.1})
    assert read_stack(path).voxel_size is None
    tifffile.imwrite(path, volume(7, 5, 6), resolution=(300, 300), resolutionunit="INCH", metadata=None)
    assert read_stack(path).voxel_size is None


def test_given_voxel_size_wins(path):
    tifffile.imwrite(path, volume(7, 5, 6))
    assert read_stack(path, voxel_size=(0.3, 0.1, 0.1)).voxel_size == (0.3, 0.1, 0.1)
    with pytest.raises(ColloidsError, match="positive"):
        read_stack(path, voxel_size=(0, 1, 1))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float32", "float64", "bool"])
def test_values_of_all_types(path, dtype):
    data = volume(7, 5, 6, dtype=dtype)
    tifffile.imwrite(path, data)
    np.testing.assert_array_equal(read_stack(path).data, data)


def test_not_a_number_is_read(path):
    data = volume(7, 5, 6, dtype=np.float32)
    data[0, 0, :2] = np.nan, np.inf
    tifffile.imwrite(path, data)
    np.testing.assert_array_equal(read_stack(path).data, data)


@pytest.mark.parametrize("kind", [{}, {"imagej": True}, {"bigtiff": True}, {"bigtiff": True, "byteorder": ">"}])
def test_contiguous_data_are_mapped_not_read(path, kind):
    data = volume(9, 5, 6, dtype=np.uint16)
    tifffile.imwrite(path, data, **kind)
    stack = read_stack(path)
    assert isinstance(stack.data, np.memmap)
    np.testing.assert_array_equal(stack.data, data)


def test_pages_apart_and_compressed_are_read(path):
    data = volume(9, 5, 6)
    with tifffile.TiffWriter(path) as tif:
        for page in data:
            tif.write(page, contiguous=False, metadata=None)
    np.testing.assert_array_equal(read_stack(path).data, data)
    tifffile.imwrite(path, data, compression="zlib")
    np.testing.assert_array_equal(read_stack(path).data, data)


@pytest.mark.parametrize(
    ("kind", "written", "axes"),
    [
        ({"imagej": True}, "TZCYX", "tczyx"),
        ({"imagej": True}, "ZCYX", "czyx"),
        ({"imagej": True}, "TZYX", "tzyx"),
        ({"ome": True}, "CTZYX", "tczyx"),
        ({"ome": True}, "TCZYX", "tczyx"),
        ({}, "TZYX", "tzyx"),
    ],
)
def test_axes_are_brought_into_order(path, kind, written, axes):
    sizes = {"T": 2, "C": 3, "Z": 4, "Y": 5, "X": 6}
    data = volume(*(sizes[axis] for axis in written))
    tifffile.imwrite(path, data, metadata={"axes": written}, photometric="minisblack", **kind)
    stack = read_stack(path)
    assert stack.axes == axes
    assert stack.shape == (4, 5, 6)
    expected = data[tuple({"T": 1, "C": 2}.get(axis, slice(None)) for axis in written)]
    np.testing.assert_array_equal(stack.volume(stack.n_frames - 1, stack.n_channels - 1), expected)


@pytest.mark.parametrize("metadata", [None, {}, {"axes": "QYX"}, {"axes": "ZYX"}])
def test_one_axis_of_unknown_meaning_is_z(path, metadata):
    tifffile.imwrite(path, volume(9, 5, 6), metadata=metadata)
    assert read_stack(path).shape == (9, 5, 6)


@pytest.mark.parametrize("kind", [{"imagej": True}, {"ome": True}])
def test_slices_that_tifffile_calls_channels_are_z(path, kind):
    tifffile.imwrite(path, volume(9, 5, 6), **kind)
    assert read_stack(path).axes == "zyx"


def test_axes_that_are_not_clear_must_be_given(path):
    tifffile.imwrite(path, volume(2, 9, 5, 6), photometric="minisblack")
    with pytest.raises(ColloidsError, match="not clear"):
        read_stack(path)
    assert read_stack(path, axes="tzyx").n_frames == 2
    assert read_stack(path, axes="ztyx").shape == (2, 5, 6)
    for wrong in ("zyx", "tkyx", "ttyx", "tcyx"):
        with pytest.raises(ColloidsError, match=r"[Aa]xes"):
            read_stack(path, axes=wrong)


def test_channel_names_of_ome(path):
    metadata = {"axes": "CZYX", "Channel": {"Name": ["core", "shell"]}}
    tifffile.imwrite(path, volume(2, 4, 5, 6), ome=True, metadata=metadata, photometric="minisblack")
    assert read_stack(path).channel_names == ("core", "shell")


def test_series_are_chosen_by_number(path):
    with tifffile.TiffWriter(path, ome=True) as tif:
        for n, size in enumerate([(0.3, 0.1), (0.6, 0.2)]):
            metadata = {"axes": "ZYX", "PhysicalSizeZ": size[0], "PhysicalSizeY": size[1], "PhysicalSizeX": size[1]}
            tif.write(volume(7 + n, 5, 6), metadata=metadata)
    assert read_stack(path, index=1).shape == (8, 5, 6)
    assert read_stack(path, index=1).voxel_size == pytest.approx((0.6, 0.2, 0.2))
    with pytest.raises(ColloidsError, match="2 volumes"):
        read_stack(path, index=2)


def test_names_and_counts(tmp_path):
    path = tmp_path / "cell 3.OME.TIF".lower()
    tifffile.imwrite(path, volume(7, 5, 6))
    assert read_stack(path).name == "cell 3"
    assert len(list_series(path)) == 1
    with pytest.raises(ColloidsError, match="holds 1 volume"):
        read_stack(path, index=1)


@pytest.mark.parametrize("shape", [(20, 30), (4, 20, 30)])
@pytest.mark.parametrize("planar", [False, True])
def test_colour_is_refused(path, shape, planar):
    where = -3 if planar else -1
    data = np.stack([volume(*shape)] * 3, axis=where)
    tifffile.imwrite(path, data, photometric="rgb", planarconfig="separate" if planar else "contig")
    with pytest.raises(ColloidsError, match="colour"):
        read_stack(path)


@pytest.mark.parametrize(("shape", "axes"), [((20, 30), "YX"), ((7, 20, 30), "TYX"), ((2, 20, 30), "CYX")])
def test_flat_images_are_refused(path, shape, axes):
    tifffile.imwrite(path, volume(*shape), imagej=True, metadata={"axes": axes})
    with pytest.raises(ColloidsError, match="2D") as caught:
        read_stack(path)
    assert "\n" not in str(caught.value)
    if len(shape) == 3:
        assert read_stack(path, axes="zyx").shape == shape


def test_complex_values_are_refused(path):
    tifffile.imwrite(path, volume(7, 5, 6, dtype=np.complex64))
    with pytest.raises(ColloidsError, match="real"):
        read_stack(path)


@pytest.mark.parametrize("kind", [{}, {"compression": "zlib"}, {"imagej": True}, {"ome": True}, {"metadata": None}])
@pytest.mark.parametrize("kept", [0.002, 0.3, 0.6, 0.8])
def test_cut_off_file_is_told_in_one_quiet_line(path, caplog, kind, kept):
    tifffile.imwrite(path, volume(30, 32, 32), **kind)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ColloidsError, match="damaged") as caught:
        read_stack(path)
    assert "\n" not in str(caught.value)
    assert "stack.tif" in str(caught.value)
    assert caplog.records == []


@pytest.mark.parametrize("content", [b"z,y,x\n1,2,3\n", b"II*\0", b"II*\0\xff\xff\xff\xff", b"\0" * 5000])
def test_foreign_content_is_told(path, caplog, content):
    path.write_bytes(content)
    with pytest.raises(ColloidsError, match=r"not a TIFF file|damaged"):
        read_stack(path)
    assert caplog.records == []


@pytest.mark.parametrize("reader", [read_stack, list_series])
def test_missing_empty_and_folder_are_told(tmp_path, reader):
    (tmp_path / "empty.tif").touch()
    (tmp_path / "folder.tif").mkdir()
    for name, message in [("empty", "0 bytes"), ("folder", "is a folder"), ("missing", "There is no file")]:
        with pytest.raises(ColloidsError, match=message):
            reader(tmp_path / f"{name}.tif")


def test_unknown_ending_is_told(tmp_path):
    (tmp_path / "stack.png").write_bytes(b"png")
    with pytest.raises(ColloidsError, match=r"\.tif, \.tiff, .*\.stk.*, \.h5, \.hdf5, \.npy"):
        read_stack(tmp_path / "stack.png")
