"""Volumes like those of the challenge "Colloids: how low can we go?", from its tables of parameters.

The challenge renders hard spheres, convolves them with the PSF of a STED microscope, scales the result to 255, adds
Gaussian noise of standard deviation 255 / SNR and stores 8 bits; its background is ``max(0, f - 255 CNR / SNR)``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from napari_colloids.errors import ColloidsError
from napari_colloids.simulation.parameters import Parameters
from napari_colloids.table_limits import csv_names

if TYPE_CHECKING:
    from os import PathLike

#: Standard deviation of the challenge's STED PSF: the lateral one in micrometres, and the axial one over it.
STED_SIGMA_UM = 0.045
STED_ASPECT = 3.5


def challenge_parameters(
    table: str | PathLike[str] | pd.DataFrame, *, size: int | None = None, seed: int = 0
) -> list[Parameters]:
    """Return the simulation parameters of each row of a challenge metadata table.

    Parameters
    ----------
    table
        CSV file or table with the columns ``volfrac, r, particle_size, snr, cnr`` (`particle_size` is the radius in
        micrometres, `r` the radius in voxels); a column ``type`` of ``test`` means 128^3 voxels instead of 64^3.
    size
        Edge of the volumes in voxels; default by `type`.
    seed
        Row k gets the seed ``seed + k``.

    Raises
    ------
    ColloidsError
        If the table cannot be read or lacks a column.
    """
    parameters = []
    for number, row in enumerate(challenge_table(table).to_dict("records")):
        lateral = STED_SIGMA_UM * row["r"] / row["particle_size"]
        edge = size or (128 if row.get("type") == "test" else 64)
        parameters.append(
            Parameters(
                shape=(edge, edge, edge),
                volume_fraction=row["volfrac"],
                radius=row["r"],
                psf_sigma=(STED_ASPECT * lateral, lateral, lateral),
                brightness=255.0,
                snr=row["snr"],
                cnr=min(row["cnr"], row["snr"]),
                photon_noise=0.0,
                voxel_size=row["particle_size"] / row["r"],
                seed=seed + number,
            )
        )
    return parameters


def challenge_table(table: str | PathLike[str] | pd.DataFrame) -> pd.DataFrame:
    """Read a metadata table of the challenge and check its columns.

    Raises
    ------
    ColloidsError
        If the table cannot be read or lacks a column.
    """
    try:
        rows = table if isinstance(table, pd.DataFrame) else _read_table(Path(table))
    except (OSError, ValueError) as error:
        raise ColloidsError(f"The metadata table {table} cannot be read: {error}") from error
    missing = {"volfrac", "r", "particle_size", "snr", "cnr"} - set(rows.columns)
    if missing:
        raise ColloidsError(f"The metadata table has no column {', '.join(sorted(missing))}.")
    return rows


def _read_table(path: Path) -> pd.DataFrame:
    csv_names(path)
    return pd.read_csv(path)
