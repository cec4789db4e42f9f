r"""Theory of the hard-sphere fluid: structure factor of Percus and Yevick, contact value of Carnahan and Starling.

References
----------
Wertheim, Phys. Rev. Lett. 10, 321 (1963): solution of the Percus-Yevick equation. Verlet and Weis, Phys. Rev. A 5, 939
(1972): smaller spheres at a smaller volume fraction. Carnahan and Starling, J. Chem. Phys. 51, 635 (1969).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

#: Volume fraction at which hard spheres freeze: above it the fluid is not stable.
FREEZING = 0.494
#: q times the diameter below which the limit for long waves is taken.
_SMALL = 1e-2


def hard_sphere_structure_factor(
    q: ArrayLike, volume_fraction: float, diameter: float, *, verlet_weis: bool = True
) -> NDArray[np.float64]:
    r"""Return the structure factor of a fluid of hard spheres after Percus and Yevick.

    .. math::

        \frac{1}{S(q)} = 1 + \frac{24 \phi}{x^3} \left[ \alpha (\sin x - x \cos x)
        + \frac{\beta}{x} \left( 2 x \sin x - (x^2 - 2) \cos x - 2 \right)
        + \frac{\gamma}{x^3} \left( (4 x^3 - 24 x) \sin x - (x^4 - 12 x^2 + 24) \cos x + 24 \right) \right]

    with :math:`x = q d`, :math:`\alpha = (1 + 2 \phi)^2 / (1 - \phi)^4`,
    :math:`\beta = -6 \phi (1 + \phi / 2)^2 / (1 - \phi)^4` and :math:`\gamma = \phi \alpha / 2`.

    Parameters
    ----------
    q
        Wave numbers.
    volume_fraction
        More than 0, less than 0.74.
    diameter
        In the inverse unit of `q`.
    verlet_weis
        Whether to take :math:`\phi - \phi^2 / 16` and a diameter that is smaller accordingly, which brings the first
        peaks close to simulations.

    Raises
    ------
    ColloidsError
        If the volume fraction or the diameter is out of range.

    See Also
    --------
    structure_factor : S(q) of particles.

    Examples
    --------
    For long waves it is the compressibility:

    >>> from napari_colloids.structure import hard_sphere_structure_factor
    >>> s = hard_sphere_structure_factor([0.001], 0.3, diameter=1.0, verlet_weis=False)
    >>> print(f"{s[0]:.4f} {(1 - 0.3) ** 4 / (1 + 2 * 0.3) ** 2:.4f}")
    0.0938 0.0938
    """
    if not 0 < volume_fraction < np.pi / 18**0.5 or not diameter > 0:
        raise ColloidsError(
            "The theory of hard spheres needs a volume fraction between 0 and 0.74 and a diameter above 0."
        )
    phi = volume_fraction - volume_fraction**2 / 16 if verlet_weis else volume_fraction
    x = np.maximum(np.asarray(q, dtype=float) * diameter * (phi / volume_fraction) ** (1 / 3), _SMALL)
    alpha = (1 + 2 * phi) ** 2 / (1 - phi) ** 4
    beta = -6 * phi * (1 + phi / 2) ** 2 / (1 - phi) ** 4
    gamma = phi * alpha / 2
    sine, cosine = np.sin(x), np.cos(x)
    terms = (
        alpha * (sine - x * cosine)
        + beta / x * (2 * x * sine - (x**2 - 2) * cosine - 2)
        + gamma / x**3 * ((4 * x**3 - 24 * x) * sine - (x**4 - 12 * x**2 + 24) * cosine + 24)
    )
    # The terms of the series cancel for long waves.
    limit = (1 - phi) ** 4 / (1 + 2 * phi) ** 2
    return np.where(x <= _SMALL, limit, 1 / (1 + 24 * phi / x**3 * terms))


def hard_sphere_contact_value(volume_fraction: float) -> float:
    r"""Return g(r) of hard spheres at contact, :math:`(1 - \phi / 2) / (1 - \phi)^3`, after Carnahan and Starling.

    Parameters
    ----------
    volume_fraction
        Of the fluid.

    Examples
    --------
    >>> print(f"{hard_sphere_contact_value(0.3):.3f}")
    2.478
    """
    return (1 - volume_fraction / 2) / (1 - volume_fraction) ** 3
