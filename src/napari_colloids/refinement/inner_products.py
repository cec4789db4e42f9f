"""Inner products of templates, with each other and with images: the entries of the normal equations.

Like those that render templates, these compiled functions call none of another file; see `templates`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.compiled import compiled
from napari_colloids.refinement.templates import N_PARAMETERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.refinement.templates import Image, Indices, Templates

    Array = NDArray[np.float64]


@compiled
def weight_templates(low: int, high: int, templates: Templates, brightness: Array, weight: Image) -> None:
    """Multiply some templates by a weight of each voxel of the box, and their derivatives also by the brightness."""
    weights = np.empty(_max_size(templates), np.float32)
    for n in range(low, high):
        _gather(templates, n, weight, weights)
        for i in range(templates.n_images):
            factor, values = np.float32(brightness[n] if i else 1.0), _image_of(templates, n, i)
            for k in range(len(values)):
                values[k] *= factor * weights[k]


@compiled
def self_products(low: int, high: int, templates: Templates) -> Array:
    """Return the inner products of the images of each of some spheres, shape ``(N, 5, 5)``; 0 for missing images."""
    products = np.zeros((high - low, N_PARAMETERS, N_PARAMETERS))
    for n in range(low, high):
        for i in range(templates.n_images):
            for j in range(i + 1):
                product = _inner_product(_image_of(templates, n, i), _image_of(templates, n, j))
                products[n - low, i, j] = products[n - low, j, i] = product
    return products


@compiled
def image_products(low: int, high: int, templates: Templates, images: Image) -> Array:
    """Return the inner products of some templates with images ``(K, Z, Y, X)`` of the box, shape ``(N, 5, K)``."""
    products = np.zeros((high - low, N_PARAMETERS, len(images)))
    part = np.empty(_max_size(templates), np.float32)
    for n in range(low, high):
        for k in range(len(images)):
            _gather(templates, n, images[k], part)
            for i in range(templates.n_images):
                products[n - low, i, k] = _inner_product(_image_of(templates, n, i), part)
    return products


@compiled
def polynomial_products(
    low: int,
    high: int,
    templates: Templates,
    weight: Image,
    along_z: Image,
    along_y: Image,
    along_x: Image,
    degrees: Indices,
) -> Array:
    """Return the inner products of some templates with separable polynomials of z, y and x, times a weight.

    Parameters
    ----------
    low, high
        Number of the first sphere, and of the one after the last.
    templates
        Of all spheres.
    weight
        Shape ``(Z, Y, X)``.
    along_z, along_y, along_x
        Polynomials of z, y and x, each ``(m, length)``.
    degrees
        Shape ``(terms, 3)``: which of them make a term.

    Returns
    -------
    numpy.ndarray
        Shape ``(N, 5, terms)``.
    """
    products = np.zeros((high - low, N_PARAMETERS, len(degrees)))
    weights, term = np.empty(_max_size(templates), np.float32), np.empty(_max_size(templates), np.float32)
    for n in range(low, high):
        _gather(templates, n, weight, weights)
        for k in range(len(degrees)):
            of_z, of_y, of_x = along_z[degrees[k, 0]], along_y[degrees[k, 1]], along_x[degrees[k, 2]]
            row = templates.first_row[n]
            for z in range(templates.start[n, 0], templates.stop[n, 0]):
                for y in range(templates.start[n, 1], templates.stop[n, 1]):
                    begin, end = templates.begin[row], templates.end[row]
                    place, factor, here = templates.row_offset[row], of_z[z] * of_y[y], of_x[begin:end]
                    into, given = term[place : place + end - begin], weights[place : place + end - begin]
                    for x in range(len(here)):
                        into[x] = factor * here[x] * given[x]
                    row += 1
            for i in range(templates.n_images):
                products[n - low, i, k] = _inner_product(_image_of(templates, n, i), term)
    return products


@compiled
def pair_products(low: int, high: int, templates: Templates, pairs: Indices) -> Array:
    """Return the inner products of the templates of pairs of spheres over the voxels that both have.

    Parameters
    ----------
    low, high
        Number of the first pair, and of the one after the last.
    templates
        Of all spheres.
    pairs
        Shape ``(M, 2)``: numbers of the spheres.

    Returns
    -------
    numpy.ndarray
        Shape ``(high - low, 5, 5)``; 0 for missing images.
    """
    products = np.zeros((high - low, N_PARAMETERS, N_PARAMETERS))
    start, stop, count = templates.start, templates.stop, templates.n_images
    one, other = (
        np.empty((count, _max_size(templates)), np.float32),
        np.empty((count, _max_size(templates)), np.float32),
    )
    for m in range(low, high):
        i, j = pairs[m, 0], pairs[m, 1]
        size = 0
        for z in range(max(start[i, 0], start[j, 0]), min(stop[i, 0], stop[j, 0])):
            for y in range(max(start[i, 1], start[j, 1]), min(stop[i, 1], stop[j, 1])):
                a = templates.first_row[i] + (z - start[i, 0]) * (stop[i, 1] - start[i, 1]) + y - start[i, 1]
                b = templates.first_row[j] + (z - start[j, 0]) * (stop[j, 1] - start[j, 1]) + y - start[j, 1]
                begin, end = max(templates.begin[a], templates.begin[b]), min(templates.end[a], templates.end[b])
                if begin < end:
                    _copy(templates, i, a, begin, end, one, size)
                    _copy(templates, j, b, begin, end, other, size)
                    size += end - begin
        for row in range(count):
            for column in range(count):
                products[m - low, row, column] = _inner_product(one[row, :size], other[column])
    return products


@compiled
def _image_of(templates: Templates, n: int, image: int) -> Image:
    """Return one of the images of a sphere: its template or a derivative."""
    first, size = templates.offset[n], templates.size[n]
    return templates.values[first + image * size : first + (image + 1) * size]


@compiled
def _gather(templates: Templates, n: int, image: Image, into: Image) -> None:
    """Copy the voxels of a sphere from an image of the box."""
    row = templates.first_row[n]
    for z in range(templates.start[n, 0], templates.stop[n, 0]):
        for y in range(templates.start[n, 1], templates.stop[n, 1]):
            source = image[z, y, templates.begin[row] : templates.end[row]]
            part = into[templates.row_offset[row] : templates.row_offset[row] + len(source)]
            for x in range(len(source)):
                part[x] = source[x]
            row += 1


@compiled
def _copy(templates: Templates, n: int, row: int, begin: int, end: int, into: Image, place: int) -> None:
    """Copy the voxels between two x of a row from all images of a sphere."""
    first = templates.row_offset[row] + begin - templates.begin[row]
    for image in range(templates.n_images):
        source = _image_of(templates, n, image)[first : first + end - begin]
        part = into[image, place : place + len(source)]
        for x in range(len(source)):
            part[x] = source[x]


@compiled
def _inner_product(one: Image, other: Image) -> np.float32:
    """Return the sum of the products of two vectors over the length of the first."""
    total = np.float32(0)
    for k in range(len(one)):
        total += one[k] * other[k]
    return total


@compiled
def _max_size(templates: Templates) -> int:
    """Return the number of voxels of the largest sphere."""
    largest = 0
    for size in templates.size:
        largest = max(largest, size)
    return largest
