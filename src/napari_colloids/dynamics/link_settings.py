"""Settings of linking: one definition for the library, the command line and the window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, TypedDict

from napari_colloids.settings import HOW, INPUT, Setting, check_settings, documented


@documented
@dataclass(frozen=True)
class LinkSettings:
    """How the particles of a time series are linked.

    Attributes
    ----------
    {settings}

    Raises
    ------
    ColloidsError
        If a value is out of range.
    """

    search_range: Annotated[
        float | None,
        Setting(
            label="Search range",
            help="Longest displacement of a particle from one frame to the next. Suggested: half the distance between "
            "neighbours, at the first minimum of g(r).",
            unit="px",
            low=0.001,
            high=10_000,
            decimals=3,
            unset="from g(r)",
            metavar="PX",
            group=HOW,
            more="Lateral voxels; see `suggest_search_range`.",
        ),
    ] = None
    memory: Annotated[
        int,
        Setting(
            label="Memory",
            help="Number of frames for which a particle may be missing and still continue its trajectory.",
            unit="frames",
            low=0,
            high=1000,
            metavar="N",
            group=HOW,
        ),
    ] = 0
    min_length: Annotated[
        int,
        Setting(
            label="Minimum length",
            help="Drop trajectories of fewer positions than this.",
            unit="positions",
            low=1,
            high=100_000,
            metavar="N",
            group=HOW,
        ),
    ] = 1
    subtract_drift: Annotated[
        bool,
        Setting(
            label="Subtract drift",
            help="Subtract the drift, the mean motion of all particles (mostly of the stage), from the positions.",
            group=HOW,
        ),
    ] = False

    predict_motion: Annotated[
        bool,
        Setting(
            label="Predict motion",
            help="Look for particles where their common motion takes them (flow, shear, drift of the stage), which is "
            "estimated from frame to frame.",
            group=HOW,
        ),
    ] = True

    def __post_init__(self) -> None:
        check_settings(self)


@documented
@dataclass(frozen=True)
class Timing:
    """Times of the frames of a series.

    Attributes
    ----------
    {settings}

    Raises
    ------
    ColloidsError
        If a value is out of range.
    """

    frame_interval: Annotated[
        float | None,
        Setting(
            label="Frame interval",
            help="Seconds between frames, where the file beside the table does not tell them.",
            unit="s",
            low=1e-6,
            high=1e6,
            decimals=6,
            unset="unknown",
            metavar="S",
            group=INPUT,
        ),
    ] = None

    def __post_init__(self) -> None:
        check_settings(self)


class LinkChanges(TypedDict, total=False):
    """The fields of `LinkSettings` as keywords, for type checkers."""

    search_range: float | None
    memory: int
    min_length: int
    subtract_drift: bool
    predict_motion: bool
