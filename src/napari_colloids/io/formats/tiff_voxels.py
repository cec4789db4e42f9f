"""Voxel size, channel names and frame interval of a TIFF file, as its programs write them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, SupportsFloat

import numpy as np

from napari_colloids.io.units import unit_in_micrometres, unit_in_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    import tifffile

    from napari_colloids.io.formats.tiff_file import OpenTiff
    from napari_colloids.io.formats.tiff_images import Image
    from napari_colloids.io.formats.tiff_ome import OmeImage

_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_PER_CENTIMETRE = 3
_UM_PER_CENTIMETRE = 1e4
_UM_PER_METRE = 1e6
_MS_PER_SECOND = 1e3


@dataclass(frozen=True)
class Scales:
    """What the metadata of an image say of its scales.

    Attributes
    ----------
    voxel_size
        Micrometres ``(z, y, x)``, or None where one is unknown.
    assumed
        Axes whose edge was assumed: letters of ``"zyx"``.
    channel_names
        One per channel; empty where there are none.
    frame_interval
        Seconds, or None.
    notices
        What the user has to know of them.
    """

    voxel_size: tuple[float, float, float] | None = None
    assumed: str = ""
    channel_names: tuple[str, ...] = ()
    frame_interval: float | None = None
    notices: tuple[str, ...] = ()


def scales_of(opened: OpenTiff, image: Image) -> Scales:
    """Return the scales of an image."""
    tif, ome = opened.tif, opened.ome
    if ome is not None and image.number < len(ome.images):
        return _ome_scales(ome.images[image.number])
    if tif.is_lsm:
        return _lsm_scales(tif.lsm_metadata or {})
    if tif.is_stk:
        return _stk_scales(tif.stk_metadata or {})
    if tif.is_imagej:
        return _tagged_scales(image.keyframe, tif.imagej_metadata or {}, imagej=True)
    if tif.is_micromanager:
        return _micro_manager_scales((tif.micromanager_metadata or {}).get("Summary", {}))
    return _tagged_scales(image.keyframe, _shaped_metadata(tif, image.number))


def _tagged_scales(page: tifffile.TiffPage, found: Mapping[str, Any], *, imagej: bool = False) -> Scales:
    """Combine the resolution tags with the `spacing` and the units of a description."""
    interval, seconds = _number(found.get("finterval")), unit_in_seconds(found.get("tunit", "s"))
    time = None if interval is None or seconds is None else interval * seconds
    # A resolution per centimetre holds whatever the unit of the spacing is; per inch is only a default.
    per_centimetre = _tag(page, _RESOLUTION_UNIT) == _PER_CENTIMETRE
    units = {axis: unit_in_micrometres(found.get(f"{axis}unit", found.get("unit"))) for axis in "zyx"}
    lateral = {axis: _UM_PER_CENTIMETRE if per_centimetre else units[axis] for axis in "yx"}
    pixels = {"y": _pixel_length(page, _Y_RESOLUTION), "x": _pixel_length(page, _X_RESOLUTION)}
    # ImageJ leaves a spacing of 1 out, and some versions write it with a minus sign.
    spacing = _number(found.get("spacing", 1.0 if imagej else None))
    y, x = (_product(pixels[axis], lateral[axis]) for axis in "yx")
    z = _product(None if spacing is None else abs(spacing), units["z"])
    if x is None or y is None or z is None:
        return Scales(frame_interval=time, notices=_partly_known(z, y, x) if spacing is None else ())
    assumed = "z" if "spacing" not in found else ""
    if imagej and not per_centimetre and pixels == {"y": 1.0, "x": 1.0}:  # what it has where none was ever set
        assumed += "yx"
    return Scales(None if assumed == "zyx" else (z, y, x), "" if assumed == "zyx" else assumed, frame_interval=time)


def _ome_scales(image: OmeImage) -> Scales:
    pixels = image.pixels
    z, y, x = (_ome_length(pixels, axis) for axis in "ZYX")
    increment = _number(pixels.get("TimeIncrement"))
    seconds = unit_in_seconds(pixels.get("TimeIncrementUnit", "s"))
    return Scales(
        None if z is None or y is None or x is None else (z, y, x),
        channel_names=tuple(channel.get("Name", "") for channel in image.channels()),
        frame_interval=None if increment is None or seconds is None else increment * seconds,
        notices=_partly_known(z, y, x),
    )


def _ome_length(pixels: Element, axis: str) -> float | None:
    return _product(
        _number(pixels.get(f"PhysicalSize{axis}")), unit_in_micrometres(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
    )


def _lsm_scales(found: Mapping[str, Any]) -> Scales:
    z, y, x = (_product(_number(found.get(f"VoxelSize{axis}")), _UM_PER_METRE) for axis in "ZYX")
    names = (found.get("ChannelColors") or {}).get("ColorNames") or ()
    return Scales(
        None if z is None or y is None or x is None else (z, y, x),
        channel_names=tuple(str(name) for name in names),
        frame_interval=_positive(_number(found.get("TimeIntervall"))),  # spelt like this
        notices=_partly_known(z, y, x),
    )


def _stk_scales(found: Mapping[str, Any]) -> Scales:
    unit = unit_in_micrometres(str(found.get("CalibrationUnits", "")).strip("\0"))
    y, x = (_product(_number(found.get(f"{axis}Calibration")), unit) for axis in "YX")
    z = _product(_common(np.abs(np.asarray(found.get("ZDistance", ()), float))), unit)
    interval = _common(np.diff(np.asarray(found.get("TimeCreated", ()), float)))
    return Scales(
        None if z is None or y is None or x is None else (z, y, x),
        frame_interval=None if interval is None else interval / _MS_PER_SECOND,
        notices=_partly_known(z, y, x),
    )


def _micro_manager_scales(summary: Mapping[str, Any]) -> Scales:
    z, lateral = (_positive(_number(summary.get(word))) for word in ("z-step_um", "PixelSize_um"))
    return Scales(
        None if z is None or lateral is None else (z, lateral, lateral), notices=_partly_known(z, lateral, lateral)
    )


def _partly_known(z: float | None, y: float | None, x: float | None) -> tuple[str, ...]:
    """Return a notice where the file says the size of a pixel, but not the distance of the slices."""
    if z is not None or y is None or x is None:
        return ()
    return (f"The file says how large a pixel is ({y:.4g} x {x:.4g} µm), but not how far slices are apart.",)


def _common(values: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
    """Return the value that all of several have in common, within some per cent; None where there is none."""
    if not values.size or not np.isfinite(values).all():
        return None
    middle = float(np.median(values))
    return middle if middle > 0 and np.abs(values - middle).max() < 0.05 * middle else None


def _pixel_length(page: tifffile.TiffPage, tag: int) -> float | None:
    """Return the inverse of a resolution tag."""
    value = _tag(page, tag)
    pixels, lengths = value if isinstance(value, tuple) and len(value) == 2 else (0, 0)
    return lengths / pixels if pixels else None


def _tag(page: tifffile.TiffPage, tag: int) -> object:
    return page.tags[tag].value if tag in page.tags else None


def _shaped_metadata(tif: tifffile.TiffFile, series: int) -> Mapping[str, Any]:
    described = tif.shaped_metadata or ()
    return described[series] if series < len(described) else {}


def _product(length: float | None, unit: float | None) -> float | None:
    return None if length is None or unit is None else _positive(length * unit)


def _positive(value: float | None) -> float | None:
    """Return a number if it is one that a length or a time may have."""
    return value if value is not None and 0 < value < math.inf else None


def _number(value: object) -> float | None:
    if not isinstance(value, SupportsFloat | str | bytes):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None
