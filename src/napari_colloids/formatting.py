"""Formatting of results in words, for the window and the command line."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def refinement_words(refined: int, optics: Mapping[str, object], voxel_size: Sequence[float] | None) -> str:
    """Return the number of refined particles and the width of the PSF in words.

    Parameters
    ----------
    refined
        Number of refined particles.
    optics
        Measured optics; of these ``psf_sigma`` (axial and lateral, in lateral voxels), which may be missing.
    voxel_size
        Micrometres ``(z, y, x)``, or None where it is unknown.
    """
    text = f"{refined} refined"
    if "psf_sigma" not in optics:
        return text
    unit = 1.0 if voxel_size is None else voxel_size[2]
    axial, lateral = (width * unit for width in cast("Sequence[float]", optics["psf_sigma"]))
    numbers = f"{axial:.2f}/{lateral:.2f} px" if voxel_size is None else f"{axial:.3f}/{lateral:.3f} µm"
    return f"{text}, PSF sigma {numbers} (axial/lateral)"


def error_words(errors: Mapping[str, float], voxel_size: Sequence[float] | None) -> str:
    """Return standard errors of position and radius in words, in nanometres where the voxel size is known.

    Parameters
    ----------
    errors
        By the names of the columns: ``z_err, y_err, x_err`` in voxels and ``radius_err`` in lateral voxels; those that
        are NaN are left out.
    voxel_size
        Micrometres ``(z, y, x)``, or None where it is unknown.

    Examples
    --------
    >>> error_words({"z_err": 0.05, "radius_err": 0.02}, (0.2, 0.1, 0.1))
    'z 10.0, radius 2.0 nm'
    >>> error_words({"z_err": 0.05, "y_err": 0.031}, None)
    'z 0.050, y 0.031 voxels'
    """
    edges = dict(zip("zyx", voxel_size or (1.0, 1.0, 1.0), strict=True))
    parts = []
    for column, error in errors.items():
        if math.isfinite(error):
            name = column.removesuffix("_err")
            length = error * edges.get(name, edges["x"])
            parts.append(f"{name} {length:.3f}" if voxel_size is None else f"{name} {length * 1000:.1f}")
    return f"{', '.join(parts)} {'voxels' if voxel_size is None else 'nm'}" if parts else ""


def voxel_words(voxel_size: Sequence[float] | None, assumed: str = "", remedy: str = "") -> str:
    """Return the voxel size of a search in words, and what of it was assumed.

    Parameters
    ----------
    voxel_size
        Micrometres ``(z, y, x)``, or None where it is unknown.
    assumed
        Axes whose edge was assumed: letters of ``"zyx"``.
    remedy
        How the user gives an unknown one, which follows in brackets; empty for nothing.

    Examples
    --------
    >>> voxel_words((0.2, 0.1, 0.1), assumed="z")
    'voxels 0.2 x 0.1 x 0.1 µm (z assumed)'
    >>> voxel_words(None, remedy="--voxel-size")
    'voxel size unknown: cubic voxels assumed (--voxel-size)'
    """
    if voxel_size is None:
        text = "voxel size unknown: cubic voxels assumed"
        return f"{text} ({remedy})" if remedy else text
    return f"voxels {voxel_size_words(voxel_size, assumed)}"


def voxel_size_words(voxel_size: Sequence[float], assumed: str = "") -> str:
    """Return a voxel size in words.

    Parameters
    ----------
    voxel_size
        Micrometres ``(z, y, x)``.
    assumed
        Axes whose edge was assumed: letters of ``"zyx"``.

    Examples
    --------
    >>> voxel_size_words((0.2, 0.1, 0.1), assumed="z")
    '0.2 x 0.1 x 0.1 µm (z assumed)'
    """
    note = f" ({', '.join(assumed)} assumed)" if assumed else ""
    return f"{' x '.join(f'{edge:g}' for edge in voxel_size)} µm{note}"


def verdict_lines(verdicts: Mapping[str, str]) -> list[str]:
    """Return verdicts on an image as indented lines, one below the other.

    Examples
    --------
    >>> verdict_lines({"SNR": "5.0: good", "Slice jitter": "0.00 px: steady"})
    ['  SNR           5.0: good', '  Slice jitter  0.00 px: steady']
    """
    width = max(map(len, verdicts), default=0)
    return [f"  {name:<{width}}  {words}" for name, words in verdicts.items()]


def errors_by_axis(errors: Mapping[str, float]) -> str:
    """Return errors by axis in words.

    Examples
    --------
    >>> errors_by_axis({"z": 0.512, "y": 0.2, "x": 0.21})
    'z 0.51, y 0.2, x 0.21'
    """
    return ", ".join(f"{axis} {error:.2g}" for axis, error in errors.items())


def duration_words(seconds: float) -> str:
    """Return a duration in words, as exactly as an estimate is worth.

    Parameters
    ----------
    seconds
        How long it is.

    Examples
    --------
    >>> duration_words(7.2), duration_words(44), duration_words(170), duration_words(5000)
    ('7 s', '40 s', '3 min', '1 h 23 min')
    """
    if seconds < 60:
        return f"{max(round(seconds), 1) if seconds < 15 else round(seconds, -1):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
