import os

import h5py
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_colloids.errors import ColloidsError
from napari_colloids.io import series
from napari_colloids.io.files import plain_file_beside
from napari_colloids.io.lazy import CHUNK_BYTES, Assembled, FileArray, chunk_shape
from napari_colloids.io.stacks import list_series, read_stack


@given(data=st.data())
def test_boxes_of_assembled_arrays(data):
    """Any box is the same as that of the array put together."""
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=3, max_size=5)))
    leading = data.draw(st.integers(0, len(shape) - 1))
    whole = np.arange(np.prod(shape)).reshape(shape)
    assembled = Assembled(shape, whole.dtype, lambda where: whole[where], leading)
    index = tuple(
        data.draw(st.one_of(st.integers(0, n - 1), st.slices(n).filter(lambda s: (s.step or 1) > 0))) for n in shape
    )
    np.testing.assert_array_equal(assembled[index], whole[index])


@given(
    space=st.tuples(*[st.integers(1, 5000)] * 3),
    native=st.tuples(*[st.integers(1, 5000)] * 5),
    order=st.permutations("tczyx"),
)
def test_chunks_are_parts_of_one_volume(space, native, order):
    sizes = {"t": 7, "c": 2, **dict(zip("zyx", space, strict=True))}
    axes = "".join(order)
    chunk = dict(zip(axes, chunk_shape(tuple(sizes[axis] for axis in axes), axes, native, 2), strict=True))
    assert chunk["t"] == chunk["c"] == 1
    pieces = dict(zip(axes, native, strict=True))
    smallest = 2
    for axis in "zyx":
        piece = min(pieces[axis], sizes[axis])
        smallest *= piece
        assert chunk[axis] == sizes[axis] or chunk[axis] % piece == 0, "no piece is read for two chunks"
    bytes_read = 2 * chunk["z"] * chunk["y"] * chunk["x"]
    assert bytes_read <= max(CHUNK_BYTES, smallest)
    if any(chunk[axis] < sizes[axis] for axis in "zyx"):
        assert max(bytes_read, smallest) > CHUNK_BYTES // 8


KINDS = {
    "pages": {"compression": "zlib"},
    "tiles": {"tile": (16, 16)},
    "BigTIFF": {"compression": "zlib", "bigtiff": True},
    "one piece": {},
}


@pytest.mark.parametrize("kind", KINDS)
def test_tiff(tmp_path, volume, holds, kind):
    path = tmp_path / "a.tif"
    data = volume(3, 4, 40, 50)
    tifffile.imwrite(path, data, metadata={"axes": "TZYX"}, photometric="minisblack", **KINDS[kind])
    holds(path, data, "tzyx")


def test_pages_of_tiles_are_decoded_once(tmp_path):
    """What is read of a page is decoded whole, so that chunks across it would decode it again and again."""
    data = np.zeros((3, 4096, 4096), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", data, tile=(256, 256), compression="zlib", photometric="minisblack")
    assert read_stack(tmp_path / "a.tif", lazy=True).data.chunksize[1:] == (4096, 4096)


def test_tiff_in_another_process(tmp_path, volume, read_elsewhere):
    path = tmp_path / "a.tif"
    data = volume(3, 4, 40, 50)
    tifffile.imwrite(path, data, metadata={"axes": "TZYX"}, photometric="minisblack", compression="zlib")
    box = (2, slice(1, 3), slice(None), slice(2, 5))
    np.testing.assert_array_equal(read_elsewhere(read_stack(path, lazy=True).data, box), data[box])


def test_series_of_ome_tiff(tmp_path, volume, holds):
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as tif:
        for k in range(2):
            metadata = {"axes": "TZYX", "Name": f"bead {k}", "TimeIncrement": 250.0, "TimeIncrementUnit": "ms"}
            metadata |= {f"PhysicalSize{axis}": 0.1 * (k + 1) for axis in "ZYX"}
            tif.write(volume(2, 3 + k, 5, 6), metadata=metadata, photometric="minisblack", compression="zlib")
    assert [one.name for one in list_series(path)] == ["bead 0", "bead 1"]
    lazily = holds(path, volume(2, 4, 5, 6), "tzyx", index=1, voxel_size=(0.2,) * 3, frame_interval=0.25)
    assert lazily.name == "a bead 1"


@pytest.mark.parametrize(
    ("unit", "seconds"),
    [({}, 1.5), ({"tunit": "sec"}, 1.5), ({"tunit": "ms"}, 0.0015), ({"tunit": "min"}, 90.0), ({"tunit": "?"}, None)],
)
def test_frame_interval_of_imagej(tmp_path, volume, holds, unit, seconds):
    metadata = {"axes": "TZYX", "finterval": 1.5, **unit}
    tifffile.imwrite(tmp_path / "a.tif", volume(2, 3, 5, 6), imagej=True, metadata=metadata)
    holds(tmp_path / "a.tif", volume(2, 3, 5, 6), "tzyx", frame_interval=seconds)


def test_large_files_are_left_where_they_are(tmp_path, volume, monkeypatch):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["0"] = volume(4, 5, 6)
    tifffile.imwrite(tmp_path / "a.tif", volume(4, 5, 6), photometric="minisblack", compression="zlib")
    for name in ("a.h5", "a.tif"):
        assert isinstance(read_stack(tmp_path / name).data, np.ndarray)
    monkeypatch.setattr(series, "LAZY_ABOVE_BYTES", 100)
    for name in ("a.h5", "a.tif"):
        assert not isinstance(read_stack(tmp_path / name).data, np.ndarray)
        assert isinstance(read_stack(tmp_path / name, lazy=False).data, np.ndarray)


@pytest.mark.parametrize("name", ["a.tif", "a.npy"])
def test_mapped_files(tmp_path, volume, holds, name):
    path = tmp_path / name
    tifffile.imwrite(path, volume(4, 5, 6), photometric="minisblack") if name == "a.tif" else np.save(
        path, volume(4, 5, 6)
    )
    assert isinstance(read_stack(path).data, np.memmap)
    holds(path, volume(4, 5, 6), "zyx")


def test_file_that_changed_is_opened_anew(tmp_path, volume):
    path = tmp_path / "a.npy"
    for k in (1, 2):
        np.save(path, volume(4, 5, 6) * k)
        found = read_stack(path, lazy=True).data.compute(scheduler="sync")
        np.testing.assert_array_equal(found, volume(4, 5, 6) * k)


def test_damage_that_shows_when_it_is_read(tmp_path, volume):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, volume(4, 50, 60), photometric="minisblack", compression="zlib")
    stack = read_stack(path, lazy=True)
    content = bytearray(path.read_bytes())
    content[600:5000] = bytes(4400)
    path.write_bytes(content)
    with pytest.raises(ColloidsError, match=r"a\.tif.*damaged") as caught:
        stack.data.compute(scheduler="sync")
    assert "\n" not in str(caught.value)


@settings(max_examples=10, deadline=None)
@given(threads=st.integers(1, 4))
def test_threads(tmp_path_factory, threads):
    """A file that cannot be read by several threads is read by one at a time."""
    path = tmp_path_factory.mktemp("threads") / "a.tif"
    data = np.random.default_rng(0).integers(0, 200, (12, 3, 20, 20)).astype(np.uint8)
    tifffile.imwrite(path, data, metadata={"axes": "TZYX"}, photometric="minisblack", compression="zlib")
    found = read_stack(path, lazy=True).data.compute(scheduler="threads", num_workers=threads)
    np.testing.assert_array_equal(found, data)


@pytest.mark.parametrize("name", ["a.npy", "a.tif"])
def test_mapped_file_that_is_cut_while_it_is_read_is_told(tmp_path, volume, cut_while_read, name):
    path, data = tmp_path / name, volume(40, 50, 60)
    np.save(path, data) if name == "a.npy" else tifffile.imwrite(path, data, photometric="minisblack")
    cut_while_read(path)


def test_shapes_that_no_file_has_are_refused():
    """They come from damaged headers; to list their parts would fill the memory."""

    def array(shape, native):
        return FileArray(Assembled, __file__, None, shape, np.dtype(np.uint8), native, "a file")

    for shape, native in [((-1, 2, 3), (1, 1, 1)), ((3, 2, 3), (0, 1, 1)), (("3", 2, 3), (1, 1, 1))]:
        with pytest.raises(ValueError, match="no whole number"):
            array(shape, native)
    with pytest.raises(ColloidsError, match="its header promises the shape"):
        array((2**40, 1000, 1000, 1000), (1, 1, 1, 1)).dask("tzyx")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("a.txt", True),
        ("b/c.txt", True),
        ("b\\c.txt", True),
        ("b/../a.txt", True),
        ("../out/a.txt", False),
        ("b", False),
        ("pipe", False),
        ("none", False),
        ("x" * 5000, False),
        ("a\0", False),
        ("/dev/zero", False),
    ],
)
def test_only_plain_files_beside_another_are_followed(tmp_path, name, found):
    (tmp_path / "in" / "b").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    for file in ("in/a.txt", "in/b/c.txt", "out/a.txt"):
        (tmp_path / file).write_text("a")
    os.mkfifo(tmp_path / "in" / "pipe")
    assert (plain_file_beside(tmp_path / "in", name) is not None) == found
