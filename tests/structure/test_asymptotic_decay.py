"""g(r) of a fluid goes on beyond the window as the damped oscillation that it decays in; nothing else does."""

from functools import cache

import numpy as np
import pytest

from napari_colloids.structure import PairCorrelation, hard_sphere_structure_factor
from napari_colloids.structure.asymptotic_decay import asymptotic_decay
from napari_colloids.structure.structure_factor import _transformed

R = np.arange(0.005, 6, 0.01)


def noisy(g, error, seed=0):
    """Return g(r) with errors as of pairs counted in bins: smaller further out."""
    errors = error / R
    return g + errors * np.random.default_rng(seed).standard_normal(len(R)), errors


@cache
def hard_sphere_g(phi):
    """Return g(r) of hard spheres of diameter 1 as the transform of their theoretical S(q)."""
    q = np.arange(0.005, 250, 0.01)
    part = (hard_sphere_structure_factor(q, phi, 1.0) - 1) * q**2 * np.exp(-((q / 125) ** 2))
    return 1 + np.sinc(np.outer(R, q) / np.pi) @ part * 0.01 / (2 * np.pi**2 * 6 * phi / np.pi)


@pytest.mark.parametrize(("decay", "wave_number"), [(0.6, 6.5), (0.9, 7.1), (1.2, 7.8)])
def test_a_damped_oscillation_is_found(decay, wave_number):
    truth = np.exp(-decay * R) * (2 * np.cos(wave_number * R) + np.sin(wave_number * R)) / R
    g, error = noisy(1 + truth, 0.003)
    found = asymptotic_decay(R, g, error, spacing=1.0)
    assert (found.decay, found.wave_number) == pytest.approx((decay, wave_number), rel=0.03)
    far = R > 3
    np.testing.assert_allclose(found(R[far]), truth[far], atol=0.003)


@pytest.mark.parametrize("unit", [0.1, 1.0, 12.0])
def test_lengths_scale(unit):
    g, error = noisy(hard_sphere_g(0.45), 0.003)
    one, scaled = (asymptotic_decay(R * scale, g, error, spacing=1.05 * scale) for scale in (1.0, unit))
    assert scaled.decay * unit == pytest.approx(one.decay, rel=1e-3)
    np.testing.assert_allclose(scaled(unit * R[300:]), one(R[300:]), atol=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_not_continued(seed):
    g, error = noisy(np.ones(len(R)), 0.01, seed)
    assert asymptotic_decay(R, g, error, spacing=1.0) is None


def test_a_crystal_is_not_continued():
    cells = np.stack(np.meshgrid(*3 * [np.arange(-6, 7)], indexing="ij"), axis=-1).reshape(-1, 3)
    basis = np.array([[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]]) / 2
    lengths = np.linalg.norm((cells[:, None] + basis).reshape(-1, 3), axis=1) / 4 ** (-1 / 3)
    shells = np.histogram(lengths[lengths > 0.1], bins=np.append(R - 0.005, R[-1] + 0.005))[0]
    kernel = np.exp(-0.5 * (np.arange(-20, 21) / 5) ** 2)
    g = np.convolve(shells, kernel / kernel.sum(), mode="same") / (4 * np.pi * R**2 * 0.01)
    assert asymptotic_decay(R, g, 0.02 / R, spacing=1.0) is None


@pytest.mark.parametrize("phi", [0.1, 0.3, 0.45, 0.49])
def test_the_structure_factor_of_a_short_g_is_that_of_the_whole(phi):
    density = 6 * phi / np.pi
    g, error = noisy(hard_sphere_g(phi), 0.002)
    q = np.linspace(4, 15, 60)
    found = _transformed(PairCorrelation(R, g, unit="px", error=error), density, q)
    np.testing.assert_allclose(found, hard_sphere_structure_factor(q, phi, 1.0), rtol=0.01, atol=0.005)
