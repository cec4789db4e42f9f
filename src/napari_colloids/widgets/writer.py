"""Writer contribution: File > Save writes the particles that are on show, in voxels and micrometres."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_colloids.widgets.layers import note_of, table_of
from napari_colloids.widgets.places import interval_of

if TYPE_CHECKING:
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
    from napari_colloids import __version__
    from napari_colloids.io import write_particles

    note = {key: value for key, value in note_of(layer).items() if key not in ("kind", "by_confidence")}
    metadata = {"layer": layer.name, "program": f"napari-colloids {__version__}", **note}
    interval = interval_of(layer)
    if interval is not None:
        metadata["frame_interval"] = interval
    write_particles(path, table_of(layer), metadata=metadata)
    return path
