"""TIFF files that store white as 0."""

import dask.array
import numpy as np
import pytest
import tifffile

from napari_colloids.io import list_series, read_stack, series

WHITE = {"photometric": "miniswhite"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.tif"


@pytest.mark.parametrize("kind", [{}, {"compression": "zlib"}, {"bigtiff": True, "byteorder": ">"}, {"tile": (16, 16)}])
@pytest.mark.parametrize(("dtype", "top"), [("uint8", 255), ("uint16", 65535), ("uint32", 2**32 - 1)])
def test_grey_levels_are_turned_round(path, volume, dtype, top, kind):
    bright = volume(7, 5, 6, dtype=dtype)
    tifffile.imwrite(path, top - bright, **WHITE, **kind)
    for lazy in (None, True, False):
        stack = read_stack(path, lazy=lazy)
        assert stack.data.dtype == dtype
        np.testing.assert_array_equal(np.asarray(stack.data), bright)
        assert "white as 0" in stack.notices[0]


@pytest.mark.parametrize(("dtype", "turned"), [("int16", lambda v: -1 - v), ("float32", lambda v: -v)])
def test_signed_numbers_change_their_sign(path, volume, dtype, turned):
    data = volume(7, 5, 6, dtype=dtype) - np.array(50, dtype)
    tifffile.imwrite(path, data, **WHITE)
    np.testing.assert_array_equal(np.asarray(read_stack(path).data), turned(data))


def test_white_of_twelve_bits(path, volume):
    pytest.importorskip("imagecodecs")
    bright = volume(7, 5, 6) * 20
    tifffile.imwrite(path, 4095 - bright, bitspersample=12, **WHITE)
    np.testing.assert_array_equal(np.asarray(read_stack(path).data), bright)


def test_masks_of_one_bit(path, volume):
    """tifffile writes masks like this unless it is told not to, and means 1 by what is wanted."""
    mask = volume(7, 5, 8) > 100
    tifffile.imwrite(path, mask)
    np.testing.assert_array_equal(np.asarray(read_stack(path).data), mask)
    tifffile.imwrite(path, ~mask, software="a microscope", **WHITE)
    np.testing.assert_array_equal(np.asarray(read_stack(path).data), mask)


@pytest.mark.parametrize("kind", [{"imagej": True}, {"ome": True}])
def test_sets_of_imagej_and_ome(path, volume, kind):
    bright = volume(3, 7, 5, 6, dtype="uint8")
    tifffile.imwrite(path, 255 - bright, metadata={"axes": "TZYX"}, **WHITE, **kind)
    stack = read_stack(path)
    assert stack.axes == "tzyx"
    np.testing.assert_array_equal(np.asarray(stack.data), bright)


def test_display_range_and_colour_table_change_nothing(path, volume):
    """How a program shows grey levels is not how they are stored."""
    data = volume(7, 5, 6, dtype="uint8")
    ramp = np.arange(255, -1, -1, dtype=np.uint8)
    tifffile.imwrite(path, data, imagej=True, metadata={"axes": "ZYX", "LUTs": [np.stack([ramp] * 3)], "min": 200.0})
    stack = read_stack(path)
    np.testing.assert_array_equal(np.asarray(stack.data), data)
    assert stack.notices == ()
    tifffile.imwrite(path, data, photometric="palette", colormap=np.stack([ramp.astype(np.uint16) * 257] * 3))
    stack = read_stack(path)
    np.testing.assert_array_equal(np.asarray(stack.data), data)
    assert "colour table" in stack.notices[0]


def test_large_files_stay_where_they_are(path, volume, monkeypatch):
    bright = volume(7, 5, 6, dtype="uint8")
    tifffile.imwrite(path, 255 - bright, **WHITE)
    monkeypatch.setattr(series, "LAZY_ABOVE_BYTES", 100)
    stack = read_stack(path)
    assert isinstance(stack.data, dask.array.Array)
    np.testing.assert_array_equal(np.asarray(stack.data[2:4, 1]), bright[2:4, 1])


def test_colours_are_still_refused(path, volume):
    tifffile.imwrite(path, np.stack([volume(4, 20, 30, dtype="uint8")] * 3, -1), photometric="rgb")
    (found,) = list_series(path)
    assert "colour" in found.problem
