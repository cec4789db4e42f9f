"""Reference method "trackpy": bandpass filter, local maxima, centroids.

References
----------
Crocker and Grier, J. Colloid Interface Sci. 179, 298 (1996); Allan et al., trackpy, doi:10.5281/zenodo.4682814.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_colloids.detection.candidates import Candidates
from napari_colloids.detection.relative_confidence import odd, relative_confidence

if TYPE_CHECKING:
    from napari_colloids.stack import VoxelSize

Image = NDArray[np.float32]

#: Values of each of the `Settings` for the tuning by the benchmark.
GRID: dict[str, tuple[float, ...]] = {
    "diameter": (0.55, 0.65, 0.75, 0.9, 1.05),
    "separation": (0.5, 0.55, 0.6, 0.65, 0.75),
    "noise": (0.08, 0.12, 0.16, 0.2, 0.25),
    "smoothing": (0.85, 1.0, 1.25, 1.5, 2.0),
    "elongation": (1.0, 1.3),
}


@dataclass(frozen=True)
class Settings:
    """Tunable parameters of ``trackpy.locate``.

    The defaults were tuned on dense, noisy samples (suite ``challenge-test`` of the benchmark), where trackpy's own
    (separation = diameter + 1) would lose every touching neighbour.

    Attributes
    ----------
    diameter
        Edge of the mask over the particle's diameter; rounded to an odd number of voxels.
    elongation
        Height of the mask over its width: the PSF elongates particles along z.
    separation
        Smallest distance between two centres over the diameter.
    noise
        Width of the smoothing Gaussian over the diameter.
    smoothing
        Width of the boxcar average that is subtracted as background, over the diameter.
    """

    diameter: float = 0.75
    elongation: float = 1.0
    separation: float = 0.55
    noise: float = 0.16
    smoothing: float = 1.25


def locate(image: Image, diameter: float, proportions: VoxelSize, settings: Settings | None = None) -> Candidates:
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
        Tuned parameters; None for the defaults.

    Returns
    -------
    Candidates
        In voxels; the confidence is the integrated brightness ("mass") over its 95th percentile, at most 1, as trackpy
        gives no probability.

    Notes
    -----
    trackpy drops particles within about a mask of the edge. The image is therefore padded by reflection, and particles
    beyond its edge are dropped.
    """
    import trackpy

    settings = settings or Settings()
    sizes = diameter / np.array(proportions)
    mask = [odd(settings.diameter * s * e) for s, e in zip(sizes, (settings.elongation, 1, 1), strict=True)]
    smoothing = [odd(settings.smoothing * s) for s in sizes]
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
    return Candidates(positions[inside], np.full(len(mass), diameter / 2), relative_confidence(mass))
