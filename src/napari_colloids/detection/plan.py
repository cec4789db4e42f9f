"""Plan of a search: what is measured on the whole volume before any part of it is searched."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.detection.channels import channel_notices
from napari_colloids.detection.estimate import DiameterEstimate
from napari_colloids.detection.methods import METHODS
from napari_colloids.detection.normalise import GreyLevels
from napari_colloids.detection.options import Options
from napari_colloids.detection.overview import Overview
from napari_colloids.detection.region import Part, Region
from napari_colloids.detection.scale import MARGIN, Scale
from napari_colloids.detection.tiles import Box
from napari_colloids.errors import ColloidsError
from napari_colloids.formatting import voxel_size_words
from napari_colloids.settings import settings_of
from napari_colloids.stack import aspect_of, proportions_of
from napari_colloids.volumes import shape_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from napari_colloids.progress import Progress
    from napari_colloids.refinement import PSF
    from napari_colloids.stack import Stack, VoxelSize
    from napari_colloids.volumes import Volume

#: Smallest width of a particle in voxels along any axis: the training had none narrower.
_MIN_WIDTH_VOXELS = 1.0
#: Width of a voxel over its height beyond which a stack is not resampled.
_MAX_FLATNESS = 100.0
#: Largest ratio of a voxel's edges where the diameter is not known yet.
_MAX_VOXEL_ASPECT = 20.0
#: Margin around a region that is searched, too, in canonical voxels: a particle outside it may suppress one inside.
_MARGIN_VOXELS = 16


@dataclass(frozen=True)
class Plan:
    """How one volume is searched; the same plan gives the same particles whatever part is searched where.

    Attributes
    ----------
    options
        As they were given.
    shape
        Shape ``(z, y, x)`` of the volume.
    voxel_size
        Micrometres ``(z, y, x)``, or None.
    levels
        Grey levels of the volume.
    estimate
        Of the diameter; certain where it was given.
    region
        Where particles are wanted.
    psf
        Measured PSF, in lateral voxels; None where it is fitted to the particles.
    assumed
        Axes whose edge of a voxel was assumed, as in `Stack`.
    notices
        Of how the stack was read.
    """

    options: Options
    shape: tuple[int, int, int]
    voxel_size: VoxelSize | None
    levels: GreyLevels
    estimate: DiameterEstimate
    region: Region = field(default_factory=Region)
    psf: PSF | None = None
    assumed: str = ""
    notices: tuple[str, ...] = ()

    @property
    def diameter(self) -> float:
        """In voxels along x."""
        return self.estimate.diameter

    @property
    def proportions(self) -> VoxelSize:
        """Edges ``(z, y, x)`` of a voxel over the one along x."""
        return proportions_of(self.voxel_size)

    @property
    def scale(self) -> Scale:
        """The map to canonical voxels."""
        return Scale.for_diameter(self.diameter, self.shape, self.proportions)

    def around(self, diameters: float) -> tuple[NDArray[np.intp], tuple[slice, ...]]:
        """Return the first voxel of the region with a margin in diameters, and the slices of that box."""
        low, high = self.region.bounds(self.shape)
        beyond = np.ceil(diameters * self.diameter / np.array(self.proportions)).astype(int)
        first, last = np.maximum(low - beyond, 0), np.minimum(high + beyond, self.shape)
        return first, tuple(slice(a, b) for a, b in zip(first.tolist(), last.tolist(), strict=True))

    def box(self) -> Box:
        """Return the part of the padded canonical volume to search: the region with a margin."""
        from napari_colloids.detection.network import MULTIPLE

        padded = np.array(self.scale.padded_shape)
        low, high = (corner.astype(float) for corner in self.region.bounds(self.shape))
        reach = MARGIN + _MARGIN_VOXELS
        first = np.floor(self.scale.to_canonical(low - 0.5)) + MARGIN - (low > 0) * _MARGIN_VOXELS
        last = np.ceil(self.scale.to_canonical(high - 0.5)) + MARGIN + 1 + reach
        first = np.where(low > 0, np.clip(first // MULTIPLE * MULTIPLE, 0, None), 0).astype(int)
        last = np.where(high < self.shape, np.minimum(-(-last // MULTIPLE) * MULTIPLE, padded), padded).astype(int)
        return Box((first[0], first[1], first[2]), (last[0], last[1], last[2]))

    def wants(self, low: tuple[int, int, int], high: tuple[int, int, int]) -> bool:
        """Whether the canonical box ``[low, high)`` (counted from the corner of the margin) has to be searched."""
        first = self.scale.to_source(np.array(low) - MARGIN - _MARGIN_VOXELS - 0.5)
        last = self.scale.to_source(np.array(high) - MARGIN + _MARGIN_VOXELS - 0.5)
        source_low = np.clip(np.floor(first), 0, self.shape).astype(int)
        source_high = np.clip(np.ceil(last) + 1, 0, self.shape).astype(int)
        return self.region.overlaps(source_low, source_high)


def iter_plan(
    stack: Stack,
    part: Part,
    options: Options,
    region: Region | None = None,
    estimate: DiameterEstimate | None = None,
) -> Generator[Progress, None, Plan]:
    """Measure a volume: grey levels and, where it is not given, the diameter; check the polarity and the voxels.

    Parameters
    ----------
    stack, part
        The stack, and which volume of it.
    options
        The settings.
    region
        Where particles are wanted.
    estimate
        An earlier estimate of the diameter, to be used with its checks instead of a new one.

    Raises
    ------
    ColloidsError
        If a setting does not fit the stack.
    UnusableVolumeError
        If the volume is constant, or nothing of it was recorded.
    """
    volume, voxel_size = stack.volume(*part, dark=options.dark), stack.voxel_size
    overview = Overview.of(volume)
    levels = GreyLevels.of(overview)
    region = Region() if region is None else region
    shape = shape_of(volume)
    region.check(shape)
    # Checked first, so that a stack that cannot be refined is not searched in vain.
    aspect = aspect_of(voxel_size) if options.refine else None
    psf = None if options.psf is None or aspect is None else options.psf.in_voxels(voxel_size, aspect)
    given = _given_diameter(options, voxel_size)
    _check_voxels(stack, given)
    if estimate is not None:
        estimate = estimate if given is None else replace(estimate, diameter=given, certain=True)
    elif given is not None and not METHODS[options.method].tiled:
        estimate = DiameterEstimate(given, certain=True)
    else:
        estimate = yield from _measured(volume, overview, levels, proportions_of(voxel_size), options.weights, given)
    _check_voxels(stack, estimate.diameter, estimate.height_factor)
    notices = stack.notices + channel_notices(stack, part)
    return Plan(options, shape, voxel_size, levels, estimate, region, psf, stack.assumed, notices)


def _check_voxels(stack: Stack, diameter: float | None, height_factor: float | None = None) -> None:
    """Refuse voxel sizes that must be wrong: resampling would stretch the stack beyond all measure."""
    if stack.voxel_size is None:
        return
    edges = np.array(proportions_of(stack.voxel_size))
    words = voxel_size_words(stack.voxel_size, stack.assumed)
    if diameter is None:
        if edges.max() > _MAX_VOXEL_ASPECT * edges.min():
            raise ColloidsError(
                f"One edge of a voxel is {edges.max() / edges.min():.3g} times as long as another: is the voxel size "
                f"{words} (z, y, x) right? If so, give the diameter."
            )
    elif diameter < _MIN_WIDTH_VOXELS * edges.max():
        better = ""
        if height_factor is not None:
            better = f" A z step of about {stack.voxel_size[0] * height_factor:.2g} µm would make them round."
        raise ColloidsError(
            f"Particles {diameter:.3g} voxels wide would be only {diameter / edges.max():.2g} voxels "
            f"{'high' if edges.argmax() == 0 else 'long along y'}: is the voxel size {words} (z, y, x) right?{better}"
        )
    elif edges.min() * _MAX_FLATNESS < 1:
        raise ColloidsError(
            f"Particles {diameter:.3g} voxels wide would be more than {diameter * _MAX_FLATNESS:.3g} voxels "
            f"{'high' if edges.argmin() == 0 else 'long along y'}: is the voxel size {words} (z, y, x) right?"
        )


def _given_diameter(options: Options, voxel_size: VoxelSize | None) -> float | None:
    """Return the diameter in voxels along x if the user gave one."""
    if options.diameter_um is None:
        return options.diameter
    if voxel_size is None:
        raise ColloidsError(
            "The stack has no voxel size, so a diameter in micrometres cannot be used: "
            "give the voxel size, or the diameter in voxels."
        )
    diameter = options.diameter_um / voxel_size[2]
    limits = settings_of(Options)["diameter"].setting
    low, high = limits.low, limits.high
    if not low <= diameter <= high:
        raise ColloidsError(
            f"A diameter of {options.diameter_um:g} um is {diameter:.3g} voxels here; it must lie between {low:g} and "
            f"{high:g}. Are the diameter and the voxel size right?"
        )
    return diameter


def _measured(
    volume: Volume,
    overview: Overview,
    levels: GreyLevels,
    proportions: VoxelSize,
    weights: str | None,
    given: float | None,
) -> Generator[Progress, None, DiameterEstimate]:
    """Measure what is not given, and check what is."""
    from napari_colloids.detection.measurement import iter_measure
    from napari_colloids.detection.trial import Trials
    from napari_colloids.detection.weights import network_of

    return (yield from iter_measure(Trials(volume, overview, levels, proportions, network_of(weights)), given))
