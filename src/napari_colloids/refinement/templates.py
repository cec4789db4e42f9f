"""Pictures of spheres, drawn line by line from tables.

Compiled functions call none of another file: numba keeps what it compiled for the next start, and notices changes of
the file that a function is in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_colloids.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Image = NDArray[np.float32]
    Corners = NDArray[np.intp]

#: Numbers of a particle, in the order of the derivatives: brightness, z, y, x, radius.
NUMBERS = 5
#: Radii that a picture is interpolated from.
NODES = 4


class Tables(NamedTuple):
    """What pictures of blurred spheres are made from: a few functions of the height times as many of the distance.

    Attributes
    ----------
    along, along_slope
        Shape ``(heights, rank)``: the functions of the height, from 0, and how they change with it.
    across, across_slope
        Shape ``(radii, rank, distances)``: those of the distance from the axis, from 0, and how they change with it.
    step, radius_step
        Between heights and distances, and between radii, in lateral voxels.
    first_radius
        In lateral voxels.
    aspect
        Height of a voxel over its width.
    """

    along: Image
    along_slope: Image
    across: Image
    across_slope: Image
    step: float
    radius_step: float
    first_radius: float
    aspect: float


class Pictures(NamedTuple):
    """Pictures of some spheres, each cut off where its light ends: along an ellipsoid, line by line along x.

    Attributes
    ----------
    values
        For each sphere in turn one or five pictures (see `draw_pictures`) of its voxels.
    rows
        How many pictures.
    first, size
        Shape ``(N,)``: where those of a sphere begin, and its voxels.
    start, stop
        Shape ``(N, 3)``: the first voxel of the box around it and the one after the last; no box where it is not seen.
    line
        Shape ``(N,)``: where the lines of a sphere begin; there is one for each z and y of the box around it.
    begin, end, place
        Shape ``(lines,)``: x of the first voxel of a line, of the one after the last, and which of the sphere's voxels
        the first is.
    """

    values: Image
    rows: int
    first: Corners
    size: Corners
    start: Corners
    stop: Corners
    line: Corners
    begin: Corners
    end: Corners
    place: Corners


@compiled
def cut_lines(
    centres: Array,
    half: Array,
    start: Corners,
    stop: Corners,
    line: Corners,
    begin: Corners,
    end: Corners,
    place: Corners,
) -> Corners:
    """Find where the lines of some spheres begin and end.

    Parameters
    ----------
    centres, half
        Shape ``(N, 3)`` in voxels: middles and half axes of the ellipsoids.
    start, stop, line, begin, end, place
        See `Pictures`; the last three are filled.

    Returns
    -------
    numpy.ndarray
        `Pictures.size`.
    """
    sizes = np.zeros(len(centres), np.intp)
    for n in range(len(centres)):
        number, size = line[n], 0
        for z in range(start[n, 0], stop[n, 0]):
            high = (z - centres[n, 0]) / half[n, 0]
            for y in range(start[n, 1], stop[n, 1]):
                side = (y - centres[n, 1]) / half[n, 1]
                left = 1 - high * high - side * side
                if left >= 0:
                    across = half[n, 2] * np.sqrt(left)
                    begin[number] = min(max(int(np.ceil(centres[n, 2] - across)), start[n, 2]), stop[n, 2])
                    end[number] = min(max(int(np.floor(centres[n, 2] + across)) + 1, begin[number]), stop[n, 2])
                place[number] = size
                size += end[number] - begin[number]
                number += 1
        sizes[n] = size
    return sizes


@compiled
def draw_pictures(low: int, high: int, pictures: Pictures, tables: Tables, centres: Array, radii: Array) -> None:
    """Draw spheres of brightness 1 and, where there are rows for it, how their pictures change.

    Parameters
    ----------
    low, high
        Number of the first sphere, and of the one after the last.
    pictures
        With lines but no values yet. In five rows there are the pictures and their derivatives with respect to z, y, x
        (per voxel) and radius.
    tables
        Of radii and PSF.
    centres
        Shape ``(N, 3)`` in voxels of the box.
    radii
        Shape ``(N,)`` in lateral voxels.
    """
    for n in range(low, high):
        if pictures.size[n]:
            _draw(pictures, n, tables, centres[n, 0], centres[n, 1], centres[n, 2], radii[n])


@compiled
def _draw(pictures: Pictures, n: int, tables: Tables, z: float, y: float, x: float, radius: float) -> None:
    start, stop, rows, line = pictures.start, pictures.stop, pictures.rows, pictures.line[n]
    depth, height, width = stop[n, 0] - start[n, 0], stop[n, 1] - start[n, 1], stop[n, 2] - start[n, 2]
    up, slope = _of_height(tables, z - start[n, 0], depth)
    across = _of_distance(tables, radius, y - start[n, 1], x - start[n, 2], height, width, rows)
    plane = np.zeros((rows, height * width), np.float32)
    for level in range(depth):
        plane[:] = 0
        for k in range(up.shape[1]):
            for p in range(height * width):
                plane[0, p] += up[level, k] * across[0, k, p]
            if rows > 1:
                for p in range(height * width):
                    plane[1, p] += slope[level, k] * across[0, k, p]
                    plane[2, p] += up[level, k] * across[1, k, p]
                    plane[3, p] += up[level, k] * across[2, k, p]
                    plane[4, p] += up[level, k] * across[3, k, p]
        for side in range(height):
            first = side * width + pictures.begin[line] - start[n, 2]
            for row in range(rows):
                into = _line(pictures, n, row, line)
                drawn = plane[row, first : first + len(into)]
                for k in range(len(into)):
                    into[k] = drawn[k]
            line += 1


@compiled
def _of_height(tables: Tables, centre: float, depth: int) -> tuple[Image, Image]:
    """Return the functions of the height and their change with the height of the centre, each ``(Z, rank)``."""
    heights, rank = tables.along.shape
    value, slope = np.zeros((depth, rank), np.float32), np.zeros((depth, rank), np.float32)
    for n in range(depth):
        z = (n - centre) * tables.aspect
        place = abs(z) / tables.step
        low = int(place)
        if low >= heights - 1:
            continue
        part = np.float32(place - low)
        change = np.float32(-tables.aspect if z > 0 else tables.aspect)
        for k in range(rank):
            value[n, k] = tables.along[low, k] * (1 - part) + tables.along[low + 1, k] * part
            slope[n, k] = change * (tables.along_slope[low, k] * (1 - part) + tables.along_slope[low + 1, k] * part)
    return value, slope


@compiled
def _of_distance(
    tables: Tables, radius: float, middle_y: float, middle_x: float, height: int, width: int, rows: int
) -> Image:
    """Return the functions of the distance and their change with y, x and radius, shape ``(1 or 4, rank, Y * X)``."""
    _, rank, distances = tables.across.shape
    first, weight, change = _of_radius(tables, radius)
    here = np.zeros((3, rank, distances), np.float32)
    for j in range(NODES):
        for k in range(rank):
            for n in range(distances):
                here[0, k, n] += weight[j] * tables.across[first + j, k, n]
            if rows > 1:
                for n in range(distances):
                    here[1, k, n] += weight[j] * tables.across_slope[first + j, k, n]
                    here[2, k, n] += change[j] * tables.across[first + j, k, n]
    found = np.zeros((1 if rows == 1 else 4, rank, height * width), np.float32)
    for row in range(height):
        y = row - middle_y
        for column in range(width):
            x = column - middle_x
            distance = np.sqrt(y * y + x * x)
            place = distance / tables.step
            low = int(place)
            if low >= distances - 2:
                continue
            p, part = row * width + column, np.float32(place - low)
            for k in range(rank):
                found[0, k, p] = here[0, k, low] * (1 - part) + here[0, k, low + 1] * part
            if rows > 1:
                away = max(distance, 1e-6)
                down, right = np.float32(-y / away), np.float32(-x / away)
                for k in range(rank):
                    steep = here[1, k, low] * (1 - part) + here[1, k, low + 1] * part
                    found[1, k, p] = steep * down
                    found[2, k, p] = steep * right
                    found[3, k, p] = here[2, k, low] * (1 - part) + here[2, k, low + 1] * part
    return found


@compiled
def _of_radius(tables: Tables, radius: float) -> tuple[int, Image, Image]:
    """Return the first of the four radii to interpolate between, their weights and how these change (Lagrange)."""
    last = tables.across.shape[0] - 1
    place = min(max((radius - tables.first_radius) / tables.radius_step, 0.0), float(last))
    first = min(max(int(place) - 1, 0), last - NODES + 1)
    t = place - first
    weight, change = np.ones(NODES, np.float32), np.zeros(NODES, np.float32)
    for j in range(NODES):
        for k in range(NODES):
            if k == j:
                continue
            weight[j] *= (t - k) / (j - k)
            rest = 1 / (j - k)
            for m in range(NODES):
                if m not in (j, k):
                    rest *= (t - m) / (j - m)
            change[j] += rest / tables.radius_step
    return first, weight, change


@compiled
def add_pictures(canvas: Image, pictures: Pictures, brightness: Array) -> None:
    """Add pictures, each times a brightness, to an image of the box."""
    for n in range(len(brightness)):
        line, light = pictures.line[n], np.float32(brightness[n])
        for z in range(pictures.start[n, 0], pictures.stop[n, 0]):
            for y in range(pictures.start[n, 1], pictures.stop[n, 1]):
                into = canvas[z, y, pictures.begin[line] : pictures.end[line]]
                drawn = _line(pictures, n, 0, line)
                for x in range(len(drawn)):
                    into[x] += light * drawn[x]
                line += 1


@compiled
def _line(pictures: Pictures, n: int, row: int, line: int) -> Image:
    """Return a line of one of the pictures of a sphere."""
    first = pictures.first[n] + row * pictures.size[n] + pictures.place[line]
    return pictures.values[first : first + pictures.end[line] - pictures.begin[line]]
