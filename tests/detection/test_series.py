"""Time series and channels: all of it, in parts, stopped and gone on with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from napari_colloids import ColloidsError
from napari_colloids.detection import Options, Part, detect, detect_series, iter_detect_series, parts_of
from napari_colloids.simulation import simulate
from napari_colloids.stack import Stack


@pytest.fixture(scope="module")
def series() -> Stack:
    """Four time points of two channels; the second one has other particles."""
    frames = [
        [simulate(shape=(20, 36, 40), volume_fraction=0.4, radius=r, seed=seed).stack.data for r in (4.0, 5.0)]
        for seed in range(4)
    ]
    return Stack(np.array(frames), "tczyx", voxel_size=(0.2, 0.2, 0.2))


def run(stack, options, parts, **more):
    tables = {}
    return tables, run_into(tables, stack, options, parts, **more)


def run_into(tables, stack, options, parts, **more):
    return list(iter_detect_series(stack, options, parts, tables.__setitem__, **more))


def test_every_volume_gets_its_own_particles(series):
    tables, steps = run(series, Options(diameter=9), parts_of(range(4), range(2)))
    assert list(tables) == [(f, c) for f in range(4) for c in range(2)]
    for part, table in tables.items():
        assert (table["frame"] == part.frame).all()
        assert (table["channel"] == part.channel).all()
        alone = detect(series, diameter=9, frame=part.frame, channel=part.channel)
        pd.testing.assert_frame_equal(table.drop(columns=["frame", "channel"]), alone)
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert steps[-1].done == steps[-1].total
    assert "3 of 8" in " ".join(step.message for step in steps)


def test_one_call_for_all(series):
    kept, steps = {}, []
    table = detect_series(
        series,
        Options(diameter=9),
        frames=[1, 3],
        channels=[0, 1],
        threshold=0.5,
        keep=kept.__setitem__,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert list(kept) == [(1, 0), (1, 1), (3, 0), (3, 1)]
    assert len(table) == sum(map(len, kept.values()))
    assert table.attrs["threshold"] == 0.5
    assert table.attrs["seconds"] == pytest.approx(sum(part.attrs["seconds"] for part in kept.values()))
    assert steps[-1][0] == steps[-1][1]
    alone = detect(series, diameter=9, threshold=0.5, frame=3, channel=1)
    some = table[(table["frame"] == 3) & (table["channel"] == 1)].drop(columns=["frame", "channel"])
    pd.testing.assert_frame_equal(some.reset_index(drop=True), alone)


def test_an_error_says_in_which_volume(series):
    data = series.data.copy()
    data[2, 1] = 0
    kept = {}
    with pytest.raises(ColloidsError, match=r"frame 2, channel 1: .*constant"):
        run_into(kept, Stack(data, "tczyx"), Options(diameter=9), parts_of(range(4), [1]))
    assert list(kept) == [(0, 1), (1, 1)]


@pytest.mark.parametrize("wrong", [{"frames": [4]}, {"channels": [2]}, {"frames": []}, {"colour": "red"}])
def test_what_is_not_there_is_one_clear_error(series, wrong):
    with pytest.raises(ColloidsError):
        detect_series(series, diameter=9, **wrong)


def test_stopped_and_gone_on_is_the_same_as_in_one_go(series):
    parts = parts_of(range(4), [1])
    estimates: dict = {}
    whole, _ = run(series, Options(), parts, estimates=estimates)
    assert estimates[1].diameter == pytest.approx(10, rel=0.2)
    assert "channel" not in whole[parts[0]]

    kept: dict[Part, pd.DataFrame] = {}
    known: dict = {}
    steps = iter_detect_series(series, Options(), parts, kept.__setitem__, estimates=known)
    while len(kept) < 2:
        next(steps)
    steps.close()
    assert list(kept) == parts[:2]
    for _ in iter_detect_series(series, Options(), parts, kept.__setitem__, done=list(kept), estimates=known):
        assert len(kept) >= 2
    pd.testing.assert_frame_equal(pd.concat(kept.values()), pd.concat(whole.values()))


def test_the_diameter_is_estimated_once_a_channel(series):
    _, steps = run(series, Options(), parts_of(range(2), range(2)))
    estimating = {step.message.partition(",")[0] for step in steps if "estimating" in step.message}
    assert len(estimating) == 2


def test_a_single_volume_has_no_frame():
    stack = simulate(shape=(20, 36, 40), volume_fraction=0.4, radius=4, seed=1).stack
    tables, _ = run(stack, Options(diameter=8), parts_of([0], [0]))
    assert "frame" not in tables[Part(0, 0)]
