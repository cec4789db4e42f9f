"""Time series and channels: all of it, in parts, stopped and gone on with."""

from __future__ import annotations

import json

import dask.array
import numpy as np
import pandas as pd
import pytest

from napari_colloids import ColloidsError, Record
from napari_colloids.detection import Options, Part, detect, detect_series, iter_detect_series, parts_of
from napari_colloids.detection.measurement import forget
from napari_colloids.errors import UnusableVolumeError
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
    tables, steps = run(series, Options(diameter=9), parts_of(range(2), range(2)))
    assert list(tables) == [(f, c) for f in range(2) for c in range(2)]
    for part, table in tables.items():
        assert (table["frame"] == part.frame).all()
        assert (table["channel"] == part.channel).all()
        alone = detect(series, diameter=9, frame=part.frame, channel=part.channel)
        pd.testing.assert_frame_equal(table.drop(columns=["frame", "channel"]), alone)
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert steps[-1].done == steps[-1].total
    assert "3 of 4" in " ".join(step.message for step in steps)


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


def test_an_error_of_the_settings_says_in_which_volume(series):
    kept = {}
    stack = Stack(series.data, "tczyx", voxel_size=(0.2, 0.1, 0.1))
    with pytest.raises(ColloidsError, match=r"frame 2, channel 1: .*between"):
        run_into(kept, stack, Options(diameter_um=900), parts_of([2, 3], [1]))
    assert not kept


def lazily(data, broken):
    """Return a lazy series with a frame whose pixels cannot be read."""

    def frame(block_info=None):
        number = block_info[None]["array-location"][0][0]
        if number == broken:
            raise OSError(5, "Input/output error")
        return data[number : number + 1]

    chunks = ((1,) * len(data), *((n,) for n in data.shape[1:]))
    return dask.array.map_blocks(frame, chunks=chunks, dtype=data.dtype, meta=np.empty((0,) * data.ndim, data.dtype))


def spoilt(data, how):
    """Return a series whose second frame cannot be searched, and why."""
    if how == "constant":
        data[1] = 7
    elif how == "NaN":
        data = data.astype(np.float32)
        data[1] = np.nan
    elif how == "unreadable":
        data = lazily(data, 1)
    recorded = np.ones(data.shape[:2], bool)
    recorded[1] = how != "missing"
    return Stack(data, "tzyx", recorded=recorded)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("constant", "constant"),
        ("NaN", "no finite values"),
        ("missing", "not recorded"),
        ("unreadable", "unreadable ([Errno 5] Input/output error)"),
    ],
)
def test_a_bad_frame_is_a_row_in_the_record_and_not_the_end(series, how, reason):
    good = series.data[:3, 0]
    stack, options = spoilt(good.copy(), how), Options(diameter=9, method="log")
    found = detect_series(stack, options)
    expected = detect_series(good, options)
    pd.testing.assert_frame_equal(found, expected[expected["frame"] != 1].reset_index(drop=True))
    record = Record.from_attrs(found.attrs)
    assert record.unusable == ((1, 0, reason),)
    assert record.notices == (f"frame 1: {reason}, not searched",)
    assert "1 unusable" in repr(record)
    assert Record.from_attrs(json.loads(json.dumps(found.attrs))) == record
    with pytest.raises(UnusableVolumeError):
        detect_series(stack, options, frames=[1])


@pytest.mark.parametrize("how", ["constant", "unreadable"])
def test_the_diameter_is_estimated_in_the_first_good_frame(series, how):
    stack = spoilt(series.data[:3, 1].copy(), how)
    estimates: dict = {}
    tables, _ = run(stack, Options(method="log"), parts_of([1, 2, 0], [0]), estimates=estimates)
    assert estimates[0].frame == 2
    assert estimates[0].diameter == pytest.approx(10, rel=0.2)
    assert {table.attrs["diameter"] for part, table in tables.items() if part.frame != 1} == {estimates[0].diameter}


def test_only_the_channel_of_a_frame_that_is_bad_is_left_out(series):
    data = series.data[:2].copy()
    data[1, 0] = 0
    found = detect_series(data, channels=[0, 1], diameter=9, method="log")
    assert set(zip(found["frame"], found["channel"], strict=True)) == {(0, 0), (0, 1), (1, 1)}
    assert found.attrs["notices"] == ["frame 1, channel 0: constant, not searched"]


def test_a_series_without_any_good_frame_is_one_clear_error(series):
    with pytest.raises(ColloidsError, match=r"None of 4 volumes can be searched: frames 0-3: constant"):
        detect_series(np.zeros_like(series.data[:, 0]), diameter=9, method="log")


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
    forget()
    _, steps = run(series, Options(), parts_of(range(2), range(2)))
    estimating = {step.message.partition(",")[0] for step in steps if "estimating" in step.message}
    assert len(estimating) == 2


def test_a_single_volume_has_no_frame():
    stack = simulate(shape=(20, 36, 40), volume_fraction=0.4, radius=4, seed=1).stack
    tables, _ = run(stack, Options(diameter=8), parts_of([0], [0]))
    assert "frame" not in tables[Part(0, 0)]
