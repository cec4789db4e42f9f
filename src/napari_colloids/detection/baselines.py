"""The methods to compare with: trackpy's centroid finding and blobs by the Laplacian of Gaussian (LoG).

References
----------
Crocker and Grier, J. Colloid Interface Sci. 179, 298 (1996); Allan et al., trackpy, doi:10.5281/zenodo.4682814.
Lindeberg, Feature detection with automatic scale selection, IJCV 30, 79 (1998).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_laplace, maximum_filter

from napari_colloids.detection.candidates import Candidates

Image = NDArray[np.float32]

#: Edge of the box in which only the highest response counts, over the diameter.
_LOG_SEPARATION = 0.8


@dataclass(frozen=True)
class TrackpySettings:
    """How trackpy is called, in units of the particle's diameter where that makes sense.

    The defaults suit dense samples, where trackpy's own (separation = diameter + 1) would lose every touching
    neighbour.

    Attributes
    ----------
    diameter
        Size of the mask over the particle's diameter; rounded to an odd number of voxels.
    separation
        Smallest distance between two centres over the diameter.
    noise_size
        Width of the smoothing Gaussian in voxels.
    smoothing
        Width of the boxcar that takes out the background, over the diameter.
    """

    diameter: float = 0.7
    separation: float = 0.65
    noise_size: float = 1.5
    smoothing: float = 1.0


def locate_trackpy(
    image: Image, diameter: float, aspect: float, settings: TrackpySettings | None = None
) -> Candidates:
    """Find particles with ``trackpy.locate``.

    Parameters
    ----------
    image
        Normalised volume ``(z, y, x)``.
    diameter
        In lateral voxels.
    aspect
        Height of a voxel over its width.
    settings
        How to call it.

    Returns
    -------
    Candidates
        In voxels; the confidence is the rank of the integrated brightness ("mass"), as trackpy knows no probability.
    """
    import trackpy

    settings = settings or TrackpySettings()
    sizes = np.array([diameter / aspect, diameter, diameter])
    mask = [_odd(settings.diameter * s) for s in sizes]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # trackpy warns of particles that it drops at the edge
        found = trackpy.locate(
            np.maximum(image, 0),
            diameter=mask,
            separation=[max(1.0, settings.separation * s) for s in sizes],
            noise_size=settings.noise_size,
            smoothing_size=[_odd(settings.smoothing * s) for s in sizes],
            engine="python" if _without_numba() else "numba",
        )
    if len(found) == 0:
        return Candidates.joined([])
    positions = found[["z", "y", "x"]].to_numpy(dtype=float)
    return Candidates(positions, np.full(len(found), diameter / 2), _rank(found["mass"].to_numpy(dtype=float)))


def locate_log(image: Image, diameter: float, aspect: float, floor: float) -> Candidates:
    """Find the maxima of the negative Laplacian of Gaussian whose width fits the particle, with sub-voxel parabolas.

    Parameters
    ----------
    image
        Normalised volume ``(z, y, x)``.
    diameter
        In lateral voxels.
    aspect
        Height of a voxel over its width.
    floor
        Smallest confidence that is kept.

    Returns
    -------
    Candidates
        In voxels; the confidence is the response over that of the clearest particles, at most 1.
    """
    sizes = np.array([diameter / aspect, diameter, diameter])
    response = -gaussian_laplace(image.astype(np.float32), sizes / 2 / np.sqrt(3))
    peaks = (maximum_filter(response, size=[_odd(_LOG_SEPARATION * s) for s in sizes]) == response) & (response > 0)
    index = np.argwhere(peaks)
    if len(index) == 0:
        return Candidates.joined([])
    clearest = np.percentile(response[peaks], 95)
    confidence = np.clip(response[peaks] / clearest, 0, 1).astype(float)
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


def _rank(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the rank of each value between 0 and 1."""
    ranks = np.empty(len(values))
    ranks[np.argsort(values, kind="stable")] = (np.arange(len(values)) + 1) / len(values)
    return ranks


def _odd(value: float) -> int:
    return max(3, 2 * int(round((value - 1) / 2)) + 1)


def _without_numba() -> bool:
    from importlib.util import find_spec

    return find_spec("numba") is None
