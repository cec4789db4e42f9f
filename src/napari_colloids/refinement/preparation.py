"""Preparation of a fit: repeated detections left out, the voxel grid chosen, the global parameters estimated."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_colloids.particles import greedy_suppression
from napari_colloids.refinement.block_fit import Detections
from napari_colloids.refinement.global_fit import fit_global_parameters
from napari_colloids.refinement.global_parameters import GlobalParameters
from napari_colloids.refinement.grid import Grid
from napari_colloids.refinement.partition import Cell
from napari_colloids.refinement.plausibility import Seen, are_points, problem_of, range_of
from napari_colloids.volumes import shape_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_colloids.refinement.psf import PSF
    from napari_colloids.volumes import Volume

Array = NDArray[np.float64]

#: Particles that the global parameters are estimated with, and the fewest that will do.
_N_TYPICAL = 80
_MIN_PARTICLES = 5
#: How far around the box of these particles others are fitted with them, in radii.
_MARGIN_RADII = 1.5
#: Particles nearer to each other than this, in radii, are one that was given twice.
_MIN_DISTANCE_RADII = 0.3
#: Voxels are binned along z as long as the axial standard deviation of the PSF is this many of them.
_MIN_AXIAL_SIGMA_VOXELS = 1.4
#: Largest and smallest grey levels of an image whose squares 32-bit numbers hold.
_MAX_LEVEL, _MIN_LEVEL = 1e18, 1e-6
#: Smallest number of steps of 32-bit numbers between the lowest and the highest grey level.
_MIN_STEPS = 32


def distinct(positions: Array, radii: Array, aspect: float) -> NDArray[np.intp]:
    """Return the numbers of the particles without those that repeat an earlier one in nearly the same place."""
    places = positions * [aspect, 1, 1]
    reach = _MIN_DISTANCE_RADII * float(radii.max(initial=0))
    pairs = cKDTree(places).query_pairs(reach, output_type="ndarray")
    first, second = pairs.T
    limit = _MIN_DISTANCE_RADII * np.minimum(radii[first], radii[second])
    near = np.linalg.norm(places[first] - places[second], axis=1) < limit
    return np.flatnonzero(greedy_suppression(pairs[near], len(places)))


def prepare(
    volume: Volume, positions: Array, radii: Array, diameter: float, aspect: float, psf: PSF | None = None
) -> Detections | str:
    """Choose the grid and estimate the global parameters; returns the reason where that is not possible.

    Where the PSF is too sharp for a grid that is fine enough for the particles, a finer one is taken.
    """
    shape = shape_of(volume)
    grid = Grid.of(shape, diameter, aspect)
    while True:
        places, sizes = grid.to_grid(positions), radii / grid.bins[2]
        estimate = _estimated(volume, grid, places, sizes, psf)
        if isinstance(estimate, str):
            return estimate
        common, seen = estimate
        if grid.bins[2] == 1 or not common.psf_unresolved:
            usual = float(np.median(sizes))
            if points := are_points(common, usual):
                sizes, usual = sizes * (common.radius / usual), common.radius
                seen = seen._replace(radius=common.radius)
            return problem_of(common, seen, usual) or Detections(grid, places, sizes, common, points)
        grid = grid.finer(shape)


def measured_before(
    volume: Volume, positions: Array, radii: Array, diameter: float, aspect: float, facts: Mapping[str, object]
) -> Detections | str:
    """Take the global parameters from what a refinement measured; returns the reason where they are incomplete."""
    shape = shape_of(volume)
    grid = Grid.of(shape, diameter, aspect)
    while True:
        places, sizes = grid.to_grid(positions), radii / grid.bins[2]
        inside = grid.inside(places)
        if not inside.any():
            return "none of the particles lies in the stack"
        middle = np.median(places[inside], axis=0)
        reach = _N_TYPICAL ** (1 / 3) * float(np.median(sizes)) / grid.scale
        low = np.clip(np.floor(middle - reach), 0, np.array(grid.shape) - 1).astype(int)
        high = np.clip(np.ceil(middle + reach) + 1, low + 1, grid.shape).astype(int)
        limits = grid.limits(volume, low, high)
        try:
            common = GlobalParameters.from_facts(facts, grid, limits, float(np.median(sizes[inside])))
        except (KeyError, TypeError, ValueError):
            return "what the refinement measured is incomplete; refine the particles again"
        if grid.bins[2] == 1 or not common.psf_unresolved:
            return Detections(grid, places, sizes, common)
        grid = grid.finer(shape)


def _estimated(
    volume: Volume, grid: Grid, places: Array, sizes: Array, psf: PSF | None
) -> tuple[GlobalParameters, Seen] | str:
    """Estimate the global parameters on the particles around the median position, or return why that cannot be.

    With them comes what the image is like there.
    """
    inside, radius, scale = grid.inside(places), float(np.median(sizes)) if len(sizes) else 0.0, grid.scale
    if inside.sum() < _MIN_PARTICLES:
        return f"it takes {_MIN_PARTICLES} particles to measure the optics with"
    middle = np.median(places[inside], axis=0)
    # A cube about the middle, in which there are enough.
    away = np.abs((places - middle) * scale).max(axis=1)
    reach = float(np.sort(away[inside])[min(_N_TYPICAL, int(inside.sum())) - 1]) + radius
    low = np.maximum(np.floor(middle - reach / scale), 0).astype(int)
    high = np.minimum(np.ceil(middle + reach / scale) + 1, grid.shape).astype(int)
    near = Cell(low.astype(float), high.astype(float)).contains(places, _MARGIN_RADII * radius / scale)
    box, limits = grid.read(volume, low, high), grid.limits(volume, low, high)
    if box.known.sum() < _MIN_PARTICLES * 4 / 3 * np.pi * radius**3 / grid.aspect:
        return "the image has no grey levels, or too few, where the particles are"
    if problem := _problem_of_grey_levels(box.image[box.known > 0]):
        return problem
    optics = None if psf is None else psf.on_grid(grid.bins[2], grid.aspect)
    common = fit_global_parameters(box, places[near], sizes[near], limits, grid.averaged, optics)
    levels = box.image[box.known > 0]
    lowest, highest = range_of(volume.dtype, levels, limits)
    return common, Seen(lowest, highest, float(levels.std()), common.peak, float(sizes[near].mean()))


def _problem_of_grey_levels(levels: NDArray[np.float32]) -> str:
    """Return why 32-bit numbers cannot hold the squares of grey levels, or their differences; empty if they can."""
    low, high = float(levels.min()), float(levels.max())
    largest = max(abs(low), abs(high))
    if largest > _MAX_LEVEL:
        return f"grey levels of {largest:.1g} are too large for a fit: divide them by a large number"
    if largest < _MIN_LEVEL:
        return f"grey levels of {largest:.1g} are too small for a fit: multiply them by a large number"
    if high - low < _MIN_STEPS * np.spacing(np.float32(largest)):
        return f"the grey levels, about {low:.3g}, differ by too little for 32 bits: subtract their minimum"
    return ""


def binned_for_psf(shape: tuple[int, int, int], detections: Detections) -> Detections:
    """Return the detections on a grid that is binned along z, where the PSF is so long that this loses nothing."""
    grid, common = detections.grid, detections.common
    factor = int(common.optics.psf_sigma[0] / grid.aspect / _MIN_AXIAL_SIGMA_VOXELS)
    factor = min(factor, grid.shape[0])
    if factor < 2:
        return detections
    coarse = grid.binned_along_z(shape, factor)
    positions = coarse.to_grid(grid.to_source(detections.positions))
    common = common.binned_along_z(factor, grid.aspect)
    return replace(detections, grid=coarse, positions=positions, common=common)
