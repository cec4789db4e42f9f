"""Cutting a volume into tiles that overlap by a halo and own a core each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Tile:
    """A box to compute, and the part of it whose results count.

    Attributes
    ----------
    low, high
        The box to compute, half-open, ``(z, y, x)``.
    core_low, core_high
        The core; the cores of all tiles fill the volume without overlap.
    """

    low: tuple[int, int, int]
    high: tuple[int, int, int]
    core_low: tuple[int, int, int]
    core_high: tuple[int, int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the box to compute."""
        z, y, x = (b - a for a, b in zip(self.low, self.high, strict=True))
        return z, y, x


def cut(shape: tuple[int, int, int], core: int, halo: int) -> Iterator[Tile]:
    """Cut a volume into tiles.

    Parameters
    ----------
    shape
        Shape ``(z, y, x)`` of the volume.
    core
        Edge of the cores; those at the far end may be shorter.
    halo
        How far a tile reaches beyond its core, where the volume does.
    """
    starts = [range(0, n, core) for n in shape]
    for corner in product(*starts):
        z, y, x = (_span(a, core, halo, n) for a, n in zip(corner, shape, strict=True))
        yield Tile((z[0], y[0], x[0]), (z[1], y[1], x[1]), (z[2], y[2], x[2]), (z[3], y[3], x[3]))


def _span(start: int, core: int, halo: int, length: int) -> tuple[int, int, int, int]:
    stop = min(start + core, length)
    return max(start - halo, 0), min(stop + halo, length), start, stop
