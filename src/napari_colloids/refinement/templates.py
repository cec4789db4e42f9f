"""Rendered templates of blurred spheres and their derivatives, stored row by row along x.

Compiled functions call none of another file: numba caches what it compiled for the next start, and notices changes of
the file that a function is in only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_colloids.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Image = NDArray[np.float32]
    Indices = NDArray[np.intp]

#: Parameters of a sphere, in the order of the derivatives: brightness, z, y, x, radius.
N_PARAMETERS = 5
#: Tabulated radii that a template is interpolated between.
N_NODES = 4


class ProfileTables(NamedTuple):
    """Low-rank tables of blurred spheres: functions of the height times functions of radius and distance from the axis.

    Attributes
    ----------
    axial, axial_slope
        Shape ``(heights, rank)``: the functions of the height, from 0, and their derivatives.
    lateral, lateral_slope
        Shape ``(radii, rank, distances)``: those of the distance from the axis, from 0, and their derivatives with
        respect to the distance.
    step, radius_step
        Between heights and distances, and between radii, in lateral voxels.
    first_radius
        In lateral voxels.
    aspect
        Height of a voxel over its width.
    """

    axial: Image
    axial_slope: Image
    lateral: Image
    lateral_slope: Image
    step: float
    radius_step: float
    first_radius: float
    aspect: float


class Templates(NamedTuple):
    """Templates of some spheres, each cut off along an ellipsoid where its light ends, row by row along x.

    Attributes
    ----------
    values
        For each sphere in turn one or five images (see `render_templates`) of its voxels.
    n_images
        How many images of each sphere.
    offset, size
        Shape ``(N,)``: where the values of a sphere begin, and how many voxels it has.
    start, stop
        Shape ``(N, 3)``: the first voxel of the bounding box and the one after the last; no voxels where the sphere is
        not seen.
    first_row
        Shape ``(N,)``: number of the first row of a sphere; there is one for each z and y of the bounding box.
    begin, end, row_offset
        Shape ``(rows,)``: x of the first voxel of a row, of the one after the last, and which of the sphere's voxels
        the first is.
    """

    values: Image
    n_images: int
    offset: Indices
    size: Indices
    start: Indices
    stop: Indices
    first_row: Indices
    begin: Indices
    end: Indices
    row_offset: Indices


@compiled
def cut_rows(
    centres: Array,
    half: Array,
    start: Indices,
    stop: Indices,
    first_row: Indices,
    begin: Indices,
    end: Indices,
    row_offset: Indices,
) -> Indices:
    """Cut rows of voxels where they enter and leave ellipsoids.

    Parameters
    ----------
    centres, half
        Shape ``(N, 3)`` in voxels: centres and semi-axes of the ellipsoids.
    start, stop, first_row, begin, end, row_offset
        See `Templates`; the last three are filled.

    Returns
    -------
    numpy.ndarray
        `Templates.size`.
    """
    sizes = np.zeros(len(centres), np.intp)
    for n in range(len(centres)):
        row, size = first_row[n], 0
        for z in range(start[n, 0], stop[n, 0]):
            above = (z - centres[n, 0]) / half[n, 0]
            for y in range(start[n, 1], stop[n, 1]):
                beside = (y - centres[n, 1]) / half[n, 1]
                rest = 1 - above * above - beside * beside
                if rest >= 0:
                    chord = half[n, 2] * np.sqrt(rest)
                    begin[row] = min(max(int(np.ceil(centres[n, 2] - chord)), start[n, 2]), stop[n, 2])
                    end[row] = min(max(int(np.floor(centres[n, 2] + chord)) + 1, begin[row]), stop[n, 2])
                row_offset[row] = size
                size += end[row] - begin[row]
                row += 1
        sizes[n] = size
    return sizes


@compiled
def render_templates(
    low: int, high: int, templates: Templates, tables: ProfileTables, centres: Array, radii: Array
) -> None:
    """Render spheres of brightness 1 and, where there is room for them, the derivatives of their images.

    Parameters
    ----------
    low, high
        Number of the first sphere, and of the one after the last.
    templates
        With rows but no values yet. Of five images of a sphere, the first is its template and the others are the
        derivatives with respect to z, y, x (per voxel) and radius.
    tables
        For the radii and the PSF.
    centres
        Shape ``(N, 3)`` in voxels of the box.
    radii
        Shape ``(N,)`` in lateral voxels.
    """
    for n in range(low, high):
        if templates.size[n]:
            _render(templates, n, tables, centres[n, 0], centres[n, 1], centres[n, 2], radii[n])


@compiled
def _render(templates: Templates, n: int, tables: ProfileTables, z: float, y: float, x: float, radius: float) -> None:
    start, stop, n_images, row = templates.start, templates.stop, templates.n_images, templates.first_row[n]
    depth, height, width = stop[n, 0] - start[n, 0], stop[n, 1] - start[n, 1], stop[n, 2] - start[n, 2]
    axial, axial_slope = _axial_functions(tables, z - start[n, 0], depth)
    lateral = _lateral_functions(tables, radius, y - start[n, 1], x - start[n, 2], height, width, n_images)
    plane = np.zeros((n_images, height * width), np.float32)
    for level in range(depth):
        plane[:] = 0
        for k in range(axial.shape[1]):
            for p in range(height * width):
                plane[0, p] += axial[level, k] * lateral[0, k, p]
            if n_images > 1:
                for p in range(height * width):
                    plane[1, p] += axial_slope[level, k] * lateral[0, k, p]
                    plane[2, p] += axial[level, k] * lateral[1, k, p]
                    plane[3, p] += axial[level, k] * lateral[2, k, p]
                    plane[4, p] += axial[level, k] * lateral[3, k, p]
        for line in range(height):
            first = line * width + templates.begin[row] - start[n, 2]
            for image in range(n_images):
                into = _row_of(templates, n, image, row)
                rendered = plane[image, first : first + len(into)]
                for k in range(len(into)):
                    into[k] = rendered[k]
            row += 1


@compiled
def _axial_functions(tables: ProfileTables, centre: float, depth: int) -> tuple[Image, Image]:
    """Return the functions of the height and their derivatives by the height of the centre, each ``(Z, rank)``."""
    heights, rank = tables.axial.shape
    value, slope = np.zeros((depth, rank), np.float32), np.zeros((depth, rank), np.float32)
    for n in range(depth):
        z = (n - centre) * tables.aspect
        place = abs(z) / tables.step
        low = int(place)
        if low >= heights - 1:
            continue
        part = np.float32(place - low)
        sign = np.float32(-tables.aspect if z > 0 else tables.aspect)
        for k in range(rank):
            value[n, k] = tables.axial[low, k] * (1 - part) + tables.axial[low + 1, k] * part
            slope[n, k] = sign * (tables.axial_slope[low, k] * (1 - part) + tables.axial_slope[low + 1, k] * part)
    return value, slope


@compiled
def _lateral_functions(
    tables: ProfileTables, radius: float, middle_y: float, middle_x: float, height: int, width: int, n_images: int
) -> Image:
    """Return the functions of the distance from the axis and their derivatives with respect to y, x and radius.

    The shape is ``(1 or 4, rank, Y * X)``.
    """
    _, rank, distances = tables.lateral.shape
    first, weight, weight_slope = _radius_weights(tables, radius)
    here = np.zeros((3, rank, distances), np.float32)
    for j in range(N_NODES):
        for k in range(rank):
            for n in range(distances):
                here[0, k, n] += weight[j] * tables.lateral[first + j, k, n]
            if n_images > 1:
                for n in range(distances):
                    here[1, k, n] += weight[j] * tables.lateral_slope[first + j, k, n]
                    here[2, k, n] += weight_slope[j] * tables.lateral[first + j, k, n]
    found = np.zeros((1 if n_images == 1 else 4, rank, height * width), np.float32)
    for line in range(height):
        y = line - middle_y
        for column in range(width):
            x = column - middle_x
            distance = np.sqrt(y * y + x * x)
            place = distance / tables.step
            low = int(place)
            if low >= distances - 2:
                continue
            p, part = line * width + column, np.float32(place - low)
            for k in range(rank):
                found[0, k, p] = here[0, k, low] * (1 - part) + here[0, k, low + 1] * part
            if n_images > 1:
                away = max(distance, 1e-6)
                along_y, along_x = np.float32(-y / away), np.float32(-x / away)
                for k in range(rank):
                    slope = here[1, k, low] * (1 - part) + here[1, k, low + 1] * part
                    found[1, k, p] = slope * along_y
                    found[2, k, p] = slope * along_x
                    found[3, k, p] = here[2, k, low] * (1 - part) + here[2, k, low + 1] * part
    return found


@compiled
def _radius_weights(tables: ProfileTables, radius: float) -> tuple[int, Image, Image]:
    """Return the first of the radii to interpolate between, their Lagrange weights and the derivatives of these."""
    last = tables.lateral.shape[0] - 1
    place = min(max((radius - tables.first_radius) / tables.radius_step, 0.0), float(last))
    first = min(max(int(place) - 1, 0), last - N_NODES + 1)
    t = place - first
    weight, slope = np.ones(N_NODES, np.float32), np.zeros(N_NODES, np.float32)
    for j in range(N_NODES):
        for k in range(N_NODES):
            if k == j:
                continue
            weight[j] *= (t - k) / (j - k)
            rest = 1 / (j - k)
            for m in range(N_NODES):
                if m not in (j, k):
                    rest *= (t - m) / (j - m)
            slope[j] += rest / tables.radius_step
    return first, weight, slope


@compiled
def add_templates(canvas: Image, templates: Templates, brightness: Array) -> None:
    """Add templates, each times a brightness, to an image of the box."""
    for n in range(len(brightness)):
        row, factor = templates.first_row[n], np.float32(brightness[n])
        for z in range(templates.start[n, 0], templates.stop[n, 0]):
            for y in range(templates.start[n, 1], templates.stop[n, 1]):
                into = canvas[z, y, templates.begin[row] : templates.end[row]]
                rendered = _row_of(templates, n, 0, row)
                for x in range(len(rendered)):
                    into[x] += factor * rendered[x]
                row += 1


@compiled
def _row_of(templates: Templates, n: int, image: int, row: int) -> Image:
    """Return a row of one of the images of a sphere."""
    first = templates.offset[n] + image * templates.size[n] + templates.row_offset[row]
    return templates.values[first : first + templates.end[row] - templates.begin[row]]
