"""`refine`: from detections and a stack to positions and radii with standard errors."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_colloids.errors import ColloidsError, brief
from napari_colloids.particles import check_one_volume, check_particles, particle_table, positions_of
from napari_colloids.progress import Progress, result_of
from napari_colloids.refinement.acceptance import FittedParticles
from napari_colloids.refinement.block_fit import Detections, fit_block, residual_of_block
from napari_colloids.refinement.gaps import iter_refine_slabs, recorded_bins, slabs_of
from napari_colloids.refinement.partition import Cell, partition_by_count
from napari_colloids.refinement.plausibility import blur_factor, blur_notices
from napari_colloids.refinement.preparation import binned_for_psf, distinct, measured_before, prepare
from napari_colloids.refinement.psf import PSF
from napari_colloids.refinement.results import Refinement, Residual, declined_words
from napari_colloids.refinement.threads import iter_in_order, single_threaded_blas
from napari_colloids.settings import check_value
from napari_colloids.stack import as_stack, aspect_of
from napari_colloids.volumes import recorded_slices, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from numpy.typing import ArrayLike

    from napari_colloids.stack import Stack
    from napari_colloids.volumes import Volume

Array = NDArray[np.float64]

#: Median standard error along z, in diameters, from which a fit is no better than the detections it starts from.
_MAX_AXIAL_ERROR_DIAMETERS = 0.05
#: What is said of particles that are no larger than the PSF.
_POINTS_NOTICE = (
    "The particles are points to this microscope, no larger than its PSF: their centres are refined, but their radii, "
    "those of spheres that look alike, are not known, and have no standard errors."
)
#: Particles that a block owns at most: those around them are fitted with them, so that small blocks are more work, and
#: large ones leave cores idle. So there are as many blocks as this, but where that makes them smaller or larger.
_N_BLOCKS = 16
_PARTICLES_PER_BLOCK_RANGE = (750, 1500)


def refine(
    stack: Stack | ArrayLike,
    particles: pd.DataFrame | ArrayLike,
    *,
    diameter: float | None = None,
    dark: bool = False,
    psf: PSF | None = None,
    voxel_size: Sequence[float] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> pd.DataFrame:
    r"""Refine detected particles: fit a model of the image to their positions, radii and brightness.

    The light in a voxel at :math:`\mathbf r` is modelled as

    .. math::

        I(\mathbf r) = b(\mathbf r) + \ell(\mathbf r)
        \sum_k A_k \left(\Theta_{R_k} * h\right)(\mathbf r - \mathbf r_k), \qquad
        h = (1 - \tau)\, G_\Sigma + \tau\, G_{4 \Sigma}

    with spheres :math:`\Theta_{R_k}` of radius :math:`R_k`, brightness :math:`A_k` and centre :math:`\mathbf r_k`
    (solid, or with a dark core), a PSF :math:`h` of a Gaussian core :math:`G_\Sigma` and a halo of twice its width,
    and a background :math:`b` and illumination :math:`\ell` that are polynomials of second order, the latter in its
    logarithm. Grey levels :math:`D` have a mean :math:`\mu(I)` and a variance :math:`\sigma^2(I)`: those of
    :math:`I` with shot and read noise, of variance :math:`g I + \sigma_0^2`, clipped at the ends of the range.
    Gauss-Newton steps minimise

    .. math::

        \chi^2 = \sum_{\mathbf r} \frac{[D(\mathbf r) - \mu(\mathbf r)]^2}{\sigma^2(\mathbf r)}
        + \sum_j \frac{(\theta_j - \bar\theta_j)^2}{s_j^2},

    the second sum being normal priors: wide ones about the detected centres, radii and brightness as alike as those of
    the stack are. Optics, noise and spread are estimated on the stack itself, on some eighty particles near the
    middle. Standard errors come from the inverse of the normal equations, neighbours included; for Gaussian PSFs they
    come close to the Cramér-Rao bound [1]_ [2]_.

    Parameters
    ----------
    stack
        A `Stack`, or an array ``(z, y, x)``.
    particles
        Particle table: ``z, y, x`` in voxels, and ``radius`` in lateral voxels unless `diameter` is given; or an array
        ``(N, 3)`` of positions. Particles centred just outside the stack help those at its faces. Of a series, the
        particles of one volume, with the columns ``frame`` and ``channel`` that say which.
    diameter
        In lateral voxels; None takes twice the median radius.
    dark
        The particles are darker than what surrounds them.
    psf
        A PSF that is known (`PSF`) or was measured on a bead (`PSF.measured`); None estimates it on the particles.
    voxel_size
        Edges of a voxel in micrometres ``(z, y, x)``; None takes those of the stack.
    progress
        Called with the steps that are done and their total.

    Returns
    -------
    pandas.DataFrame
        ``z, y, x, radius``, their standard errors ``z_err, y_err, x_err, radius_err``, and ``refined``: 0 where the fit
        was not accepted and the particle is as it came; ``radius_err`` is NaN where they are no larger than the PSF.
        ``misfit`` is what the residual around each has beyond the noise, 1 where the fit explains all. Particles that
        explain no light, and those given twice, are left out, and those that only the residual showed come last.
        ``attrs`` holds the estimated optics, noise and spread (``psf_sigma``, ``psf_tail``, ``psf_tilt``, ``shell``,
        ``polydispersity``, ``background``, ``brightness``, ``brightness_spread``, ``noise_gain``, ``noise_floor``; in
        lateral voxels and grey levels), ``not_refined`` where these are known, but no particle was refined: why, and
        ``notices``.

    Raises
    ------
    ColloidsError
        If the stack or the table cannot be used, or the table does not say which of several volumes it is of.

    See Also
    --------
    detect : Finds the particles; with ``refine=True`` it refines them, too.
    PSF : A known or measured point spread function.

    References
    ----------
    .. [1] M. Bierbaum, B. D. Leahy, A. A. Alemi, I. Cohen and J. P. Sethna, "Light microscopy at maximal precision",
       Phys. Rev. X 7, 041007 (2017).
    .. [2] R. J. Ober, S. Ram and E. S. Ward, "Localization accuracy in single-molecule microscopy", Biophys. J. 86,
       1185 (2004).

    Examples
    --------
    Detections with errors of 0.3 voxels along each axis, in a simulated stack:

    >>> import napari_colloids as nc
    >>> import numpy as np
    >>> simulation = nc.simulate(shape=(32, 32, 32), radius=4, volume_fraction=0.3, snr=10, cnr=8, seed=1)
    >>> truth = simulation.particles[["z", "y", "x"]].to_numpy()
    >>> detected = truth + np.random.default_rng(0).normal(0, 0.3, truth.shape)
    >>> refined = nc.refine(simulation.stack, detected, diameter=8)
    >>> errors = refined[["z", "y", "x"]].to_numpy()[: len(truth)] - truth
    >>> bool(np.sqrt(np.mean(errors**2)) < 0.1)
    True
    """
    stack = as_stack(stack)
    if voxel_size is not None:
        stack = stack.with_voxel_size(voxel_size)
    check_value("diameter", diameter, float | None)
    if not isinstance(psf, PSF | None):
        raise ColloidsError(f"A PSF is what PSF(...) or PSF.measured(...) returns, not {brief(psf)}.")
    table = check_particles(particles if isinstance(particles, pd.DataFrame) else particle_table(particles))
    check_one_volume(table)
    radii = _radii_of(table, diameter)
    size = diameter if diameter is not None else 2 * float(np.median(radii)) if len(radii) else 1.0
    aspect = aspect_of(stack.voxel_size)
    known_psf = None if psf is None else psf.in_voxels(stack.voxel_size, aspect)
    of = {column: int(table[column].max()) if len(table) else 0 for column in ("frame", "channel") if column in table}
    volume = stack.volume(*_volume_of(stack, of), dark=dark)
    steps = iter_refine(volume, positions_of(table), radii, size, aspect, known_psf)
    fit = result_of(steps, progress)
    refined = particle_table(
        fit.positions,
        radius=fit.radii,
        errors=fit.errors,
        refined=fit.refined,
        misfit=fit.misfit,
        voxel_size=stack.voxel_size,
        **of,
    )
    refined.attrs.update(fit.facts, notices=fit.notices)
    return refined


def _radii_of(table: pd.DataFrame, diameter: float | None) -> Array:
    """Return the radii of a table, or those of a diameter."""
    if diameter is None and "radius" not in table:
        raise ColloidsError("To refine particles their size is needed: a column 'radius', or the diameter.")
    radii = np.full(len(table), diameter / 2) if diameter is not None else table["radius"].to_numpy(dtype=float)
    if not (np.isfinite(radii).all() and (radii > 0).all()):
        raise ColloidsError(
            "To refine particles their sizes must be positive numbers: correct the column 'radius' or the diameter."
        )
    return radii


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
    volume: Volume, positions: Array, radii: Array, diameter: float, aspect: float = 1.0, psf: PSF | None = None
) -> Generator[Progress, None, Refinement]:
    """Fit all particles of a volume, step by step.

    Parameters
    ----------
    volume
        Array-like ``(z, y, x)``; only the part that a block needs is read. Where slices are missing, what lies between
        is fitted on its own.
    positions
        Shape ``(N, 3)`` in voxels: detections, also those centred just outside, whose light reaches in.
    radii
        Shape ``(N,)`` in lateral voxels.
    diameter
        Of a typical particle, in lateral voxels.
    aspect
        Height of a voxel over its width.
    psf
        Known PSF, in lateral voxels of the volume.

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
    slabs = slabs_of(recorded_slices(volume))

    def fit(part: Volume, there: Array, sizes: Array) -> Generator[Progress, None, Refinement]:
        return (yield from _iter_refine_whole(part, there, sizes, diameter, aspect, psf))

    with single_threaded_blas():
        if len(slabs) == 1 and slabs[0] == slice(0, volume.shape[0]):
            return (yield from fit(volume, positions, radii))
        return (yield from iter_refine_slabs(fit, volume, slabs, positions, radii, diameter / aspect))


def _iter_refine_whole(
    volume: Volume, positions: Array, radii: Array, diameter: float, aspect: float, psf: PSF | None
) -> Generator[Progress, None, Refinement]:
    """Fit all particles of a volume without gaps."""
    single = distinct(positions, radii, aspect)
    yield Progress(0, 1, "measuring the optics")
    prepared = prepare(volume, positions[single], radii[single], diameter, aspect, psf)
    if isinstance(prepared, str):
        return Refinement.unchanged(positions, radii, prepared)
    detections = binned_for_psf(shape_of(volume), prepared)
    cells = _cells_of(detections)
    yield Progress(1, len(cells) + 1, "refining")
    parts: list[FittedParticles] = []
    for part in iter_in_order(partial(fit_block, volume, detections), cells):
        parts.append(part)
        yield Progress(len(parts) + 1, len(cells) + 1, "refining")
    fitted = FittedParticles.joined(parts)
    fitted = replace(fitted, source=np.where(fitted.source < 0, -1, single[fitted.source]))
    fit = _in_stack_voxels(fitted, detections, positions, radii)
    notices = fitted.misfit[fitted.accepted].notices()
    if prepared.points:
        fit.errors[:, 3] = np.nan
        notices.append(_POINTS_NOTICE)
    fit = replace(fit, common=prepared.common.in_stack_voxels(prepared.grid), notices=notices)
    if not fit.refined.any():
        return Refinement.unchanged(
            positions, radii, "no particle settles near its detection; check diameter and voxels", fit.common
        )
    axial_error = np.nanmedian(fit.errors[fit.refined, 0]) * aspect
    if axial_error > _MAX_AXIAL_ERROR_DIAMETERS * diameter:
        reason = (
            f"the standard errors of the positions along z, {axial_error / aspect:.2g} voxels, are "
            f"{axial_error / diameter:.2g} diameters, from which a fit places particles no better than the search"
        )
        if notices:
            reason += ", as it leaves more than noise"
        return Refinement.unchanged(positions, radii, f"{reason}; more light or less blur helps", fit.common)
    if prepared.points:
        return fit
    errors = fit.errors * blur_factor(prepared.common)
    return replace(fit, errors=errors, notices=[*notices, *blur_notices(prepared.common)])


def iter_residual(
    volume: Volume,
    positions: Array,
    radii: Array,
    diameter: float,
    aspect: float = 1.0,
    measured: Mapping[str, object] | None = None,
) -> Generator[Progress, None, Residual]:
    """Subtract the image of some particles from a volume, step by step.

    The residual is negative where a particle is not there, and positive where one is missed.

    Parameters
    ----------
    volume, positions, radii, diameter, aspect
        As in `iter_refine`; only the brightness of the particles is fitted.
    measured
        What the refinement of these particles measured (`Refinement.facts`): optics that it accepted are taken as they
        are, and where it declined the particles with them, the residual says so. None or nothing measures them here,
        with the same judgement.

    Yields
    ------
    Progress
        After the optics and after each block.

    Returns
    -------
    Residual
        Of the whole volume, in bins where the particles are large; 0 where slices are missing.

    Raises
    ------
    ColloidsError
        If the optics cannot be measured with these particles.
    """
    yield Progress(0, 1, "measuring the optics")
    with single_threaded_blas():
        if measured:
            detections = measured_before(volume, positions, radii, diameter, aspect, measured)
        else:
            single = distinct(positions, radii, aspect)
            detections = prepare(volume, positions[single], radii[single], diameter, aspect)
        if isinstance(detections, str):
            raise ColloidsError(f"There is no residual to be shown: {detections}.")
        cells = _cells_of(detections)
        image = np.zeros(detections.grid.shape, np.float32)
        parts = iter_in_order(partial(residual_of_block, volume, detections), cells)
        for number, (voxels, part) in enumerate(parts, start=1):
            image[voxels] = part
            yield Progress(number, len(cells), "subtracting the particles")
        image[~recorded_bins(recorded_slices(volume), detections.grid.bins[0], len(image))] = 0
        declined = measured.get("not_refined") if measured else None
        return Residual(image, detections.grid.bins, [declined_words(str(declined))] if declined else [])


def _cells_of(detections: Detections) -> list[Cell]:
    """Return the partition of the detections in the stack into blocks."""
    grid = detections.grid
    inside = detections.positions[grid.inside(detections.positions)]
    most = int(np.clip(-(-len(inside) // _N_BLOCKS), *_PARTICLES_PER_BLOCK_RANGE))
    return partition_by_count(inside, most, grid.scale)


def _in_stack_voxels(fitted: FittedParticles, detections: Detections, positions: Array, radii: Array) -> Refinement:
    """Return fitted particles in voxels of the stack and in the order of the detections given in these voxels."""
    grid, lateral = detections.grid, detections.grid.bins[2]
    places, sizes = grid.to_source(fitted.positions), fitted.radii * lateral
    errors = fitted.errors * [*grid.bins, lateral]
    # Detections whose fit is not accepted stay where they are, to the last digit.
    stays = ~fitted.accepted
    old = fitted.source[stays]
    places[stays], sizes[stays], errors[stays] = positions[old], radii[old], np.nan
    misfit = np.where(stays, np.nan, fitted.misfit.excess)
    order = np.argsort(np.where(fitted.source < 0, len(positions), fitted.source), kind="stable")
    return Refinement(
        places[order], sizes[order], errors[order], fitted.accepted[order], fitted.source[order], misfit[order]
    )
