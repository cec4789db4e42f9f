"""What the Structure dock is asked to measure, and what comes of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator
    from weakref import ref

    import pandas as pd
    from _typeshed import DataclassInstance
    from napari.layers import Points

    from napari_colloids.progress import Progress
    from napari_colloids.stack import VoxelSize
    from napari_colloids.structure import Structure


@dataclass(frozen=True, eq=False)
class Asked:
    """What a structure depends on, and where it comes from; the layer may be changed or removed meanwhile."""

    points: ref[Points]
    table: pd.DataFrame
    shape: tuple[int, ...] | None
    voxel_size: VoxelSize | None
    settings: DataclassInstance
    #: Ends along z in voxels; None for all of the stack.
    slab: tuple[float, float] | None
    origin: dict[str, object]

    def is_same_as(self, other: Asked) -> bool:
        """Whether nothing has changed, so that the result would be the same."""
        same = self.points() is other.points() and self.table.attrs == other.table.attrs
        key, its_key = ((one.shape, one.voxel_size, one.settings, one.slab) for one in (self, other))
        return same and key == its_key and self.table.equals(other.table)


@dataclass(frozen=True)
class Measured:
    """A structure, and what it was measured of."""

    asked: Asked
    found: Structure


def measure(asked: Asked) -> Generator[Progress, None, Measured]:
    """Measure a structure in steps, for worker threads."""
    from napari_colloids.structure import iter_structure

    steps = iter_structure(
        asked.table, shape=asked.shape, voxel_size=asked.voxel_size, slab=asked.slab, **asdict(asked.settings)
    )
    return Measured(asked, (yield from steps))
