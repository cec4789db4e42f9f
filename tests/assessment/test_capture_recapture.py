"""Numbers of particles from two detections of known detectability."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_colloids.assessment import chapman


def counts(p, q, rng):
    """Counts of two independent detections with these probabilities for each particle."""
    one, other = rng.uniform(size=len(p)) < p, rng.uniform(size=len(q)) < q
    return int(one.sum()), int(other.sum()), int((one & other).sum())


def test_number_is_that_of_the_particles_and_mostly_in_the_interval():
    rng = np.random.default_rng(0)
    p, q = np.full(400, 0.8), np.full(400, 0.6)
    estimates = [chapman(*counts(p, q, rng)) for _ in range(100)]
    assert np.mean([estimate.number.value for estimate in estimates]) == pytest.approx(400, rel=0.01)
    assert np.mean([estimate.number.low <= 400 <= estimate.number.high for estimate in estimates]) >= 0.9
    scatter = np.std([estimate.number.value for estimate in estimates])
    assert np.mean([estimate.error for estimate in estimates]) == pytest.approx(scatter, rel=0.25)


def test_number_is_a_lower_bound_where_some_are_more_easily_found():
    rng = np.random.default_rng(1)
    p = np.repeat([0.95, 0.3], 20_000)
    estimate = chapman(*counts(p, p, rng)).number
    assert estimate.high < len(p)
    assert estimate.value == pytest.approx(p.sum() ** 2 / (p**2).sum(), rel=0.01)


@settings(max_examples=60)
@given(st.integers(0, 800), st.integers(0, 400), st.integers(0, 400))
def test_interval_holds_the_number_and_what_was_seen(both, alone, other):
    estimate = chapman(both + alone, both + other, both)
    assert both + alone + other <= estimate.number.low <= estimate.number.value <= estimate.number.high
    assert chapman(both + other, both + alone, both).number == estimate.number
    assert chapman(both + alone + 1, both + other + 1, both + 1).number.value <= estimate.number.value + 1
    assert np.isfinite(estimate.error)


def test_without_any_in_both_there_may_be_any_number():
    assert chapman(20, 30, 0).number.high == np.inf
    assert chapman(0, 0, 0).number.value == 0
    everything = chapman(20, 20, 20).number
    assert everything.value == everything.low == 20
    assert everything.high > 20  # one more might not have shown
