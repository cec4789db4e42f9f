"""What the workers of a cluster do: functions of small arguments, which open the file they need themselves.

What the user has to mend comes back as a `Failure`, not as an exception: the cluster tries again what raises, and that
is for workers that were lost, not for bad input.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from napari_colloids.detection.detector import particles_of
from napari_colloids.detection.plan import DiameterEstimate, Plan, iter_plan
from napari_colloids.detection.search import Found, iter_search
from napari_colloids.detection.series import Part, labelled
from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from collections.abc import Generator

    import pandas as pd

    from napari_colloids.batch.job import Job
    from napari_colloids.detection.region import Region
    from napari_colloids.detection.tiles import Box


@dataclass(frozen=True)
class Failure:
    """What went wrong, for the user."""

    message: str


class Planned(NamedTuple):
    """A plan, and the seconds it took."""

    plan: Plan
    seconds: float


class Searched(NamedTuple):
    """What was found in a box, and the seconds it took."""

    found: Found
    seconds: float


def plan_volume(job: Job, part: Part, estimate: DiameterEstimate | None) -> Planned | Failure:
    """Look at a volume."""
    started = time.perf_counter()
    options = replace(job.options, frame=part.frame, channel=part.channel)
    try:
        plan = _result(iter_plan(job.source.open(), options, _region(job), estimate))
    except ColloidsError as error:
        return Failure(str(error))
    # The region, maybe with a large mask, does not travel: whoever needs it gets it from the job.
    return Planned(replace(plan, region=type(plan.region)(plan.region.z_range)), time.perf_counter() - started)


def search_box(job: Job, planned: Planned, box: Box | None) -> Searched | Failure:
    """Search a box of a volume."""
    started = time.perf_counter()
    plan = with_region(job, planned.plan)
    try:
        found = _result(iter_search(job.source.open().volume(plan.options.frame, plan.options.channel), plan, box))
    except ColloidsError as error:
        return Failure(str(error))
    return Searched(found, time.perf_counter() - started)


def finish_volume(job: Job, part: Part, planned: Planned, parts: list[Searched | Failure]) -> pd.DataFrame | Failure:
    """Join what was found in the boxes of a volume."""
    started = time.perf_counter()
    for searched in parts:
        if isinstance(searched, Failure):
            return searched
    found = [searched.found for searched in parts if isinstance(searched, Searched)]
    seconds = planned.seconds + sum(searched.seconds for searched in parts if isinstance(searched, Searched))
    plan = with_region(job, planned.plan)
    table = particles_of(plan, found, seconds + time.perf_counter() - started)
    return labelled(table, part, job.source.open(), len(job.channels) > 1)


def with_region(job: Job, plan: Plan) -> Plan:
    """Return the plan with the whole region of the job."""
    region = _region(job)
    return replace(plan, region=type(region)(plan.region.z_range, region.outlines, region.mask))


@lru_cache(maxsize=2)
def _region(job: Job) -> Region:
    return job.region()


def _result(steps: Generator[Any, None, Any]) -> Any:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
