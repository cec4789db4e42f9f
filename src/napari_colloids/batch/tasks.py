"""Tasks of the workers of a cluster: functions of small arguments, which open the file that they need themselves.

Errors that the user has to correct are returned as a `Failure`, not raised: the cluster repeats a task that raises,
which helps when a network fails for a moment, but not with bad input.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from napari_colloids.detection.finish import iter_finish
from napari_colloids.detection.intensity import intensities
from napari_colloids.detection.plan import Plan, iter_plan
from napari_colloids.detection.region import Region
from napari_colloids.detection.search import Found, iter_search
from napari_colloids.detection.series import Part, labelled
from napari_colloids.detection.tiles import halved
from napari_colloids.errors import ColloidsError, UnusableVolumeError
from napari_colloids.progress import result_of

if TYPE_CHECKING:
    import pandas as pd

    from napari_colloids.batch.job import Job
    from napari_colloids.detection.estimate import DiameterEstimate
    from napari_colloids.detection.tiles import Box


#: Largest number of voxels, after resampling, of the boxes that volumes are cut into: much more than the halo that is
#: computed twice, and little memory.
_MAX_BOX_VOXELS = 200**3


@dataclass(frozen=True)
class Failure:
    """An error that the user has to correct, or a volume that cannot be searched.

    Attributes
    ----------
    message
        For the user.
    reason
        Why the volume cannot be searched, as in `Unusable`; empty where the error is about anything else.
    """

    message: str
    reason: str = ""

    @classmethod
    def of(cls, error: ColloidsError) -> Failure:
        """Return what a worker says of an error."""
        return cls(str(error), error.reason if isinstance(error, UnusableVolumeError) else "")


class Planned(NamedTuple):
    """Plan of a volume, the boxes that are searched (None for all of it at once), and the seconds that it took."""

    part: Part
    plan: Plan
    boxes: list[Box | None]
    seconds: float


class Searched(NamedTuple):
    """Particles found in a box, and the seconds that it took."""

    found: Found
    seconds: float


def start_volume(job: Job, part: Part, estimate: DiameterEstimate | None) -> Planned | pd.DataFrame | Failure:
    """Plan the search of a volume and, where it is one box, carry it out."""
    planned = plan_volume(job, part, estimate)
    if isinstance(planned, Failure) or len(planned.boxes) > 1:
        return planned
    return finish_volume(job, part, planned, [search_box(job, planned, box) for box in planned.boxes])


def plan_volume(job: Job, part: Part, estimate: DiameterEstimate | None) -> Planned | Failure:
    """Plan the search of a volume: grey levels, diameter, boxes."""
    started = time.perf_counter()
    try:
        plan = result_of(iter_plan(job.source.open(), part, job.options, job.region(), estimate))
    except ColloidsError as error:
        return Failure.of(error)
    boxes = _boxes_of(plan)
    # A region may hold a large mask: it is not sent along, but made from the job where it is needed.
    small = replace(plan, region=Region(plan.region.z_range))
    return Planned(part, small, boxes, time.perf_counter() - started)


def search_box(job: Job, planned: Planned, box: Box | None) -> Searched | Failure:
    """Search a box of a volume."""
    started = time.perf_counter()
    plan = _with_region(job, planned.plan)
    try:
        volume = job.source.open().volume(*planned.part, dark=plan.options.dark)
        found = result_of(iter_search(volume, plan, box))
    except ColloidsError as error:
        return Failure.of(error)
    return Searched(found, time.perf_counter() - started)


def finish_volume(job: Job, part: Part, planned: Planned, parts: list[Searched | Failure]) -> pd.DataFrame | Failure:
    """Join the particles found in the boxes of a volume, post-process and, where wanted, refine them."""
    started = time.perf_counter()
    for searched in parts:
        if isinstance(searched, Failure):
            return searched
    found = [searched.found for searched in parts if isinstance(searched, Searched)]
    seconds = planned.seconds + sum(searched.seconds for searched in parts if isinstance(searched, Searched))
    plan = _with_region(job, planned.plan)
    stack = job.source.open()
    volume = stack.volume(*part, dark=plan.options.dark)
    try:
        table = result_of(iter_finish(volume, plan, found, seconds + time.perf_counter() - started))
        if plan.options.intensity:
            table = intensities(stack, table, frame=part.frame, channel=part.channel)
    except ColloidsError as error:
        return Failure.of(error)
    return labelled(table, part, stack, len(job.selection.channels) > 1)


def _boxes_of(plan: Plan) -> list[Box | None]:
    """Return the boxes that a volume is searched in."""
    from napari_colloids.detection.network import MULTIPLE

    if plan.options.method != "network":
        return [None]
    return [box for box in halved(plan.box(), _MAX_BOX_VOXELS, MULTIPLE) if plan.wants(box.low, box.high)]


def _with_region(job: Job, plan: Plan) -> Plan:
    """Return the plan with the whole region of the job."""
    region = job.region()
    return replace(plan, region=Region(plan.region.z_range, region.outlines, region.mask))
