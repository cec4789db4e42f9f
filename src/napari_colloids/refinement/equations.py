"""Normal equations of a least-squares fit of touching spheres: sparse between spheres, dense in shared parameters.

Every sphere has five parameters (`templates.N_PARAMETERS`); all share others, such as the background or the width of
the PSF. Spheres that overlap in the image are coupled, the others are not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import bsr_array
from scipy.spatial import cKDTree

from napari_colloids.refinement.covariances import marginal_covariances
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
    from napari_colloids.refinement.polynomials import LegendreBasis
    from napari_colloids.refinement.profile import Profile
    from napari_colloids.refinement.spheres import Image, Spheres
    from napari_colloids.refinement.templates import Templates

Array = NDArray[np.float64]

#: Relative tolerance of the solution by conjugate gradients, and iterations at most.
_RELATIVE_TOLERANCE = 1e-3
_MAX_ITERATIONS = 300
#: Neighbours that are free when the covariance of a sphere is taken.
_N_FREE_NEIGHBOURS = 24


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
        unit = 1 / np.sqrt(np.einsum("nii->ni", self.blocks))
        first, second = self.pairs.T
        scaled = replace(
            self,
            blocks=self.blocks * unit[:, :, None] * unit[:, None, :],
            couplings=self.couplings * unit[first, :, None] * unit[second, None, :],
        ).matrix()
        found = in_chunks(
            marginal_covariances, len(unit), scaled.indptr, scaled.indices, scaled.data, _N_FREE_NEIGHBOURS
        )
        return found * unit[:, :, None] * unit[:, None, :]

    def with_gradient(self, rhs: Array, shared_rhs: Array) -> NormalEquations:
        """Return the equations with other right-hand sides."""
        return replace(self, rhs=rhs, shared_rhs=shared_rhs)

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


@dataclass(frozen=True, eq=False)
class Jacobian:
    """Derivatives of the image of a box, in standard deviations of each voxel, with respect to all parameters.

    Attributes
    ----------
    templates
        Those of the spheres' own parameters.
    pairs
        Shape ``(M, 2)``: spheres whose templates may overlap, the smaller number first.
    basis
        Of the background, whose coefficients are the first of the shared parameters; it defines the box.
    background_weight
        Shape ``(Z, Y, X)``: derivative with respect to the background.
    columns
        Shape ``(K, Z, Y, X)``: derivatives with respect to the other shared parameters.
    """

    templates: Templates
    pairs: NDArray[np.intp]
    basis: LegendreBasis
    background_weight: Image
    columns: Image

    @classmethod
    def at(
        cls,
        spheres: Spheres,
        profile: Profile,
        basis: LegendreBasis,
        weight: Image,
        background_weight: Image,
        columns: list[Image],
        *,
        derivatives: bool = True,
    ) -> Jacobian:
        """Take the derivatives at some spheres.

        Parameters
        ----------
        spheres
            Where the derivatives are taken.
        profile
            Tables for their radii and the PSF.
        basis
            Of the background.
        weight
            Shape ``(Z, Y, X)``: derivative of the prediction, in standard deviations, with respect to the light of a
            sphere; 0 where the image has no value.
        background_weight
            The same with respect to the background.
        columns
            The same with respect to each of the other shared parameters.
        derivatives
            False leaves out all parameters of the spheres but the brightness: their rows stay 0.
        """
        reach = DERIVATIVE_REACH if derivatives else REACH
        templates = templates_of(spheres, profile, basis.low, basis.shape, reach, derivatives=derivatives)
        in_chunks(weight_templates, len(spheres), templates, spheres.brightness, weight)
        images = np.reshape(np.array(columns, np.float32), (-1, *basis.shape))
        return cls(templates, _overlapping_pairs(spheres, profile, reach), basis, background_weight, images)

    def gradient(self, residual: Image) -> tuple[Array, Array]:
        """Return the right-hand sides of the spheres ``(N, 5)`` and of the shared parameters for a residual.

        Parameters
        ----------
        residual
            Shape ``(Z, Y, X)``: image less model, over the standard deviation of each voxel.
        """
        rhs = in_chunks(image_products, len(self.templates.size), self.templates, residual[None])[:, :, 0]
        of_background = self.basis.inner_products((residual * self.background_weight)[None])[0]
        of_columns = self.columns.reshape(len(self.columns), residual.size) @ residual.ravel()
        return rhs, np.append(of_background, of_columns)

    def normal_equations(self, residual: Image) -> NormalEquations:
        """Return the normal equations for a residual; see `gradient`."""
        templates, n, columns = self.templates, len(self.templates.size), self.columns
        terms = in_chunks(polynomial_products, n, templates, self.background_weight, *self.basis.factors, DEGREES)
        cross = np.concatenate([terms, in_chunks(image_products, n, templates, columns)], axis=2)
        shared = np.empty((cross.shape[2], cross.shape[2]))
        shared[:N_TERMS, :N_TERMS] = self.basis.gram_matrix(self.background_weight**2)
        shared[:N_TERMS, N_TERMS:] = self.basis.inner_products(columns * self.background_weight).T
        shared[N_TERMS:, :N_TERMS] = shared[:N_TERMS, N_TERMS:].T
        flat = columns.reshape(len(columns), residual.size)
        shared[N_TERMS:, N_TERMS:] = flat @ flat.T
        rhs, shared_rhs = self.gradient(residual)
        return NormalEquations(
            in_chunks(self_products, n, templates),
            self.pairs,
            in_chunks(pair_products, len(self.pairs), templates, self.pairs),
            rhs,
            cross,
            shared,
            shared_rhs,
        )


def _overlapping_pairs(spheres: Spheres, profile: Profile, reach: float) -> NDArray[np.intp]:
    """Return the pairs of spheres whose templates may overlap, shape ``(M, 2)``."""
    axial, lateral = profile.sigma
    half = float(spheres.radii.max(initial=1.0)) + reach * np.array([axial, lateral, lateral])
    places = spheres.positions * [profile.aspect, 1, 1] / half
    return np.asarray(cKDTree(places).query_pairs(2.0, output_type="ndarray"), np.intp)
