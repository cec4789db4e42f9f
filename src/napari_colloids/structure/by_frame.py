"""Structure of each frame of a time series."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError
from napari_colloids.interval import Interval
from napari_colloids.particles import positions_of
from napari_colloids.structure.frames import frames_of
from napari_colloids.structure.volume_fraction import volume_fraction

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Columns that are averaged over the particles inside.
AVERAGED = ("q6_averaged", "crystalline")


def structure_by_frame(
    table: pd.DataFrame,
    *,
    shape: Sequence[float] | None = None,
    voxel_size: Sequence[float] | None = None,
    diameter: float | None = None,
) -> pd.DataFrame:
    r"""Return what changes with time: volume fraction, averaged q6 and crystalline part of each frame.

    Parameters
    ----------
    table
        As `local_structure` returns it, with the column ``frame``.
    shape, voxel_size, diameter
        As in `local_structure`.

    Returns
    -------
    pandas.DataFrame
        ``frame``; ``particles`` and how many of them are ``interior``; ``volume_fraction``, and the means over the
        interior particles ``q6_averaged`` and ``crystalline``, each with its standard error (``..._err``) from the
        scatter between eight parts of the window. NaN where there is nothing to take it of.

    Raises
    ------
    ColloidsError
        If the table has no frames.

    See Also
    --------
    measure_structure : Averages over the frames.

    Examples
    --------
    A crystal that is hot in the second frame:

    >>> import numpy as np, pandas as pd
    >>> from napari_colloids.structure import local_structure, structure_by_frame
    >>> corners = 10.0 * np.indices((9, 9, 9)).reshape(3, -1).T + 4.5
    >>> crystal = pd.DataFrame(np.concatenate([corners, corners]), columns=["z", "y", "x"])
    >>> crystal["frame"] = np.repeat([0, 1], len(corners))
    >>> crystal.loc[crystal["frame"] == 1, ["z", "y", "x"]] += np.random.default_rng(0).normal(0, 1, (729, 3))
    >>> found = structure_by_frame(local_structure(crystal, shape=(90, 90, 90), diameter=9), shape=(90, 90, 90))
    >>> found["q6_averaged"].round(2).tolist()
    [0.35, 0.11]
    """
    if "frame" not in table:
        raise ColloidsError("The structure of each frame needs a table with the column 'frame'.")
    seen = frames_of(table, shape, voxel_size)
    rows = []
    for frame, part in table.groupby("frame"):
        inside = part[part["interior"] == 1]
        row: dict[str, object] = {"frame": frame, "particles": len(part), "interior": len(inside)}
        fraction = _fraction(part, shape, voxel_size, diameter)
        row |= {"volume_fraction": fraction.value, "volume_fraction_err": fraction.deviation}
        positions = positions_of(inside) * seen.scaling.scale
        for name in AVERAGED:
            error = seen.window.standard_error(inside[name].to_numpy(dtype=float), positions)
            row |= {name: inside[name].mean(), f"{name}_err": error}
        rows.append(row)
    return pd.DataFrame(rows)


def _fraction(
    part: pd.DataFrame, shape: Sequence[float] | None, voxel_size: Sequence[float] | None, diameter: float | None
) -> Interval:
    """Return the volume fraction of a frame, NaN where there is none."""
    unknown = Interval(np.nan, np.nan, np.nan)
    if len(part) < 2:
        return unknown
    return volume_fraction(part, shape=shape, voxel_size=voxel_size, diameter=diameter) or unknown
