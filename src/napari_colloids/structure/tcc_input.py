"""Input files of TCC, the topological cluster classification: coordinates, parameters and box.

The program (github.com/royallgroup/TCC, GPL-3) is no part of this project: its files are written, and it is called.

References
----------
Malins, Williams, Eggers and Royall, J. Chem. Phys. 139, 234506 (2013).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import positions_of
from napari_colloids.settings import changed, takes_settings
from napari_colloids.structure.frames import frames_of, rows_by_frame, searched_shape
from napari_colloids.structure.inputs import checked_particles
from napari_colloids.structure.local_structure import mean_diameter
from napari_colloids.structure.neighbours import neighbour_distance
from napari_colloids.structure.settings import StructureSettings
from napari_colloids.structure.tcc_settings import TccSettings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from napari_colloids.structure.frames import Frames
    from napari_colloids.structure.tcc_settings import TccChanges

    Array = NDArray[np.float64]

#: Names of the files; the program looks for the first under this name, and the others stand in it.
PARAMETERS, COORDINATES, BOX = "inputparameters.ini", "particles.xyz", "box.txt"
#: Frames of a file that the program reads at most.
MAX_FRAMES = 1000
#: Default longest bond, over the distance of neighbours: that of the program's manual.
_CUTOFF_NEIGHBOUR_DISTANCES = 1.8
#: Neighbours within the longest bond that the program has room for, unless a particle has more.
_MIN_ROOM_FOR_BONDS = 50
#: Cells, each as long as the longest bond, that the box must have along each axis for a search by cells, as the program
#: ends where there are fewer, and that it may have in all, for its memory.
_MIN_CELLS, _MAX_CELLS = 3, 10_000_000
#: Lines of the parameters; what is not in them is the program's default, and all clusters are looked for.
_PARAMETERS = """\
[Box]
box_type = 1
box_name = {box}

[Run]
xyzfilename = {coordinates}
frames = {frames}

[Simulation]
rcutAA = {cutoff:.6g}
rcutAB = {cutoff:.6g}
rcutBB = {cutoff:.6g}
min_cutAA = 0.0
bond_type = 1
PBCs = 0
voronoi_parameter = {voronoi_parameter:.6g}
num_bonds = {bonds}
cell_list = {cell_list}
analyse_all_clusters = 1

[Output]
bonds = 0
clusts = 0
raw = 1
do_XYZ = 0
11a = 0
13a = 0
pop_per_frame = 0
"""


@dataclass(frozen=True, eq=False)
class TccInput:
    """Particles as TCC takes them: x, y, z in diameters, from the corner of the window on.

    Attributes
    ----------
    rows
        Rows of the table of each frame (of each channel).
    positions
        Shape ``(N, 3)`` each: x, y, z in diameters.
    edges
        Of the window: x, y, z in diameters.
    seen
        The same positions with their unit and window.
    size
        Diameter that lengths are told in, in the unit of `seen`.
    cutoff
        Longest bond in diameters.
    voronoi_parameter
        As in `TccSettings`.
    """

    rows: list[NDArray[np.intp]]
    positions: list[Array]
    edges: Array
    seen: Frames
    size: float
    cutoff: float
    voronoi_parameter: float

    def write(self, folder: Path, first: int = 0, last: int | None = None) -> None:
        """Write the input files of the frames from `first` to before `last`, the parameters last.

        Raises
        ------
        ColloidsError
            If these are too many frames, or the files cannot be written.
        """
        frames = self.positions[first:last]
        if len(frames) > MAX_FRAMES:
            raise ColloidsError(f"TCC reads {MAX_FRAMES} frames at most, not {len(frames)}: take some of them.")
        parameters = _PARAMETERS.format(
            box=BOX,
            coordinates=COORDINATES,
            frames=len(frames),
            cutoff=self.cutoff,
            voronoi_parameter=self.voronoi_parameter,
            bonds=max(_MIN_ROOM_FOR_BONDS, *(_most_neighbours(frame, self.cutoff) for frame in frames)),
            cell_list=int(self._has_cells()),
        )
        box = "#iter Lx Ly Lz\n0 " + " ".join(f"{edge:.6f}" for edge in self.edges) + "\n"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # All or none: a run that finds one of them finds those that belong to it.
            with TemporaryDirectory(dir=folder, prefix=".tcc-") as name:
                made = Path(name)
                with (made / COORDINATES).open("w", encoding="ascii", newline="\n") as text:
                    for number, frame in enumerate(frames, start=first):
                        comment = f"{len(frame)}\nframe {number}, lengths in diameters"
                        np.savetxt(text, frame, fmt="A %.9f %.9f %.9f", header=comment, comments="")
                (made / BOX).write_text(box, encoding="ascii", newline="\n")
                (made / PARAMETERS).write_text(parameters, encoding="ascii", newline="\n")
                for file in (COORDINATES, BOX, PARAMETERS):
                    os.replace(made / file, folder / file)
        except OSError as error:
            raise ColloidsError(f"TCC's input cannot be written to '{folder}': {error.strerror or error}.") from error

    def _has_cells(self) -> bool:
        """Whether the box is neither too small nor far too large for a search by cells of the longest bond."""
        cells = self.edges / self.cutoff
        return bool(cells.min() > _MIN_CELLS * (1 + 1e-5) and cells.prod() < _MAX_CELLS)  # six digits are written


@takes_settings(TccSettings, but=["time_limit"])
def write_tcc_input(
    folder: str | os.PathLike[str],
    particles: pd.DataFrame | ArrayLike,
    *,
    shape: Sequence[float] | None = None,
    voxel_size: Sequence[float] | None = None,
    diameter: float | None = None,
    **settings: Unpack[TccChanges],
) -> None:
    """Write the input files of TCC, the topological cluster classification [1]_.

    Parameters
    ----------
    folder
        Where ``inputparameters.ini``, ``particles.xyz`` and ``box.txt`` are written; it is made if need be. Run the
        program in it, then `read_tcc_clusters`.
    particles
        Particle table, or array of shape ``(N, 3)``: z, y, x in voxels. Frames and channels are each on their own.
    shape
        Shape ``(z, y, x)`` of the stack in voxels; None takes that of the stack that the table says it was found in, if
        all of it was searched, else the box that the particles fill.
    voxel_size
        Micrometres ``(z, y, x)``; None takes what the table's columns in micrometres imply.
    diameter
        In lateral voxels, in place of the radii of the table: the unit of length, as in papers. Without either it is
        the distance of neighbours, and without one of these the mean spacing.
    {settings}

    Raises
    ------
    ColloidsError
        If no frame has two particles, there are more than 1000, a setting cannot be used, or the files cannot be
        written.

    See Also
    --------
    topological_clusters : Writes them, runs the program and reads what it finds.

    Notes
    -----
    The box is not periodic. All particles are of one kind, and all clusters are looked for.

    References
    ----------
    .. [1] Malins, Williams, Eggers and Royall, "Identification of structure in condensed matter with the topological
       cluster classification", J. Chem. Phys. 139, 234506 (2013).

    Examples
    --------
    >>> import numpy as np
    >>> from pathlib import Path
    >>> from napari_colloids.structure import write_tcc_input
    >>> crystal = 10.0 * np.indices((6, 6, 6)).reshape(3, -1).T + 4.5
    >>> write_tcc_input("tcc", crystal, shape=(60, 60, 60), diameter=10)
    >>> Path("tcc/particles.xyz").read_text().splitlines()[:4]
    ['216', 'frame 0, lengths in diameters', 'A 0.500000000 0.500000000 0.500000000', 'A 1.500000000 0.500000000 ...']
    >>> Path("tcc/box.txt").read_text().splitlines()[1]
    '0 6.000000 6.000000 6.000000'
    """
    table = checked_particles(particles)
    how = changed(TccSettings(), settings, "setting of the clusters")
    tcc_input(table, shape, voxel_size, diameter, how).write(Path(folder))


def tcc_input(
    table: pd.DataFrame,
    shape: Sequence[float] | None,
    voxel_size: Sequence[float] | None,
    diameter: float | None,
    settings: TccSettings,
) -> TccInput:
    """Return the particles of a table as TCC takes them; the parameters are those of `write_tcc_input`.

    Raises
    ------
    ColloidsError
        If no frame has two particles, or a setting cannot be used.
    """
    given = StructureSettings(diameter=diameter).diameter
    seen = frames_of(table, searched_shape(table) if shape is None else shape, voxel_size, "A search for clusters")
    scaling, window = seen.scaling, seen.window
    rows = rows_by_frame(table)
    size = mean_diameter(table, given, voxel_size) * scaling.lateral
    if not np.isfinite(size):  # the gas has no other length
        size = float((window.volume * len(rows) / len(table)) ** (1 / 3))
    cutoff = settings.bond_cutoff
    if cutoff is None:
        neighbours = neighbour_distance(table, voxel_size=voxel_size) * scaling.lateral
        cutoff = _CUTOFF_NEIGHBOUR_DISTANCES * (neighbours / size if np.isfinite(neighbours) else 1.0)
    places = (positions_of(table) * scaling.scale - window.low)[:, ::-1] / size
    frames = [places[one] for one in rows]
    return TccInput(rows, frames, window.edges[::-1] / size, seen, size, cutoff, settings.voronoi_parameter)


def _most_neighbours(positions: Array, cutoff: float) -> int:
    """Return the largest number of particles within the cutoff of one."""
    return int(cKDTree(positions).query_ball_point(positions, cutoff, return_length=True).max()) - 1
