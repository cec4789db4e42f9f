r"""Localisation errors from the contact edge of g(r), by direction: without any truth or model of the image.

Hard spheres come no nearer to each other than contact, so that g(r) has a step there. Sizes that differ and errors of
the positions blur it, the latter in their own direction: with errors :math:`\sigma_{xy}` and :math:`\sigma_z`, and a
spread :math:`s` of the sizes, the width of the edge of pairs at an angle :math:`\theta` to the z axis is

.. math::

    w^2(\theta) = \frac{s^2 d^2}{2} + 2 \left( \sigma_{xy}^2 \sin^2 \theta + \sigma_z^2 \cos^2 \theta \right)

It holds for isotropic samples of touching spheres: not for sheared ones, sediments, crystals, repelling particles, nor
with a wrong voxel size along z.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import minimize
from scipy.spatial import cKDTree
from scipy.special import ndtr

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Distances of pairs that are looked at, in diameters: the edge, and what it rises from.
_RANGE_DIAMETERS = (0.75, 1.25)
#: Pairs that are needed, and bins of the squared cosine and of the distance.
_MIN_PAIRS = 200
_N_DIRECTIONS, _N_DISTANCES = 6, 100
#: Part of the squared width of the edge that may come from the sizes, where errors are to be told.
_MAX_SHARE_OF_SIZES = 0.5
#: Widths of the edge that are possible, in diameters.
_MIN_WIDTH, _MAX_WIDTH = 0.005, 0.3


class ContactEdge(NamedTuple):
    """Contact edge of g(r).

    Attributes
    ----------
    contact
        Distance of touching spheres, in the unit of the positions.
    across, along
        Standard deviation of the edge of pairs across the z axis, and along it.
    """

    contact: float
    across: float
    along: float

    def localisation_errors(self, polydispersity: float) -> tuple[float, float] | None:
        """Return the localisation errors along and across the z axis, for a spread of the sizes over their mean.

        None where the sizes make most of the width of the edge.
        """
        sizes = (polydispersity * self.contact) ** 2 / 2
        if sizes > _MAX_SHARE_OF_SIZES * min(self.along, self.across) ** 2:
            return None
        along, across = (float(np.sqrt((width**2 - sizes) / 2)) for width in (self.along, self.across))
        return along, across


def contact_edge(positions: Array, diameter: float) -> ContactEdge | None:
    r"""Fit the contact edge of g(r).

    The density of the distances :math:`r` of pairs at an angle is taken as

    .. math::

        p(r) \propto r^2 \, \Phi\!\left(\frac{r - d}{w(\theta)}\right) e^{-k r / d}

    with the normal distribution function :math:`\Phi`; the likelihood is maximised.

    Parameters
    ----------
    positions
        Shape ``(N, 3)``: z, y, x in lateral voxels.
    diameter
        About that of a particle, in the same unit.

    Returns
    -------
    ContactEdge or None
        None where there are too few pairs near contact.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> near = 10 * rng.uniform(1, 2, 4000) ** (1 / 3)
    >>> away = rng.normal(size=(4000, 3))
    >>> away *= (near / np.linalg.norm(away, axis=1))[:, None]
    >>> first = 100.0 * np.arange(4000)[:, None] * [1, 0, 0]
    >>> pairs = np.concatenate([first, first + away]) + rng.normal(0, [0.5, 0.2, 0.2], (8000, 3))
    >>> along, across = contact_edge(pairs, 10).localisation_errors(0)
    >>> bool(0.4 < along < 0.6), bool(0.15 < across < 0.25)
    (True, True)
    """
    low, high = (limit * diameter for limit in _RANGE_DIAMETERS)
    pairs = cKDTree(positions).query_pairs(high, output_type="ndarray")
    apart = positions[pairs[:, 0]] - positions[pairs[:, 1]]
    distance = np.linalg.norm(apart, axis=1)
    near = distance > low
    if near.sum() < _MIN_PAIRS:
        return None
    squared = (apart[near, 0] / distance[near]) ** 2
    edges = np.linspace(low, high, _N_DISTANCES + 1)
    counts, _, _ = np.histogram2d(squared, distance[near], bins=(np.linspace(0, 1, _N_DIRECTIONS + 1), edges))
    directions = (np.arange(_N_DIRECTIONS) + 0.5)[:, None] / _N_DIRECTIONS
    middles = (edges[:-1] + edges[1:]) / 2

    def unlikelihood(parameters: Array) -> float:
        contact, across, along, fall = parameters
        width = np.sqrt(across**2 * (1 - directions) + along**2 * directions)
        density = middles**2 * ndtr((middles - contact) / width) * np.exp(-fall * middles / diameter) + 1e-9
        return -float((counts * np.log(density / density.sum(axis=1, keepdims=True))).sum())

    bounds = [
        (0.85 * diameter, 1.15 * diameter),
        *2 * [(_MIN_WIDTH * diameter, _MAX_WIDTH * diameter)],
        (-20.0, 20.0),
    ]
    start = np.array([diameter, 0.05 * diameter, 0.05 * diameter, 0.0])
    contact, across, along, _ = minimize(unlikelihood, start, bounds=bounds, method="L-BFGS-B").x
    return ContactEdge(float(contact), float(across), float(along))
