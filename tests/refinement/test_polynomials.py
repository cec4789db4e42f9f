"""The Legendre basis in all its forms."""

from __future__ import annotations

import numpy as np

from napari_colloids.refinement.polynomials import N_TERMS, LegendreBasis


def test_all_forms_of_the_terms_agree():
    rng = np.random.default_rng(0)
    low, shape = np.array([5, -3, 2]), (6, 8, 7)
    basis = LegendreBasis.over(low, shape)
    terms = basis.images()
    assert terms.shape == (N_TERMS, *shape)
    assert (terms[0] == 1).all()
    weights = rng.normal(size=N_TERMS)
    np.testing.assert_allclose(basis.image(weights), np.tensordot(weights, terms, 1), atol=1e-5)
    np.testing.assert_allclose(basis.image(weights[1:]), np.tensordot(weights[1:], terms[1:], 1), atol=1e-5)
    everywhere = np.indices(shape).reshape(3, -1).T + low
    np.testing.assert_allclose(basis.at(everywhere.astype(float)), terms.reshape(N_TERMS, -1), atol=1e-5)
    images = rng.normal(size=(3, *shape)).astype(np.float32)
    np.testing.assert_allclose(basis.inner_products(images), np.einsum("nzyx,tzyx->nt", images, terms), atol=1e-4)
    products = np.einsum("zyx,szyx,tzyx->st", images[0], terms, terms)
    np.testing.assert_allclose(basis.gram_matrix(images[0]), products, atol=1e-4)
    assert np.linalg.matrix_rank(terms.reshape(N_TERMS, -1)) == N_TERMS
