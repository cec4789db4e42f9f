"""Zeiss: CZI files."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import reading
from napari_colloids.io.formats.czi_file import Block, CziFile
from napari_colloids.io.lazy import Assembled, FileArray
from napari_colloids.io.series import SeriesReader

if TYPE_CHECKING:
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from numpy.typing import NDArray

_KIND = "a Zeiss CZI file"
#: Dimensions that number the tiles of a plane and the scenes, instead of being axes of a scene.
_NOT_AXES = "XYMS"
_ORDER = "VHIRBTCZ"
_DIMENSIONS = "./Metadata/Information/Image/Dimensions"


def series_readers(path: Path) -> list[SeriesReader]:
    """Return the scenes of a CZI file in full resolution.

    Raises
    ------
    ColloidsError
        If the file is damaged or holds no image.
    """
    with reading(path, _KIND):
        file = CziFile(str(path))
        scenes = _scenes(file)
        if not scenes:
            raise ColloidsError(f"'{path}' holds no image.")
        about = file.metadata()
        return [_series_reader(path, number, blocks, about, len(scenes)) for number, blocks in scenes.items()]


def _scenes(file: CziFile) -> dict[int, list[Block]]:
    """Return the blocks in full resolution by the number of their scene."""
    scenes: dict[int, list[Block]] = defaultdict(list)
    for block in file.blocks:
        if not block.reduced:
            scenes[block.start.get("S", 0)].append(block)
    return dict(sorted(scenes.items()))


def _series_reader(path: Path, scene: int, blocks: list[Block], about: Element, scenes: int) -> SeriesReader:
    layout = _Layout(blocks)
    names = [element.get("Name", "") for element in about.findall(f"{_DIMENSIONS}/S/Scenes/Scene")]
    name = names[scene] if scene < len(names) and names[scene] else f"scene {scene}"
    native = tuple(n if letter in "YX" else 1 for letter, n in zip(layout.axes, layout.shape, strict=True))
    return SeriesReader(
        name if scenes > 1 else "",
        layout.axes,
        FileArray(_open, str(path.absolute()), scene, layout.shape, layout.dtype, native, _KIND, parallel=True),
        voxel_size=_voxel_size(about),
        channel_names=_channel_names(about),
        frame_interval=_number(about.findtext(f"{_DIMENSIONS}/T/Positions/Interval/Increment")),
        unreadable=""
        if all(block.dtype is not None for block in blocks)
        else f"'{path}' holds colours (RGB) or an unusual type of values; save it in grey values.",
    )


class _Layout:
    """Positions of the blocks of a scene in an array.

    Attributes
    ----------
    axes, shape, dtype
        Of the array.
    """

    def __init__(self, blocks: list[Block]) -> None:
        self._blocks = blocks
        used = {letter for block in blocks for letter in block.start if letter not in _NOT_AXES}
        leading = sorted(used, key=lambda letter: _ORDER.find(letter))
        self._first = {letter: min(block.start.get(letter, 0) for block in blocks) for letter in (*leading, "Y", "X")}
        ends = {
            letter: max(block.start.get(letter, 0) + block.size.get(letter, 1) for block in blocks)
            for letter in self._first
        }
        self.axes = "".join(self._first)
        self.shape = tuple(ends[letter] - self._first[letter] for letter in self.axes)
        self.dtype = np.result_type(*{block.dtype or np.dtype(np.uint8) for block in blocks})

    def planes(self) -> dict[tuple[int, ...], list[Block]]:
        """Return the blocks of each plane, in the order in which they are painted over each other."""
        planes: dict[tuple[int, ...], list[Block]] = defaultdict(list)
        for block in self._blocks:
            planes[tuple(block.start.get(a, 0) - self._first[a] for a in self.axes[:-2])].append(block)
        for blocks in planes.values():
            blocks.sort(key=lambda block: block.start.get("M", 0))
        return planes

    def place(self, block: Block) -> tuple[slice, slice]:
        """Return the position of a block in its plane."""
        y, x = (
            slice(start := block.start[letter] - self._first[letter], start + block.size[letter]) for letter in "YX"
        )
        return y, x


def _open(path: str, scene: int) -> Assembled:
    file = CziFile(path)
    layout = _Layout(_scenes(file)[scene])
    plane = partial(_plane, file, layout, layout.planes())
    return Assembled(layout.shape, layout.dtype, plane, len(layout.shape) - 2)


def _plane(
    file: CziFile, layout: _Layout, planes: dict[tuple[int, ...], list[Block]], where: tuple[int, ...]
) -> NDArray[np.generic]:
    """Assemble a plane from its blocks; parts that were not recorded (a series that was stopped) are 0."""
    plane = np.zeros(layout.shape[-2:], layout.dtype)
    for block in planes.get(where, ()):
        plane[layout.place(block)] = file.pixels(block)
    return plane


def _voxel_size(about: Element) -> tuple[float, ...] | None:
    """Return the voxel size in micrometres; the file holds metres."""
    metres = {
        distance.get("Id"): _number(distance.findtext("Value"))
        for distance in about.findall("./Metadata/Scaling/Items/Distance")
    }
    sizes = [metres.get(axis) for axis in "ZYX"]
    return tuple(size * 1e6 for size in sizes if size is not None)


def _channel_names(about: Element) -> tuple[str, ...]:
    names = [channel.get("Name", "") for channel in about.findall(f"{_DIMENSIONS}/Channels/Channel")]
    return tuple(names)


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
