import struct
import tracemalloc

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


def write_planes(path, data, places, axes):
    """Write single planes of an array."""
    path.unlink(missing_ok=True)
    with writer.create_czi(str(path)) as czi:
        for where in places:
            czi.write(data[where][..., None], plane=dict(zip(axes, where, strict=True)))
        czi.write_metadata("beads", scale_x=1e-7, scale_y=1e-7, scale_z=3e-7)


def test_series_that_was_stopped_ends_with_its_last_complete_frame(path, volume, holds):
    data = volume(3, 3, 5, 6)
    write_planes(path, data, [(t, z) for t in range(2) for z in range(3)] + [(2, 0)], "TZ")
    lazy = holds(path, data[:2], "tzyx", voxel_size=(0.3, 0.1, 0.1))
    assert lazy.notices == ("'beads.czi' promises 3 frames, but 2 were written completely: only that is read.",)


def test_channels_that_end_early_are_cut(path, volume, holds):
    data = volume(2, 4, 5, 6)
    write_planes(path, data, [(c, z) for z in range(4) for c in range(2)][:-1], "CZ")
    assert "4 slices, but 3 were written" in holds(path, data[:, :3], "czyx", voxel_size=(0.3, 0.1, 0.1)).notices[0]


@pytest.mark.parametrize(
    ("missing", "match"),
    [
        ([(0, 1, 2)], "lacks 1 of 16 slices .the first is frame 0, channel 1, slice 2"),
        ([(1, 0, z) for z in range(4)], "lacks 4 of 16 slices .the first is frame 1, channel 0, slice 0"),
    ],
)
def test_gaps_are_refused_or_known(path, volume, missing, match):
    data = volume(2, 2, 4, 5, 6)
    write_planes(path, data, [where for where in np.ndindex(2, 2, 4) if where not in missing], "TCZ")
    assert match.split(" .")[0] in list_series(path)[0].gaps
    with pytest.raises(ColloidsError, match=match):
        read_stack(path)
    recorded = np.ones((2, 2, 4), bool)
    for where in missing:
        recorded[where] = False
    for lazy in (False, True):
        stack = read_stack(path, allow_missing=True, lazy=lazy)
        np.testing.assert_array_equal(stack.recorded, recorded)
        np.testing.assert_array_equal(np.asarray(stack.data)[recorded], data[recorded])
        assert not np.asarray(stack.data)[~recorded].any()


def test_metadata_that_promise_more_than_there_is_are_told(path, volume):
    write_czi(path, volume(3, 5, 6), "Z")
    assert read_stack(path).notices == ()
    path.write_bytes(path.read_bytes().replace(b"<SizeZ>3</SizeZ>", b"<SizeZ>9</SizeZ>"))
    assert read_stack(path).notices == ("'beads.czi' promises 9 slices, but 3 were written: these are read.",)


def test_tiles_that_are_missing_are_told(path, volume):
    data = volume(3, 10, 12)
    with writer.create_czi(str(path)) as czi:
        for z, x in [(0, 0), (0, 6), (1, 0), (1, 6), (2, 0)]:
            czi.write(np.ascontiguousarray(data[z, :, x : x + 6, None]), plane={"Z": z}, location=(x, 0))
        czi.write_metadata("beads", scale_x=1e-7, scale_y=1e-7, scale_z=3e-7)
    assert "cover 1 of the 3 slices of 'beads.czi' only in part" in read_stack(path).notices[0]


def test_step_between_slices_that_is_missing_is_told(path, volume, holds):
    write_czi(path, volume(3, 5, 6), "Z")
    path.write_bytes(path.read_bytes().replace(b'Distance Id="Z"', b'Distance Id="Q"'))
    assert "along z: its voxel size counts as unknown" in holds(path, volume(3, 5, 6), "zyx").notices[0]


def first_entry(content, axis):
    """Return the place in the directory where a dimension of the first block is described."""
    (directory,) = struct.unpack_from("<q", content, 32 + 52)
    return content.index(axis.ljust(4, b"\0"), directory + 32 + 128)


@pytest.mark.parametrize(
    ("axis", "field", "value"),
    [(b"Z", 0, 2**31 - 1), (b"Z", 0, 10**6), (b"X", 0, 2**30), (b"X", 1, -6), (b"Y", 1, 0), (b"Y", 1, 2**30)],
)
def test_numbers_that_no_microscope_writes_are_damage(path, volume, refused, axis, field, value):
    """A plane whose number is wrong would make millions of dark ones."""
    write_czi(path, volume(3, 5, 6), "Z")
    content = bytearray(path.read_bytes())
    struct.pack_into("<i", content, first_entry(content, axis) + 4 + 4 * field, value)
    path.write_bytes(content)
    refused(path, "damaged")


def test_a_block_that_unpacks_to_more_than_its_pixels_is_damage(path, volume):
    codecs = pytest.importorskip("imagecodecs")
    data = np.random.default_rng(0).integers(0, 2**16, (2, 200, 200)).astype(np.uint16)
    write_czi(path, data, "Z", compression="zstd0:")
    content = bytearray(path.read_bytes())
    (directory,) = struct.unpack_from("<q", content, 32 + 52)
    (block,) = struct.unpack_from("<q", content, directory + 32 + 128 + 6)
    metadata, _, size = struct.unpack_from("<iiq", content, block + 32)
    bomb = codecs.zstd_encode(bytes(200_000_000))
    assert len(bomb) < size
    start = block + 32 + 256 + metadata
    content[start : start + len(bomb)] = bomb
    path.write_bytes(content)
    tracemalloc.start()
    with pytest.raises(ColloidsError, match="damaged"):
        read_stack(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


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
