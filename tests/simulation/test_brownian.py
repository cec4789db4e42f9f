"""Simulated series: spheres that never overlap, keep their names, and move as they should."""

import numpy as np
import pytest
from scipy.spatial import cKDTree

from napari_colloids import ColloidsError
from napari_colloids.dynamics import diffusion_coefficient, link, mean_squared_displacement
from napari_colloids.particles import POSITION
from napari_colloids.simulation import simulate_brownian

SMALL = {"shape": (24, 32, 32), "radius": 4.0, "frames": 12, "seed": 3}


@pytest.fixture(scope="module")
def series():
    return simulate_brownian(**SMALL, volume_fraction=0.35, step=1.0, snr=50, cnr=50)


def test_shapes_and_columns(series):
    assert series.stack.axes == "tzyx"
    assert series.stack.data.shape == (12, 24, 32, 32)
    assert list(series.particles.columns) == ["frame", *POSITION, "radius", "particle"]
    assert list(series.trajectories.columns) == list(series.particles.columns)
    assert series.trajectories.groupby("frame").size().nunique() == 1
    assert not series.particles.duplicated(["frame", "particle"]).any()
    inside = series.particles[POSITION].to_numpy()
    assert (inside >= -0.5).all()
    assert (inside < np.array([24, 32, 32]) - 0.5).all()


def test_a_repr_is_short(series):
    assert repr(series).startswith("BrownianSimulation(12 frames, ")
    assert len(repr(series)) < 250


def test_plot_draws_the_particles_of_a_frame(series):
    ax = series.plot(frame=2, z=10)
    (circles,) = ax.collections
    there = series.particles[series.particles["frame"] == 2]
    cut = (there["z"] - 10).abs() < there["radius"]
    np.testing.assert_allclose(circles.get_offsets(), there.loc[cut, ["x", "y"]])
    np.testing.assert_array_equal(ax.get_images()[0].get_array(), series.stack.data[2, 10])
    assert series.plot(ax) is ax


def test_spheres_never_overlap(series):
    box = np.array([24, 32, 32]) + 8.0
    for _, rows in series.trajectories.groupby("frame"):
        tree = cKDTree((rows[POSITION].to_numpy() + 0.5) % np.maximum(box, 32), boxsize=np.maximum(box, 32))
        assert tree.query(tree.data, k=2)[0][:, 1].min() > 8 * (1 - 1e-9)


def test_the_true_particles_are_where_the_image_is_bright(series):
    for frame, rows in series.particles.groupby("frame"):
        volume = series.stack.volume(int(frame)).astype(float)
        places = np.rint(rows[POSITION].to_numpy()).astype(int).clip(0, np.array(volume.shape) - 1)
        assert volume[tuple(places.T)].mean() > 1.5 * volume.mean()


def test_names_are_those_of_the_spheres(series):
    # Steps are small against the distance between neighbours, so that linking the truth finds the same trajectories,
    # but for particles that leave and come back.
    tracks = link(series.particles.rename(columns={"particle": "truth"}), search_range=3)
    assert (tracks.groupby("particle")["truth"].nunique() == 1).all()
    paths = series.particles.sort_values(["particle", "frame"])
    steps = paths.groupby("particle")[POSITION].diff()[paths.groupby("particle")["frame"].diff() == 1]
    assert steps.abs().to_numpy().max() < 4


def test_lone_spheres_move_freely_and_crowded_ones_less():
    free = simulate_brownian(shape=(60, 60, 60), radius=1.5, volume_fraction=0.004, frames=20, step=1.5, seed=1)
    diffusion = diffusion_coefficient(mean_squared_displacement(free.trajectories))
    assert diffusion.coefficient == pytest.approx(1.5**2 / 6, rel=0.1)
    slowed = [
        diffusion_coefficient(
            mean_squared_displacement(simulate_brownian(**SMALL, volume_fraction=phi, step=2.0).trajectories)
        ).coefficient
        for phi in (0.1, 0.3, 0.5)
    ]
    assert 2.0**2 / 6 > slowed[0] > slowed[1] > slowed[2] > 0


@pytest.mark.parametrize(("phi", "diffusion", "contact"), [(0.3, 0.80, 2.41), (0.45, 0.555, 4.36)])
def test_crowded_spheres_move_and_lie_as_small_sequential_steps_have_it(phi, diffusion, contact):
    # Sequential Monte Carlo of another program: MSD of a step of a fifth of the diameter over that of a lone sphere,
    # and g(r) in equilibrium, averaged over 1 to 1.02 diameters.
    frames, box, diameter = 20, 48.0, 6.0
    series = simulate_brownian(
        shape=(42, 42, 42), radius=3, volume_fraction=phi, psf_sigma=(0, 0, 0), frames=frames, step=1.2, seed=1
    )
    paths = series.trajectories[POSITION].to_numpy().reshape(frames, -1, 3)[5:]
    assert np.mean(np.sum(np.diff(paths, axis=0) ** 2, axis=2)) / 1.2**2 == pytest.approx(diffusion, rel=0.04)
    pairs = [len(cKDTree((frame + 0.5) % box, boxsize=box).query_pairs(1.02 * diameter)) for frame in paths]
    count = paths.shape[1]
    expected = count * (count - 1) / 2 * 4 / 3 * np.pi * diameter**3 * (1.02**3 - 1) / box**3
    assert np.mean(pairs) / expected == pytest.approx(contact, rel=0.08)


def test_steps_too_short_to_meet_a_neighbour_are_free():
    series = simulate_brownian(**SMALL, volume_fraction=0.45, step=0.01)
    paths = series.trajectories[POSITION].to_numpy().reshape(SMALL["frames"], -1, 3)
    assert np.mean(np.sum(np.diff(paths, axis=0) ** 2, axis=2)) == pytest.approx(0.01**2, rel=0.08)


def test_same_seed_same_series():
    one, two = (simulate_brownian(**SMALL | {"frames": 3}, volume_fraction=0.2, step=0.5) for _ in range(2))
    np.testing.assert_array_equal(one.stack.data, two.stack.data)
    assert one.particles.equals(two.particles)
    assert simulate_brownian(shape=(8, 8, 8), radius=2, frames=1).parameters.seed is not None


def test_units_and_flat_voxels():
    series = simulate_brownian(
        **SMALL | {"frames": 4}, volume_fraction=0.2, voxel_size=0.1, voxel_aspect=2.0, frame_interval=0.5, step=1.0
    )
    assert series.stack.voxel_size == pytest.approx((0.2, 0.1, 0.1))
    assert series.stack.frame_interval == 0.5
    np.testing.assert_allclose(series.particles["z_um"], series.particles["z"] * 0.2)
    msd = mean_squared_displacement(series.trajectories, max_lag=1)
    np.testing.assert_allclose(msd[["msd_z", "msd_y", "msd_x"]], 0.01 / 3, rtol=0.3)


def test_no_particles_at_all():
    empty = simulate_brownian(**SMALL | {"frames": 2}, volume_fraction=0.0)
    assert len(empty.particles) == 0
    assert empty.stack.data.shape[0] == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arrangement": "crystal"}, "periodic"),
        ({"frames": 0}, "frame"),
        ({"step": -1.0}, "step"),
        ({"frame_interval": 0.0}, "frame interval"),
        ({"radius": 0.1}, "radius"),
        ({"voxel_aspect": 2.0}, "needs a voxel_size"),
        ({"colour": 1}, "colour"),
    ],
)
def test_refusals(change, message):
    with pytest.raises(ColloidsError, match=message):
        simulate_brownian(**SMALL | change)
