"""Hints about axes: never those that the file has, nor channels as slices."""

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from napari_colloids.errors import ColloidsError
from napari_colloids.io import read_stack
from napari_colloids.io.axes import layout_of, suggested_axes


@pytest.mark.parametrize(
    ("axes", "shape", "suggested"),
    [
        ("TYX", (7, 20, 30), "zyx"),
        ("CYX", (2, 20, 30), ""),
        ("CYX", (40, 20, 30), "zyx"),
        ("CZYX", (2, 1, 20, 30), ""),
        ("TCYX", (5, 2, 20, 30), "zcyx"),
        ("CTYX", (2, 5, 20, 30), "czyx"),
        ("TZYX", (5, 1, 20, 30), "ztyx"),
        ("ZTYX", (1, 5, 20, 30), "tzyx"),
        ("λYX", (9, 20, 30), ""),
        ("TZYX", (5, 6, 20, 30), ""),
        ("????", (2, 9, 20, 30), "czyx"),
    ],
)
def test_suggested_axes(axes, shape, suggested):
    assert suggested_axes(axes, shape) == suggested


@given(st.lists(st.sampled_from("TCZYXSQ?λ"), min_size=2, max_size=6), st.data())
def test_no_hint_is_what_the_file_says_already(letters, data):
    shape = tuple(data.draw(st.integers(1, 9)) for _ in letters)
    axes = "".join(letters)
    try:
        layout_of(axes, shape, "a")
    except ColloidsError as error:
        message = str(error)
    else:
        return
    if 'axes="' in message:
        hint = message.split('axes="')[1].split('"')[0]
        kept = [letter for letter, n in zip(axes.lower(), shape, strict=True) if n != 1 or letter in "zyx"]
        assert hint not in (axes.lower(), "".join(kept))
        layout_of(axes, shape, "a", hint)  # what is proposed is accepted
        lengths = [n for letter, n in zip(axes, shape, strict=True) if n != 1 or letter in "ZYX"]
        for letter, n, proposed in zip(kept, lengths, hint, strict=True):
            assert not (letter == "c" and n <= 4 and proposed == "z"), "channels are no slices"


@pytest.mark.parametrize("kind", [{"imagej": True, "metadata": {"axes": "CYX", "mode": "composite"}}])
def test_channels_that_are_clear_are_no_slices(tmp_path, kind):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((6, 20, 30), np.uint8), **kind)
    with pytest.raises(ColloidsError, match="is 2D channels"):
        read_stack(tmp_path / "a.tif")
    names = {"axes": "CYX", "Channel": {"Name": list("abcdef")}}
    tifffile.imwrite(tmp_path / "a.ome.tif", np.zeros((6, 20, 30), np.uint8), metadata=names)
    with pytest.raises(ColloidsError, match="is 2D channels"):
        read_stack(tmp_path / "a.ome.tif")
