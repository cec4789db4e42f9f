"""How far the search of one volume is, over all of its stages, each of which counts its own steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_colloids.detection.methods import METHODS

if TYPE_CHECKING:
    from napari_colloids.detection.options import Options
    from napari_colloids.progress import Progress

#: Stages by their messages, in their order, with what each takes beside the others: seconds on two cores for 128 voxels
#: each way, with 600 particles to be refined.
_MEASURING = {"estimating the diameter": 2.0, "checking the stack": 0.8}
_SEARCHING = {"detecting": 1.0, "looking for single particles": 0.2, "telling particles from noise": 0.2}
_REFINING = {"measuring the optics": 8.0, "refining": 12.0}


class Course:
    """Share of a search that is done; it never falls, whatever stages there are."""

    def __init__(self, options: Options) -> None:
        search = METHODS[options.method]
        searching = _SEARCHING if search.tiled else {f"detecting with {search.name}": 1.0}
        self._stages = {**_MEASURING, **searching, **(_REFINING if options.refine else {})}
        self._share = 0.0
        self._first: int | None = None

    def share(self, step: Progress) -> float:
        """Return what is done after a step, from 0 to 1; stages that were skipped take no part."""
        messages, durations = list(self._stages), list(self._stages.values())
        if step.message in messages:
            index = messages.index(step.message)
            self._first = index if self._first is None else self._first
            here = durations[index] * step.done / max(step.total, 1)
            share = (sum(durations[self._first : index]) + here) / sum(durations[self._first :])
            self._share = max(self._share, share)
        return self._share
