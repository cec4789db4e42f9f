"""Writer contribution: File > Save writes the particles that are on show, in voxels and micrometres."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_colloids.widgets.layers.layers import note_of, table_of
from napari_colloids.widgets.layers.places import interval_of

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from napari.layers import Points
    from numpy.typing import NDArray


def write_points(path: str, data: NDArray[np.float64], attributes: dict[str, object]) -> list[str]:
    """Write a Points layer as a particle table; the ending chooses the format (npe2 entry point)."""
    from napari.layers import Layer

    layer = Layer.create(data, attributes, "points")
    write_table(Path(path), table_of(layer), origin_of(layer))
    return [path]


def origin_of(layer: Points) -> dict[str, object]:
    """Return what a table of this layer is to say about where it comes from."""
    note = {key: value for key, value in note_of(layer).items() if key not in ("kind", "colour_by", "colour_limits")}
    origin = {"layer": layer.name, **note}
    interval = interval_of(layer)
    if interval is not None:
        origin["frame_interval"] = interval
    return origin


def write_table(path: Path, table: pd.DataFrame, origin: dict[str, object]) -> None:
    """Write a particle table, with a note of where it comes from, this program included."""
    from napari_colloids import __version__
    from napari_colloids.io import write_particles

    write_particles(path, table, metadata={"program": f"napari-colloids {__version__}", **origin})
