"""Two-body excess entropy, from g(r)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_colloids.structure.pair_correlation import PairCorrelation


def excess_entropy(correlation: PairCorrelation, density: float) -> float:
    r"""Return the two-body excess entropy per particle, in units of the Boltzmann constant.

    .. math::

        s_2 = -2 \pi \rho \int_0^\infty \left( g \ln g - g + 1 \right) r^2 \, \mathrm{d}r

    Parameters
    ----------
    correlation
        g(r), as far as it differs from 1.
    density
        Particles per volume, in the unit of g(r).

    References
    ----------
    .. [1] Baranyai and Evans, "Direct entropy calculation from computer simulation of liquids", Phys. Rev. A 40, 3817
       (1989).

    Examples
    --------
    Spheres that only exclude each other lose as much as the volume that they exclude:

    >>> import numpy as np
    >>> from napari_colloids.structure import PairCorrelation, excess_entropy
    >>> r = np.arange(0.0005, 3, 0.001)
    >>> dilute = PairCorrelation(r, (r > 1).astype(float), "um", np.zeros_like(r))
    >>> print(f"{excess_entropy(dilute, density=0.01):.4f} {-2 / 3 * np.pi * 0.01:.4f}")
    -0.0209 -0.0209
    """
    r, g = correlation.r, correlation.g
    there = np.where(g > 0, g, 1.0)
    # The integrand is never negative, and so noise of g adds to it: by this on average.
    noise = np.where(g > 0, correlation.error**2 / (2 * there), 0.0)
    integrand = np.where(g > 0, there * np.log(there), 0.0) - g + 1 - noise
    return float(-2 * np.pi * density * np.sum(integrand * r**2) * (r[1] - r[0]))
