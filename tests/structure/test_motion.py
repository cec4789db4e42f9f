"""Mean squared displacement and diffusion coefficient, against random walks that are known."""

import numpy as np
import pandas as pd
import pytest

from napari_colloids import ColloidsError
from napari_colloids.particles import particle_table
from napari_colloids.structure import diffusion_coefficient, link, mean_squared_displacement


def walks(count=400, frames=40, steps=(0.3, 0.2, 0.1), noise=0.0, seed=0, voxel_size=None):
    """Trajectories of free random walks; `steps` are standard deviations per axis in voxels."""
    rng = np.random.default_rng(seed)
    paths = np.cumsum(rng.normal(0, steps, (frames, count, 3)), axis=0) + 20
    paths += rng.normal(0, noise, paths.shape)
    return particle_table(
        paths.reshape(-1, 3),
        frame=np.repeat(np.arange(frames), count),
        particle=np.tile(np.arange(count), frames),
        voxel_size=voxel_size,
    )


def test_equal_to_trackpy_where_that_holds():
    import trackpy

    tracks = walks(count=20)
    ours = mean_squared_displacement(tracks)
    theirs = trackpy.emsd(tracks, mpp=1, fps=1, max_lagtime=19, detail=True, pos_columns=["z", "y", "x"])
    np.testing.assert_allclose(ours["msd"], theirs["msd"])
    for axis in "zyx":
        np.testing.assert_allclose(ours[f"msd_{axis}"], theirs[f"<{axis}^2>"])
    assert ours["lag"].tolist() == list(range(1, 20))
    assert ours["count"].tolist() == [20 * (40 - lag) for lag in range(1, 20)]


def test_gaps_and_order_do_no_harm():
    tracks = walks()
    rng = np.random.default_rng(1)
    holed = tracks[rng.random(len(tracks)) > 0.2].sample(frac=1, random_state=1)
    whole, part = mean_squared_displacement(tracks), mean_squared_displacement(holed)
    for column in ("msd", "msd_z", "msd_y", "msd_x"):
        np.testing.assert_allclose(part[column], whole[column], rtol=0.03)
    assert (part["count"] < whole["count"]).all()
    one = holed[holed["particle"] == 3].sort_values("frame")
    positions = one.set_index("frame")["z"].reindex(range(40)).to_numpy()
    alone = mean_squared_displacement(one).set_index("lag")
    for lag in (1, 5):
        apart = positions[lag:] - positions[:-lag]
        assert alone.loc[lag, "msd_z"] == pytest.approx(np.nanmean(apart**2))
        assert alone.loc[lag, "count"] == np.isfinite(apart).sum()


def test_units():
    size = (0.5, 0.1, 0.1)
    plain = mean_squared_displacement(walks())
    implied = mean_squared_displacement(walks(voxel_size=size), frame_interval=2.0)
    given = mean_squared_displacement(walks(), voxel_size=size)
    assert (plain.attrs["unit"], implied.attrs["unit"], given.attrs["unit"]) == ("px", "um", "um")
    np.testing.assert_allclose(implied["lag_s"], 2.0 * implied["lag"])
    np.testing.assert_allclose(implied["msd_z"], plain["msd_z"] * 0.25)
    np.testing.assert_allclose(given["msd"], implied["msd"])
    assert "lag_s" not in plain
    units = [diffusion_coefficient(msd).unit for msd in (plain, implied, given)]
    assert units == ["px^2/frame", "um^2/s", "um^2/frame"]


def test_diffusion_and_localisation_error_are_told_apart():
    truth = (0.3**2 + 0.2**2 + 0.1**2) / 6
    clean = diffusion_coefficient(mean_squared_displacement(walks()))
    noisy = diffusion_coefficient(mean_squared_displacement(walks(noise=0.25)))
    assert clean.coefficient == pytest.approx(truth, rel=0.05)
    assert clean.localisation_error < 0.06
    assert noisy.coefficient == pytest.approx(truth, rel=0.08)
    assert noisy.localisation_error == pytest.approx(0.25, rel=0.08)
    slow = diffusion_coefficient(mean_squared_displacement(walks(), frame_interval=5.0))
    assert slow.coefficient == pytest.approx(clean.coefficient / 5)


def test_short_series_have_as_many_lags_as_they_can():
    assert mean_squared_displacement(walks(frames=4))["lag"].tolist() == [1, 2, 3]
    assert mean_squared_displacement(walks(frames=9), max_lag=2)["lag"].tolist() == [1, 2]
    single = mean_squared_displacement(walks(frames=1))
    assert len(single) == 0
    with pytest.raises(ColloidsError, match="three frames"):
        diffusion_coefficient(single)


def test_refusals():
    tracks = walks(count=3, frames=4)
    with pytest.raises(ColloidsError, match="'particle'"):
        mean_squared_displacement(tracks.drop(columns="particle"))
    with pytest.raises(ColloidsError, match="'frame'"):
        mean_squared_displacement(tracks.drop(columns="frame"))
    with pytest.raises(ColloidsError, match="twice"):
        mean_squared_displacement(pd.concat([tracks, tracks]))
    with pytest.raises(ColloidsError, match="frame interval"):
        mean_squared_displacement(tracks, frame_interval=0)
    with pytest.raises(ColloidsError, match="max_lag"):
        mean_squared_displacement(tracks, max_lag=0)


def test_drift_adds_to_the_msd_until_it_is_subtracted():
    places = walks(frames=20, steps=(0.1, 0.1, 0.1), count=60)
    grid = np.random.default_rng(5).permutation(np.indices((4, 4, 4)).reshape(3, -1).T[:60]) * 30.0
    places[["z", "y", "x"]] += np.tile(grid, (20, 1))
    places["x"] += 1.0 * places["frame"]
    still, moved = (link(places, search_range=5, subtract_drift=off) for off in (True, False))
    last = [mean_squared_displacement(tracks)["msd_x"].iloc[-1] for tracks in (still, moved)]
    assert last[0] < 0.3
    assert last[1] > 0.7 * 10**2  # ten frames
