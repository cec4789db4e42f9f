"""Settings of the structure: one definition for the library, the command line and the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypedDict

from napari_colloids.settings import HOW, Setting, check_settings, documented


@documented
@dataclass(frozen=True)
class StructureSettings:
    """What is taken for the size of the particles, and for their neighbours.

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
            help="Diameter of the particles in lateral voxels, in place of their radii.",
            unit="px",
            low=0.01,
            high=10_000,
            unset="from the radii",
            metavar="PX",
            group=HOW,
            more="It decides the local volume fraction, how far from the faces particles count as inside, and how far "
            "g(r) reaches; where there are no radii either, the last two take the distance of neighbours.",
        ),
    ] = None
    neighbours: Annotated[
        int | None,
        Setting(
            label="Neighbours",
            help="How many nearest particles are neighbours. By Voronoi faces: those whose cells share a face of at "
            "least 1 % of its surface, which are 12 in a close packing.",
            low=1,
            high=100,
            unset="by Voronoi faces",
            metavar="N",
            group=HOW,
            more="By faces they are 14 in a body-centred and 6 in a simple cubic crystal.",
        ),
    ] = None
    laguerre: Annotated[
        bool,
        Setting(
            label="Laguerre cells",
            help="Weight Voronoi cells by the radii of the particles (Laguerre cells, radical Voronoi tessellation, "
            "power diagram), so that the face between two lies where they touch: for particles of several sizes.",
            group=HOW,
            more="Needs the package multivoro and radii.",
        ),
    ] = False

    def __post_init__(self) -> None:
        check_settings(self)

    def local(self) -> StructureChanges:
        """Return the settings of the local structure as keywords."""
        return {"diameter": self.diameter, "neighbours": self.neighbours, "laguerre": self.laguerre}


class StructureChanges(TypedDict, total=False):
    """The fields of `StructureSettings` as keywords, for type checkers."""

    diameter: float | None
    neighbours: int | None
    laguerre: bool


@documented
@dataclass(frozen=True)
class MeasurementSettings(StructureSettings):
    """What is taken for the size of the particles and their neighbours, and for the errors of their detection.

    Attributes
    ----------
    {settings}

    Raises
    ------
    ColloidsError
        If a value is out of range.
    """

    recall: Annotated[
        float | None,
        Setting(
            label="Recall",
            help="Fraction of the particles of the sample that were found, as 'assess' predicts it.",
            low=0.01,
            high=1,
            unset="unknown",
            metavar="R",
            group=HOW,
            more="What is missing widens the intervals; topological clusters need 98 %.",
        ),
    ] = None
    precision: Annotated[
        float | None,
        Setting(
            label="Precision",
            help="Fraction of the particles of the table that are true, as 'assess' predicts it.",
            low=0.01,
            high=1,
            unset="unknown",
            metavar="P",
            group=HOW,
            more="What is false widens the intervals.",
        ),
    ] = None
    bands: Annotated[
        bool,
        Setting(
            label="Intervals",
            help="Measure what the errors of the positions, the recall and the precision change, where they are known: "
            "the structure with the same errors made once and twice more, which takes three times as long.",
            group=HOW,
        ),
    ] = True


class MeasurementChanges(StructureChanges, total=False):
    """The fields of `MeasurementSettings` as keywords, for type checkers."""

    recall: float | None
    precision: float | None
    bands: bool
