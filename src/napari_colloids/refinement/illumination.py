"""Illumination: the part of the brightness of the particles that varies smoothly with their position."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_colloids.refinement.grid import Box
    from napari_colloids.refinement.model import Model
    from napari_colloids.refinement.spheres import Array

#: Spheres darker than this, over the median brightness, are no measure of the illumination.
_MIN_RELATIVE_BRIGHTNESS = 0.3
#: Ridge added to the sums of squares of the terms: particles all in one plane tell little of a slope.
_RIDGE = 1.0
#: A term must explain this many times the variance that chance alone would.
_MIN_VARIANCE_RATIO = 4.0


def with_fitted_illumination(model: Model, box: Box) -> Model:
    """Return the model with the smooth part of the brightness of its spheres moved into the illumination."""
    spheres = model.spheres
    last = box.low + np.array(box.shape) - 1
    terms = box.basis.at(np.clip(spheres.positions, box.low, last))[1:]
    used = spheres.brightness > _MIN_RELATIVE_BRIGHTNESS * np.median(spheres.brightness)
    # The brightness of a sphere outside the box depends as much on its position as on the illumination.
    used &= np.all((spheres.positions > box.low) & (spheres.positions < last), axis=1)
    known = terms[:, used]
    illumination = _coefficients(known, np.log(spheres.brightness[used]) + model.illumination @ known)
    brightness = spheres.brightness * np.exp((model.illumination - illumination) @ terms)
    return replace(model, spheres=replace(spheres, brightness=brightness), illumination=illumination)


def _coefficients(terms: Array, log_brightness: Array) -> Array:
    """Return the coefficients of terms ``(K, N)`` in the logarithm of the brightness of N spheres.

    Particles of unequal brightness alone resemble an uneven illumination, the more so the fewer there are. What is no
    more than their spread explains is left out, and the rest shrunk by as much (the non-negative garrote: Breiman,
    Technometrics 37, 373, 1995), along the principal axes of the terms.
    """
    n_terms, count = terms.shape
    if count <= n_terms + 1:
        return np.zeros(n_terms)
    terms = terms - terms.mean(axis=1, keepdims=True)
    log_brightness = log_brightness - log_brightness.mean()
    strength, directions = np.linalg.eigh(terms @ terms.T)
    strength = strength + _RIDGE
    along = directions.T @ terms @ log_brightness
    explained = along**2 / strength
    variance = (log_brightness @ log_brightness - explained.sum()) / (count - n_terms - 1)
    kept = np.maximum(1 - _MIN_VARIANCE_RATIO * variance / np.maximum(explained, 1e-12), 0)
    return np.asarray(directions @ (kept * along / strength))
