"""Sample, measurement, interval and comparison."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import napari_colloids as nc
from napari_colloids.assessment.contact_edge import contact_edge
from napari_colloids.assessment.description import FEATURES, compared, reasons_of
from napari_colloids.assessment.measurement import measured, slice_jitter
from napari_colloids.assessment.ratio import ratio_interval
from napari_colloids.assessment.sample import MIN_SATURATED_FRACTION, Sample
from napari_colloids.assessment.twin import Twin, corrected, is_lost, twin_parameters
from napari_colloids.detection import Part
from napari_colloids.simulation.arrangement import Composition, arrange
from napari_colloids.stack import Stack


@pytest.fixture(scope="module")
def simulation():
    return nc.simulate(
        shape=(32, 48, 48), volume_fraction=0.4, radius=4, psf_sigma=(2, 1, 1), snr=6, cnr=5, depth_loss=0.4, seed=2
    )


def sample_of(image, dark=False, **how):
    return Sample.of(Stack(image, **how), Part(), 8.0, dark=dark)


def test_twin_gets_the_parameters_of_the_simulation(simulation):
    sample = sample_of(np.asarray(simulation.stack.data))
    target = measured(sample.stack, simulation.particles, 8.0)
    twin, true = twin_parameters(target, sample, 0.4), simulation.parameters
    assert twin.radius == pytest.approx(true.radius, rel=0.03)
    assert twin.psf_sigma == pytest.approx(true.psf_sigma, rel=0.15)
    assert (twin.snr, twin.cnr) == pytest.approx((true.snr, true.cnr), rel=0.15)
    assert twin.brightness == pytest.approx(true.brightness, rel=0.1)
    assert twin.depth_loss == pytest.approx(true.depth_loss, abs=0.08)
    assert (twin.shape, twin.bits) == (true.shape, true.bits)


def twin_of(simulation, particles):
    """Return a twin in which these true particles are found."""
    found = particles.assign(confidence=0.9)
    scored = nc.score(simulation.particles, found, diameter=8, shape=simulation.stack.shape)
    return Twin(simulation, found, found, scored, scored.curve)


def test_what_is_missed_in_a_twin_is_missed_in_the_sample(simulation):
    """A sample in which a third less is found than there is has a twin that is denser than what is found."""
    sample = sample_of(np.asarray(simulation.stack.data))
    seen = simulation.particles.iloc[::3]
    two_thirds = simulation.particles.drop(seen.index)
    target = measured(sample.stack, two_thirds, 8.0)
    _, fraction = corrected(target, target, twin_of(simulation, two_thirds))
    assert fraction == pytest.approx(simulation.volume_fraction)
    _, fraction = corrected(target, target, twin_of(simulation, simulation.particles))
    assert fraction == pytest.approx(simulation.volume_fraction * 2 / 3, rel=0.02)
    lost = twin_of(simulation, simulation.particles.iloc[:10])
    assert is_lost(lost, target)
    assert corrected(target, target, lost) == (target, simulation.volume_fraction)


@pytest.mark.parametrize(
    ("change", "dark"),
    [
        (lambda image: image.astype(np.uint16) * 37 + 1200, False),
        (lambda image: image.astype(np.float32) / 255 - 3, False),
        (lambda image: 255 - image, True),
    ],
    ids=["offset and gain of 16 bits", "floats below zero", "dark"],
)
def test_offset_gain_type_and_sign_of_the_grey_levels_do_not_matter(simulation, change, dark):
    image = np.asarray(simulation.stack.data)
    one, other = (
        measured(sample.stack, simulation.particles, 8.0)
        for sample in (sample_of(image), sample_of(change(image), dark))
    )
    for name in ("radius", "snr", "cnr", "psf_sigma", "decay"):
        assert getattr(other, name) == pytest.approx(getattr(one, name), rel=0.05, abs=0.02), name


def test_sample_is_the_middle_of_the_longest_recorded_part_of_a_large_stack():
    image = np.arange(300 * 200 * 220, dtype=np.float32).reshape(300, 200, 220)
    recorded = np.ones(300, bool)
    recorded[40] = False
    stack = Stack(image, recorded=recorded)
    sample = Sample.of(stack, Part(), 10.0, dark=False)
    assert sample.stack.shape == (128, 80, 80)
    first = sample.offset
    assert first == pytest.approx(image[41 + (259 - 128) // 2, 60, 70], rel=1e-6)


def test_saturation_is_seen_and_keeps_the_highest_level():
    rng = np.random.default_rng(0)
    image = rng.normal(3000, 800, (16, 40, 40)).clip(0, 4095).astype(np.uint16)
    sample = sample_of(image)
    assert sample.saturated > MIN_SATURATED_FRACTION
    assert sample.image.max() == 65535
    dim = sample_of(rng.normal(2000, 100, (16, 40, 40)).astype(np.uint16))
    assert dim.saturated < MIN_SATURATED_FRACTION
    assert dim.image.max() < 0.8 * 65535  # as noise of a twin may be brighter


@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(0, 200)), min_size=2, max_size=8),
    st.integers(1, 5000),
)
def test_interval_of_a_ratio_lies_between_0_and_1_and_holds_it(parts, count):
    hits, totals = [hit for hit, _ in parts], [hit + missed for hit, missed in parts]
    interval = ratio_interval(hits, totals, count)
    assert 0 <= interval.low <= interval.value <= interval.high <= 1
    assert interval.value == pytest.approx(sum(hits) / sum(totals))


def test_interval_is_wider_where_there_are_fewer_particles_or_twins_differ():
    def width(hits, count):
        interval = ratio_interval(hits, [100] * len(hits), count)
        return interval.high - interval.low

    assert width([90, 90, 90], 1000) < width([90, 90, 90], 20)
    assert width([90, 90, 90], 1000) < width([80, 90, 100], 1000)
    assert ratio_interval([99, 100, 99], [100] * 3, 50).high == 1  # none of so few need be missed
    assert ratio_interval([99, 100, 99], [100] * 3, 5000, mismatch=0).high < 1
    assert ratio_interval([96, 97, 97], [100] * 3, 200).high == 1  # to half a particle


def test_what_differs_by_more_than_twins_do_is_said_once_the_largest_first():
    twins = [dict.fromkeys(FEATURES, value) for value in (0.0, 0.001, -0.001)]
    same = compared(dict.fromkeys(FEATURES, 0.0), twins)
    assert (same["difference"] < 0.1).all()
    assert reasons_of(same) == []
    sample = dict.fromkeys(FEATURES, 0.0) | {"nearest neighbour, 5 %": 0.3, "nearest neighbour, 25 %": 0.3, "jitter": 5}
    jitter, near = reasons_of(compared(sample, twins))
    assert "slices" in jitter
    assert "neighbours" in near
    unknown = compared(dict.fromkeys(FEATURES, 0.0) | {"radius": np.nan}, twins)
    assert np.isinf(unknown.loc["radius", "difference"])
    both = compared(dict.fromkeys(FEATURES, np.nan), [dict.fromkeys(FEATURES, np.nan)] * 2)
    assert (both["difference"] == 0).all()


def test_jitter_is_the_shift_of_neighbouring_slices():
    rng = np.random.default_rng(1)
    slice_ = rng.random((64, 64)).astype(np.float32)
    assert slice_jitter(np.stack([slice_] * 6)) == 0
    shifts = [(0, 0), (3, -2), (0, 0), (3, -2)]
    steps = np.diff(shifts, axis=0)
    assert slice_jitter(np.stack([np.roll(slice_, move, (0, 1)) for move in shifts])) == pytest.approx(np.std(steps))


def test_contact_edge_tells_errors_across_and_along_z():
    across, along = 0.3, 0.6
    packed = arrange("random", (90.0, 90.0, 90.0), Composition(0.5, 6.0, 0.03), np.random.default_rng(1))
    moved = packed.positions + np.random.default_rng(2).normal(0, [along, across, across], packed.positions.shape)
    edge = contact_edge(moved, 12.0)
    assert edge.contact == pytest.approx(12, rel=0.03)
    assert edge.localisation_errors(0.03) == pytest.approx((along, across), rel=0.35)
    assert edge.localisation_errors(0.2) is None


def test_contact_edge_needs_particles_that_touch():
    far = 30.0 * np.indices((8, 8, 8)).reshape(3, -1).T
    assert contact_edge(far, 12.0) is None


def test_too_few_particles_to_measure_with_say_so(simulation):
    sample = sample_of(np.asarray(simulation.stack.data))
    none = pd.DataFrame({"z": [], "y": [], "x": [], "radius": []}, dtype=float)
    assert "particles" in measured(sample.stack, none, 8.0)
