"""Former detection options that say where to look still do, with a deprecation warning."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from napari_colloids import Options, Region, detect, detect_series, iter_detect, simulate
from napari_colloids.progress import result_of
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


@pytest.fixture
def second_frame():
    with pytest.warns(DeprecationWarning, match="frame is no"):
        return Options(frame=1, **LOG)


@pytest.mark.filterwarnings("ignore:frame is no:DeprecationWarning")
@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda options: pickle.loads(pickle.dumps(options)), lambda options: replace(options)],
    ids=["copy", "deepcopy", "pickle", "replace"],
)
def test_copies_of_options_name_the_same_frame(volumes, series, second_frame, copied):
    pd.testing.assert_frame_equal(detect(series, copied(second_frame)), detect(volumes[1], **LOG))


def test_a_search_in_steps_is_of_the_frame_that_options_name(volumes, series, second_frame):
    pd.testing.assert_frame_equal(result_of(iter_detect(series, second_frame)), detect(volumes[1], **LOG))


@pytest.mark.parametrize(
    "use",
    [
        lambda series: Options(z_range=(4, 20)),
        lambda series: detect(series, z_range=(4, 20), **LOG),
        lambda series: detect_series(series, z_range=(4, 20), **LOG),
    ],
    ids=["Options", "detect", "detect_series"],
)
def test_the_warning_is_about_the_line_of_the_caller(series, use):
    with pytest.warns(DeprecationWarning, match="z_range is no") as warned:
        use(series)
    assert [one.filename for one in warned] == [__file__]
