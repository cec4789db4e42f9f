"""The normal equations of a fit of touching spheres: sparse between the spheres, dense in what they share.

Every sphere has five numbers (`pictures.NUMBERS`); shared by all are columns such as the background or the width of the
PSF. Spheres that overlap in the image are coupled, the others are not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import bsr_array, coo_array
from scipy.spatial import cKDTree

from napari_colloids.refinement.inner_products import (
    own_products,
    pair_products,
    products_with,
    products_with_terms,
    weigh_pictures,
)
from napari_colloids.refinement.polynomials import POWERS, TERMS
from napari_colloids.refinement.profile import REACH, STEEP_REACH
from napari_colloids.refinement.spheres import pictures_of
from napari_colloids.refinement.templates import NUMBERS
from napari_colloids.refinement.threads import in_parts

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from napari_colloids.refinement.polynomials import Slow
    from napari_colloids.refinement.profile import Profile
    from napari_colloids.refinement.spheres import Image, Spheres

Array = NDArray[np.float64]

#: The solution is good to this part of the right-hand side.
_TOLERANCE = 1e-4
_MOST_ITERATIONS = 300
#: Neighbours that are free when the error of a sphere is taken, and spheres that this is done for at a time.
_NEIGHBOURS = 24
_TOGETHER = 100


@dataclass(frozen=True, eq=False)
class Equations:
    """``matrix x = right``, where x are changes of the numbers.

    Attributes
    ----------
    blocks
        Shape ``(N, 5, 5)``: each sphere with itself.
    pairs
        Shape ``(M, 2)``: spheres that are coupled, the smaller number first.
    couplings
        Shape ``(M, 5, 5)``.
    right
        Shape ``(N, 5)``.
    mixed
        Shape ``(N, 5, K)``: spheres with the shared columns.
    shared
        Shape ``(K, K)``.
    shared_right
        Shape ``(K,)``.
    """

    blocks: Array
    pairs: NDArray[np.intp]
    couplings: Array
    right: Array
    mixed: Array
    shared: Array
    shared_right: Array

    def matrix(self) -> bsr_array:
        """Return the part of the spheres."""
        n = len(self.blocks)
        first, second = self.pairs.T
        rows = np.concatenate([np.arange(n), first, second])
        columns = np.concatenate([np.arange(n), second, first])
        data = np.concatenate([self.blocks, self.couplings, self.couplings.transpose(0, 2, 1)])
        order = np.lexsort((columns, rows))
        pointer = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))])
        return bsr_array((data[order], columns[order], pointer), shape=(NUMBERS * n, NUMBERS * n))

    def solve(self) -> tuple[Array, Array]:
        """Return the changes of the spheres' numbers ``(N, 5)`` and of what is shared ``(K,)``.

        Conjugate gradients, preconditioned by each sphere's own block and by the block of what is shared.
        """
        n, size = len(self.blocks), self.right.size
        matrix, mixed = self.matrix(), self.mixed.reshape(size, -1)
        own = np.linalg.inv(self.blocks)
        together = _inverse(self.shared)

        def apply(x: Array) -> Array:
            spheres, shared = x[:size], x[size:]
            return np.concatenate([matrix @ spheres + mixed @ shared, spheres @ mixed + self.shared @ shared])

        def precondition(x: Array) -> Array:
            spheres = np.einsum("nij,nj->ni", own, x[:size].reshape(n, NUMBERS))
            return np.concatenate([spheres.ravel(), together @ x[size:]])

        x = np.zeros(size + len(self.shared))
        rest = np.concatenate([self.right.ravel(), self.shared_right])
        better = precondition(rest)
        direction, product = better, rest @ better
        wanted = _TOLERANCE**2 * product
        for _ in range(_MOST_ITERATIONS):
            if product <= wanted:
                break
            image = apply(direction)
            curvature = direction @ image
            if curvature <= 0:  # what was left out of the couplings shows
                break
            step = product / curvature
            x = x + step * direction
            rest = rest - step * image
            better = precondition(rest)
            before, product = product, rest @ better
            direction = better + product / before * direction
        return x[:size].reshape(n, NUMBERS), x[size:]

    def covariances(self) -> Array:
        """Return the covariance of each sphere's numbers, shape ``(N, 5, 5)``, with its neighbours free, too.

        The inverse is taken for each sphere together with those that it is coupled to most; all others, and what is
        shared, count as known.
        """
        n = len(self.blocks)
        unit = 1 / np.sqrt(np.einsum("nii->ni", self.blocks))
        first, second = self.pairs.T
        couplings = self.couplings * unit[first, :, None] * unit[second, None, :]
        strength = np.abs(couplings).max(axis=(1, 2), initial=0.0)
        strengths = coo_array((np.tile(strength, 2), (np.append(first, second), np.append(second, first))), (n, n))
        numbers = coo_array((np.arange(1, len(first) + 1), (first, second)), (n, n)).tocsr()
        # The number of each pair; 0 where there is none.
        either = np.concatenate([np.zeros((1, NUMBERS, NUMBERS)), couplings])
        found = np.empty((n, NUMBERS, NUMBERS))
        strengths = strengths.tocsr()
        for start in range(0, n, _TOGETHER):
            some = np.arange(start, min(start + _TOGETHER, n))
            group = _strongest(strengths, some)
            rows, columns = np.broadcast_arrays(group[:, :, None], group[:, None, :])
            above = np.asarray(numbers[rows.ravel(), columns.ravel()]).reshape(rows.shape)
            below = above.transpose(0, 2, 1)
            system = either[above] + either[below].transpose(0, 1, 2, 4, 3)
            alone = np.arange(group.shape[1])
            system[:, alone, alone] = (self.blocks * unit[:, :, None] * unit[:, None, :])[group]
            # A place in a group that is not taken repeats the sphere itself: made independent.
            empty = (group == some[:, None]) & (alone > 0)
            keep = ~empty[:, :, None, None, None] & ~empty[:, None, :, None, None]
            system = np.where(keep | np.eye(len(alone), dtype=bool)[:, :, None, None], system, 0.0)
            size = NUMBERS * len(alone)
            matrix = system.transpose(0, 1, 3, 2, 4).reshape(len(some), size, size)
            # By torch, as OpenBLAS would hand matrices of this size to threads that wait for each other.
            units = torch.eye(size, NUMBERS, dtype=torch.float64)
            inverse = torch.linalg.solve(torch.from_numpy(matrix), units)[:, :NUMBERS].numpy()
            found[some] = inverse * unit[some, :, None] * unit[some, None, :]
        return found

    def with_priors(self, precision: Array, pull: Array, shared_precision: Array, shared_pull: Array) -> Equations:
        """Return the equations with independent normal priors: their precisions, and precisions times distance.

        Parameters
        ----------
        precision, pull
            Of the spheres, shape ``(N, 5)``.
        shared_precision, shared_pull
            Of what is shared, shape ``(K,)``.
        """
        return replace(
            self,
            blocks=self.blocks + np.einsum("ni,ij->nij", precision, np.eye(NUMBERS)),
            right=self.right + pull,
            shared=self.shared + np.diag(shared_precision),
            shared_right=self.shared_right + shared_pull,
        )


def _inverse(matrix: Array) -> Array:
    """Return the pseudo-inverse of a symmetric matrix whose rows may have units many powers of ten apart."""
    diagonal = np.sqrt(np.diag(matrix))
    unit = np.divide(1, diagonal, out=np.ones_like(diagonal), where=diagonal > 0)
    scale = unit[:, None] * unit
    return np.asarray(np.linalg.pinv(matrix * scale) * scale)


def assemble(
    spheres: Spheres,
    profile: Profile,
    slow: Slow,
    residual: Image,
    weight: Image,
    slow_weight: Image,
    columns: list[Image],
    *,
    derivatives: bool = True,
) -> Equations:
    """Set up the equations for the spheres in a box.

    Parameters
    ----------
    spheres
        Where the derivatives are taken.
    profile
        Their pictures.
    slow
        What the background is made of, the first that all share; it knows the box.
    residual
        Shape ``(Z, Y, X)``: image less model, over the standard deviation of each voxel.
    weight
        How the residual changes with the light of a sphere; 0 where nothing is known.
    slow_weight
        How it changes with the background.
    columns
        How it changes with whatever else is shared.
    derivatives
        False leaves out all numbers but the brightness: their rows stay 0.
    """
    reach = STEEP_REACH if derivatives else REACH
    pictures = pictures_of(spheres, profile, slow.low, slow.shape, reach, derivatives=derivatives)
    n = len(spheres)
    in_parts(weigh_pictures, n, pictures, spheres.brightness, weight)
    images = np.concatenate([np.reshape(columns, (-1, *slow.shape)), residual[None]]).astype(np.float32, copy=False)
    terms = in_parts(products_with_terms, n, pictures, slow_weight, *slow.factors, POWERS)
    mixed = np.concatenate([terms, in_parts(products_with, n, pictures, images)], axis=2)
    pairs = _near(spheres, profile, reach)
    flat = images.reshape(len(images), -1)
    shared = np.empty((mixed.shape[2] - 1, mixed.shape[2]))
    shared[:TERMS, :TERMS] = slow.products_of_terms(slow_weight**2)
    shared[:TERMS, TERMS:] = slow.products(images * slow_weight).T
    shared[TERMS:, :TERMS] = shared[:TERMS, TERMS:-1].T
    shared[TERMS:, TERMS:] = flat[:-1] @ flat.T
    return Equations(
        in_parts(own_products, n, pictures),
        pairs,
        in_parts(pair_products, len(pairs), pictures, pairs),
        mixed[:, :, -1],
        mixed[:, :, :-1],
        shared[:, :-1],
        shared[:, -1],
    )


def _near(spheres: Spheres, profile: Profile, reach: float) -> NDArray[np.intp]:
    """Return the pairs of spheres whose pictures may overlap, shape ``(M, 2)``."""
    axial, lateral = profile.sigma
    half = float(spheres.radii.max(initial=1.0)) + reach * np.array([axial, lateral, lateral])
    places = spheres.positions * [profile.aspect, 1, 1] / half
    return np.asarray(cKDTree(places).query_pairs(2.0, output_type="ndarray"), np.intp)


def _strongest(strengths: csr_array, some: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the numbers of some spheres, each followed by those that it is coupled to most, or by itself again."""
    group = np.repeat(some[:, None], _NEIGHBOURS + 1, axis=1)
    for row, number in enumerate(some):
        part = slice(strengths.indptr[number], strengths.indptr[number + 1])
        near = strengths.indices[part][np.argsort(-strengths.data[part], kind="stable")][:_NEIGHBOURS]
        group[row, 1 : len(near) + 1] = near
    return group
