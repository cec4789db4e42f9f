"""How much of an image blurred spheres at the candidates explain: a test of what a search found as a whole.

Each of a few particles may be as doubtful as what the network finds in noise; together their spheres account for most
of the light, and what is found in a surrogate of the image does not.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d

from napari_colloids.detection.scale import CANONICAL_DIAMETER
from napari_colloids.simulation.optics import draw_spheres

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.detection.candidates import Candidates

    Image = NDArray[np.float32]

#: Canonical voxels that are averaged along each axis: five voxels a diameter are enough.
_BIN = 2
#: Standard deviations of the Gaussian blur that are tried, axial and lateral, in diameters.
_AXIAL_SIGMAS = (0.1, 0.25, 0.45, 0.8)
_LATERAL_SIGMAS = (0.06, 0.15, 0.3)
#: The axial blur is no less than this times the lateral one.
_MIN_SIGMA_RATIO = 0.8


def explained_fraction(image: Image, spheres: Candidates) -> float:
    r"""Return the fraction of the variance of an image that equally bright, blurred spheres explain.

    .. math::

        R^2 = \max_\sigma \frac{\langle S_\sigma, I \rangle^2}{\|S_\sigma\|^2 \|I\|^2}

    for the spheres :math:`S_\sigma`, blurred by a Gaussian of standard deviations :math:`\sigma`, and the image
    :math:`I`, both without the part that a background of second order explains; 0 where they are darker than it.

    Parameters
    ----------
    image
        Shape ``(z, y, x)``, in canonical voxels.
    spheres
        In the same voxels.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids.detection.candidates import Candidates
    >>> two = Candidates(np.array([[10.0, 10, 8], [10, 10, 20]]), np.full(2, 5.0), np.ones(2))
    >>> image = draw_spheres((20, 20, 30), two.positions, two.radii, np.array([1.0, 0.8]))
    >>> explained_fraction(image, two) > 0.9 > explained_fraction(image, two[:1])
    True
    """
    image = _binned(image)
    background = _second_order(image.shape)
    light = _without(background, image)
    z, y, x = image.shape
    places, radii = (spheres.positions + 0.5) / _BIN - 0.5, spheres.radii / _BIN
    drawn = draw_spheres((z, y, x), places, radii, np.ones(len(spheres)))
    diameter = CANONICAL_DIAMETER / _BIN
    best = 0.0
    for axial, lateral in product(_AXIAL_SIGMAS, _LATERAL_SIGMAS):
        if axial >= _MIN_SIGMA_RATIO * lateral:
            blurred = _without(background, _blurred(drawn, axial * diameter, lateral * diameter))
            norm = float(np.linalg.norm(blurred) * np.linalg.norm(light))
            best = max(best, float(blurred @ light) / norm if norm else 0.0)
    return best**2


def _binned(image: Image) -> Image:
    """Return an image in bins; voxels at the far faces that do not fill one are left out."""
    z, y, x = (max(n // _BIN, 1) for n in image.shape)
    whole = image[: z * _BIN, : y * _BIN, : x * _BIN]
    return whole.reshape(z, -1, y, min(_BIN, image.shape[1]), x, min(_BIN, image.shape[2])).mean(axis=(1, 3, 5))


def _second_order(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return an orthonormal basis of the polynomials of second order on a box, shape ``(voxels, 10)``."""
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n, dtype=np.float32) for n in shape), indexing="ij")
    terms = [np.ones_like(z), z, y, x, z * z, y * y, x * x, z * y, z * x, y * x]
    return np.linalg.qr(np.stack([term.ravel() for term in terms], axis=1))[0]


def _without(background: NDArray[np.float32], image: Image) -> NDArray[np.float32]:
    """Return the voxels of an image without the part that a background explains."""
    voxels = image.ravel()
    return np.asarray(voxels - background @ (voxels @ background))


def _blurred(image: Image, axial: float, lateral: float) -> Image:
    """Return an image after a Gaussian blur of standard deviations in voxels."""
    for axis, sigma in enumerate((axial, lateral, lateral)):
        image = gaussian_filter1d(image, sigma, axis=axis, mode="nearest")
    return image
