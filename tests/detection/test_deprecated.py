"""Former detection options that say where to look still do, with a deprecation warning."""

import numpy as np
import pandas as pd
import pytest

from napari_colloids import Options, Region, detect, detect_series, simulate
from napari_colloids.stack import Stack

LOG = {"diameter": 8, "method": "log"}


@pytest.fixture(scope="module")
def volumes():
    return [simulate(shape=(24, 24, 24), volume_fraction=0.3, radius=4, seed=seed).stack.data for seed in (1, 2)]


@pytest.fixture(scope="module")
def series(volumes):
    return Stack(np.stack(volumes), "tzyx")


def test_a_z_range_among_the_keywords(volumes):
    with pytest.warns(DeprecationWarning, match=r"region=Region\(z_range="):
        found = detect(volumes[0], z_range=(4, 20), region=Region((0, 12)), **LOG)
    pd.testing.assert_frame_equal(found, detect(volumes[0], region=Region((4, 12)), **LOG))


def test_options_that_were_made_with_them(volumes, series):
    with pytest.warns(DeprecationWarning, match="frame is no detection option"):
        options = Options(frame=1, channel=0, z_range=(4, 20), **LOG)
    expected = detect(volumes[1], region=Region((4, 20)), **LOG)
    pd.testing.assert_frame_equal(detect(series, options), expected)
    pd.testing.assert_frame_equal(detect(series, options, border=0), expected)


def test_a_series_is_searched_in_the_frame_that_options_name(volumes, series):
    with pytest.warns(DeprecationWarning, match="frame is no"):
        options = Options(frame=1, **LOG)
    found = detect_series(series, options)
    assert set(found["frame"]) == {1}
    pd.testing.assert_frame_equal(found.drop(columns="frame"), detect(volumes[1], **LOG))
