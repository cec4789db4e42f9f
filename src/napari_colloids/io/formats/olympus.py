"""Olympus: OIB files, and OIF files, whose planes are TIFF files in a folder beside them."""

from __future__ import annotations

import os
import re
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import oiffile
import tifffile

from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import reading
from napari_colloids.io.formats.compound_file import check_chains
from napari_colloids.io.lazy import Assembled, FileArray
from napari_colloids.io.series import SeriesReader
from napari_colloids.io.units import unit_in_micrometres, unit_in_seconds
from napari_colloids.io.voxels import voxel_size_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from numpy.typing import NDArray

_KIND = "an Olympus file"
_FOLDERS = ".oif"
#: Name of a plane: an axis and a number from 1 on, several times. Previews have another.
_PLANE = re.compile(r"(?:.*[/\\])?s_((?:[A-Z][0-9]{3,6})+)\.tif", re.IGNORECASE)
_AXIS = re.compile(r"([A-Z])([0-9]+)", re.IGNORECASE)
#: Axes that a file describes, used or not.
_N_AXES = 8
#: A damaged header promises millions of times the planes that are there; what was stopped does not.
_MAX_PROMISED = 10_000


def series_readers(path: Path) -> list[SeriesReader]:
    """Return the image of an OIB or OIF file.

    Raises
    ------
    ColloidsError
        If the file is damaged or holds no image.
    """
    with reading(path, _KIND):
        image = _Image(path)
        try:
            return [_series_reader(path, image)]
        finally:
            image.close()


def companion_files(path: Path) -> list[Path]:
    """Return the files of the planes of an OIF file; none for OIB.

    Raises
    ------
    ColloidsError
        If the folder cannot be read.
    """
    if path.suffix.lower() != _FOLDERS:
        return []
    with reading(path, _KIND):
        return sorted(_files(path).values())


class _Image:
    """An open file.

    Parameters
    ----------
    path
        The file.

    Attributes
    ----------
    settings
        By section and name.
    axes
        Of the planes and in them, the slowest first.
    planes
        Names of the files of the planes by their place along the leading axes.
    """

    def __init__(self, path: Path) -> None:
        self._files: dict[str, Path] = {}
        self._packed: oiffile.OibFileSystem | None = None
        if path.suffix.lower() == _FOLDERS:
            self.settings: Mapping[str, Mapping[str, object]] = oiffile.SettingsFile(str(path))
            self._files = _files(path)
            names = list(self._files)
        else:
            check_chains(path)
            self._packed = oiffile.OibFileSystem(str(path))
            self.settings = self._packed.settings
            names = list(self._packed.files())
        places = {
            name: {axis.upper(): int(number) - 1 for axis, number in _AXIS.findall(match[1])}
            for name in names
            if (match := _PLANE.fullmatch(name))
        }
        if not places:
            raise ColloidsError(f"'{path}' holds no planes{self._where(path)}.")
        found = {axis for place in places.values() for axis in place}
        order = str(self.settings.get("Axis Parameter Common", {}).get("AxisOrder", ""))[::-1]
        leading = "".join(sorted(found, key=lambda axis: order.find(axis)))
        self.axes = f"{leading}YX"
        self.planes = {tuple(place.get(axis, 0) for axis in leading): name for name, place in places.items()}

    def _where(self, path: Path) -> str:
        return f" in '{_folder(path).name}'; copy this folder too" if path.suffix.lower() == _FOLDERS else ""

    def read(self, name: str) -> NDArray[np.generic]:
        """Return the pixels in the file of a plane."""
        with self._open(name) as file, tifffile.TiffFile(file, name=name) as tif:
            page = tif.pages[0]
            if page.ndim != 2:
                raise ValueError(f"'{name}' has the shape {page.shape}")
            return page.asarray()

    def _open(self, name: str) -> BinaryIO:
        return self._files[name].open("rb") if self._packed is None else self._packed.open_file(name)

    def close(self) -> None:
        """Close the file."""
        if self._packed is not None:
            self._packed.close()


def _folder(path: Path) -> Path:
    return path.with_name(f"{path.name}.files")


def _files(path: Path) -> dict[str, Path]:
    """Return the plain files in the folder beside an OIF file by their name."""
    if not _folder(path).is_dir():
        raise ColloidsError(f"'{_folder(path)}', which holds the planes of '{path}', is not there; copy it too.")
    with os.scandir(_folder(path)) as entries:
        return {entry.name: Path(entry.path) for entry in entries if entry.is_file()}


def _series_reader(path: Path, image: _Image) -> SeriesReader:
    described = _described_axes(image.settings)
    leading = image.axes[:-2]
    lengths = [
        max([_whole(described.get(axis, {}).get("MaxSize")), *(place[k] + 1 for place in image.planes)])
        for k, axis in enumerate(leading)
    ]
    if np.prod(lengths, dtype=float) > _MAX_PROMISED * len(image.planes):
        raise ValueError(f"{len(image.planes)} planes are numbered as if there were {lengths}")
    first = image.read(next(iter(image.planes.values())))
    shape = (*lengths, *first.shape)
    recorded = np.zeros((*lengths, 1, 1), bool)
    for place in image.planes:
        if min(place, default=0) < 0:
            raise ValueError(f"a plane has the number {min(place) + 1}")
        recorded[place] = True
    voxel_size, unknown = voxel_size_of(_lengths(image.settings, described), path.name)
    time = described.get("T", {}) if "T" in leading else {}
    native = tuple(n if k >= len(lengths) else 1 for k, n in enumerate(shape))
    return SeriesReader(
        "",
        image.axes,
        FileArray(_open, str(path.absolute()), (shape, first.dtype.str), shape, first.dtype, native, _KIND),
        voxel_size=voxel_size,
        channel_names=tuple(_channel_name(image.settings, k) for k in range(lengths[leading.index("C")]))
        if "C" in leading
        else (),
        frame_interval=_length(time.get("Interval"), unit_in_seconds(time.get("UnitName"))),
        recorded=None if recorded.all() else recorded,
        notices=unknown if "Z" in leading else (),
    )


def _open(path: str, key: tuple[tuple[int, ...], str]) -> Assembled:
    shape, dtype = key
    image = _Image(Path(path))
    dark = np.zeros(shape[-2:], dtype)

    def plane(where: tuple[int, ...]) -> NDArray[np.generic]:
        if where not in image.planes:
            return dark
        pixels = image.read(image.planes[where])
        if pixels.shape != dark.shape or pixels.dtype != dark.dtype:
            raise ValueError(f"'{image.planes[where]}' has the shape {pixels.shape}, others have {dark.shape}")
        return pixels

    array = Assembled(shape, dtype, plane, len(shape) - 2)
    weakref.finalize(array, image.close)
    return array


def _described_axes(settings: Mapping[str, Mapping[str, object]]) -> dict[str, Mapping[str, object]]:
    """Return what the settings say of each axis, by its letter."""
    sections = (settings.get(f"Axis {k} Parameters Common", {}) for k in range(_N_AXES))
    return {str(section.get("AxisCode", "")): section for section in sections}


def _lengths(
    settings: Mapping[str, Mapping[str, object]], axes: Mapping[str, Mapping[str, object]]
) -> dict[str, float | None]:
    """Return the micrometres per voxel by axis."""
    image = settings.get("Reference Image Parameter", {})
    z = axes.get("Z", {})
    return {
        "X": _length(image.get("WidthConvertValue"), unit_in_micrometres(image.get("WidthUnit"))),
        "Y": _length(image.get("HeightConvertValue"), unit_in_micrometres(image.get("HeightUnit"))),
        "Z": _length(z.get("Interval"), unit_in_micrometres(z.get("UnitName"))),
    }


def _channel_name(settings: Mapping[str, Mapping[str, object]], channel: int) -> str:
    """Return the dye of a channel, or the name of its detector."""
    about = settings.get(f"Channel {channel + 1} Parameters", {})
    dye = str(about.get("DyeName", ""))
    return dye if dye not in ("", "None") else str(about.get("CH Name", ""))


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 1


def _length(value: object, unit: float | None) -> float | None:
    """Return a length without its sign: a stack may have been taken downwards."""
    return abs(value) * unit if isinstance(value, int | float) and unit is not None else None
