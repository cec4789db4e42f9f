"""Messages between processes: data alone, which can do nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_colloids.io.isolated.array import Opener
from napari_colloids.io.isolated.codec import CodecError, decoded, encoded

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
DATA = st.recursive(
    PLAIN,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(st.text() | st.integers(), inner),
)


def sent(message, *, trusted=False):
    text, parts = encoded(message)
    return decoded(text, [memoryview(bytearray(part.tobytes())) for part in parts], trusted=trusted)


@given(DATA)
def test_data_arrive_as_they_were(data):
    assert sent(data) == data


@given(
    arrays.arrays(st.sampled_from(["u1", "<u2", ">i4", "f4", ">f8", "?"]), arrays.array_shapes(min_dims=0, min_side=0))
)
def test_arrays_arrive_as_they_were(array):
    found = sent({"pixels": array})["pixels"]
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array)
    assert found.flags.writeable


@pytest.mark.parametrize("value", [slice(1, None, 2), Path("a"), np.dtype(">u2"), np.float32(0.5), Opener("a", "b")])
def test_other_values_arrive_as_they_were(value):
    found = sent(value)
    assert (type(found), found) == (type(value), value)


def test_texts_of_a_column_arrive_as_they_were():
    np.testing.assert_array_equal(sent(np.array(["a", "µ"], dtype=object)), ["a", "µ"])


@pytest.mark.parametrize(
    "message",
    [
        ["function", "os:system"],
        ["object", "subprocess:Popen", ["dict", ["args"], ["true"]]],
        ["object", "napari_colloids.io.lazy:FileArray", ["dict", [], []]],
        ["error", "subprocess:CalledProcessError", [1, "a"], ["dict", [], []]],
        ["error", "builtins:exec", ["1"], ["dict", [], []]],
        ["array", 0, "<f8", [1000]],
        ["array", 0, "O", [1]],
        ["unknown"],
        [],
    ],
)
def test_what_is_no_data_is_refused(message):
    with pytest.raises(CodecError):
        decoded(json.dumps(message).encode(), [memoryview(bytes(8))], trusted=False)


@pytest.mark.parametrize("value", [object(), {1, 2}, lambda: 0])
def test_what_cannot_be_sent_is_an_error(value):
    with pytest.raises(CodecError):
        sent(value)
