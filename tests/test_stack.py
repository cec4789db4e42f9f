import dask.array as da
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_colloids.errors import ColloidsError
from napari_colloids.stack import Stack, as_stack, checked_voxel_size
from napari_colloids.volumes import Inverted, read_box


def test_volume_picks_frame_and_channel():
    data = np.arange(2 * 3 * 4 * 5 * 6).reshape(2, 3, 4, 5, 6)
    stack = Stack(data, "tczyx")
    assert (stack.n_frames, stack.n_channels, stack.shape) == (2, 3, (4, 5, 6))
    np.testing.assert_array_equal(stack.volume(frame=1, channel=2), data[1, 2])


def test_volume_of_a_plain_stack_is_the_data_itself():
    data = np.zeros((4, 5, 6))
    stack = Stack(data)
    assert (stack.n_frames, stack.n_channels) == (1, 1)
    assert stack.volume() is data


def test_volume_of_a_memory_map_is_not_read(tmp_path):
    data = np.lib.format.open_memmap(tmp_path / "a.npy", mode="w+", dtype=np.uint8, shape=(2, 4, 5, 6))
    assert isinstance(Stack(data, "tzyx").volume(frame=1), np.memmap)


small = st.tuples(*[st.integers(2, 4)] * 3)


@given(
    arrays(st.sampled_from([np.uint8, np.dtype(">u2"), np.int16, np.bool_]), small)
    | arrays(np.float32, small, elements=st.floats(width=32, allow_nan=False))
)
def test_inversion_reverses_the_order_of_grey_levels_and_loses_none(data):
    box = (slice(1, None), slice(None, None, 2), slice(0, 2))
    inverted = read_box(Inverted(data)[:, :, :], box)
    assert inverted.dtype.kind == data.dtype.kind
    order = np.unique(data[box], return_inverse=True)[1]
    turned = np.unique(inverted, return_inverse=True)[1]
    np.testing.assert_array_equal(order + turned, order.max())


def test_an_inverted_view_is_not_read_before_it_is_asked_for():
    read = []

    def plane(block_info):
        where = block_info[None]["array-location"][0]
        read.append(where)
        return np.full((1, 4, 5), where[0], np.uint8)

    data = da.map_blocks(plane, chunks=((1,) * 3, (4,), (5,)), dtype=np.uint8, meta=np.empty((0, 0, 0), np.uint8))
    part = Inverted(data)[1:]
    assert part.shape == (2, 4, 5)
    assert not read
    np.testing.assert_array_equal(read_box(part, (slice(1, 2), slice(None), slice(None))), np.full((1, 4, 5), 253))
    assert read == [(2, 3)]


@pytest.mark.parametrize(
    ("frame", "channel", "message"),
    [(2, 0, "2 frames; there is no frame 2"), (0, 1, "1 channel;"), (-1, 0, "frame -1")],
)
def test_volume_that_is_not_there(frame, channel, message):
    with pytest.raises(ColloidsError, match=message):
        Stack(np.zeros((2, 4, 5, 6)), "tzyx").volume(frame, channel)


@pytest.mark.parametrize("axes", ["xyz", "ctzyx", "zyxc", "qzyx", "zzyx", "zy", ""])
def test_axes_that_make_no_sense(axes):
    with pytest.raises(ColloidsError, match="Axes"):
        Stack(np.zeros((2,) * max(len(axes), 1)), axes)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((5, 6)), "2D"),
        (np.zeros((0, 5, 6)), "empty"),
        (np.zeros((4, 5, 6), dtype=complex), "complex"),
        (np.full((4, 5, 6), "a"), "integers or real floats"),
        (np.zeros((4, 5, 6), dtype=np.longdouble), "at most 64 bits"),
    ],
)
def test_data_that_is_no_stack(data, message):
    with pytest.raises(ColloidsError, match=message):
        Stack(data, name="odd")


@pytest.mark.parametrize(
    "voxel_size", [(1, 1), (1, 1, 0), (1, -1, 1), (1, 1, np.nan), (np.inf, 1, 1), (1, 1, 1, 1), 0.1, "abc"]
)
def test_voxel_size_that_makes_no_sense(voxel_size):
    with pytest.raises(ColloidsError, match="voxel size"):
        checked_voxel_size(voxel_size)


def test_voxel_size_becomes_a_tuple_of_floats():
    stack = Stack(np.zeros((4, 5, 6)), voxel_size=np.array([2, 1, 1]))
    assert stack.voxel_size == (2.0, 1.0, 1.0)
    assert stack.with_voxel_size(None).voxel_size is None


def test_as_stack():
    data = np.zeros((4, 5, 6), dtype=np.uint16)
    stack = as_stack(data)
    assert stack.data is data
    assert stack.voxel_size is None
    assert as_stack(stack) is stack
    assert as_stack([[[1, 2]]]).shape == (1, 1, 2)


def test_plot_draws_a_slice_on_given_or_new_axes():
    data = np.arange(4 * 5 * 6).reshape(4, 5, 6)
    stack = Stack(np.stack([data, data + 1000])[:, None], "tczyx", voxel_size=(0.3, 0.2, 0.1))
    ax = stack.plot(frame=1, z=3)
    (image,) = ax.get_images()
    np.testing.assert_array_equal(image.get_array(), data[3] + 1000)
    assert ax.get_aspect() == 2
    assert stack.plot(ax) is ax
    np.testing.assert_array_equal(ax.get_images()[-1].get_array(), data[2])
    with pytest.raises(ColloidsError, match="4 slices; there is no slice 4"):
        stack.plot(z=4)


def test_a_repr_says_what_the_stack_is():
    stack = Stack(np.zeros((2, 4, 5, 6), np.uint8), "tzyx", (0.3, 0.1, 0.1), name="a", frame_interval=0.5)
    assert repr(stack) == "Stack('a', t 2 x z 4 x y 5 x x 6, uint8, voxel size 0.3 x 0.1 x 0.1 µm, 0.5 s per frame)"
    assert repr(Stack(np.zeros((4, 5, 6)))) == "Stack('stack', z 4 x y 5 x x 6, float64, voxel size unknown)"
