"""Zeiss: CZI files."""

from __future__ import annotations

import math
from collections import defaultdict
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import reading
from napari_colloids.io.formats.czi_file import Block, CziFile
from napari_colloids.io.lazy import Assembled, FileArray
from napari_colloids.io.series import SeriesReader
from napari_colloids.io.voxels import voxel_size_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from numpy.typing import NDArray

_KIND = "a Zeiss CZI file"
#: Dimensions that number the tiles of a plane and the scenes, instead of being axes of a scene.
_NOT_AXES = "XYMS"
_ORDER = "VHIRBTCZ"
_IMAGE = "./Metadata/Information/Image"
_DIMENSIONS = f"{_IMAGE}/Dimensions"
#: A damaged index of one block promises millions of times what is there; gaps do not promise more than this.
_MAX_PROMISED = 1000


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
    name = names[scene] if 0 <= scene < len(names) and names[scene] else f"scene {scene}"
    title = f"{path.name} {name}" if scenes > 1 else path.name
    planes = layout.planes()
    voxel_size, unknown = voxel_size_of(_lengths(about), title)
    native = tuple(n if letter in "YX" else 1 for letter, n in zip(layout.axes, layout.shape, strict=True))
    return SeriesReader(
        name if scenes > 1 else "",
        layout.axes,
        FileArray(_open, str(path.absolute()), scene, layout.shape, layout.dtype, native, _KIND, parallel=True),
        voxel_size=voxel_size,
        channel_names=_channel_names(about),
        frame_interval=_number(about.findtext(f"{_DIMENSIONS}/T/Positions/Interval/Increment")),
        unreadable=""
        if all(block.dtype is not None for block in blocks)
        else f"'{path}' holds colours (RGB) or an unusual type of values; save it in grey values.",
        recorded=layout.recorded(planes),
        notices=(*unknown, *_stopped(about, layout, title), *layout.torn(planes, title)),
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
        pixels = sum(block.size["Y"] * block.size["X"] for block in blocks)
        if math.prod(self.shape) > _MAX_PROMISED * pixels:
            raise ValueError(f"{pixels} pixels are placed as if the shape was {self.shape}")
        self.dtype = np.result_type(*{block.dtype or np.dtype(np.uint8) for block in blocks})

    def planes(self) -> dict[tuple[int, ...], list[Block]]:
        """Return the blocks of each plane, in the order in which they are painted over each other."""
        planes: dict[tuple[int, ...], list[Block]] = defaultdict(list)
        for block in self._blocks:
            planes[tuple(block.start.get(a, 0) - self._first[a] for a in self.axes[:-2])].append(block)
        for blocks in planes.values():
            blocks.sort(key=lambda block: block.start.get("M", 0))
        return planes

    def recorded(self, planes: Mapping[tuple[int, ...], list[Block]]) -> NDArray[np.bool_] | None:
        """Return which planes have a block; None for all of them."""
        recorded = np.zeros((*self.shape[:-2], 1, 1), bool)
        for where in planes:
            recorded[where] = True
        return None if recorded.all() else recorded

    def torn(self, planes: Mapping[tuple[int, ...], list[Block]], name: str) -> tuple[str, ...]:
        """Return a notice about planes that their blocks do not cover; empty where there are none."""
        most = max(map(len, planes.values()))
        pixels = math.prod(self.shape[-2:])
        torn = sum(
            len(blocks) < most or sum(block.size["Y"] * block.size["X"] for block in blocks) < pixels
            for blocks in planes.values()
        )
        notice = f"Tiles cover {torn} of the {len(planes)} slices of '{name}' only in part; the rest of these is 0."
        return (notice,) if torn else ()

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
    """Assemble a plane from its blocks; parts that were not recorded are 0."""
    plane = np.zeros(layout.shape[-2:], layout.dtype)
    for block in planes.get(where, ()):
        plane[layout.place(block)] = file.pixels(block)
    return plane


def _stopped(about: Element, layout: _Layout, name: str) -> tuple[str, ...]:
    """Return a notice for each axis along which the metadata promise more than was recorded."""
    lengths = dict(zip(layout.axes, layout.shape, strict=True))
    notices = []
    for axis, things in (("T", "frames"), ("Z", "slices")):
        promised, there = _number(about.findtext(f"{_IMAGE}/Size{axis}")) or 0, lengths.get(axis, 1)
        if there < promised < math.inf:
            notices.append(f"'{name}' promises {promised:.0f} {things}, but {there} were written: these are read.")
    return tuple(notices)


def _lengths(about: Element) -> dict[str, float | None]:
    """Return the voxel size in micrometres; the file holds metres."""
    metres = {
        distance.get("Id", ""): _number(distance.findtext("Value"))
        for distance in about.findall("./Metadata/Scaling/Items/Distance")
    }
    return {axis: None if length is None else length * 1e6 for axis, length in metres.items()}


def _channel_names(about: Element) -> tuple[str, ...]:
    names = [channel.get("Name", "") for channel in about.findall(f"{_DIMENSIONS}/Channels/Channel")]
    return tuple(names)


def _number(text: str | None) -> float | None:
    try:
        return float(text or "")
    except ValueError:
        return None
