r"""Bond-orientational order of particles: Steinhardt parameters, averaged ones, solid bonds, tetrahedrality.

References
----------
Steinhardt, Nelson and Ronchetti, Phys. Rev. B 28, 784 (1983): :math:`q_l, w_l`. Lechner and Dellago, J. Chem. Phys.
129, 114707 (2008): averaged over the neighbours. ten Wolde, Ruiz-Montero and Frenkel, J. Chem. Phys. 104, 9932 (1996):
solid bonds. Errington and Debenedetti, Nature 409, 318 (2001): tetrahedrality.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from napari_colloids.compiled import compiled
from napari_colloids.structure.libraries import freud

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Bonds = NDArray[np.intp]

#: Normalised product of the harmonics of two neighbours from which their bond is solid.
_MIN_SOLID_PRODUCT = 0.7
#: Part of the bonds of a particle that are solid in a crystal: seven of twelve.
_MIN_SOLID_FRACTION = 7 / 12
#: Particles whose bonds freud sees at a time, beside those that they are bonded to. Meanwhile it holds Python's lock,
#: and a window stands still: less than a fifth of a second.
_BLOCK_PARTICLES = 5_000
#: Neighbours that tetrahedrality is taken of.
_TETRAHEDRON = 4


def nearest_bonds(positions: Array, number: int) -> Bonds:
    """Return the pairs of each particle and its nearest ones, shape ``(M, 2)``, sorted by the first.

    Parameters
    ----------
    positions
        Shape ``(N, 3)``.
    number
        Of neighbours of each; fewer where there are fewer particles.
    """
    number = min(number, len(positions) - 1)
    if number < 1:
        return np.zeros((0, 2), np.intp)
    _, near = cKDTree(positions).query(positions, k=number + 1)
    first = np.repeat(np.arange(len(positions)), number)
    return np.column_stack([first, _others(near, number).ravel()])


def _others(near: NDArray[np.intp], number: int) -> NDArray[np.intp]:
    """Return the nearest particles without the particle itself, which is not the first where two coincide."""
    itself = near == np.arange(len(near))[:, None]
    itself[~itself.any(axis=1), -1] = True
    return near[~itself].reshape(len(near), number)


def bond_order(positions: Array, bonds: Bonds) -> dict[str, Array]:
    r"""Return the bond-orientational order of each particle.

    .. math::

        q_l = \sqrt{\frac{4 \pi}{2 l + 1} \sum_m |q_{lm}|^2}, \qquad
        q_{lm}(i) = \frac{1}{N_i} \sum_{j = 1}^{N_i} Y_{lm}(\mathbf{r}_{ij})

    of the :math:`N_i` neighbours; :math:`w_6` is the third-order invariant over :math:`(\sum_m |q_{6m}|^2)^{3/2}`. In
    averaged parameters :math:`q_{lm}` is replaced by its mean over the particle and its neighbours. A bond is solid
    where :math:`\operatorname{Re} \sum_m q_{6m}(i) q_{6m}^*(j)` is more than 0.7 for normalised vectors.

    Parameters
    ----------
    positions
        Shape ``(N, 3)``, in a unit in which distances are right.
    bonds
        Pairs of neighbours, shape ``(M, 2)``, sorted by the first.

    Returns
    -------
    dict of numpy.ndarray
        ``neighbours``, ``q4``, ``q6``, ``w6``, ``q4_averaged``, ``q6_averaged``, ``solid_bonds``, ``crystalline``, each
        of shape ``(N,)``; NaN without neighbours.

    Raises
    ------
    ColloidsError
        If freud is not installed.
    """
    count = len(positions)
    neighbours = np.bincount(bonds[:, 0], minlength=count).astype(float)
    if not len(bonds):
        nothing = np.full(count, np.nan)
        return {
            "neighbours": neighbours,
            **dict.fromkeys(("q4", "q6", "w6", "q4_averaged", "q6_averaged"), nothing),
            **dict.fromkeys(("solid_bonds", "crystalline"), np.zeros(count)),
        }
    q4, _, four = _steinhardt(positions, bonds, 4)
    q6, w6, six = _steinhardt(positions, bonds, 6)
    solid = _solid_bonds(six, bonds, count)
    return {
        "neighbours": neighbours,
        "q4": q4,
        "q6": q6,
        "w6": w6,
        "q4_averaged": _averaged(four, bonds, neighbours),
        "q6_averaged": _averaged(six, bonds, neighbours),
        "solid_bonds": solid,
        "crystalline": (solid >= _MIN_SOLID_FRACTION * neighbours) & (neighbours > 0),
    }


def _steinhardt(positions: Array, bonds: Bonds, degree: int) -> tuple[Array, Array, NDArray[np.complex128]]:
    """Return q, w and the harmonics, shape ``(N, 2 l + 1)``; NaN without neighbours."""
    count = len(positions)
    q, w = np.full(count, np.nan), np.full(count, np.nan)
    harmonics = np.zeros((count, 2 * degree + 1), complex)
    for start in range(0, count, _BLOCK_PARTICLES):
        stop = min(start + _BLOCK_PARTICLES, count)
        own = bonds[slice(*np.searchsorted(bonds[:, 0], [start, stop]))]
        # The particles of the block, and their neighbours outside it.
        seen = np.concatenate([np.arange(start, stop), np.setdiff1d(own[:, 1], np.arange(start, stop))])
        order = np.argsort(seen)
        local = np.column_stack([own[:, 0] - start, order[np.searchsorted(seen, own[:, 1], sorter=order)]])
        for whole, part in zip((q, w, harmonics), _of_block(positions[seen], local, degree), strict=True):
            whole[start:stop] = part[: stop - start]
    return q, w, harmonics


def _of_block(positions: Array, bonds: Bonds, degree: int) -> tuple[Array, Array, NDArray[np.complex128]]:
    """Return q, w and the harmonics of particles that are in memory at a time."""
    library = freud()
    middle = (positions.max(axis=0) + positions.min(axis=0)) / 2
    vectors = positions[bonds[:, 1]] - positions[bonds[:, 0]]
    box = library.box.Box(*(2 * np.ptp(positions, axis=0) + 2 * np.abs(vectors).max(initial=1.0)))
    nlist = library.locality.NeighborList.from_arrays(len(positions), len(positions), *bonds.T, vectors)
    found = library.order.Steinhardt(degree, wl=True, wl_normalize=True)
    found.compute((box, positions - middle), neighbors=nlist)
    lonely = np.bincount(bonds[:, 0], minlength=len(positions)) == 0
    q, w = (np.where(lonely, np.nan, np.asarray(values, dtype=float)) for values in (found.ql, found.particle_order))
    return q, w, np.nan_to_num(np.asarray(found.particle_harmonics)).astype(complex)


def _averaged(harmonics: NDArray[np.complex128], bonds: Bonds, neighbours: Array) -> Array:
    """Return q of the harmonics averaged over each particle and its neighbours."""
    count = len(harmonics)
    adjacent = csr_array((np.ones(len(bonds)), (bonds[:, 0], bonds[:, 1])), shape=(count, count))
    mean = (harmonics + adjacent @ harmonics) / (neighbours + 1)[:, None]
    q = np.sqrt(4 * np.pi / harmonics.shape[1] * np.sum(np.abs(mean) ** 2, axis=1))
    return np.where(neighbours > 0, q, np.nan)


def _solid_bonds(harmonics: NDArray[np.complex128], bonds: Bonds, count: int) -> Array:
    """Return the number of solid bonds of each particle."""
    lengths = np.linalg.norm(harmonics, axis=1, keepdims=True)
    unit = np.divide(harmonics, lengths, out=np.zeros_like(harmonics), where=lengths > 0)
    return _count_solid(unit.view(float), bonds, count)


@compiled
def _count_solid(unit: Array, bonds: Bonds, count: int) -> Array:
    """Count the bonds of each particle whose two vectors, shape ``(N, M)``, have a large product."""
    found = np.zeros(count)
    for k in range(len(bonds)):
        i, j = bonds[k, 0], bonds[k, 1]
        product = 0.0
        for m in range(unit.shape[1]):
            product += unit[i, m] * unit[j, m]
        if product > _MIN_SOLID_PRODUCT:
            found[i] += 1
    return found


def tetrahedrality(positions: Array) -> Array:
    r"""Return the tetrahedral order of each particle.

    .. math::

        q_\mathrm{tet} = 1 - \frac{3}{8} \sum_{j < k} \left( \cos \psi_{jk} + \frac{1}{3} \right)^2

    with the six angles between the directions of the four nearest particles: 1 for a tetrahedron, 0 on average where
    directions are random.

    Parameters
    ----------
    positions
        Shape ``(N, 3)``.

    Returns
    -------
    numpy.ndarray
        Shape ``(N,)``; NaN where there are less than five particles.
    """
    count = len(positions)
    if count <= _TETRAHEDRON:
        return np.full(count, np.nan)
    _, near = cKDTree(positions).query(positions, k=_TETRAHEDRON + 1)
    vectors = positions[_others(near, _TETRAHEDRON)] - positions[:, None]
    lengths = np.linalg.norm(vectors, axis=2, keepdims=True)
    unit = np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 0)
    first, second = np.triu_indices(_TETRAHEDRON, 1)
    cosines = np.einsum("ijk,ijk->ij", unit[:, first], unit[:, second])
    return 1 - 3 / 8 * np.sum((cosines + 1 / 3) ** 2, axis=1)
