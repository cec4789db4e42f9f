"""Label images: balls of the right size in the right place, with the numbers of the table's rows."""

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_colloids.errors import ColloidsError
from napari_colloids.io import label_image, labels, read_stack, write_labels
from napari_colloids.particles import particle_table


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 40),
    aspect=st.sampled_from([1.0, 2.5, 0.5]),
    slab=st.sampled_from([1, 3000, 1 << 24]),
)
def test_every_voxel_has_the_number_of_the_relatively_nearest_particle(seed, count, aspect, slab):
    rng = np.random.default_rng(seed)
    shape = (14, 20, 24)
    table = particle_table(rng.uniform(-2, shape, (count, 3)), radius=rng.uniform(0.1, 6, count))
    labels._SLAB_VOXELS, kept = slab, labels._SLAB_VOXELS
    try:
        image = label_image(table, shape, voxel_size=(aspect, 1, 1))
    finally:
        labels._SLAB_VOXELS = kept
    grid = np.stack(np.indices(shape), -1)[..., None, :]
    distance = np.linalg.norm((grid - table[["z", "y", "x"]].to_numpy()) * [aspect, 1, 1], axis=-1)
    relative = (distance / table["radius"].to_numpy()).astype(np.float32)
    nearest = np.where(relative.min(-1) <= 1, relative.argmin(-1) + 1, 0)
    centres = np.rint(table[["z", "y", "x"]].to_numpy()).astype(int)
    away = np.ones(shape, bool)
    for number, centre in enumerate(centres, start=1):
        if (centre >= 0).all() and (centre < shape).all():
            away[tuple(centre)] = False
            if (centres == centre).all(axis=1).sum() == 1:
                assert image[tuple(centre)] == number
    np.testing.assert_array_equal(image[away], nearest[away])


def test_volumes_are_those_of_balls():
    radii = np.array([4.2, 5.3, 7.0])
    table = particle_table([[12.3, 12, 12.4], [12, 12.2, 32.3], [12, 32, 20.2]], radius=radii)
    counts = np.bincount(label_image(table, (25, 44, 44), voxel_size=(1, 1, 1)).ravel())[1:]
    np.testing.assert_allclose(counts, 4 / 3 * np.pi * radii**3, rtol=0.05)
    flat = particle_table([[6.15, 12, 12.4], [6, 12.2, 32.3], [6, 32, 20.2]], radius=radii, voxel_size=(0.4, 0.2, 0.2))
    np.testing.assert_allclose(np.bincount(label_image(flat, (13, 44, 44)).ravel())[1:], counts / 2, rtol=0.05)


def test_a_file_of_imagej_keeps_the_voxel_size(tmp_path):
    table = particle_table([[4, 8, 8], [4, 8, 20]], radius=3, voxel_size=(0.3, 0.1, 0.1))
    write_labels(tmp_path / "a.tif", table, (9, 16, 30))
    stack = read_stack(tmp_path / "a.tif")
    assert stack.axes == "zyx"
    assert stack.voxel_size == pytest.approx((0.3, 0.1, 0.1))
    assert stack.data.dtype == np.uint16
    np.testing.assert_array_equal(stack.data, label_image(table, (9, 16, 30)))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_imagej


def test_a_series_has_a_volume_per_frame(tmp_path):
    table = particle_table([[4, 8, 8], [4, 8, 20], [4, 8, 20]], radius=3, frame=[0, 0, 2])
    write_labels(tmp_path / "a.tif", table, (9, 16, 30))
    stack = read_stack(tmp_path / "a.tif")
    assert stack.axes == "tzyx"
    assert [np.unique(volume).tolist() for volume in np.asarray(stack.data)] == [[0, 1, 2], [0], [0, 1]]


def test_more_particles_than_16_bits(tmp_path):
    centres = np.full((70_000, 3), -9.0)
    centres[[0, 69_998, 69_999]] = [[1, 2, 3], [1, 2, 8], [3, 9, 9]]
    table = particle_table(centres, radius=0.5, voxel_size=(0.2, 0.1, 0.1))
    write_labels(tmp_path / "a.tif", table, (4, 10, 12))
    stack = read_stack(tmp_path / "a.tif")
    assert stack.voxel_size == pytest.approx((0.2, 0.1, 0.1))
    assert np.unique(stack.data).tolist() == [0, 1, 69_999, 70_000]


def test_what_is_missing_is_told(tmp_path):
    bare = particle_table([[1, 2, 3]])
    with pytest.raises(ColloidsError, match="radius"):
        label_image(bare, (4, 4, 4))
    assert label_image(bare, (4, 4, 4), diameter=1).sum() == 1
    with pytest.raises(ColloidsError, match="shape"):
        label_image(bare, (4, 4), diameter=1)
    with pytest.raises(ColloidsError, match="not positive"):
        label_image(particle_table([[1, 2, 3]], radius=np.nan), (4, 4, 4))
    with pytest.raises(ColloidsError, match=r"\.tif"):
        write_labels(tmp_path / "a.png", bare, (4, 4, 4), diameter=1)
    with pytest.raises(ColloidsError, match="several frames"):
        label_image(particle_table([[1, 2, 3]] * 2, radius=1, frame=[0, 1]), (4, 4, 4))
    assert not list(tmp_path.iterdir())
