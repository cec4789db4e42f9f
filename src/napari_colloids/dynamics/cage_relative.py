"""Displacements relative to the cage: what is left when the neighbours' mean motion is subtracted.

References
----------
Mazoyer, Ebert, Maret and Keim, EPL 88, 66004 (2009).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from napari_colloids.dynamics.cages import shell_radius
from napari_colloids.dynamics.sampling import displacements
from napari_colloids.dynamics.time_lags import checked_lags
from napari_colloids.dynamics.tracks import checked_tracks
from napari_colloids.settings import check_value

if TYPE_CHECKING:
    from collections.abc import Sequence


def cage_relative_displacements(
    tracks: pd.DataFrame,
    lag: int = 1,
    *,
    cutoff: float | None = None,
    max_origins: int = 100,
    voxel_size: Sequence[float] | None = None,
) -> pd.DataFrame:
    r"""Return the displacements of particles relative to the mean of those of their neighbours [1]_.

    .. math::

        \Delta\mathbf{r}_i^\mathrm{rel} = \Delta\mathbf{r}_i - \frac{1}{N_i} \sum_{j} \Delta\mathbf{r}_j

    with the :math:`N_i` particles :math:`j` that are in the first shell of :math:`i` at the first frame and tracked
    over the lag.

    Parameters
    ----------
    tracks
        Particle table with ``frame`` and ``particle``, as `link` returns it. Neighbours are of all channels.
    lag
        In frames.
    cutoff
        Distance within which particles are neighbours, in lateral voxels; None takes the first minimum of g(r).
    max_origins
        Pairs of frames, at most; they are evenly spread.
    voxel_size
        Micrometres ``(z, y, x)``; None takes what the table's columns in micrometres imply.

    Returns
    -------
    pandas.DataFrame
        One row a displacement: ``frame`` that it starts from, ``particle``, ``dz, dy, dx`` and ``neighbours``, their
        number. ``attrs["unit"]`` is ``"um"`` or ``"px"`` (lateral voxels), ``attrs["cutoff"]`` the distance in it.
        Particles without neighbours are left out.

    Raises
    ------
    ColloidsError
        If the table is not linked, or an argument makes no sense.

    See Also
    --------
    relaxation : With ``cage_relative=True`` averages these.

    Notes
    -----
    Drift, and any flow that changes little over the distance of neighbours, is subtracted with the mean; so are
    vibrations of long wavelength. A particle's own motion is not changed, but those of its neighbours add: of
    independent particles the mean square is :math:`1 + 1 / N_i` times as large.

    References
    ----------
    .. [1] Mazoyer, Ebert, Maret and Keim, "Dynamics of particles and cages in an experimental 2D glass former", EPL 88,
       66004 (2009).

    Examples
    --------
    Of four particles that drift along x one moves on:

    >>> from napari_colloids import particle_table
    >>> from napari_colloids.dynamics import cage_relative_displacements
    >>> before = [[0, 0, 0], [0, 0, 3], [0, 3, 0], [3, 0, 0]]
    >>> after = [[0, 0, 8], [0, 0, 8], [0, 3, 5], [3, 0, 5]]
    >>> tracks = particle_table(before + after, frame=[0] * 4 + [1] * 4, particle=[0, 1, 2, 3] * 2)
    >>> moved = cage_relative_displacements(tracks, cutoff=5)
    >>> print(moved.loc[0, ["dz", "dy", "dx", "neighbours"]].tolist())
    [0.0, 0.0, 3.0, 3.0]
    """
    check_value("lag", lag, int, low=1, unit="frames")
    check_value("max_origins", max_origins, int, low=1)
    moving = checked_tracks(tracks, voxel_size=voxel_size)
    shell = shell_radius(tracks, voxel_size, cutoff)
    parts = []
    for moved in displacements(moving, checked_lags(lag), shell, max_origins):
        part = pd.DataFrame(moved.displacements, columns=["dz", "dy", "dx"])
        part.insert(0, "frame", moving.frames[moved.start])
        part.insert(1, "particle", moving.labels[moved.rows])
        part["neighbours"] = 0 if moved.neighbours is None else moved.neighbours
        parts.append(part)
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
    table = table.reindex(columns=["frame", "particle", "dz", "dy", "dx", "neighbours"])
    table.attrs |= {"unit": moving.scaling.unit, "cutoff": shell}
    return table
