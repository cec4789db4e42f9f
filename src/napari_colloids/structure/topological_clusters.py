"""Topological clusters of a sample, found by a user's own TCC program, and how many particles are in them."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.jsonable import jsonable
from napari_colloids.particles import positions_of
from napari_colloids.progress import Progress, as_step, result_of
from napari_colloids.settings import changed, takes_settings
from napari_colloids.structure.frames import searched_shape
from napari_colloids.structure.inputs import checked_particles
from napari_colloids.structure.local_structure import interior_margin
from napari_colloids.structure.notices import error_notices, recall_notices, window_notices
from napari_colloids.structure.tcc_input import tcc_input
from napari_colloids.structure.tcc_output import memberships, run_parameters, with_clusters
from napari_colloids.structure.tcc_program import checked_program, run_tcc
from napari_colloids.structure.tcc_settings import TccSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from typing import Unpack

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from napari_colloids.structure.tcc_input import TccInput
    from napari_colloids.structure.tcc_settings import TccChanges

#: Clusters that are told of in words: those that hard spheres have many of, the icosahedron, and crystals.
_IN_WORDS = ("8B", "9B", "10B", "11F", "12E", "13A", "FCC", "HCP", "BCC_9")


@dataclass(frozen=True, eq=False)
class TopologicalClusters:
    """Topological clusters of a sample.

    Attributes
    ----------
    particles
        The table with the columns of `read_tcc_clusters`, and ``interior``: 1 where clusters are those of the bulk.
    populations
        Fraction of the particles inside that are in a cluster, by the name of the cluster; NaN where none are inside.
    bond_cutoff
        Longest bond in diameters; NaN where a run elsewhere does not say.
    voronoi_parameter
        Of the modified Voronoi construction; NaN likewise.
    notices
        What the user should know.

    See Also
    --------
    topological_clusters : Makes one.

    Examples
    --------
    >>> from napari_colloids.particles import particle_table
    >>> from napari_colloids.structure import TopologicalClusters
    >>> table = particle_table([[9, 9, 9], [9, 9, 18]], interior=1)
    >>> TopologicalClusters(table, {"8B": 0.5, "FCC": 0.0}, bond_cutoff=1.8, voronoi_parameter=0.82, notices=())
    TopologicalClusters(In topological clusters, of 2 particles inside: 8B 50.0 %, FCC 0.0 %)
    """

    particles: pd.DataFrame
    populations: dict[str, float]
    bond_cutoff: float
    voronoi_parameter: float
    notices: tuple[str, ...]

    @property
    def inside(self) -> int:
        """Number of particles that count."""
        return int((self.particles["interior"] == 1).sum())

    def __repr__(self) -> str:
        return f"TopologicalClusters({self.line()})"

    def line(self) -> str:
        """Return the populations of some clusters in words."""
        if not self.inside:
            return "In topological clusters: unknown, as no particle is far enough inside"
        shown = (f"{name} {self.populations[name]:.1%}" for name in _IN_WORDS if name in self.populations)
        words = ", ".join(shown).replace("%", " %")
        return f"In topological clusters, of {self.inside} particles inside: {words}"

    def as_dict(self) -> dict[str, object]:
        """Return the figures as plain numbers and dicts; NaN becomes None."""
        figures = {
            "populations": self.populations,
            "interior": self.inside,
            "bond_cutoff": self.bond_cutoff,
            "voronoi_parameter": self.voronoi_parameter,
            "notices": self.notices,
        }
        return {name: jsonable(value) for name, value in figures.items()}

    def to_json(self) -> str:
        """Return the figures as one JSON object."""
        return json.dumps(self.as_dict())


@takes_settings(TccSettings)
def topological_clusters(
    particles: pd.DataFrame | ArrayLike,
    program: str | os.PathLike[str],
    *,
    shape: Sequence[float] | None = None,
    voxel_size: Sequence[float] | None = None,
    diameter: float | None = None,
    recall: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    **settings: Unpack[TccChanges],
) -> TopologicalClusters:
    """Classify particles by the topological clusters that they are in, with a TCC program of your own [1]_.

    Bonds come from a modified Voronoi construction; clusters are rings of three, four and five particles with others
    above and below, and what is made of these: the structures of least energy of 6 to 13 particles, and crystals.

    Parameters
    ----------
    particles
        Particle table, or array of shape ``(N, 3)``: z, y, x in voxels. Frames and channels are each on their own.
    program
        Path of the program TCC (github.com/royallgroup/TCC, GPL-3), which is not part of this package; see
        ``docs/structure.md``. It is run once a frame in a temporary folder, without arguments. Or the folder of
        `write_tcc_input`, in which the program was run elsewhere: its results are read.
    shape, voxel_size, diameter
        As in `write_tcc_input`.
    recall
        Of the detection, as `assess` predicts it; None where it is unknown. A notice says where it is too low.
    progress
        Called with the number of frames done and their total.
    {settings}

    Returns
    -------
    TopologicalClusters

    Raises
    ------
    ColloidsError
        If the program is missing, fails, takes too long or writes what cannot be read, no frame has two particles, a
        setting cannot be used, or there are settings for a run that is over.

    See Also
    --------
    write_tcc_input : Write the input only, to run the program elsewhere.
    read_tcc_clusters : Read its results without counting them.
    local_structure : Order of each particle, which is less sensitive to errors.

    Notes
    -----
    The window is not periodic. Particles near a face lack neighbours, so that only those inside are counted, from the
    larger of 3 mean spacings and 2.5 diameters on.

    Clusters need localisation errors of at most 0.02 diameters and a recall of 98 %; notices say where these are not
    met or not known. Errors of 0.1 diameters leave a third of the clusters 8B of a dense suspension, and a tenth of
    10B.

    References
    ----------
    .. [1] Malins, Williams, Eggers and Royall, "Identification of structure in condensed matter with the topological
       cluster classification", J. Chem. Phys. 139, 234506 (2013).

    Examples
    --------
    >>> from napari_colloids.structure import topological_clusters
    >>> topological_clusters([[5, 5, 5], [5, 5, 12]], "no_such_program")
    Traceback (most recent call last):
        ...
    napari_colloids.errors.ColloidsError: There is no program 'no_such_program': give the path of your TCC program.
    """
    steps = iter_topological_clusters(
        particles, program, shape=shape, voxel_size=voxel_size, diameter=diameter, recall=recall, **settings
    )
    return result_of(steps, progress)


@takes_settings(TccSettings)
def iter_topological_clusters(
    particles: pd.DataFrame | ArrayLike,
    program: str | os.PathLike[str],
    *,
    shape: Sequence[float] | None = None,
    voxel_size: Sequence[float] | None = None,
    diameter: float | None = None,
    recall: float | None = None,
    **settings: Unpack[TccChanges],
) -> Generator[Progress, None, TopologicalClusters]:
    """Find topological clusters in steps, for worker threads; closing the generator ends the program.

    Parameters
    ----------
    particles, program, shape, voxel_size, diameter, recall
        As in `topological_clusters`.
    {settings}

    Yields
    ------
    Progress
        Before each frame, and while the program works.

    Returns
    -------
    TopologicalClusters
        As that of `topological_clusters`.

    Raises
    ------
    ColloidsError
        As `topological_clusters` does.
    """
    folder = Path(program) if isinstance(program, (str, os.PathLike)) and Path(program).is_dir() else None
    if folder is not None and settings:
        raise ColloidsError(
            f"'{folder}' holds a run of TCC that is over: {', '.join(settings)} cannot be changed; leave it out, or "
            "give the program."
        )
    path = Path() if folder is not None else checked_program(program)
    how = changed(TccSettings(), settings, "setting of the clusters")
    table = checked_particles(particles)
    shape = searched_shape(table) if shape is None else shape
    given = tcc_input(table, shape, voxel_size, diameter, how)
    columns: dict[str, NDArray[np.int64]] = {}
    run_before = {} if folder is None else memberships(folder, [len(rows) for rows in given.rows])
    cutoff, voronoi_parameter = (given.cutoff, given.voronoi_parameter) if folder is None else run_parameters(folder)
    for number, rows in enumerate(given.rows):
        step = Progress(number, len(given.rows), "topological clusters")
        found = {name: frames[number] for name, frames in run_before.items()}
        if folder is None:
            found = yield from as_step(step, _of_frame(given, number, path, how.time_limit))
        for name, members in found.items():
            columns.setdefault(name, np.zeros(len(table), dtype=np.int64))[rows] = members
    result = with_clusters(table, columns).assign(interior=_interior(table, given))
    result.attrs = dict(table.attrs)
    inside = result["interior"] == 1
    populations = {name: float(members[inside].mean()) if inside.any() else np.nan for name, members in columns.items()}
    scaling = given.seen.scaling
    notices = (
        *window_notices(result, shape),
        *error_notices(result, scaling.aspect, given.size / scaling.lateral),
        *recall_notices(recall),
    )
    return TopologicalClusters(result, populations, cutoff, voronoi_parameter, notices)


def _of_frame(
    given: TccInput, number: int, program: Path, time_limit: float
) -> Generator[None, None, dict[str, NDArray[np.bool_]]]:
    """Return which particles of a frame are in clusters, by the names of these; yield while the program works."""
    with TemporaryDirectory(prefix="napari-colloids-tcc-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        given.write(folder, number, number + 1)
        yield from run_tcc(program, folder, time_limit)
        try:
            found = memberships(folder, [len(given.rows[number])])
        except ColloidsError as error:
            raise ColloidsError(f"'{program}' has not written what TCC writes; is it TCC? {error}") from error
    return {cluster: frames[0] for cluster, frames in found.items()}


def _interior(table: pd.DataFrame, given: TccInput) -> NDArray[np.int64]:
    """Return 1 for particles so far inside that all their neighbours were seen, as in `local_structure`."""
    window = given.seen.window
    depths = window.depths(positions_of(table) * given.seen.scaling.scale)
    margins = np.zeros(len(table))
    for rows in given.rows:
        margins[rows] = interior_margin(window, len(rows), given.size)
    return (depths >= margins).astype(np.int64)
