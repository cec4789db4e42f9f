"""Intensity of each particle above the background around it."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

import napari_colloids as nc
from napari_colloids.batch import Job
from napari_colloids.batch.stack_file import StackFile
from napari_colloids.batch.tasks import start_volume
from napari_colloids.detection import Options, Part
from napari_colloids.errors import ColloidsError


def balls(centres, radius, levels, background, shape=(24, 40, 40), edges=(1.0, 1.0, 1.0)):
    """Uniform spheres on a uniform background."""
    image = np.full(shape, float(background))
    grid = np.indices(shape).transpose(1, 2, 3, 0)
    for centre, level in zip(centres, levels, strict=True):
        squared = (((grid - centre) * edges) ** 2).sum(axis=-1)
        image[squared <= radius**2] = level
    return image


CENTRES = np.array([(6.3, 8.0, 8.7), (6.0, 16.4, 8.0), (15.2, 27.0, 30.0)])


@given(
    st.lists(st.floats(-1000, 1000, width=32), min_size=3, max_size=3),
    st.floats(-500, 500, width=32),
    st.sampled_from([(1.0, 1.0, 1.0), (2.0, 1.0, 1.0)]),
)
def test_uniform_spheres_have_their_level_less_the_background(levels, background, edges):
    image = balls(CENTRES, 4.2, levels, background, edges=edges)
    stack = nc.Stack(image, voxel_size=edges)
    # Smaller than the spheres, so that no voxel at the edge counts; two of them nearly touch.
    measured = nc.intensities(stack, nc.particle_table(CENTRES, radius=3.9))["intensity"]
    np.testing.assert_allclose(measured, np.array(levels) - background, atol=1e-3 + 0.06 * np.abs(levels).max())


def test_the_light_of_a_neighbour_is_not_background():
    crowd = np.array([(12, 20, 20), *((12 + a, 20 + b, 20 + c) for a, b, c in 9 * np.vstack([np.eye(3), -np.eye(3)]))])
    image = balls(crowd, 4.4, [100, *[200] * 6], 10)
    measured = nc.intensities(image, nc.particle_table(crowd, radius=4.4))["intensity"]
    assert measured[0] == pytest.approx(90, abs=2)


def test_each_channel_has_a_column_and_the_own_one_comes_first():
    data = np.stack([balls(CENTRES, 4, levels, 5) for levels in ((50, 60, 70), (15, 25, 35))])
    table = nc.intensities(nc.Stack(data, "czyx"), nc.particle_table(CENTRES, radius=4.0), channel=1)
    np.testing.assert_allclose(table["intensity_0"], [45, 55, 65], atol=1)
    np.testing.assert_allclose(table["intensity_1"], [10, 20, 30], atol=1)
    assert table["intensity"].tolist() == table["intensity_1"].tolist()


def test_slices_that_were_never_recorded_do_not_count():
    recorded = np.ones(24, bool)
    recorded[6:9] = False
    image = balls(CENTRES, 4, [50, 50, 50], 5)
    image[6:9] = 0
    stack = nc.Stack(image, recorded=recorded)
    np.testing.assert_allclose(nc.intensities(stack, nc.particle_table(CENTRES, radius=4.0))["intensity"], 45, atol=1)


def test_far_outside_the_stack_there_is_no_intensity():
    table = nc.intensities(np.ones((8, 9, 9)), nc.particle_table([(4, 4, 4), (40, 4, 4)], radius=2.0))
    assert table["intensity"].isna().tolist() == [False, True]


def test_without_a_radius_there_is_a_clear_error():
    with pytest.raises(ColloidsError, match="radius"):
        nc.intensities(np.ones((8, 9, 9)), nc.particle_table([(4, 4, 4)]))


def test_detection_measures_them_here_and_on_a_worker_and_tables_keep_them(tmp_path):
    simulated = nc.simulate(shape=(24, 40, 40), volume_fraction=0.2, radius=5, seed=2)
    data = np.asarray(simulated.stack.data)
    path = tmp_path / "two.tif"
    tifffile.imwrite(path, np.stack([data, 255 - data], 1), imagej=True, metadata={"axes": "ZCYX"})
    options = Options(diameter=10, intensity=True, device="cpu")
    table = nc.detect(nc.read_stack(path), options)
    assert len(table) > 5
    assert (table["intensity_0"] > 20).all()
    np.testing.assert_allclose(table["intensity_1"], -table["intensity_0"], atol=1e-3)
    job = Job(StackFile(str(path)), Path("unused.csv"), options)
    assert start_volume(job, Part(), None)["intensity_1"].tolist() == table["intensity_1"].tolist()
    nc.write_particles(tmp_path / "table.csv", table)
    np.testing.assert_allclose(nc.read_particles(tmp_path / "table.csv")["intensity"], table["intensity"], rtol=1e-4)
