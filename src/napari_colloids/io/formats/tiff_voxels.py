"""Voxel size, channel names and frame interval of a TIFF file, as ImageJ, OME and tifffile write them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, SupportsFloat

import tifffile

from napari_colloids.io.units import unit_in_micrometres, unit_in_seconds

if TYPE_CHECKING:
    from napari_colloids.stack import VoxelSize

_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_PER_CENTIMETRE = 3
_UM_PER_CENTIMETRE = 1e4


def voxel_size(tif: tifffile.TiffFile, series: int) -> VoxelSize | None:
    """Return the voxel size in micrometres ``(z, y, x)``, or None unless the file has all three."""
    if tif.is_ome:
        return _ome_voxel_size(_ome_pixels(tif, series))
    page = tif.series[series].keyframe
    if tif.is_imagej:
        # ImageJ leaves a spacing of 1 out, and some versions write it with a minus sign.
        return _tagged_voxel_size(page, {"spacing": 1.0, **(tif.imagej_metadata or {})})
    return _tagged_voxel_size(page, _shaped_metadata(tif, series))


def channel_names(tif: tifffile.TiffFile, series: int) -> tuple[str, ...]:
    """Return the names of the channels in an OME file; empty where there are none."""
    if not tif.is_ome:
        return ()
    return tuple(str(channel.get("Name", "")) for channel in _as_list(_ome_pixels(tif, series).get("Channel")))


def frame_interval(tif: tifffile.TiffFile, series: int) -> float | None:
    """Return the seconds between frames, from ImageJ's ``finterval`` or OME; None where the file has none."""
    if tif.is_ome:
        found, interval, unit = _ome_pixels(tif, series), "TimeIncrement", "TimeIncrementUnit"
    else:
        found = (tif.imagej_metadata if tif.is_imagej else _shaped_metadata(tif, series)) or {}
        interval, unit = "finterval", "tunit"
    increment, seconds = _number(found.get(interval)), unit_in_seconds(found.get(unit, "s"))
    return None if increment is None or seconds is None else increment * seconds


def _tagged_voxel_size(page: tifffile.TiffPage, metadata: Mapping[str, object]) -> VoxelSize | None:
    """Combine the resolution tags with the `spacing` and `unit` of a description."""
    unit = unit_in_micrometres(metadata.get("unit"))
    spacing = _number(metadata.get("spacing"))
    y, x = (_pixel_length(page, tag) for tag in (_Y_RESOLUTION, _X_RESOLUTION))
    if unit is None or spacing is None or y is None or x is None:
        return None
    # A resolution per centimetre holds whatever the unit of the spacing is; per inch is only a default.
    lateral = unit
    if _RESOLUTION_UNIT in page.tags and int(page.tags[_RESOLUTION_UNIT].value) == _PER_CENTIMETRE:
        lateral = _UM_PER_CENTIMETRE
    return abs(spacing) * unit, y * lateral, x * lateral


def _pixel_length(page: tifffile.TiffPage, tag: int) -> float | None:
    """Return the inverse of a resolution tag."""
    if tag not in page.tags:
        return None
    pixels, lengths = page.tags[tag].value
    return lengths / pixels if pixels else None


def _shaped_metadata(tif: tifffile.TiffFile, series: int) -> Mapping[str, Any]:
    described = tif.shaped_metadata or ()
    return described[series] if series < len(described) else {}


def _ome_pixels(tif: tifffile.TiffFile, series: int) -> Mapping[str, Any]:
    """Return the `Pixels` element of the image of a series."""
    root = tifffile.xml2dict(tif.ome_metadata or "<OME/>").get("OME") or {}
    images = _as_list(root.get("Image"))
    pixels = images[series].get("Pixels") if series < len(images) else None
    return pixels if isinstance(pixels, Mapping) else {}


def _ome_voxel_size(pixels: Mapping[str, Any]) -> VoxelSize | None:
    lengths = []
    for axis in "ZYX":
        unit = unit_in_micrometres(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        length = _number(pixels.get(f"PhysicalSize{axis}"))
        if unit is None or length is None:
            return None
        lengths.append(length * unit)
    return lengths[0], lengths[1], lengths[2]


def _number(value: object) -> float | None:
    if not isinstance(value, SupportsFloat | str | bytes):
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
