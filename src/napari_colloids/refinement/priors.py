"""Normal priors of the spheres: near their detections, of similar radii and of the brightness of their neighbours."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_colloids.refinement.templates import N_PARAMETERS

if TYPE_CHECKING:
    from napari_colloids.refinement.grid import Grid
    from napari_colloids.refinement.spheres import Spheres

Array = NDArray[np.float64]

#: Prior standard deviation of the detected centres ``(z, y, x)``, in radii.
CENTRE_DEVIATION_RADII = np.array([0.25, 0.15, 0.15])
#: Prior standard deviation of the detected radii, relative.
RADIUS_DEVIATION = 0.06
#: Neighbours whose mean brightness is the prior mean of a sphere's.
_N_BRIGHTNESS_NEIGHBOURS = 24


@dataclass(frozen=True, eq=False)
class Priors:
    """Means and standard deviations of the independent normal priors of all spheres.

    Attributes
    ----------
    centres
        Shape ``(N, 3)`` in voxels: detected centres.
    centre_deviation
        Standard deviations of these ``(z, y, x)``; wide, they only hold what the image says nothing of.
    radii
        Shape ``(N,)`` in lateral voxels: detected radii.
    radius
        Mean radius of all particles, in lateral voxels.
    polydispersity
        Standard deviation of the radius over its mean.
    brightness_spread
        Standard deviation of the brightness over the mean of the neighbours.
    """

    centres: Array
    centre_deviation: Array
    radii: Array
    radius: float
    polydispersity: float
    brightness_spread: float

    def __getitem__(self, which: NDArray[np.bool_]) -> Priors:
        return replace(self, centres=self.centres[which], radii=self.radii[which])

    def recentred_outside(self, spheres: Spheres, grid: Grid) -> Priors:
        """Return the priors with those of spheres outside the stack centred where these are now.

        The network places particles outside the stack too far inward, by up to a radius; as a prior mean this would
        bias their positions, and through them those of their neighbours.
        """
        outside = ~grid.inside(spheres.positions)
        return replace(self, centres=np.where(outside[:, None], spheres.positions, self.centres))

    def precision_and_gradient(self, spheres: Spheres) -> tuple[Array, Array]:
        """Return the precision of each parameter and the gradient of the log prior, each of shape ``(N, 5)``."""
        usual = local_brightness(spheres)
        precision, away = np.empty((len(spheres), N_PARAMETERS)), np.empty((len(spheres), N_PARAMETERS))
        precision[:, 0] = 1 / (self.brightness_spread * usual) ** 2
        away[:, 0] = usual - spheres.brightness
        precision[:, 1:4], away[:, 1:4] = 1 / self.centre_deviation**2, self.centres - spheres.positions
        common, own = 1 / (self.polydispersity * self.radius) ** 2, 1 / (RADIUS_DEVIATION * self.radii) ** 2
        precision[:, 4] = common + own
        away[:, 4] = (common * self.radius + own * self.radii) / (common + own) - spheres.radii
        return precision, precision * away


def local_brightness(spheres: Spheres) -> Array:
    """Return the mean brightness of the neighbours of each sphere, itself included, shape ``(N,)``.

    It follows the illumination, not the amount of dye in the single particle.
    """
    count = min(_N_BRIGHTNESS_NEIGHBOURS, len(spheres))
    near = cKDTree(spheres.positions).query(spheres.positions, count)[1].reshape(len(spheres), -1)
    return np.asarray(np.maximum(np.mean(spheres.brightness[near], axis=1), 1e-6))
