"""g(r), S(q) and excess entropy of a fluid of hard spheres in a window, against theory and the periodic box."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from napari_colloids import ColloidsError
from napari_colloids.particles import particle_table
from napari_colloids.simulation.arrangement import Composition, arrange
from napari_colloids.simulation.hard_spheres import HardSpheres
from napari_colloids.structure import (
    excess_entropy,
    hard_sphere_contact_value,
    hard_sphere_structure_factor,
    pair_correlation,
    structure_factor,
)

PHI = 0.3
WINDOW = 120  # voxels; diameter 10


@pytest.fixture(scope="module")
def windows():
    """Six windows of 12 diameters of an equilibrium fluid, two of each of three independent periodic boxes."""
    frames = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        spheres = HardSpheres(arrange("random", (15.0,) * 3, Composition(PHI, 0.5), rng))
        spheres.move(0.5, rng)
        places = spheres.arrangement().positions
        for corner in (0.0, 3.0):
            inside = np.all((places >= corner) & (places < corner + 12), axis=1)
            frames.append(particle_table(10 * (places[inside] - corner) - 0.5, frame=len(frames)))
    return pd.concat(frames, ignore_index=True)


def test_structure_factor_of_a_window_is_that_of_theory(windows):
    found = structure_factor(windows, shape=(WINDOW,) * 3, max_q=1.5, bins=30)
    theory = hard_sphere_structure_factor(found.q, PHI, diameter=10)
    trusted = found.q > found.lowest
    assert np.abs(found.s - theory)[trusted].max() < 0.1
    assert np.abs(found.s / theory - 1)[found.q > 0.5].mean() < 0.03
    # The window blurs the direct one, which is higher where S(q) is low.
    assert np.abs(found.direct - theory)[found.q > 0.5].mean() < 0.06
    q, s = found.peak
    assert 10 * q == pytest.approx(6.5, abs=0.3)
    assert s == pytest.approx(theory.max(), rel=0.06)


def test_contact_value_and_excess_entropy_are_those_of_theory(windows):
    found = pair_correlation(windows, shape=(WINDOW,) * 3, cutoff=40, bins=400)
    near = (found.r > 10) & (found.r < 11)
    slope, start = np.polyfit(found.r[near] - 10, np.log(found.g[near]), 1)
    assert np.exp(start) == pytest.approx(hard_sphere_contact_value(PHI), rel=0.04)
    assert slope < 0
    assert not found.g[found.r < 9.9].any()
    # Pairs have most of the excess entropy of Carnahan and Starling.
    full = -PHI * (4 - 3 * PHI) / (1 - PHI) ** 2
    density = PHI / (np.pi / 6 * 1000)
    assert 0.75 * full > excess_entropy(found, density) > full


def test_error_is_the_scatter_between_samples(windows):
    found = [pair_correlation(frame, shape=(WINDOW,) * 3, cutoff=30, bins=15) for _, frame in windows.groupby("frame")]
    scatter = np.std([one.g for one in found], axis=0, ddof=1)[5:]
    told = np.mean([one.error for one in found], axis=0)[5:]
    assert 0.5 < np.median(told / scatter) < 2


def test_noise_of_g_does_not_add_to_the_entropy(gas):
    gases = [pair_correlation(gas(300, (50,) * 3, seed), shape=(50,) * 3, cutoff=8, bins=50) for seed in range(20)]
    entropies = [excess_entropy(one, 300 / 50**3) for one in gases]
    noise = -np.pi * 300 / 50**3 * np.mean([np.sum((one.error * one.r) ** 2) * 8 / 50 for one in gases])
    assert abs(np.mean(entropies)) < 0.3 * abs(noise)


def test_theory_has_its_limits():
    q = np.linspace(0.001, 60, 500)
    dilute = hard_sphere_structure_factor(q, 1e-4, diameter=1)
    np.testing.assert_allclose(dilute, 1, atol=1e-3)
    dense = hard_sphere_structure_factor(q, 0.45, diameter=1)
    assert dense[-1] == pytest.approx(1, abs=0.05)
    plain = hard_sphere_structure_factor(q, 0.45, diameter=1, verlet_weis=False)
    assert plain.max() > dense.max() > 2
    for wrong in ((0, 1), (0.8, 1), (0.3, 0)):
        with pytest.raises(ColloidsError, match="volume fraction"):
            hard_sphere_structure_factor(q, wrong[0], diameter=wrong[1])


def test_settings_that_cannot_be_used_are_refused(windows):
    with pytest.raises(ColloidsError, match="positive"):
        structure_factor(windows, max_q=0)
    with pytest.raises(ColloidsError, match="two particles"):
        structure_factor(np.zeros((1, 3)))
