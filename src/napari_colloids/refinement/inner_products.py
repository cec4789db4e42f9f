"""What the normal equations are made of: products of pictures of spheres, with each other and with images.

Like those that draw them, these compiled functions call none of another file; see `pictures`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.compiled import compiled
from napari_colloids.refinement.templates import NUMBERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.refinement.templates import Corners, Image, Pictures

    Array = NDArray[np.float64]


@compiled
def weigh_pictures(low: int, high: int, pictures: Pictures, brightness: Array, weight: Image) -> None:
    """Multiply some pictures by a weight of each voxel of the box, and the derivatives by the brightness, too."""
    weights = np.empty(_most(pictures), np.float32)
    for n in range(low, high):
        _gather(pictures, n, weight, weights)
        for row in range(pictures.rows):
            factor, values = np.float32(brightness[n] if row else 1.0), _row(pictures, n, row)
            for k in range(len(values)):
                values[k] *= factor * weights[k]


@compiled
def own_products(low: int, high: int, pictures: Pictures) -> Array:
    """Return the products of some spheres' pictures, each with itself, shape ``(N, 5, 5)``; 0 beyond their rows."""
    products = np.zeros((high - low, NUMBERS, NUMBERS))
    for n in range(low, high):
        for i in range(pictures.rows):
            for j in range(i + 1):
                product = _product(_row(pictures, n, i), _row(pictures, n, j))
                products[n - low, i, j] = products[n - low, j, i] = product
    return products


@compiled
def products_with(low: int, high: int, pictures: Pictures, images: Image) -> Array:
    """Return the products of some spheres' pictures with images ``(K, Z, Y, X)`` of the box, shape ``(N, 5, K)``."""
    products = np.zeros((high - low, NUMBERS, len(images)))
    part = np.empty(_most(pictures), np.float32)
    for n in range(low, high):
        for k in range(len(images)):
            _gather(pictures, n, images[k], part)
            for row in range(pictures.rows):
                products[n - low, row, k] = _product(_row(pictures, n, row), part)
    return products


@compiled
def products_with_terms(
    low: int,
    high: int,
    pictures: Pictures,
    weight: Image,
    along_z: Image,
    along_y: Image,
    along_x: Image,
    powers: Corners,
) -> Array:
    """Return the products of some spheres' pictures with products of functions of z, y and x, times a weight.

    Parameters
    ----------
    low, high
        Number of the first sphere, and of the one after the last.
    pictures
        Of all spheres.
    weight
        Shape ``(Z, Y, X)``.
    along_z, along_y, along_x
        Functions of z, y and x, each ``(m, length)``.
    powers
        Shape ``(terms, 3)``: which of them make a term.

    Returns
    -------
    numpy.ndarray
        Shape ``(N, 5, terms)``.
    """
    products = np.zeros((high - low, NUMBERS, len(powers)))
    weights, term = np.empty(_most(pictures), np.float32), np.empty(_most(pictures), np.float32)
    for n in range(low, high):
        _gather(pictures, n, weight, weights)
        for k in range(len(powers)):
            of_z, of_y, of_x = along_z[powers[k, 0]], along_y[powers[k, 1]], along_x[powers[k, 2]]
            line = pictures.line[n]
            for z in range(pictures.start[n, 0], pictures.stop[n, 0]):
                for y in range(pictures.start[n, 1], pictures.stop[n, 1]):
                    begin, end = pictures.begin[line], pictures.end[line]
                    place, factor, here = pictures.place[line], of_z[z] * of_y[y], of_x[begin:end]
                    into, given = term[place : place + end - begin], weights[place : place + end - begin]
                    for x in range(len(here)):
                        into[x] = factor * here[x] * given[x]
                    line += 1
            for row in range(pictures.rows):
                products[n - low, row, k] = _product(_row(pictures, n, row), term)
    return products


@compiled
def pair_products(low: int, high: int, pictures: Pictures, pairs: Corners) -> Array:
    """Return the products of the pictures of pairs of spheres over the voxels that both have.

    Parameters
    ----------
    low, high
        Number of the first pair, and of the one after the last.
    pictures
        Of all spheres.
    pairs
        Shape ``(M, 2)``: numbers of the spheres.

    Returns
    -------
    numpy.ndarray
        Shape ``(high - low, 5, 5)``; 0 beyond the rows of the pictures.
    """
    products = np.zeros((high - low, NUMBERS, NUMBERS))
    start, stop, rows = pictures.start, pictures.stop, pictures.rows
    one, other = np.empty((rows, _most(pictures)), np.float32), np.empty((rows, _most(pictures)), np.float32)
    for m in range(low, high):
        i, j = pairs[m, 0], pairs[m, 1]
        size = 0
        for z in range(max(start[i, 0], start[j, 0]), min(stop[i, 0], stop[j, 0])):
            for y in range(max(start[i, 1], start[j, 1]), min(stop[i, 1], stop[j, 1])):
                a = pictures.line[i] + (z - start[i, 0]) * (stop[i, 1] - start[i, 1]) + y - start[i, 1]
                b = pictures.line[j] + (z - start[j, 0]) * (stop[j, 1] - start[j, 1]) + y - start[j, 1]
                begin, end = max(pictures.begin[a], pictures.begin[b]), min(pictures.end[a], pictures.end[b])
                if begin < end:
                    _copy(pictures, i, a, begin, end, one, size)
                    _copy(pictures, j, b, begin, end, other, size)
                    size += end - begin
        for row in range(rows):
            for column in range(rows):
                products[m - low, row, column] = _product(one[row, :size], other[column])
    return products


@compiled
def _row(pictures: Pictures, n: int, row: int) -> Image:
    """Return one of the pictures of a sphere."""
    first, size = pictures.first[n], pictures.size[n]
    return pictures.values[first + row * size : first + (row + 1) * size]


@compiled
def _gather(pictures: Pictures, n: int, image: Image, into: Image) -> None:
    """Copy the voxels of a sphere from an image of the box."""
    line = pictures.line[n]
    for z in range(pictures.start[n, 0], pictures.stop[n, 0]):
        for y in range(pictures.start[n, 1], pictures.stop[n, 1]):
            source = image[z, y, pictures.begin[line] : pictures.end[line]]
            part = into[pictures.place[line] : pictures.place[line] + len(source)]
            for x in range(len(source)):
                part[x] = source[x]
            line += 1


@compiled
def _copy(pictures: Pictures, n: int, line: int, begin: int, end: int, into: Image, place: int) -> None:
    """Copy a part of a line of each picture of a sphere."""
    first = pictures.place[line] + begin - pictures.begin[line]
    for row in range(pictures.rows):
        source = _row(pictures, n, row)[first : first + end - begin]
        part = into[row, place : place + len(source)]
        for x in range(len(source)):
            part[x] = source[x]


@compiled
def _product(one: Image, other: Image) -> np.float32:
    """Return the sum of the products, as far as the first goes."""
    total = np.float32(0)
    for k in range(len(one)):
        total += one[k] * other[k]
    return total


@compiled
def _most(pictures: Pictures) -> int:
    """Return the voxels of the largest sphere."""
    most = 0
    for size in pictures.size:
        most = max(most, size)
    return most
