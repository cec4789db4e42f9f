"""Plausibility of fitted optics: whether a microscope can have them, and the image the noise that they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_colloids.refinement.optics import MAX_TAIL, whole_sigma

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.refinement.global_parameters import GlobalParameters

#: Range of the radius over that of the detections.
_RADIUS_RATIO_RANGE = (0.8, 1.25)
#: Lateral width of the PSF, in radii of the fit, from which particles that come out far too small are points.
_MIN_POINT_SIGMA_RADII = 0.5
#: Largest axial width of the PSF, halo included, in radii.
_MAX_AXIAL_SIGMA_RADII = 2.2
#: The same width from which spheres on top of each other look alike, so that errors depend on the shape of the PSF
#: beyond what any model of it has, and how much larger they are for each radius more. In simulations with a Gaussian
#: PSF and with that of a STED microscope at least nine tenths then lie within two of them.
_MIN_AMBIGUOUS_SIGMA_RADII = 1.0
_ERROR_GROWTH_PER_RADIUS = 2.0
#: Factor of the errors from which it is told.
_MIN_TOLD_FACTOR = 1.25
#: Largest spread of the brightness, relative.
_MAX_BRIGHTNESS_SPREAD = 0.8
#: Largest noise in the dark over the standard deviation of all grey levels, of which it is only a part; what is cut off
#: at the ends of the range hides some of it.
_MAX_NOISE_OF_CONTRAST = 2.0
#: How far background and light may lie outside the range of the grey levels: so many standard deviations of the noise
#: and this part of the brightness of a particle.
_MAX_BEYOND_SIGMAS, _MAX_BEYOND_BRIGHTNESS = 3.0, 0.3
#: Halo, over the largest one, from which it counts as that; and lateral width of a core that is then too sharp: in
#: radii, and in voxels.
_FULL_TAIL = 0.97
_MIN_HALOED_SIGMA_RADII, _MIN_HALOED_SIGMA_VOXELS = 0.13, 0.62
#: Spread of the brightness beside such a PSF, from which all of it only makes up for a wrong model.
_MAX_HALOED_SPREAD = 0.2
#: What may be the reason where the fit has no sensible end.
_NO_SPHERES = "spheres on a smooth background do not describe this image"


class Seen(NamedTuple):
    """What the image of the particles that the optics were measured on is like, in grey levels.

    Attributes
    ----------
    lowest, highest
        Ends of the range of the grey levels: of the data type, or of the image where it has none.
    contrast
        Standard deviation of the image.
    light
        Light of the model that hardly a voxel exceeds there.
    radius
        Mean radius of the detections there, in lateral voxels.
    """

    lowest: float
    highest: float
    contrast: float
    light: float
    radius: float


def problem_of(common: GlobalParameters, seen: Seen, radius: float) -> str:
    """Return why optics and statistics cannot be right for particles of about a radius; empty if they may be.

    Parameters
    ----------
    common
        As they were fitted.
    seen
        The image that they were fitted to.
    radius
        Median of all detections, in lateral voxels: in a mixture that of the more frequent ones.
    """
    optics, detector = common.optics, common.detector
    beyond = _MAX_BEYOND_SIGMAS * detector.floor / detector.averaged**0.5 + _MAX_BEYOND_BRIGHTNESS * common.brightness
    if not np.isfinite([*optics.psf_sigma, common.background, common.brightness]).all():
        return "the fit of the optics has no finite end"
    if detector.floor / detector.averaged**0.5 > _MAX_NOISE_OF_CONTRAST * seen.contrast:
        return (
            f"the noise of the fit, {detector.floor:.3g} grey levels, is more than the whole contrast of the image, "
            f"{seen.contrast:.3g}: the diameter is wrong, or {_NO_SPHERES}"
        )
    if common.background < seen.lowest - beyond:
        return (
            f"the background comes out at {common.background:.0f}, but the lowest grey level is {seen.lowest:.0f}, "
            f"where it is cut off: a larger offset helps, or {_NO_SPHERES}"
        )
    if seen.light > seen.highest + beyond:
        return (
            f"the light of the particles comes out at {seen.light:.0f}, but the highest grey level is "
            f"{seen.highest:.0f}, where it is cut off: less light or gain helps, or {_NO_SPHERES}"
        )
    ratio = common.radius / seen.radius
    if not _RADIUS_RATIO_RANGE[0] < ratio < _RADIUS_RATIO_RANGE[1]:
        return (
            f"the fit does not agree with the diameter: its radii are {ratio:.2f} times those of the detections; "
            "check the diameter, or give a measured PSF"
        )
    if whole_sigma(optics.psf_sigma[0], optics.psf_tail) > _MAX_AXIAL_SIGMA_RADII * radius:
        return "the particles are too blurred along z, by more than their diameter; nothing but a sharper image helps"
    if common.brightness_spread > _MAX_BRIGHTNESS_SPREAD:
        return (
            f"the particles are too unequally bright, by {common.brightness_spread:.0%}: something else than spheres "
            "shines, such as a coverslip, or they are of several kinds; cut out a part without it"
        )
    if _is_makeshift(common):
        return (
            "no lens has the PSF of the fit, a core as sharp as the voxels with all the halo that there may be, beside "
            f"which the particles differ in brightness by {common.brightness_spread:.0%}: {_NO_SPHERES}; a PSF "
            "measured on a bead may help"
        )
    return ""


def blur_factor(common: GlobalParameters) -> float:
    """Return how much larger errors are than noise makes them, as the particles are blurred along z; at least 1."""
    blur = whole_sigma(common.optics.psf_sigma[0], common.optics.psf_tail) / common.radius
    return float(1 + _ERROR_GROWTH_PER_RADIUS * max(blur - _MIN_AMBIGUOUS_SIGMA_RADII, 0.0))


def blur_notices(common: GlobalParameters) -> list[str]:
    """Return a sentence that says by how much errors are larger for the blur along z; none where that is little."""
    factor = blur_factor(common)
    if factor < _MIN_TOLD_FACTOR:
        return []
    blur = whole_sigma(common.optics.psf_sigma[0], common.optics.psf_tail) / common.radius
    return [
        f"The image is blurred along z by {blur:.1f} radii (standard deviation): spheres on top of each other look "
        "like one, and how they are told apart depends on the very shape of the PSF. Standard errors are "
        f"{factor:.1f} times as large for it."
    ]


def are_points(common: GlobalParameters, radius: float) -> bool:
    """Return whether particles that were detected with about a radius are no larger than the PSF.

    Blur and size then look alike: small spheres are what the fit ends with, and centres are right for any size of them.
    """
    small = common.radius < _RADIUS_RATIO_RANGE[0] * radius
    return small and common.optics.psf_sigma[1] > _MIN_POINT_SIGMA_RADII * common.radius


def _is_makeshift(common: GlobalParameters) -> bool:
    """Return whether PSF and brightness only make up for a model that does not describe the image."""
    optics = common.optics
    full_halo = optics.psf_tail > _FULL_TAIL * MAX_TAIL
    sharp = optics.psf_sigma[1] < max(_MIN_HALOED_SIGMA_RADII * common.radius, _MIN_HALOED_SIGMA_VOXELS)
    return full_halo and sharp and common.brightness_spread > _MAX_HALOED_SPREAD


def range_of(
    dtype: np.dtype[np.generic], levels: NDArray[np.float32], limits: tuple[float, float]
) -> tuple[float, float]:
    """Return the lowest and the highest grey level that an image can have.

    Parameters
    ----------
    dtype
        Of the stack.
    levels
        Of the image; its own ends where the type has none.
    limits
        Levels at which it is cut off, infinities where it is not.
    """
    low, high = limits
    if dtype.kind in "ui":
        ends = np.iinfo(dtype.name)
        return (low if np.isfinite(low) else float(ends.min)), (high if np.isfinite(high) else float(ends.max))
    return (low if np.isfinite(low) else float(levels.min())), (high if np.isfinite(high) else float(levels.max()))
