"""Formatting of results in words, for the window and the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_colloids.stack import VoxelSize


def refinement_words(refined: int, optics: Mapping[str, Any], voxel_size: VoxelSize | None) -> str:
    """Say how many particles were refined, and through which optics.

    Parameters
    ----------
    refined
        How many.
    optics
        What was measured of the optics (``psf_sigma``, axial and lateral, in lateral voxels); it may be missing.
    voxel_size
        Micrometres ``(z, y, x)``, or None where it is unknown.
    """
    text = f"{refined} refined"
    if "psf_sigma" not in optics:
        return text
    axial, lateral = (width * (1.0 if voxel_size is None else voxel_size[2]) for width in optics["psf_sigma"])
    numbers = f"{axial:.2f}/{lateral:.2f} px" if voxel_size is None else f"{axial:.3f}/{lateral:.3f} µm"
    return f"{text}, PSF sigma {numbers} (axial/lateral)"
