"""Normal equations of a least-squares fit of touching spheres: sparse between spheres, dense in shared parameters.

Every sphere has five parameters (`templates.N_PARAMETERS`); all share others, such as the background or the width of
the PSF. Spheres that overlap in the image are coupled, the others are not.
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
    image_products,
    pair_products,
    polynomial_products,
    self_products,
    weight_templates,
)
from napari_colloids.refinement.polynomials import DEGREES, N_TERMS
from napari_colloids.refinement.profile import DERIVATIVE_REACH, REACH
from napari_colloids.refinement.spheres import templates_of
from napari_colloids.refinement.templates import N_PARAMETERS
from napari_colloids.refinement.threads import in_chunks

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from napari_colloids.refinement.polynomials import LegendreBasis
    from napari_colloids.refinement.profile import Profile
    from napari_colloids.refinement.spheres import Image, Spheres

Array = NDArray[np.float64]

#: Relative tolerance of the solution by conjugate gradients, and iterations at most.
_RELATIVE_TOLERANCE = 1e-4
_MAX_ITERATIONS = 300
#: Neighbours that are free when the covariance of a sphere is taken, and spheres that this is done for at a time.
_N_FREE_NEIGHBOURS = 24
_BATCH_SIZE = 100


@dataclass(frozen=True, eq=False)
class NormalEquations:
    """Normal equations ``matrix x = rhs`` for steps x of the parameters.

    Attributes
    ----------
    blocks
        Shape ``(N, 5, 5)``: each sphere with itself.
    pairs
        Shape ``(M, 2)``: spheres that are coupled, the smaller number first.
    couplings
        Shape ``(M, 5, 5)``: the spheres of each pair with each other.
    rhs
        Shape ``(N, 5)``.
    cross
        Shape ``(N, 5, K)``: spheres with the shared parameters.
    shared
        Shape ``(K, K)``: shared parameters with each other.
    shared_rhs
        Shape ``(K,)``.
    """

    blocks: Array
    pairs: NDArray[np.intp]
    couplings: Array
    rhs: Array
    cross: Array
    shared: Array
    shared_rhs: Array

    def matrix(self) -> bsr_array:
        """Return the matrix of the spheres' own parameters, sparse in blocks of 5 x 5."""
        n = len(self.blocks)
        first, second = self.pairs.T
        rows = np.concatenate([np.arange(n), first, second])
        columns = np.concatenate([np.arange(n), second, first])
        data = np.concatenate([self.blocks, self.couplings, self.couplings.transpose(0, 2, 1)])
        order = np.lexsort((columns, rows))
        pointer = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=n))])
        return bsr_array((data[order], columns[order], pointer), shape=(N_PARAMETERS * n, N_PARAMETERS * n))

    def solve(self) -> tuple[Array, Array]:
        """Return the steps of the spheres' parameters ``(N, 5)`` and of the shared ones ``(K,)``.

        Conjugate gradients, preconditioned by each sphere's own block and by the block of the shared parameters.
        """
        n, size = len(self.blocks), self.rhs.size
        matrix, cross = self.matrix(), self.cross.reshape(size, -1)
        block_inverses, shared_inverse = np.linalg.inv(self.blocks), _inverse(self.shared)

        def apply(x: Array) -> Array:
            spheres, shared = x[:size], x[size:]
            return np.concatenate([matrix @ spheres + cross @ shared, spheres @ cross + self.shared @ shared])

        def precondition(x: Array) -> Array:
            spheres = np.einsum("nij,nj->ni", block_inverses, x[:size].reshape(n, N_PARAMETERS))
            return np.concatenate([spheres.ravel(), shared_inverse @ x[size:]])

        x = np.zeros(size + len(self.shared))
        residual = np.concatenate([self.rhs.ravel(), self.shared_rhs])
        preconditioned = precondition(residual)
        direction, product = preconditioned, residual @ preconditioned
        tolerance = _RELATIVE_TOLERANCE**2 * product
        for _ in range(_MAX_ITERATIONS):
            if product <= tolerance:
                break
            image = apply(direction)
            curvature = direction @ image
            if curvature <= 0:  # the couplings that are left out can make the matrix indefinite
                break
            step = product / curvature
            x = x + step * direction
            residual = residual - step * image
            preconditioned = precondition(residual)
            before, product = product, residual @ preconditioned
            direction = preconditioned + product / before * direction
        return x[:size].reshape(n, N_PARAMETERS), x[size:]

    def covariances(self) -> Array:
        """Return the covariance of each sphere's parameters, shape ``(N, 5, 5)``, marginal over its neighbours.

        The matrix is inverted for each sphere together with those that it is coupled to most; all other spheres and the
        shared parameters count as known.
        """
        n = len(self.blocks)
        unit = 1 / np.sqrt(np.einsum("nii->ni", self.blocks))
        first, second = self.pairs.T
        blocks = self.blocks * unit[:, :, None] * unit[:, None, :]
        couplings = self.couplings * unit[first, :, None] * unit[second, None, :]
        strength = np.abs(couplings).max(axis=(1, 2), initial=0.0)
        strengths = coo_array((np.tile(strength, 2), (np.append(first, second), np.append(second, first))), (n, n))
        pair_numbers = coo_array((np.arange(1, len(first) + 1), (first, second)), (n, n)).tocsr()
        # Pair number 0 stands for spheres that are not coupled.
        couplings = np.concatenate([np.zeros((1, N_PARAMETERS, N_PARAMETERS)), couplings])
        found = np.empty((n, N_PARAMETERS, N_PARAMETERS))
        strengths = strengths.tocsr()
        for start in range(0, n, _BATCH_SIZE):
            some = np.arange(start, min(start + _BATCH_SIZE, n))
            matrices = _group_matrices(_most_coupled(strengths, some), blocks, couplings, pair_numbers)
            # By torch, as OpenBLAS would hand matrices of this size to threads that wait for each other.
            units = torch.eye(matrices.shape[1], N_PARAMETERS, dtype=torch.float64)
            inverse = torch.linalg.solve(torch.from_numpy(matrices), units)[:, :N_PARAMETERS].numpy()
            found[some] = inverse * unit[some, :, None] * unit[some, None, :]
        return found

    def with_priors(
        self, precision: Array, gradient: Array, shared_precision: Array, shared_gradient: Array
    ) -> NormalEquations:
        """Return the equations with independent normal priors, given by precision and gradient of the log prior.

        Parameters
        ----------
        precision, gradient
            Of the spheres, shape ``(N, 5)``.
        shared_precision, shared_gradient
            Of the shared parameters, shape ``(K,)``.
        """
        return replace(
            self,
            blocks=self.blocks + np.einsum("ni,ij->nij", precision, np.eye(N_PARAMETERS)),
            rhs=self.rhs + gradient,
            shared=self.shared + np.diag(shared_precision),
            shared_rhs=self.shared_rhs + shared_gradient,
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
    basis: LegendreBasis,
    residual: Image,
    weight: Image,
    background_weight: Image,
    columns: list[Image],
    *,
    derivatives: bool = True,
) -> NormalEquations:
    """Set up the normal equations for the spheres in a box.

    Parameters
    ----------
    spheres
        Where the derivatives are taken.
    profile
        Tables for their radii and the PSF.
    basis
        Of the background, whose coefficients are the first of the shared parameters; it defines the box.
    residual
        Shape ``(Z, Y, X)``: image less model, over the standard deviation of each voxel.
    weight
        Derivative of the prediction, in standard deviations, with respect to the light of a sphere; 0 where the image
        has no value.
    background_weight
        The same with respect to the background.
    columns
        The same with respect to each of the other shared parameters.
    derivatives
        False leaves out all parameters of the spheres but the brightness: their rows stay 0.
    """
    reach = DERIVATIVE_REACH if derivatives else REACH
    templates = templates_of(spheres, profile, basis.low, basis.shape, reach, derivatives=derivatives)
    n = len(spheres)
    in_chunks(weight_templates, n, templates, spheres.brightness, weight)
    images = np.concatenate([np.reshape(columns, (-1, *basis.shape)), residual[None]]).astype(np.float32, copy=False)
    terms = in_chunks(polynomial_products, n, templates, background_weight, *basis.factors, DEGREES)
    cross = np.concatenate([terms, in_chunks(image_products, n, templates, images)], axis=2)
    pairs = _overlapping_pairs(spheres, profile, reach)
    flat = images.reshape(len(images), -1)
    shared = np.empty((cross.shape[2] - 1, cross.shape[2]))
    shared[:N_TERMS, :N_TERMS] = basis.gram_matrix(background_weight**2)
    shared[:N_TERMS, N_TERMS:] = basis.inner_products(images * background_weight).T
    shared[N_TERMS:, :N_TERMS] = shared[:N_TERMS, N_TERMS:-1].T
    shared[N_TERMS:, N_TERMS:] = flat[:-1] @ flat.T
    return NormalEquations(
        in_chunks(self_products, n, templates),
        pairs,
        in_chunks(pair_products, len(pairs), templates, pairs),
        cross[:, :, -1],
        cross[:, :, :-1],
        shared[:, :-1],
        shared[:, -1],
    )


def _overlapping_pairs(spheres: Spheres, profile: Profile, reach: float) -> NDArray[np.intp]:
    """Return the pairs of spheres whose templates may overlap, shape ``(M, 2)``."""
    axial, lateral = profile.sigma
    half = float(spheres.radii.max(initial=1.0)) + reach * np.array([axial, lateral, lateral])
    places = spheres.positions * [profile.aspect, 1, 1] / half
    return np.asarray(cKDTree(places).query_pairs(2.0, output_type="ndarray"), np.intp)


def _group_matrices(group: NDArray[np.intp], blocks: Array, couplings: Array, pair_numbers: csr_array) -> Array:
    """Return the matrix of each group of spheres by itself.

    Parameters
    ----------
    group
        Shape ``(groups, members)``: numbers of the spheres. Members that repeat the first one are made independent.
    blocks, couplings
        Of all spheres, and of all pairs after a zero matrix for none.
    pair_numbers
        Number of the pair of each two spheres, the smaller number first; 0 where they are not coupled.

    Returns
    -------
    numpy.ndarray
        Shape ``(groups, 5 * members, 5 * members)``.
    """
    rows, columns = np.broadcast_arrays(group[:, :, None], group[:, None, :])
    above = np.asarray(pair_numbers[rows.ravel(), columns.ravel()]).reshape(rows.shape)
    below = above.transpose(0, 2, 1)
    system = couplings[above] + couplings[below].transpose(0, 1, 2, 4, 3)
    members = np.arange(group.shape[1])
    system[:, members, members] = blocks[group]
    empty = (group == group[:, :1]) & (members > 0)
    keep = ~empty[:, :, None, None, None] & ~empty[:, None, :, None, None]
    system = np.where(keep | np.eye(len(members), dtype=bool)[:, :, None, None], system, 0.0)
    size = N_PARAMETERS * len(members)
    return np.asarray(system.transpose(0, 1, 3, 2, 4).reshape(len(group), size, size))


def _most_coupled(strengths: csr_array, some: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return some spheres, each followed by those that it is coupled to most; the rest of the row repeats itself."""
    group = np.repeat(some[:, None], _N_FREE_NEIGHBOURS + 1, axis=1)
    for row, number in enumerate(some):
        part = slice(strengths.indptr[number], strengths.indptr[number + 1])
        near = strengths.indices[part][np.argsort(-strengths.data[part], kind="stable")][:_N_FREE_NEIGHBOURS]
        group[row, 1 : len(near) + 1] = near
    return group
