"""Settings of the topological cluster classification: one definition for the library and the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypedDict

from napari_colloids.settings import Setting, check_settings, documented

#: Heading in the command line's help.
CLUSTERS = "Topological clusters"


@documented
@dataclass(frozen=True)
class TccSettings:
    """How topological clusters are looked for.

    Attributes
    ----------
    {settings}

    Raises
    ------
    ColloidsError
        If a value is out of range.
    """

    bond_cutoff: Annotated[
        float | None,
        Setting(
            label="Longest bond",
            help="Longest bond of the Voronoi construction in diameters.",
            unit="diameters",
            low=0.1,
            high=1000,
            unset="1.8 distances of neighbours",
            metavar="D",
            group=CLUSTERS,
            more="The distance of neighbours is the first peak of g(r), and 1.8 what TCC's manual takes: longer than "
            "nearly all bonds of a dense suspension, so that the construction alone decides; a cutoff at the first "
            "minimum of g(r) would take some of them away.",
        ),
    ] = None
    voronoi_parameter: Annotated[
        float,
        Setting(
            label="Voronoi parameter",
            help="Parameter f_c of the modified Voronoi construction; with 1 it is the plain one, with less the "
            "diagonals of four particles that nearly form a square are no bonds.",
            low=0.1,
            high=1,
            metavar="FC",
            group=CLUSTERS,
        ),
    ] = 0.82
    time_limit: Annotated[
        float,
        Setting(
            label="Time limit",
            help="Longest time that the program may take for a frame; it is ended then.",
            unit="s",
            low=0.1,
            high=1e6,
            metavar="S",
            group=CLUSTERS,
        ),
    ] = 3600.0

    def __post_init__(self) -> None:
        check_settings(self)


class TccChanges(TypedDict, total=False):
    """The fields of `TccSettings` as keywords, for type checkers."""

    bond_cutoff: float | None
    voronoi_parameter: float
    time_limit: float
