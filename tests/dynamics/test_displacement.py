"""Mean squared displacement, against random walks that are known."""

import numpy as np
import pandas as pd
import pytest

from napari_colloids import ColloidsError
from napari_colloids.dynamics import link, mean_squared_displacement, plot_mean_squared_displacement


def test_equal_to_trackpy_where_that_holds(walks):
    import trackpy

    tracks = walks(count=20)
    ours = mean_squared_displacement(tracks)
    theirs = trackpy.emsd(tracks, mpp=1, fps=1, max_lagtime=19, detail=True, pos_columns=["z", "y", "x"])
    np.testing.assert_allclose(ours["msd"], theirs["msd"])
    for axis in "zyx":
        np.testing.assert_allclose(ours[f"msd_{axis}"], theirs[f"<{axis}^2>"])
    assert ours["lag"].tolist() == list(range(1, 20))
    assert ours["count"].tolist() == [20 * (40 - lag) for lag in range(1, 20)]


def test_gaps_and_order_do_no_harm(walks):
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


def test_units(walks):
    size = (0.5, 0.1, 0.1)
    plain = mean_squared_displacement(walks())
    implied = mean_squared_displacement(walks(voxel_size=size), frame_interval=2.0)
    given = mean_squared_displacement(walks(), voxel_size=size)
    assert (plain.attrs["unit"], implied.attrs["unit"], given.attrs["unit"]) == ("px", "um", "um")
    np.testing.assert_allclose(implied["lag_s"], 2.0 * implied["lag"])
    np.testing.assert_allclose(implied["msd_z"], plain["msd_z"] * 0.25)
    np.testing.assert_allclose(given["msd"], implied["msd"])
    assert "lag_s" not in plain


def test_short_series_have_as_many_lags_as_they_can(walks):
    assert mean_squared_displacement(walks(frames=4))["lag"].tolist() == [1, 2, 3]
    assert mean_squared_displacement(walks(frames=9), max_lag=2)["lag"].tolist() == [1, 2]
    single = mean_squared_displacement(walks(frames=1))
    assert len(single) == 0


def test_refusals(walks):
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
    with pytest.raises(ColloidsError, match="not ndarray"):
        mean_squared_displacement(tracks.to_numpy())


def test_plot_has_the_points_and_the_units(walks):
    seconds = mean_squared_displacement(walks(voxel_size=(0.1, 0.1, 0.1)), frame_interval=0.5)
    ax = plot_mean_squared_displacement(seconds)
    (points,) = ax.get_lines()
    np.testing.assert_array_equal(points.get_xydata(), seconds[["lag_s", "msd"]])
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("lag (s)", "MSD (µm²)")
    frames = mean_squared_displacement(walks())
    assert plot_mean_squared_displacement(frames, ax) is ax
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("lag (frames)", "MSD (px²)")


@pytest.mark.parametrize("frames", [1, 5])
def test_plot_of_no_displacements_is_empty(walks, frames):
    still = mean_squared_displacement(walks(frames=frames, steps=(0, 0, 0)))
    ax = plot_mean_squared_displacement(still)
    ax.figure.draw_without_rendering()
    assert not any(len(line.get_xdata()) for line in ax.get_lines())


def test_drift_adds_to_the_msd_until_it_is_subtracted(walks):
    places = walks(frames=20, steps=(0.1, 0.1, 0.1), count=60)
    grid = np.random.default_rng(5).permutation(np.indices((4, 4, 4)).reshape(3, -1).T[:60]) * 30.0
    places[["z", "y", "x"]] += np.tile(grid, (20, 1))
    places["x"] += 1.0 * places["frame"]
    still, moved = (link(places, search_range=5, subtract_drift=off) for off in (True, False))
    last = [mean_squared_displacement(tracks)["msd_x"].iloc[-1] for tracks in (still, moved)]
    assert last[0] < 0.3
    assert last[1] > 0.7 * 10**2  # ten frames
