"""What was recorded: where acquisitions stopped, and gaps."""

import numpy as np
import pytest

from napari_colloids.errors import ColloidsError
from napari_colloids.io.recorded import extent_of


def recorded(*lines):
    """Make an array ``(t, c, z)`` from a text per frame: a word per channel, a letter per slice."""
    return np.array([[[letter == "1" for letter in word] for word in line.split()] for line in lines])


@pytest.mark.parametrize(
    ("lines", "frames", "slices"),
    [
        (["1111 1111", "1100 1000"], 1, 4),
        (["1111 1111", "1111 1000"], 1, 4),
        (["1111 1111", "1111 0000"], 1, 4),
        (["1111 1111", "0000 0000"], 1, 4),
        (["1110 1100", "0000 0000"], 1, 2),
        (["1111 1110", "0000 0000"], 1, 3),
        (["1111 1111", "1111 1111"], 2, 4),
    ],
)
def test_stopped_acquisitions(lines, frames, slices):
    extent = extent_of(recorded(*lines), "tczyx", "a")
    assert (extent.frames, extent.slices, extent.recorded) == (frames, slices, None)
    assert bool(extent.notice) == (not recorded(*lines).all())


@pytest.mark.parametrize(
    ("lines", "first"),
    [
        (["1011 1111", "1111 1111"], "frame 0, channel 0, slice 1"),
        (["1111 0000", "0000 0000"], "frame 0, channel 1, slice 0"),
        (["1111 1111", "0000 0000", "1111 1111"], "frame 1, channel 0, slice 0"),
        (["0111 1111", "1111 1111"], "frame 0, channel 0, slice 0"),
    ],
)
def test_gaps_are_refused_unless_allowed(lines, first):
    with pytest.raises(ColloidsError, match=f"the first is {first}"):
        extent_of(recorded(*lines), "tczyx", "a")
    extent = extent_of(recorded(*lines), "tczyx", "a", allow_missing=True)
    assert extent.recorded.shape == (extent.frames, 2, extent.slices)
    assert first in extent.notice


def test_missing_files_are_named():
    whole = recorded("11 11")
    with pytest.raises(ColloidsError, match="lacks the file 'b'"):
        extent_of(whole, "tczyx", "a", ["b"])
    with pytest.raises(ColloidsError, match="as the files 'b', 'c', 'd' and 1 more are missing"):
        extent_of(recorded("10 10"), "tczyx", "a", ["b", "c", "d", "e"])


@pytest.mark.parametrize(("lines", "said"), [(["1000"], "only one was written"), (["0000"], "no slice of it")])
def test_what_is_no_stack(lines, said):
    with pytest.raises(ColloidsError, match=said):
        extent_of(recorded(*lines), "tczyx", "a")
