"""Settings of the relaxation of a suspension: one definition for the library, the command line and the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypedDict

from napari_colloids.settings import HOW, INPUT, Setting, check_settings, documented


@documented
@dataclass(frozen=True)
class RelaxationSettings:
    """How trajectories are evaluated.

    Attributes
    ----------
    {settings}

    Raises
    ------
    ColloidsError
        If a value is out of range.
    """

    diameter: Annotated[
        float | None,
        Setting(
            label="Diameter",
            help="Diameter of a particle in lateral voxels.",
            unit="px",
            low=1e-3,
            high=1e5,
            decimals=3,
            unset="first peak of g(r)",
            metavar="PX",
            group=INPUT,
            more="Where g(r) has no peak, twice the median radius of the table, else 2 pi / q.",
        ),
    ] = None
    errors: Annotated[
        tuple[float, float, float] | None,
        Setting(
            label="Errors",
            help="Standard errors of a position along z, y, x in voxels, of all particles.",
            unit="voxels",
            low=0,
            high=1e5,
            unset="those of the table",
            metavar="Z Y X",
            group=INPUT,
        ),
    ] = None
    q: Annotated[
        float | None,
        Setting(
            label="q",
            help="Wave number of the scattering functions per lateral voxel.",
            unit="1/px",
            low=1e-6,
            high=1e6,
            decimals=4,
            unset="2 pi / diameter",
            metavar="PER_PX",
            group=HOW,
        ),
    ] = None
    q_um: Annotated[
        float | None,
        Setting(
            label="q",
            help="Wave number of the scattering functions per micrometre.",
            unit="1/µm",
            low=1e-6,
            high=1e6,
            decimals=4,
            unset="2 pi / diameter",
            metavar="PER_UM",
            group=HOW,
            more="In place of `q`.",
        ),
    ] = None
    overlap_diameters: Annotated[
        float,
        Setting(
            label="Overlap within",
            help="Distance of the overlap in diameters, about the farthest that a particle moves in its cage.",
            unit="diameters",
            low=1e-6,
            high=1e3,
            metavar="A",
            group=HOW,
        ),
    ] = 0.3
    axes: Annotated[
        str,
        Setting(
            label="Axes",
            help="Axes along which displacements are taken: yx leaves out z, where the errors are largest.",
            metavar="AXES",
            group=HOW,
        ),
    ] = "zyx"
    max_lag: Annotated[
        int | None,
        Setting(
            label="Longest lag",
            help="Longest lag in frames.",
            unit="frames",
            low=1,
            high=1_000_000,
            unset="half the series",
            metavar="N",
            group=HOW,
            more="Of a short series, the first four. Of more than twenty, twelve a decade are evaluated.",
        ),
    ] = None
    max_origins: Annotated[
        int,
        Setting(
            label="Starting times",
            help="Starting times of a lag that are averaged, at most; they are evenly spread.",
            low=1,
            high=1_000_000,
            metavar="N",
            group=HOW,
        ),
    ] = 100
    subtract_drift: Annotated[
        bool,
        Setting(
            label="Subtract drift",
            help="Subtract the drift, the mean motion of all particles.",
            group=HOW,
        ),
    ] = False
    cage_relative: Annotated[
        bool,
        Setting(
            label="Relative to the cage",
            help="Take displacements relative to the mean of those of the neighbours.",
            group=HOW,
            more="As `cage_relative_displacements` does.",
        ),
    ] = False
    cutoff: Annotated[
        float | None,
        Setting(
            label="Cage within",
            help="Distance in lateral voxels within which particles are neighbours, whose motion is subtracted.",
            unit="px",
            low=1e-3,
            high=1e5,
            decimals=3,
            unset="first minimum of g(r)",
            metavar="PX",
            group=HOW,
        ),
    ] = None

    def __post_init__(self) -> None:
        check_settings(self)


class RelaxationChanges(TypedDict, total=False):
    """The fields of `RelaxationSettings` as keywords, for type checkers."""

    diameter: float | None
    errors: tuple[float, float, float] | None
    q: float | None
    q_um: float | None
    overlap_diameters: float
    axes: str
    max_lag: int | None
    max_origins: int
    subtract_drift: bool
    cage_relative: bool
    cutoff: float | None
