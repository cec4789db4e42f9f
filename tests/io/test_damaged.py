"""Series of which some volumes cannot be read."""

import numpy as np
import pytest

from napari_colloids.errors import ColloidsError
from napari_colloids.io.damaged import read_volumes
from napari_colloids.io.lazy import FileArray

SHAPE = (3, 4, 5, 6)


class Damaged:
    """Frames of ones, of which some are not what they should be; all together cannot be read."""

    def __init__(self, damage):
        self._damage = damage

    def __getitem__(self, index):
        frames = range(*index[0].indices(SHAPE[0]))
        if len(frames) > 1:
            raise ValueError("damaged")
        kind = self._damage.get(frames[0])
        if kind == "raises":
            raise ValueError("damaged")
        return np.ones((1, 2 if kind == "short" else 4, 5, 6), np.uint8)


def opener(path, key):
    return Damaged(dict(key))


@pytest.fixture
def array(tmp_path):
    def make(**damage):
        path = tmp_path / "a.bin"
        path.write_bytes(b"x")
        key = tuple((int(frame.removeprefix("frame")), kind) for frame, kind in damage.items())
        return FileArray(opener, str(path), key, SHAPE, np.dtype(np.uint8), (1, 4, 5, 6), "a test")

    return make


def test_volumes_that_raise_or_hold_too_little_are_marked_and_the_others_read(array):
    pixels, readable = read_volumes(array(frame0="short", frame2="raises"), "tzyx")
    assert readable.ravel().tolist() == [False, True, False]
    assert pixels.reshape(3, -1).any(axis=1).tolist() == [False, True, False]


def test_a_failure_that_does_not_last_leaves_no_trace(array):
    pixels, readable = read_volumes(array(), "tzyx")
    assert readable is None
    assert (pixels == 1).all()


def test_where_nothing_can_be_read_the_error_is_raised(array):
    with pytest.raises(ColloidsError, match="damaged"):
        read_volumes(array(frame0="raises", frame1="short", frame2="raises"), "tzyx")
