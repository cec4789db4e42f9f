"""What the Structure dock is asked to measure, and what comes of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from collections.abc import Generator
    from weakref import ref

    import pandas as pd
    from _typeshed import DataclassInstance
    from napari.layers import Points

    from napari_colloids.progress import Progress
    from napari_colloids.stack import VoxelSize
    from napari_colloids.structure import SimulationComparison, Structure


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulation that gets the errors of the points: exact positions of a layer, or a fluid like the sample."""

    #: Of the layer, or of what stands for it in the legend.
    name: str
    #: None for a fluid.
    table: pd.DataFrame | None
    shape: tuple[float, ...] | None

    def is_same_as(self, other: Simulation | None) -> bool:
        """Whether the other one is the same."""
        if other is None or (self.name, self.shape) != (other.name, other.shape):
            return False
        if self.table is None or other.table is None:
            return self.table is other.table
        return self.table.equals(other.table)


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
    simulation: Simulation | None = None

    def is_same_as(self, other: Asked) -> bool:
        """Whether nothing has changed, so that the result would be the same."""
        same = self.points() is other.points() and self.table.attrs == other.table.attrs
        key, its_key = ((one.shape, one.voxel_size, one.settings, one.slab) for one in (self, other))
        simulated = self.simulation is other.simulation is None or (
            self.simulation is not None and self.simulation.is_same_as(other.simulation)
        )
        return same and simulated and key == its_key and self.table.equals(other.table)


@dataclass(frozen=True)
class Measured:
    """A structure, and what it was measured of; with a simulation, also what that has without and with errors."""

    asked: Asked
    found: Structure
    compared: SimulationComparison | None = None
    #: Why there is no simulation beside it, although one was asked for.
    problem: str = ""


def measure(asked: Asked) -> Generator[Progress, None, Measured]:
    """Measure a structure in steps, for worker threads."""
    from napari_colloids.assessment.fluid_like import fluid_like
    from napari_colloids.structure import iter_simulation_comparison, iter_structure

    how = asdict(asked.settings)
    found = yield from iter_structure(
        asked.table, shape=asked.shape, voxel_size=asked.voxel_size, slab=asked.slab, **how
    )
    simulation = asked.simulation
    if simulation is None:
        return Measured(asked, found)
    try:
        exact = fluid_like(found, simulation.shape) if simulation.table is None else simulation.table
        compared = yield from iter_simulation_comparison(
            found, exact, shape=simulation.shape, voxel_size=asked.voxel_size, **how
        )
    except ColloidsError as error:  # the structure of the sample is not to be lost with it
        return Measured(asked, found, problem=f"No simulation beside it: {error}")
    return Measured(asked, found, compared)
