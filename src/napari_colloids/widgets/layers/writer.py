"""Writer contribution: File > Save writes the particles that are on show, in voxels and micrometres."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_colloids.widgets.layers.layers import note_of, table_of
from napari_colloids.widgets.layers.places import interval_of

if TYPE_CHECKING:
    import pandas as pd
    from napari.layers import Points


def write_points(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """Write a Points layer as a particle table (npe2 entry point).

    Parameters
    ----------
    path
        Where to; the ending chooses the format (.csv, .xyz, .h5, .parquet).
    data
        Positions, one row a point.
    attributes
        The layer's attributes as napari hands them to writers.

    Returns
    -------
    list of str
        The files written.

    Raises
    ------
    ColloidsError
        If the points are 2D or the file cannot be written.
    """
    from napari.layers import Layer

    return [str(save(Layer.create(data, attributes, "points"), Path(path)))]


def save(layer: Points, path: Path) -> Path:
    """Write the points of a layer that are on show, with a note of how they came about, and return the path.

    Raises
    ------
    ColloidsError
        If the points are 2D or the file cannot be written.
    """
    write_table(path, table_of(layer), origin_of(layer))
    return path


def origin_of(layer: Points) -> dict[str, Any]:
    """Return what a table of this layer is to say about where it comes from."""
    note = {key: value for key, value in note_of(layer).items() if key not in ("kind", "by_confidence")}
    origin = {"layer": layer.name, **note}
    interval = interval_of(layer)
    if interval is not None:
        origin["frame_interval"] = interval
    return origin


def write_table(path: Path, table: pd.DataFrame, origin: dict[str, Any]) -> None:
    """Write a particle table, with a note of where it comes from, this program included.

    Raises
    ------
    ColloidsError
        If the file cannot be written.
    """
    from napari_colloids import __version__
    from napari_colloids.io import write_particles

    write_particles(path, table, metadata={"program": f"napari-colloids {__version__}", **origin})
