import numpy as np
import pytest

from napari_colloids.errors import ColloidsError
from napari_colloids.io import read_stack


def test_array_is_mapped(tmp_path):
    data = np.random.default_rng(0).normal(size=(4, 5, 6))
    np.save(tmp_path / "a.npy", data)
    stack = read_stack(tmp_path / "a.npy", voxel_size=(3, 1, 1))
    assert isinstance(stack.data, np.memmap)
    assert (stack.name, stack.voxel_size) == ("a", (3, 1, 1))
    np.testing.assert_array_equal(stack.data, data)


def test_more_dimensions_need_axes(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 2, 5, 6)))
    with pytest.raises(ColloidsError, match="axes"):
        read_stack(tmp_path / "a.npy")
    stack = read_stack(tmp_path / "a.npy", axes="zcyx")
    assert (stack.axes, stack.n_channels, stack.shape) == ("czyx", 2, (4, 5, 6))


@pytest.mark.parametrize("shape", [(), (5,), (5, 6), (0, 5, 6)])
def test_not_a_volume_is_told(tmp_path, shape):
    np.save(tmp_path / "a.npy", np.zeros(shape))
    with pytest.raises(ColloidsError, match=r"3D stack|empty"):
        read_stack(tmp_path / "a.npy")


def test_damaged_files_are_told(tmp_path):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((4, 5, 6)))
    whole = path.read_bytes()
    for content in (whole[:-100], whole[:20], b"no numpy"):
        path.write_bytes(content)
        with pytest.raises(ColloidsError, match=r"a\.npy"):
            read_stack(path)
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ColloidsError, match=r"a\.npy"):
        read_stack(path)


def test_archives_are_told(tmp_path):
    np.savez(tmp_path / "a.npz", np.zeros((4, 5, 6)))
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(ColloidsError, match="archive"):
        read_stack(tmp_path / "a.npy")
