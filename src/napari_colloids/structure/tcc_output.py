"""Results of TCC, the topological cluster classification: which particles are in which clusters."""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import TCC_CLUSTERS
from napari_colloids.structure.frames import rows_by_frame
from napari_colloids.structure.inputs import checked_particles
from napari_colloids.structure.tcc_input import PARAMETERS

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

#: Folder in which the program writes a file for each kind of cluster.
RESULTS = "raw_output"
#: Ending of such a file, with the name of the cluster.
_FILE = re.compile(r".*\.raw_(\w+)")
#: Letters of a particle that is in such a cluster and of one that is not, for each of the two kinds of particles.
_IN, _OUT = ("C", "D"), ("A", "B")


def read_tcc_clusters(folder: str | os.PathLike[str], particles: pd.DataFrame | ArrayLike) -> pd.DataFrame:
    r"""Read the results of TCC, and add them to the table of the particles.

    Parameters
    ----------
    folder
        Folder that the program was run in, or its folder ``raw_output``.
    particles
        Particle table, or array of shape ``(N, 3)``, for which `write_tcc_input` wrote the input.

    Returns
    -------
    pandas.DataFrame
        The table with a column for each kind of cluster: ``tcc_`` and the name that the program gives it (``tcc_8B``,
        ``tcc_10B``, ``tcc_13A``, ``tcc_FCC``, ...), 1 where the particle is in such a cluster, else 0. A particle may
        be in clusters of several kinds, and those that hold smaller ones count for both.

    Raises
    ------
    ColloidsError
        If there are no results, they cannot be read, or they are of other particles: their numbers and frames must be
        those of the table.

    Examples
    --------
    >>> from pathlib import Path
    >>> from napari_colloids.structure import read_tcc_clusters
    >>> Path("tcc/raw_output").mkdir(parents=True)
    >>> _ = Path("tcc/raw_output/particles.xyz.rcAA1.8.raw_sp3c").write_text("3\nframe 1\nC\nC\nA\n")
    >>> read_tcc_clusters("tcc", [[0, 0, 0], [0, 0, 5], [0, 0, 90]])["tcc_sp3c"].tolist()
    [1, 1, 0]
    """
    table = checked_particles(particles)
    rows = rows_by_frame(table)
    found = memberships(Path(folder), [len(one) for one in rows])
    columns = {name: np.zeros(len(table), dtype=np.int64) for name in found}
    for name, frames in found.items():
        for one, members in zip(rows, frames, strict=True):
            columns[name][one] = members
    return with_clusters(table, columns)


def with_clusters(table: pd.DataFrame, columns: dict[str, NDArray[np.int64]]) -> pd.DataFrame:
    """Return a table with its ``attrs`` and with columns by the names of clusters."""
    result = table.assign(**{f"tcc_{name}": members for name, members in columns.items()})
    result.attrs = dict(table.attrs)
    return result


def memberships(folder: Path, counts: Sequence[int]) -> dict[str, list[NDArray[np.bool_]]]:
    """Return which particles of each frame are in clusters, by the names of these in the order of the program.

    Parameters
    ----------
    folder
        That the program was run in, or its folder of results.
    counts
        Number of particles of each frame.

    Raises
    ------
    ColloidsError
        As `read_tcc_clusters` does.
    """
    place = folder / RESULTS if (folder / RESULTS).is_dir() else folder
    try:
        files = place.iterdir() if place.is_dir() else []
        named = [(match[1], file) for file in files if (match := _FILE.fullmatch(file.name))]
        if not named:
            raise ColloidsError(
                f"There are no results of TCC in '{folder}': run the program there, with raw = 1 in its parameters."
            )
        names = [name for name, _ in named]
        if len(set(names)) < len(names):
            raise ColloidsError(f"'{place}' holds results of several runs of TCC: empty it, and run the program again.")
        order = {name: number for number, name in enumerate(TCC_CLUSTERS)}
        named.sort(key=lambda one: (order.get(one[0], len(order)), one[0]))
        return {name: _read(file, counts) for name, file in named}
    except OSError as error:
        raise ColloidsError(f"TCC's results in '{folder}' cannot be read: {error.strerror or error}.") from error


def run_parameters(folder: Path) -> tuple[float, float]:
    """Return the longest bond, in diameters, and the Voronoi parameter that TCC was run with; NaN where unknown.

    Parameters
    ----------
    folder
        That the program was run in, or its folder of results.
    """
    parameters = configparser.ConfigParser()
    place = folder.parent if folder.name == RESULTS else folder
    try:
        parameters.read_string((place / PARAMETERS).read_text(encoding="ascii"))
        simulation = parameters["Simulation"]
        return float(simulation["rcutAA"]), float(simulation["voronoi_parameter"])
    except (OSError, ValueError, KeyError, configparser.Error):
        return np.nan, np.nan


def _read(file: Path, counts: Sequence[int]) -> list[NDArray[np.bool_]]:
    """Return which particles of each frame are in the clusters of one file: their number, a comment, a letter each."""
    lines = file.read_text(encoding="ascii", errors="replace").split("\n")
    frames, start = [], 0
    for number, count in enumerate(counts, start=1):
        told = lines[start].strip() if start < len(lines) else ""
        if not told:
            raise ColloidsError(
                f"'{file}' has {number - 1} frames, but the table has {len(counts)}: it is of other particles, or TCC "
                "has not finished."
            )
        if told != str(count):
            raise ColloidsError(
                f"'{file}' has {told[:20]} particles in frame {number}, but the table has {count}: it is of others."
            )
        letters = np.char.strip(np.array(lines[start + 2 : start + 2 + count]))
        if len(letters) < count or not np.isin(letters, (*_IN, *_OUT)).all():
            raise ColloidsError(f"'{file}' is cut short or damaged in frame {number}: run TCC again.")
        frames.append(np.isin(letters, _IN))
        start += 2 + count
    if any(line.strip() for line in lines[start:]):
        raise ColloidsError(f"'{file}' has more frames than the table, {len(counts)}: it is of other particles.")
    return frames
