"""`refine`: detections -> optics -> blocks of particles fitted together -> centres, radii and their standard errors."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import (
    ERRORS,
    check_one_volume,
    check_particles,
    greedy_suppression,
    particle_table,
    positions_of,
)
from napari_colloids.progress import Progress, result_of
from napari_colloids.refinement.acceptance import Fitted
from napari_colloids.refinement.block_fit import Detections, fit_block, residual_of_block
from napari_colloids.refinement.global_fit import Estimate, estimate
from napari_colloids.refinement.grid import Grid
from napari_colloids.refinement.partition import Core, cut_by_count
from napari_colloids.stack import as_stack, aspect_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import pandas as pd

    from napari_colloids.refinement.psf import PSF
    from napari_colloids.stack import Stack

Array = NDArray[np.float64]

#: Particles that the optics are measured with, and the fewest that will do.
_TYPICAL = 80
_FEWEST = 5
#: Particles nearer to each other than this, in radii, are one that was given twice.
_SAME = 0.3
#: Standard error along z, in diameters, from which a fit is no better than the search it begins with.
_VAGUE = 0.05
#: Voxels are made higher as long as the PSF has this standard deviation in them.
_SAMPLED = 1.4
#: Particles that a block owns at most; those around them are fitted with them.
_MOST = 1500


@dataclass(frozen=True, eq=False)
class Refinement:
    """What a fit made of some detections, in voxels of the stack.

    Attributes
    ----------
    positions
        Shape ``(N, 3)``.
    radii
        Shape ``(N,)``, in lateral voxels.
    errors
        Shape ``(N, 4)``: standard errors of z, y, x and radius; NaN where the detection was left as it is.
    refined
        Shape ``(N,)``: whether the fit was accepted.
    source
        Shape ``(N,)``: number of the detection, -1 for a particle that only the residual showed.
    estimate
        Optics, noise and spread of the particles; None where they could not be measured.
    notices
        What the user should know.
    """

    positions: Array
    radii: Array
    errors: Array
    refined: NDArray[np.bool_]
    source: NDArray[np.intp]
    estimate: Estimate | None = None
    notices: list[str] = field(default_factory=list)

    @property
    def facts(self) -> dict[str, Any]:
        """What was measured of the optics, by name, in lateral voxels and grey levels."""
        return {} if self.estimate is None else self.estimate.facts()


@dataclass(frozen=True, eq=False)
class Residual:
    """What particles leave of an image.

    Attributes
    ----------
    image
        Shape ``(z, y, x)``: grey levels of the stack less those of the model.
    bins
        Voxels of the stack ``(z, y, x)`` in one of the image.
    """

    image: NDArray[np.float32]
    bins: tuple[int, int, int]


def refine(
    stack: Any,
    particles: pd.DataFrame,
    *,
    diameter: float | None = None,
    dark: bool = False,
    psf: PSF | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    """Fit a model of the image to particles that were found by whatever means.

    Parameters
    ----------
    stack
        A `Stack`, or an array ``(z, y, x)``.
    particles
        Particle table: ``z, y, x`` in voxels, and ``radius`` in lateral voxels unless `diameter` is given. Particles
        centred just outside the stack help those at its faces. Of a series, the particles of one volume, with the
        columns ``frame`` and ``channel`` that say which.
    diameter
        In lateral voxels; None takes twice the median radius.
    dark
        The particles are darker than what surrounds them.
    psf
        A measured PSF (`PSF.measured`); None measures it on the particles.
    progress
        Called with the steps that are done and their total.

    Returns
    -------
    pandas.DataFrame
        ``z, y, x, radius``, their standard errors ``z_err, y_err, x_err, radius_err``, and ``refined``: 0 where the fit
        was not accepted and the particle is as it came. Particles that explain no light, and those given twice, are
        gone, and what the residual showed beside them comes last. ``attrs`` holds what was measured of the optics, and
        ``notices``.

    Raises
    ------
    ColloidsError
        If the stack or the table cannot be used, or the table does not say which of several volumes it is of.
    """
    stack = as_stack(stack)
    table = check_particles(particles)
    check_one_volume(table)
    if diameter is None and "radius" not in table:
        raise ColloidsError("To refine particles their size is needed: a column 'radius', or the diameter.")
    radii = np.full(len(table), diameter / 2) if diameter is not None else table["radius"].to_numpy(dtype=float)
    if not (np.isfinite(radii).all() and (radii > 0).all()):
        raise ColloidsError(
            "To refine particles their sizes must be positive numbers: mend the column 'radius' or the diameter."
        )
    size = diameter if diameter is not None else 2 * float(np.median(radii)) if len(radii) else 1.0
    aspect = aspect_of(stack.voxel_size)
    known = None if psf is None else psf.in_voxels(stack.voxel_size, aspect)
    of = {column: int(table[column].max()) if len(table) else 0 for column in ("frame", "channel") if column in table}
    volume = stack.volume(*_volume_of(stack, of), dark=dark)
    steps = iter_refine(volume, positions_of(table), radii, size, aspect, known)
    fit = result_of(steps, progress)
    refined = particle_table(
        fit.positions, radius=fit.radii, errors=fit.errors, refined=fit.refined, voxel_size=stack.voxel_size, **of
    )
    refined.attrs.update(fit.facts, notices=fit.notices)
    return refined


def _volume_of(stack: Stack, of: dict[str, int]) -> tuple[int, int]:
    """Return frame and channel of the volume that particles `of` these belong to."""
    which = []
    for axis, column, count in (("t", "frame", stack.n_frames), ("c", "channel", stack.n_channels)):
        if count > 1 and column not in of:
            raise ColloidsError(
                f"'{stack.name}' has {count} {column}s, and the particles do not say which is theirs: "
                f"give them a column '{column}'."
            )
        which.append(of.get(column, 0) if axis in stack.axes else 0)
    return which[0], which[1]


def iter_refine(
    volume: Any, positions: Array, radii: Array, diameter: float, aspect: float = 1.0, psf: PSF | None = None
) -> Generator[Progress, None, Refinement]:
    """Fit all particles of a volume.

    Parameters
    ----------
    volume
        Array-like ``(z, y, x)``; only the part that a block needs is read.
    positions
        Shape ``(N, 3)`` in voxels: detections, also those centred just outside, whose light reaches in.
    radii
        Shape ``(N,)`` in lateral voxels.
    diameter
        Of a typical particle, in lateral voxels.
    aspect
        Height of a voxel over its width.
    psf
        What was measured of the PSF, in lateral voxels of the volume.

    Yields
    ------
    Progress
        After the optics and after each block.

    Returns
    -------
    Refinement
        In the order of the detections, what was added last; those that explain no light are left out, and so are all
        but the first of those in one place.
    """
    single = _single(positions, radii, aspect)
    yield Progress(0, 1, "measuring the optics")
    begun = _begun(volume, positions[single], radii[single], diameter, aspect, psf)
    if isinstance(begun, str):
        return _unchanged(positions, radii, begun)
    grid, places, sizes, known = begun.grid, begun.places, begun.sizes, begun.known.off(begun.grid)
    grid, places, rough = _no_finer_than_needed(tuple(volume.shape), grid, places, begun.known)
    cores = cut_by_count(places[grid.inside(places)], _MOST, np.array([grid.aspect, 1, 1]))
    yield Progress(1, len(cores) + 1, "refining")
    found = Detections(grid, places, sizes, rough)
    parts: list[Fitted] = []
    for core in cores:
        parts.append(fit_block(volume, found, core))
        yield Progress(len(parts) + 1, len(cores) + 1, "refining")
    fit = _joined(parts, grid, positions, radii, single, known)
    doubt = np.nanmedian(fit.errors[fit.refined, 0]) * aspect if fit.refined.any() else np.inf
    if doubt > _VAGUE * diameter:
        return _unchanged(positions, radii, "the image says too little of where the single particles are")
    return fit


def iter_residual(
    volume: Any, positions: Array, radii: Array, diameter: float, aspect: float = 1.0
) -> Generator[Progress, None, Residual]:
    """Show what some particles leave unexplained of a volume: dark where there is none, bright where one is missed.

    Parameters
    ----------
    volume, positions, radii, diameter, aspect
        As in `iter_refine`; only the brightness of the particles is fitted.

    Raises
    ------
    ColloidsError
        If the optics cannot be measured with these particles.
    """
    yield Progress(0, 1, "measuring the optics")
    found = _begun(volume, positions, radii, diameter, aspect)
    if isinstance(found, str):
        raise ColloidsError(f"There is no residual to be shown: {found}.")
    grid = found.grid
    cores = cut_by_count(found.places[grid.inside(found.places)], _MOST, np.array([grid.aspect, 1, 1]))
    image = np.zeros(grid.shape, np.float32)
    for number, core in enumerate(cores, start=1):
        voxels, part = residual_of_block(volume, found, core)
        image[voxels] = part
        yield Progress(number, len(cores), "subtracting the particles")
    return Residual(image, grid.bins)


def _begun(
    volume: Any, positions: Array, radii: Array, diameter: float, aspect: float, psf: PSF | None = None
) -> Detections | str:
    """Choose the grid and measure the optics; returns why that cannot be where it cannot.

    Where the PSF is too sharp for a grid that is fine enough for the particles, a finer one is taken.
    """
    grid = Grid.of(tuple(volume.shape), diameter, aspect)
    while True:
        places, sizes = grid.to_grid(positions), radii / grid.bins[2]
        known = _common(volume, grid, places, sizes, psf)
        if isinstance(known, str):
            return known
        if grid.bins[2] == 1 or not known.sharp:
            return known.problem(float(np.median(sizes))) or Detections(grid, places, sizes, known)
        grid = grid.finer(tuple(volume.shape))


def _common(volume: Any, grid: Grid, places: Array, sizes: Array, psf: PSF | None = None) -> Estimate | str:
    """Measure the optics on the particles around the middle one; returns why that cannot be where it cannot."""
    inside = grid.inside(places)
    if inside.sum() < _FEWEST:
        return f"it takes {_FEWEST} particles to measure the optics with"
    scale = np.array([grid.aspect, 1, 1])
    middle = np.median(places[inside], axis=0)
    # A cube about the middle, in which there are enough.
    away = np.abs((places - middle) * scale).max(axis=1)
    reach = float(np.sort(away[inside])[min(_TYPICAL, int(inside.sum())) - 1]) + float(np.median(sizes))
    low = np.maximum(np.floor(middle - reach / scale), 0).astype(int)
    high = np.minimum(np.ceil(middle + reach / scale) + 1, grid.shape).astype(int)
    near = Core(low.astype(float), high.astype(float)).holds(places, 1.5 * float(np.median(sizes)) / scale)
    box, limits = grid.read(volume, low, high), grid.limits(volume, low, high)
    if box.known.sum() < _FEWEST * 4 / 3 * np.pi * float(np.median(sizes)) ** 3 / grid.aspect:
        return "the image has no grey levels, or too few, where the particles are"
    optics = None if psf is None else psf.seen(grid.bins[2], grid.aspect)
    return estimate(box, places[near], sizes[near], limits, grid.averaged, optics)


def _no_finer_than_needed(
    shape: tuple[int, int, int], grid: Grid, places: Array, known: Estimate
) -> tuple[Grid, Array, Estimate]:
    """Return grid, positions and estimate with higher voxels, where the PSF is so long that this loses nothing."""
    along = int(known.optics.psf_sigma[0] / grid.aspect / _SAMPLED)
    along = min(along, grid.shape[0])
    if along < 2:
        return grid, places, known
    coarse = grid.coarser(shape, along)
    return coarse, coarse.to_grid(grid.to_source(places)), known.coarser(along, grid.aspect)


def _unchanged(positions: Array, radii: Array, reason: str) -> Refinement:
    count = len(positions)
    notices = [f"Not refined: {reason}. The positions are those of the search."]
    unknown = np.full((count, len(ERRORS)), np.nan)
    return Refinement(positions, radii, unknown, np.zeros(count, bool), np.arange(count), notices=notices)


def _single(positions: Array, radii: Array, aspect: float) -> NDArray[np.intp]:
    """Return the numbers of the particles that are not given before in nearly the same place."""
    places = positions * [aspect, 1, 1]
    pairs = cKDTree(places).query_pairs(_SAME * float(radii.max(initial=0)), output_type="ndarray")
    first, second = pairs.T
    near = np.linalg.norm(places[first] - places[second], axis=1) < _SAME * np.minimum(radii[first], radii[second])
    return np.flatnonzero(greedy_suppression(pairs[near], len(places)))


def _joined(
    parts: list[Fitted], grid: Grid, positions: Array, radii: Array, single: NDArray[np.intp], known: Estimate
) -> Refinement:
    fitted = Fitted.joined(parts)
    fitted = replace(fitted, source=np.where(fitted.source < 0, -1, single[fitted.source]))
    lateral = grid.bins[2]
    places, sizes = grid.to_source(fitted.positions), fitted.radii * lateral
    errors = fitted.errors * [*grid.bins, lateral]
    # Detections the fit does not vouch for stay where the network has them, to the last digit.
    stays = ~fitted.accepted
    old = fitted.source[stays]
    places[stays], sizes[stays], errors[stays] = positions[old], radii[old], np.nan
    order = np.argsort(np.where(fitted.source < 0, len(positions), fitted.source), kind="stable")
    return Refinement(places[order], sizes[order], errors[order], fitted.accepted[order], fitted.source[order], known)
