import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from napari_colloids.errors import ColloidsError
from napari_colloids.io.stacks import list_series, read_stack

# Zeiss' own library writes the files.
writer = pytest.importorskip("pylibCZIrw.czi")

SIZE = (0.3, 0.1, 0.05)


def write_czi(path, data, axes, size=SIZE, channels=(), compression="uncompressed:", place=(0, 0), scenes=(None,)):
    """Write an array whose last axes are Y, X; several scenes hold the array times 1, 2, ..."""
    path.unlink(missing_ok=True)
    with writer.create_czi(str(path), compression_options=compression) as czi:
        for number, scene in enumerate(scenes):
            for where in np.ndindex(data.shape[:-2]):
                plane = dict(zip(axes, where, strict=False))
                chosen = {} if scene is None else {"scene": scene}
                czi.write((data[where] * (number + 1))[..., None], plane=plane, location=place, **chosen)
        z, y, x = size
        czi.write_metadata(
            "beads", channel_names=dict(enumerate(channels)), scale_x=x * 1e-6, scale_y=y * 1e-6, scale_z=z * 1e-6
        )


def with_interval(path, seconds):
    """Say in the metadata how long a frame takes, which ZEN does and Zeiss' library cannot."""
    content = path.read_bytes()
    (where,) = struct.unpack_from("<q", content, 32 + 60)
    (size,) = struct.unpack_from("<i", content, where + 32)
    xml = content[where + 288 : where + 288 + size].decode()
    times = f"<T><Positions><Interval><Increment>{seconds}</Increment></Interval></Positions></T>"
    if "<Dimensions>" not in xml:
        xml = xml.replace("</Image>", "<Dimensions></Dimensions></Image>", 1)
    xml = xml.replace("</Dimensions>", times + "</Dimensions>", 1).encode()
    segment = struct.pack("<16sqq", b"ZISRAWMETADATA", 256 + len(xml), 256 + len(xml))
    segment += struct.pack("<ii", len(xml), 0).ljust(256, b"\0") + xml
    path.write_bytes(content[: 32 + 60] + struct.pack("<q", len(content)) + content[32 + 68 :] + segment)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "beads.czi"


def test_series_of_channels(path, volume, holds, read_elsewhere):
    data = volume(3, 2, 4, 5, 6)
    write_czi(path, data, "TCZ", channels=("core", "shell"))
    with_interval(path, 0.5)
    lazy = holds(path, data, "tczyx", voxel_size=SIZE, channel_names=("core", "shell"), frame_interval=0.5)
    assert lazy.name == "beads"
    box = (2, 1, slice(1, 3), slice(None), slice(2, 5))
    np.testing.assert_array_equal(read_elsewhere(lazy.data, box), data[box])


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("compression", ["uncompressed:", "zstd0:", "zstd1:", "zstd1:PreProcess=HiLoByteUnpack"])
def test_values_and_compression(path, volume, holds, dtype, compression):
    data = volume(4, 25, 36, dtype=dtype) * (300 if dtype == "uint16" else 1)
    write_czi(path, data.astype(dtype), "Z", compression=compression)
    holds(path, data.astype(dtype), "zyx", voxel_size=SIZE)


def test_jpeg_xr(path, holds):
    """Zeiss' library does not write it, so it is put into the blocks here."""
    codecs = pytest.importorskip("imagecodecs")
    data = np.arange(2 * 40 * 50, dtype=np.uint16).reshape(2, 40, 50)
    write_czi(path, data, "Z")
    content = bytearray(path.read_bytes())
    (directory,) = struct.unpack_from("<q", content, 32 + 52)
    (count,) = struct.unpack_from("<i", content, directory + 32)
    entry = directory + 32 + 128
    for plane in data[:count]:
        (block,) = struct.unpack_from("<q", content, entry + 6)
        struct.pack_into("<i", content, entry + 18, 4)
        (metadata,) = struct.unpack_from("<i", content, block + 32)
        stored = codecs.jpegxr_encode(plane, level=1.0)
        assert len(stored) < plane.nbytes
        struct.pack_into("<q", content, block + 40, len(stored))
        start = block + 32 + 256 + metadata
        content[start : start + len(stored)] = stored
        entry += 32 + 20 * struct.unpack_from("<i", content, entry + 28)[0]
    path.write_bytes(content)
    holds(path, data, "zyx", voxel_size=SIZE)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.tuples(*[st.floats(0.005, 20)] * 3), place=st.tuples(*[st.integers(-500, 500)] * 2))
def test_voxel_size_and_origin(path, volume, size, place):
    write_czi(path, volume(3, 5, 6), "Z", size=size, place=place)
    stack = read_stack(path)
    assert stack.voxel_size == pytest.approx(size, rel=1e-6)
    np.testing.assert_array_equal(stack.data, volume(3, 5, 6))


def test_scenes_are_series(path, volume, holds):
    data = volume(3, 5, 6)
    write_czi(path, data, "Z", scenes=(0, 1))
    assert [series.name for series in list_series(path)] == ["scene 0", "scene 1"]
    for index in range(2):
        lazy = holds(path, data * (index + 1), "zyx", index=index, voxel_size=SIZE)
    assert lazy.name == "beads scene 1"


def test_tiles_of_a_mosaic_are_put_together(path, volume, holds):
    data = volume(3, 10, 12)
    with writer.create_czi(str(path)) as czi:
        for z in range(3):
            for y, x in ((0, 0), (0, 7), (6, 0), (6, 7)):
                tile = data[z, y : y + 6, x : x + 7]
                czi.write(np.ascontiguousarray(tile[..., None]), plane={"Z": z}, location=(x, y))
        czi.write_metadata("beads", scale_x=1e-7, scale_y=1e-7, scale_z=3e-7)
    holds(path, data, "zyx", voxel_size=(0.3, 0.1, 0.1))


def test_planes_that_were_not_recorded_are_dark(path, volume):
    """A series that was stopped in the middle of a stack."""
    data = volume(2, 3, 5, 6)
    with writer.create_czi(str(path)) as czi:
        for t, z in [(0, 0), (0, 1), (0, 2), (1, 0)]:
            czi.write(data[t, z][..., None], plane={"T": t, "Z": z})
        czi.write_metadata("beads")
    stack = read_stack(path)
    data[1, 1:] = 0
    assert (stack.axes, stack.voxel_size) == ("tzyx", None)
    np.testing.assert_array_equal(stack.data, data)


def test_what_is_no_stack_is_told(path, volume):
    write_czi(path, volume(5, 6), "")
    with pytest.raises(ColloidsError, match="single 2D image"):
        read_stack(path)
    write_czi(path, volume(3, 5, 6), "T")
    with pytest.raises(ColloidsError, match="time series of 2D images"):
        read_stack(path)
    write_czi(path, volume(2, 3, 5, 6), "TZ")
    path.write_bytes(path.read_bytes().replace(b"T\0\0\0", b"H\0\0\0"))
    with pytest.raises(ColloidsError, match=r"\(2, 3, 5, 6\).*'H.*ZYX', which is not clear \(h: phase\)"):
        read_stack(path)
    assert read_stack(path, axes="czyx").n_channels == 2
    path.unlink()
    with writer.create_czi(str(path)) as czi:
        czi.write(volume(5, 6, 3, dtype=np.uint8), plane={"Z": 0})
        czi.write_metadata("beads")
    with pytest.raises(ColloidsError, match="colours"):
        read_stack(path)


def test_cut_off_and_foreign_files(path, volume, refused_when_cut):
    write_czi(path, volume(3, 40, 50), "Z")
    refused_when_cut(path)
