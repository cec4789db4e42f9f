"""Random artefacts of real microscopes: haze, scan-line jitter, dim slices, saturation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from napari_colloids.simulation.exposure import smooth_field
from napari_colloids.training.draws import log_uniform

if TYPE_CHECKING:
    from numpy.random import Generator

Image = NDArray[np.float32]

#: Largest shift of a scanned line, in voxels.
_MAX_JITTER_VOXELS = 2


def with_artefacts(image: NDArray[np.uint8] | NDArray[np.uint16], rng: Generator) -> Image:
    """Return an image with artefacts, each of them rare: most images have none."""
    disturbed = image.astype(np.float32)
    top = float(disturbed.max()) or 1.0
    if rng.random() < 0.15:
        disturbed += top * float(rng.uniform(0, 0.5)) * (1 + smooth_field(image.shape, rng)) / 2
    if rng.random() < 0.1:
        disturbed = _jitter(disturbed, rng)
    if rng.random() < 0.08:
        disturbed *= rng.uniform(0.7, 1.0, (image.shape[0], 1, 1)).astype(np.float32)
    if rng.random() < 0.04:  # laser drop-out
        disturbed[rng.integers(image.shape[0])] *= float(rng.uniform(0, 0.5))
    if rng.random() < 0.12:
        disturbed = np.minimum(disturbed, top * float(rng.uniform(0.55, 0.9)))
    if disturbed.min() == disturbed.max():  # all dark or saturated: a detector still adds noise
        disturbed += rng.standard_normal(image.shape, dtype=np.float32)
    return disturbed


def _jitter(image: Image, rng: Generator) -> Image:
    """Shift the scanned lines along x, neighbouring ones alike, by half a voxel or so, rarely by two."""
    rows = image.shape[1]
    correlation = min(log_uniform(rng, 0.5, 6.0), rows / 2)
    shift = gaussian_filter1d(rng.standard_normal(image.shape[:2]), correlation, axis=1)
    shift *= float(rng.uniform(0.1, 0.8)) / max(float(shift.std()), 1e-6)
    columns = np.arange(image.shape[2]) - np.clip(shift, -_MAX_JITTER_VOXELS, _MAX_JITTER_VOXELS)[..., None]
    left = np.floor(columns)
    part = (columns - left).astype(np.float32)
    first = np.clip(left, 0, image.shape[2] - 1).astype(np.intp)
    second = np.clip(left + 1, 0, image.shape[2] - 1).astype(np.intp)
    return (1 - part) * np.take_along_axis(image, first, 2) + part * np.take_along_axis(image, second, 2)
