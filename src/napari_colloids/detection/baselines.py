"""The methods to compare with: trackpy's centroid finding and blobs by the Laplacian of Gaussian (LoG).

References
----------
Crocker and Grier, J. Colloid Interface Sci. 179, 298 (1996); Allan et al., trackpy, doi:10.5281/zenodo.4682814.
Lindeberg, Feature detection with automatic scale selection, IJCV 30, 79 (1998).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

from napari_colloids.detection.candidates import Candidates

if TYPE_CHECKING:
    from napari_colloids.stack import VoxelSize

Image = NDArray[np.float32]

#: One second derivative along each axis.
_SECOND = ((2, 0, 0), (0, 2, 0), (0, 0, 2))


@dataclass(frozen=True)
class TrackpySettings:
    """How trackpy is called, in units of the particle's diameter where that makes sense.

    The defaults were tuned on dense, noisy samples (``napari-colloids benchmark challenge-test``), where trackpy's own
    (separation = diameter + 1) would lose every touching neighbour.

    Attributes
    ----------
    diameter
        Size of the mask over the particle's diameter; rounded to an odd number of voxels.
    elongation
        Height of the mask over its width: the PSF draws particles out along z.
    separation
        Smallest distance between two centres over the diameter.
    noise
        Width of the smoothing Gaussian over the diameter.
    smoothing
        Width of the boxcar that takes out the background, over the diameter.
    """

    diameter: float = 0.75
    elongation: float = 1.0
    separation: float = 0.55
    noise: float = 0.16
    smoothing: float = 1.25


@dataclass(frozen=True)
class LogSettings:
    """How blobs are found; the defaults were tuned like those of `TrackpySettings`.

    Attributes
    ----------
    sigma
        Width of the Gaussian over ``radius / sqrt(3)``, which is where a ball answers most.
    elongation
        Width of the Gaussian along z over that across.
    separation
        Edge of the box in which only the highest response counts, over the diameter.
    """

    sigma: float = 0.9
    elongation: float = 0.85
    separation: float = 0.8


def locate_trackpy(
    image: Image, diameter: float, proportions: VoxelSize, settings: TrackpySettings | None = None
) -> Candidates:
    """Find particles with ``trackpy.locate``.

    Parameters
    ----------
    image
        Normalised volume ``(z, y, x)``.
    diameter
        In voxels along x.
    proportions
        Edges ``(z, y, x)`` of a voxel over the one along x.
    settings
        How to call it.

    Returns
    -------
    Candidates
        In voxels; the confidence is the integrated brightness ("mass") over that of the clearest particles, at most 1,
        as trackpy knows no probability.

    Notes
    -----
    trackpy drops everything within a mask or so of the edge. The image is therefore continued as in a mirror, and what
    is found beyond its edge is dropped.
    """
    import trackpy

    settings = settings or TrackpySettings()
    sizes = diameter / np.array(proportions)
    mask = [_odd(settings.diameter * s * e) for s, e in zip(sizes, (settings.elongation, 1, 1), strict=True)]
    smoothing = [_odd(settings.smoothing * s) for s in sizes]
    margin = [max(m, s) // 2 + 1 for m, s in zip(mask, smoothing, strict=True)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # trackpy warns of particles that it drops at the edge
        found = trackpy.locate(
            np.pad(np.maximum(image, 0), [(m, m) for m in margin], mode="symmetric"),
            diameter=mask,
            separation=[max(1.0, settings.separation * s) for s in sizes],
            noise_size=[settings.noise * s for s in sizes],
            smoothing_size=smoothing,
            engine="numba",
        )
    if len(found) == 0:
        return Candidates.joined([])
    positions = found[["z", "y", "x"]].to_numpy(dtype=float) - margin
    inside = np.all((positions >= -0.5) & (positions < np.array(image.shape) - 0.5), axis=1)
    mass = found["mass"].to_numpy(dtype=float)[inside]
    return Candidates(positions[inside], np.full(len(mass), diameter / 2), _relative(mass))


def locate_log(
    image: Image, diameter: float, proportions: VoxelSize, floor: float, settings: LogSettings | None = None
) -> Candidates:
    """Find the maxima of the negative Laplacian of Gaussian whose width fits the particle, with sub-voxel parabolas.

    Parameters
    ----------
    image
        Normalised volume ``(z, y, x)``.
    diameter
        In voxels along x.
    proportions
        Edges ``(z, y, x)`` of a voxel over the one along x.
    floor
        Smallest confidence that is kept.
    settings
        How to look.

    Returns
    -------
    Candidates
        In voxels; the confidence is the response over that of the clearest particles, at most 1.
    """
    settings = settings or LogSettings()
    sizes = diameter / np.array(proportions)
    sigma = settings.sigma * np.array([settings.elongation, 1, 1]) * sizes / 2 / np.sqrt(3)
    # Per axis in units of its own width, or a wider z would hardly count.
    response = -sum(s**2 * gaussian_filter(image, sigma, order=order) for s, order in zip(sigma, _SECOND, strict=True))
    peaks = (maximum_filter(response, size=[_odd(settings.separation * s) for s in sizes]) == response) & (response > 0)
    index = np.argwhere(peaks)
    if len(index) == 0:
        return Candidates.joined([])
    confidence = _relative(response[peaks].astype(float))
    kept = confidence >= floor
    index, confidence = index[kept], confidence[kept]
    return Candidates(_parabolic(response, index), np.full(len(index), diameter / 2), confidence)


def _parabolic(response: Image, index: NDArray[np.intp]) -> NDArray[np.float64]:
    """Move each maximum to the top of the parabola through it and its two neighbours, axis by axis."""
    positions = index.astype(float)
    for axis, length in enumerate(response.shape):
        inner = (index[:, axis] > 0) & (index[:, axis] < length - 1)
        step = np.zeros(3, int)
        step[axis] = 1
        here = index[inner]
        left, centre, right = (response[tuple((here + k * step).T)].astype(float) for k in (-1, 0, 1))
        curvature = left - 2 * centre + right
        shift = np.divide(left - right, 2 * curvature, out=np.zeros_like(centre), where=curvature < 0)
        positions[inner, axis] += np.clip(shift, -0.5, 0.5)
    return positions


def _relative(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values over their 95th percentile, between 0 and 1."""
    top = float(np.percentile(values, 95)) if len(values) else 0.0
    return np.clip(values / top, 0, 1) if top > 0 else np.zeros(len(values))


def _odd(value: float) -> int:
    return max(3, 2 * round((value - 1) / 2) + 1)
