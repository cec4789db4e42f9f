"""Reference method "log": maxima of the scale-normalised negative Laplacian of Gaussian (LoG).

References
----------
Lindeberg, Feature detection with automatic scale selection, IJCV 30, 79 (1998).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, maximum_filter

from napari_colloids.detection.candidates import Candidates
from napari_colloids.detection.relative_confidence import odd, relative_confidence

if TYPE_CHECKING:
    from napari_colloids.stack import VoxelSize

Image = NDArray[np.float32]

#: Orders of the derivatives: one second derivative along each axis.
_SECOND_DERIVATIVES = ((2, 0, 0), (0, 2, 0), (0, 0, 2))
#: Values of each of the `Settings` for the tuning by the benchmark.
GRID: dict[str, tuple[float, ...]] = {
    "sigma": (0.7, 0.8, 0.9, 1.0, 1.1, 1.2),
    "separation": (0.55, 0.65, 0.75, 0.85),
    "elongation": (0.85, 1.0, 1.2),
}


@dataclass(frozen=True)
class Settings:
    """Tunable parameters of the Laplacian of Gaussian; the defaults were tuned as those of trackpy were.

    Attributes
    ----------
    sigma
        Width of the Gaussian over ``radius / sqrt(3)``, at which the response of a solid sphere is largest.
    elongation
        Width of the Gaussian along z over the lateral one.
    separation
        Edge of the box in which only the highest response counts, over the diameter.
    """

    sigma: float = 0.9
    elongation: float = 0.85
    separation: float = 0.8


def locate(image: Image, diameter: float, proportions: VoxelSize, settings: Settings | None = None) -> Candidates:
    r"""Find the maxima of the scale-normalised negative Laplacian of Gaussian, to a fraction of a voxel by parabolas.

    .. math:: R = -\sum_{a \in \{z, y, x\}} \sigma_a^2 \, \frac{\partial^2}{\partial a^2} (G_\sigma * I)

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
        In voxels; the confidence is the response over its 95th percentile, at most 1.
    """
    settings = settings or Settings()
    sizes = diameter / np.array(proportions)
    sigma = settings.sigma * np.array([settings.elongation, 1, 1]) * sizes / 2 / np.sqrt(3)
    # Each axis in units of its own width: otherwise a wider z would hardly contribute.
    response = -sum(
        s**2 * gaussian_filter(image, sigma, order=order) for s, order in zip(sigma, _SECOND_DERIVATIVES, strict=True)
    )
    peaks = (maximum_filter(response, size=[odd(settings.separation * s) for s in sizes]) == response) & (response > 0)
    index = np.argwhere(peaks)
    if len(index) == 0:
        return Candidates.joined([])
    confidence = relative_confidence(response[peaks].astype(float))
    return Candidates(_parabolic(response, index), np.full(len(index), diameter / 2), confidence)


def _parabolic(response: Image, index: NDArray[np.intp]) -> NDArray[np.float64]:
    """Move each maximum to the vertex of the parabola through it and its two neighbours, axis by axis."""
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
