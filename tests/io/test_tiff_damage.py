"""Damaged TIFF files: one line that says so, and never 'a single 2D image' where a stack is promised."""

import struct

import numpy as np
import pytest
import tifffile

from napari_colloids.errors import ColloidsError
from napari_colloids.io import list_series, read_stack


def told(path, match):
    for reader in (read_stack, list_series):
        with pytest.raises(ColloidsError, match=match) as caught:
            reader(path)
        assert "\n" not in str(caught.value)
        assert "2D" not in str(caught.value)
        assert path.name in str(caught.value)


@pytest.mark.parametrize("lost", [1, 5 * 30, 9 * 30])
def test_stack_of_imagej_that_is_cut_says_what_was_promised(tmp_path, volume, lost):
    path = tmp_path / "a.tif"
    text = "ImageJ=1.53t\nimages=12\nslices=12\nunit=micron\nspacing=0.1\n"
    tifffile.imwrite(path, volume(12, 5, 6, dtype="uint8"), description=text, metadata=None, photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        start = file.pages[0].dataoffsets[0]
    path.write_bytes(path.read_bytes()[: start + 12 * 30 - lost])
    told(path, "damaged or cut short.*promises 12 slices")


@pytest.mark.parametrize(
    "text", ["images=12\nchannels=2\nslices=6\n", "images=12\nframes=2\nslices=6\n", "images=12\n"]
)
def test_hyperstack_of_one_page_that_is_cut(tmp_path, volume, text):
    """As ImageJ writes large ones: one page, all planes after it."""
    path, data = tmp_path / "a.tif", volume(12, 5, 6)
    tifffile.imwrite(path, data[0], description=f"ImageJ=1.53t\n{text}", metadata=None)
    head = path.read_bytes()
    path.write_bytes(head + data[1:].tobytes())
    assert np.asarray(read_stack(path).data).size == data.size
    path.write_bytes(head + data[1:9].tobytes())
    told(path, "damaged or cut short.*promises 12 (slices|planes), of which 9 are there whole")


@pytest.mark.parametrize("pages", [1, 3, 150])
@pytest.mark.parametrize("bigtiff", [False, True])
def test_pages_in_a_circle(tmp_path, pages, bigtiff):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, bigtiff=bigtiff) as file:
        for _ in range(pages):
            file.write(np.zeros((5, 6), np.uint8), metadata=None, contiguous=False)
    with tifffile.TiffFile(path) as file:
        first, last = file.pages[0].offset, file.pages[-1].offset
        end = file.pages.next_page_offset
    assert last < end
    content = bytearray(path.read_bytes())
    content[end : end + (8 if bigtiff else 4)] = struct.pack("<Q" if bigtiff else "<I", first)
    path.write_bytes(content)
    told(path, "damaged.*followed by an earlier one")


@pytest.mark.parametrize("ending", [".tif", ".btf", ".lsm", ".stk", ".ome"])
def test_wrong_and_empty_content(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    path.write_bytes(b"")
    told(path, "0 bytes")
    for content in (b"no image", b"\x89HDF\r\n\x1a\n" + bytes(100), b"<OME></OME>"):
        path.write_bytes(content)
        told(path, "not a TIFF file|damaged")


def test_plane_beyond_the_end(tmp_path, volume):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for plane in volume(5, 50, 60):
            file.write(plane, metadata=None, contiguous=False)
    path.write_bytes(path.read_bytes()[:-200])
    told(path, "damaged or cut short")


@pytest.mark.parametrize("slices", [1, 4])
def test_page_of_which_most_strips_are_nowhere(tmp_path, slices):
    """Of a page that is high enough, they took half a minute to be filled one by one."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        for _ in range(slices):
            file.write(np.ones((12, 8), np.uint8), metadata=None, contiguous=False, rowsperstrip=6, compression="zlib")
    with tifffile.TiffFile(path, mode="r+") as file:
        for tag in [page.tags["ImageLength"] for page in file.pages]:
            tag.overwrite(60_000)
    told(path, "damaged or cut short.*says where 2 are")
