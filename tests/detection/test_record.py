"""The record of a run: complete, and the same after a file."""

import json
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_colloids import PSF, ColloidsError, Options, Record, Region, __version__, detect, refine
from napari_colloids.detection.record import OPTICS
from napari_colloids.detection.unusable import Unusable
from napari_colloids.simulation import simulate

numbers = st.floats(0, 1e6)
plain = st.none() | st.booleans() | st.integers() | numbers | st.text() | st.lists(numbers)
records = st.builds(
    Record,
    diameter=numbers,
    diameter_estimated=st.booleans(),
    diameter_certain=st.booleans(),
    negative_certain=st.booleans(),
    threshold=numbers,
    dark=st.booleans(),
    method=st.text(),
    device=st.text(),
    seconds=st.floats(1e-3, 1e6),
    mvoxel_per_s=numbers,
    notices=st.lists(st.text()).map(tuple),
    optics=st.dictionaries(st.sampled_from(OPTICS), numbers | st.lists(numbers)),
    version=st.text(),
    weights_sha256=st.text(),
    settings=st.dictionaries(st.sampled_from([one.name for one in fields(Options)]), plain),
    region=st.dictionaries(st.sampled_from(["z_range", "outlines", "mask"]), plain),
    voxel_size=st.none() | st.tuples(numbers, numbers, numbers),
    assumed=st.text("zyx", max_size=3),
    unusable=st.lists(st.builds(Unusable, st.integers(0, 99), st.integers(0, 9), st.text())).map(tuple),
)


@settings(max_examples=50)
@given(records)
def test_a_record_survives_json(record):
    assert Record.from_attrs(json.loads(json.dumps(record.to_attrs()))) == record


@settings(max_examples=25)
@given(records)
def test_a_repr_is_short(record):
    shown = repr(Record.from_attrs({**record.to_attrs(), "method": "log", "device": "cpu"}))
    assert shown.startswith("Record(log on cpu, diameter ")
    assert len(shown) < 250


@settings(max_examples=25)
@given(records, st.dictionaries(st.text(), plain))
def test_other_entries_are_left_out(record, others):
    assert Record.from_attrs({**others, **record.to_attrs()}).to_attrs().keys() == record.to_attrs().keys()


@settings(max_examples=25)
@given(st.lists(records, min_size=1, max_size=4))
def test_a_series_has_the_time_and_the_notices_of_all_its_volumes(every):
    merged = Record.merged(every)
    assert merged.seconds == pytest.approx(sum(one.seconds for one in every))
    assert merged.mvoxel_per_s * merged.seconds == pytest.approx(sum(one.mvoxel_per_s * one.seconds for one in every))
    assert set(merged.notices) >= {notice for one in every for notice in one.notices}
    assert merged.unusable == sum((one.unusable for one in every), ())
    assert merged.settings == every[0].settings


@settings(max_examples=50)
@given(records, records)
def test_a_record_is_told_by_its_difference_from_another(one, other):
    assert other.with_difference(json.loads(json.dumps(one.difference(other)))) == one


def test_what_is_no_record():
    with pytest.raises(ColloidsError, match="does not say how"):
        Record.from_attrs({"diameter": 3.0})
    for unusable in (3, [3], [[1, 2]]):
        with pytest.raises(ColloidsError, match="does not say how"):
            Record.from_attrs({"unusable": unusable})
    with pytest.raises(ColloidsError, match="No frame"):
        Record.merged([])


@pytest.fixture(scope="module")
def small():
    return simulate(shape=(24, 26, 28), volume_fraction=0.3, radius=4, psf_sigma=(1.5, 1, 1), snr=8, cnr=8, seed=2)


@pytest.fixture(scope="module")
def psf():
    z, y, x = np.mgrid[-12:13, -10:11, -10:11]
    return PSF.measured((200 * np.exp(-((z / 1.6) ** 2 + (y / 1.1) ** 2 + (x / 1.1) ** 2) / 2)).astype(np.float32))


@pytest.mark.parametrize("measured", [False, True])
def test_a_run_can_be_repeated_from_its_record(small, psf, measured):
    region = Region((2, 20), [np.array([[1, 1], [1, 25], [22, 25], [22.5, 1]])])
    options = Options(diameter=8, method="log", threshold=0.2, border=1.5, refine=True, psf=psf if measured else None)
    found = detect(small.stack, options, region=region)
    record = Record.from_attrs(json.loads(json.dumps(found.attrs)))
    assert record.version == __version__
    assert len(record.weights_sha256) == 64
    assert record.options() == options
    again = detect(small.stack, record.options(), region=Region(**record.region))
    pd.testing.assert_frame_equal(again, found)
    assert {**again.attrs, "seconds": 0, "mvoxel_per_s": 0} == {**found.attrs, "seconds": 0, "mvoxel_per_s": 0}


def test_all_that_the_refinement_measures_is_in_the_record(small):
    refined = refine(small.stack, small.particles)
    assert set(refined.attrs) - {"notices"} == set(OPTICS)


def test_why_nothing_was_refined_is_in_the_record(small):
    found = detect(small.stack, diameter=8, method="log")
    known = {"psf_sigma": [5.0, 1.5], "not_refined": "the errors are too large"}
    record = Record.from_attrs({**found.attrs, **known})
    assert record.to_attrs() == {**found.attrs, **known}
    assert "refined" not in repr(record)
    assert "refined" in repr(Record.from_attrs({**found.attrs, "psf_sigma": [5.0, 1.5]}))


def test_a_mask_is_noted(small):
    found = detect(small.stack, diameter=8, method="log", region=Region(mask=np.ones(small.stack.shape, bool)))
    assert Record.from_attrs(found.attrs).region == {"mask": True}
