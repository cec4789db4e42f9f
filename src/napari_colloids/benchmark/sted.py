"""PSF of a STED microscope by scalar diffraction theory: excitation and detection, quenched by a doughnut beam.

References
----------
Born and Wolf, Principles of Optics, section 8.8: the scalar diffraction integral near focus.
Hell and Wichmann, Opt. Lett. 19, 780 (1994): stimulated emission depletion.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RegularGridInterpolator
from scipy.ndimage import shift
from scipy.special import jv

Array = NDArray[np.float64]
Kernel = NDArray[np.float32]

#: Full width at half maximum of a Gaussian over its standard deviation; widths of the PSF are given as the latter.
FWHM_PER_SIGMA = 2.3548
#: Depletion at the crest of the doughnut: a fraction exp(-DEPLETION_AT_CREST) of the light is left.
DEPLETION_AT_CREST = 3.0
#: Emission over excitation wavelength.
WAVELENGTH_RATIO = 1.07
#: Canvas voxels per lateral voxel.
_SUPERSAMPLING = 2
#: Extent of the table of the PSF in optical coordinates, along the axis and across.
_MAX_AXIAL, _MAX_LATERAL = 16, 12


def supersampling(aspect: float) -> NDArray[np.int64]:
    """Return the number of canvas voxels per voxel ``(z, y, x)``; tall voxels are divided more often."""
    return np.array([_SUPERSAMPLING * max(1, round(aspect)), _SUPERSAMPLING, _SUPERSAMPLING])


@lru_cache(maxsize=32)
def psf(axial: float, lateral: float, aspect: float = 1.0, tilt: float = 0.0) -> Kernel:
    """Return the PSF ``(z, y, x)`` in canvas voxels, of sum 1 and odd shape.

    Parameters
    ----------
    axial, lateral
        Standard deviations, in lateral voxels, of the Gaussians whose half widths it has.
    aspect
        Height of a voxel over its width.
    tilt
        Tilt towards x: lateral shift over height.
    """
    along, across = np.linspace(0, _MAX_AXIAL, 161), np.linspace(0, _MAX_LATERAL, 181)
    table = _sted(along[:, None], across)
    fine = supersampling(aspect)
    axial, lateral = axial * fine[0] / aspect, lateral * fine[1]
    unit_z = _half_width(table[:, 0], along) / (FWHM_PER_SIGMA / 2 * axial)
    unit_r = _half_width(table[0], across) / (FWHM_PER_SIGMA / 2 * lateral)
    # A tilted PSF is wider along x.
    depth, width = int(np.ceil(4 * axial)), int(np.ceil(5.6 * lateral))
    slope = tilt * aspect / fine[0] * fine[1]
    side = width + int(np.ceil(abs(slope) * depth))
    z, y, x = np.arange(-depth, depth + 1), np.arange(-width, width + 1), np.arange(-side, side + 1)
    distance = np.hypot(y[:, None], x)
    points = np.broadcast_arrays(np.abs(z)[:, None, None] * unit_z, distance * unit_r)
    kernel = RegularGridInterpolator((along, across), table, bounds_error=False, fill_value=0.0)(np.stack(points, -1))
    if slope:
        kernel = np.stack([shift(plane, (0, slope * height), order=1) for plane, height in zip(kernel, z, strict=True)])
    return (kernel / kernel.sum()).astype(np.float32)


def _sted(u: Array, v: Array) -> Array:
    r"""Return the PSF at the optical coordinates ``u`` (along the axis) and ``v`` (across).

    With the intensities :math:`I_0` of a focused beam and :math:`I_1` of the doughnut, and the emission over the
    excitation wavelength :math:`\lambda`,

    .. math::

        h(u, v) = I_0(u, v) \, I_0(u / \lambda, v / \lambda) \, e^{-3 I_1(u, v) / \max I_1}
    """
    focused = _diffraction(u, v, 0) * _diffraction(u / WAVELENGTH_RATIO, v / WAVELENGTH_RATIO, 0)
    doughnut = _diffraction(u, v, 1)
    crest = _diffraction(np.zeros((1, 1)), np.linspace(0, 6, 200), 1).max()
    return focused * np.exp(-DEPLETION_AT_CREST * doughnut / crest)


def _diffraction(u: Array, v: Array, order: int) -> Array:
    r"""Return the intensity near focus; order 1 is a beam behind a vortex phase plate: the doughnut.

    .. math::

        I_n(u, v) = \left| 2 \int_0^1 J_n(v \rho) \, e^{-i u \rho^2 / 2} \rho \, d\rho \right|^2
    """
    nodes, weights = np.polynomial.legendre.leggauss(80)
    rho, weights = (nodes + 1) / 2, weights / 2
    amplitude = np.zeros(np.broadcast_shapes(u.shape, v.shape), complex)
    for r, w in zip(rho, weights, strict=True):
        amplitude += 2 * w * r * jv(order, v * r) * np.exp(-0.5j * u * r**2)
    return np.abs(amplitude) ** 2


def _half_width(profile: Array, x: Array) -> float:
    """Return the coordinate at which a profile has fallen to half of its first value."""
    first = int(np.argmax(profile < profile[0] / 2))
    return float(np.interp(-profile[0] / 2, -profile[first - 1 : first + 1], x[first - 1 : first + 1]))
