"""Covariances of the parameters of spheres, marginal over those that each is coupled to most.

These compiled functions call none of another file; see `templates`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Indices = NDArray[np.int32]


@compiled
def marginal_covariances(
    low: int, high: int, pointer: Indices, columns: Indices, data: Array, max_neighbours: int
) -> Array:
    """Return the covariance of the parameters of some spheres, each together with those it is coupled to most.

    The blocks of a sphere and of its neighbours make a small matrix, the sphere's own last. Of its Cholesky factor the
    last diagonal block alone is the factor of the inverse of the covariance looked for.

    Parameters
    ----------
    low, high
        Number of the first sphere, and of the one after the last.
    pointer, columns, data
        Matrix of the normal equations, sparse in blocks ``(M, p, p)`` as `scipy.sparse.bsr_array` has them, of unit
        diagonal.
    max_neighbours
        How many others are free beside each sphere; all further ones count as known.

    Returns
    -------
    numpy.ndarray
        Shape ``(high - low, p, p)``; NaN where the matrix is not positive definite.
    """
    p = data.shape[1]
    found = np.full((high - low, p, p), np.nan)
    place = np.full(len(pointer) - 1, -1, np.int32)
    for n in range(low, high):
        group = _most_coupled(n, pointer, columns, data, max_neighbours)
        for m in range(len(group)):
            place[group[m]] = m
        matrix = np.zeros((p * len(group), p * len(group)))
        for m in range(len(group)):
            for entry in range(pointer[group[m]], pointer[group[m] + 1]):
                other = place[columns[entry]]
                if 0 <= other <= m:
                    for i in range(p):
                        for j in range(p):
                            matrix[p * m + i, p * other + j] = data[entry, i, j]
        for m in range(len(group)):
            place[group[m]] = -1
        if _factorise(matrix):
            _write_inverse(matrix, found[n - low])
    return found


@compiled
def _most_coupled(n: int, pointer: Indices, columns: Indices, data: Array, count: int) -> Indices:
    """Return up to so many spheres that one is coupled to most, and that one last."""
    first, last = pointer[n], pointer[n + 1]
    strength = np.full(last - first, -1.0)  # less than that of spheres whose templates do not overlap in fact
    for entry in range(first, last):
        if columns[entry] != n:
            strength[entry - first] = _largest(data[entry])
    kept = min(count, last - first - 1)
    group = np.empty(kept + 1, np.int32)
    # The strongest last, next to the sphere itself.
    for k in range(kept):
        strongest = 0
        for m in range(len(strength)):
            if strength[m] > strength[strongest]:
                strongest = m
        group[kept - 1 - k] = columns[first + strongest]
        strength[strongest] = -1
    group[kept] = n
    return group


@compiled
def _factorise(matrix: Array) -> bool:
    """Replace the lower half of a symmetric matrix by its Cholesky factor; False if it is not positive definite."""
    for i in range(len(matrix)):
        row = matrix[i]
        for j in range(i):
            row[j] = (row[j] - _inner_product(row, matrix[j], j)) / matrix[j, j]
        rest = row[i] - _inner_product(row, row, i)
        if not rest > 0:
            return False
        row[i] = np.sqrt(rest)
    return True


@compiled
def _write_inverse(factor: Array, into: Array) -> None:
    """Write the last diagonal block of the inverse of a matrix whose Cholesky factor is given, as a lower half."""
    p, first = len(into), len(factor) - len(into)
    inverse = np.zeros((p, p))  # of the last block of the factor
    for k in range(p):
        for i in range(k, p):
            total = 1.0 if i == k else 0.0
            for j in range(k, i):
                total -= factor[first + i, first + j] * inverse[j, k]
            inverse[i, k] = total / factor[first + i, first + i]
    for i in range(p):
        for j in range(p):
            total = 0.0
            for k in range(p):
                total += inverse[k, i] * inverse[k, j]
            into[i, j] = total


@compiled
def _largest(matrix: Array) -> float:
    """Return the largest absolute value."""
    largest = 0.0
    for row in matrix:
        for value in row:
            largest = max(largest, abs(value))
    return largest


@compiled
def _inner_product(one: Array, other: Array, count: int) -> float:
    """Return the sum of the products of the first so many values of two vectors."""
    total = 0.0
    for k in range(count):
        total += one[k] * other[k]
    return total
