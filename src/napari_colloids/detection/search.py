"""Search of a volume, or of a box of it, for candidates: by the network in tiles, or by a reference method."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.detection.candidates import Candidates
from napari_colloids.detection.methods import FLOOR, METHODS
from napari_colloids.detection.tiles import Box, cut
from napari_colloids.errors import ColloidsError, is_out_of_memory
from napari_colloids.progress import Progress
from napari_colloids.volumes import read_box

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_colloids.detection.methods import Method
    from napari_colloids.detection.plan import Plan
    from napari_colloids.volumes import Volume

#: Steps of the progress per tile.
_STEPS_PER_TILE = 100
#: Margin around a region in which reference methods search, in diameters.
_REFERENCE_MARGIN_DIAMETERS = 1.5


@dataclass(frozen=True)
class Found:
    """Candidates of a search.

    Attributes
    ----------
    candidates
        In canonical voxels for the network, in those of the stack for the reference methods; overlapping ones are still
        there.
    device
        Where it ran.
    notices
        What the user should know.
    """

    candidates: Candidates
    device: str = "cpu"
    notices: list[str] = field(default_factory=list)


def iter_search(volume: Volume, plan: Plan, box: Box | None = None) -> Generator[Progress, None, Found]:
    """Search a volume in steps.

    Parameters
    ----------
    volume
        Array-like ``(z, y, x)`` that the plan was made for.
    plan
        Of the search.
    box
        For the network, the part of the padded canonical volume to search; None for that of the region.

    Yields
    ------
    Progress
        Several times in every tile.
    """
    method = METHODS[plan.options.method]
    if method.tiled:
        return (yield from _by_network(volume, plan, box or plan.box()))
    return (yield from _by_reference_method(volume, plan, method))


def _by_network(volume: Volume, plan: Plan, box: Box) -> Generator[Progress, None, Found]:
    """Apply the network; where memory runs out, with smaller tiles, and where an automatic device fails, on the CPU."""
    from napari_colloids.detection.device import choose_device
    from napari_colloids.detection.memory import attempts
    from napari_colloids.detection.weights import network_of

    halo = network_of(plan.options.weights).halo
    requested = plan.options.device
    voxel_bytes = np.dtype(volume.dtype).itemsize
    failed, full = None, ""
    notices: list[str] = []
    for device, core in attempts(plan.scale, halo, choose_device(requested), plan.options.tile, box, voxel_bytes):
        if device == failed:
            continue
        if full:
            how = "continued with smaller tiles" if device == full else "the CPU was used instead"
            notices.append(f"Memory ran out on {full}: {how}.")
        try:
            found = yield from _tile_by_tile(volume, plan, box, core, halo, device)
        except (RuntimeError, MemoryError) as error:
            full = device if is_out_of_memory(error) else ""
            if full:
                continue
            if requested == "auto" and device != "cpu":
                failed = device
                notices.append(f"The network failed on {device} ({error}): the CPU was used instead.")
            else:
                raise ColloidsError(f"The network failed on {device}: {error}") from error
        else:
            return Found(found, device, notices)
    raise ColloidsError("There is not enough memory even for the smallest tiles; close other programs and try again.")


def _tile_by_tile(
    volume: Volume, plan: Plan, box: Box, core: tuple[int, int, int], halo: int, device: str
) -> Generator[Progress, None, Candidates]:
    from napari_colloids.detection.inference import candidates_in
    from napari_colloids.detection.network import MULTIPLE
    from napari_colloids.detection.weights import network_on

    every = cut(plan.scale.padded_shape, core, halo, MULTIPLE, box)
    tiles = [tile for tile in every if plan.wants(tile.core_low, tile.core_high)]
    network = network_on(device, plan.options.weights)
    found: list[Candidates] = []
    total = _STEPS_PER_TILE * len(tiles)
    yield Progress(0, total, "detecting")
    for step in candidates_in(tiles, volume, plan.scale, plan.levels, network, device, FLOOR):
        fraction = 0.0 if isinstance(step, Candidates) else step
        if isinstance(step, Candidates):
            found.append(step)
        yield Progress(round((len(found) + fraction) * _STEPS_PER_TILE), total, "detecting")
    return Candidates.joined(found)


def _by_reference_method(volume: Volume, plan: Plan, method: Method) -> Generator[Progress, None, Found]:
    """Apply a method without tiles to the region and a margin that holds its particles as a whole."""
    yield Progress(0, 1, f"detecting with {method.name}")
    low, box = plan.around(_REFERENCE_MARGIN_DIAMETERS)
    image = plan.levels.apply(read_box(volume, box)).numpy()
    try:
        found = method.locator.locate(image, plan.diameter, plan.proportions)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise ColloidsError(f"{method.name} failed: {error}") from error
    found = found[found.confidence >= FLOOR]
    yield Progress(1, 1, f"detecting with {method.name}")
    return Found(Candidates(found.positions + low, found.radii, found.confidence))
