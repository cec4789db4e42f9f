"""`detect`: stack -> normalise -> tiles -> network -> peaks -> particles."""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_colloids.detection.candidates import Candidates, suppress_overlaps
from napari_colloids.detection.normalise import GreyLevels
from napari_colloids.detection.options import DIAMETER_LIMITS, FLOOR, Options
from napari_colloids.detection.progress import Progress
from napari_colloids.detection.scale import Scale
from napari_colloids.errors import ColloidsError
from napari_colloids.particles import POSITION, particle_table
from napari_colloids.stack import Stack, as_stack

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import pandas as pd
    from numpy.typing import NDArray


def detect(
    stack: Any,
    options: Options | None = None,
    /,
    *,
    progress: Callable[[int, int], None] | None = None,
    **changes: Any,
) -> pd.DataFrame:
    """Find the particles of a 3D stack.

    Parameters
    ----------
    stack
        A `Stack`, or an array ``(z, y, x)`` (NumPy, memory map or dask).
    options
        The settings.
    progress
        Called with the steps that are done and their total.
    **changes
        Fields of `Options` to set, e.g. ``detect(stack, diameter=12)``.

    Returns
    -------
    pandas.DataFrame
        A row per particle: ``z, y, x`` in voxels, ``radius`` in lateral voxels, ``confidence``, and with a known voxel
        size ``z_um, y_um, x_um, radius_um``. ``attrs`` says how it was found: ``diameter`` (lateral voxels),
        ``diameter_estimated``, ``diameter_certain``, ``threshold``, ``method``, ``device``, ``seconds``,
        ``mvoxel_per_s`` and ``notices``.

    Raises
    ------
    ColloidsError
        If the stack or a setting cannot be used; the message says what to do.
    """
    unknown = set(changes) - {f.name for f in fields(Options)}
    if unknown:
        raise ColloidsError(f"There is no detection option {', '.join(sorted(unknown))}.")
    steps = iter_detect(stack, replace(options or Options(), **changes))
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            table: pd.DataFrame = end.value
            return table
        if progress is not None:
            progress(step.done, step.total)


@dataclass
class _Run:
    """What the steps of one detection share."""

    volume: Any
    options: Options
    aspect: float
    levels: GreyLevels
    device: str = "cpu"
    certain: bool = True
    notices: list[str] = field(default_factory=list)


def iter_detect(stack: Any, options: Options | None = None) -> Generator[Progress, None, pd.DataFrame]:
    """Detect in steps: yields a `Progress` after every tile and returns the table of `detect`.

    A window runs this in a worker thread; closing the generator cancels. Raises `ColloidsError` only.
    """
    started = time.perf_counter()
    options = options or Options()
    stack = as_stack(stack)
    volume = stack.volume(options.frame, options.channel)
    aspect = stack.voxel_size[0] / stack.voxel_size[2] if stack.voxel_size else 1.0
    run = _Run(volume, options, aspect, GreyLevels.of(volume))
    low, high = _z_range(options, stack.shape[0])

    diameter = _given_diameter(options, stack)
    if diameter is None:
        diameter = yield from _estimate(run)
    slab = _slab(low, high, stack.shape[0], 1.5 * diameter / aspect)
    part = volume[slab]
    if options.method == "network":
        found = yield from _by_network(run, part, diameter)
    else:
        found = yield from _by_baseline(run, part, diameter)
    positions = found.positions + np.array([slab.start, 0, 0])
    chosen = _inside(positions, stack.shape, low, high, options.border)
    chosen &= found.confidence >= options.effective_threshold
    table = particle_table(
        positions[chosen],
        radius=found.radii[chosen],
        confidence=found.confidence[chosen],
        voxel_size=stack.voxel_size,
    ).sort_values(POSITION, ignore_index=True)
    seconds = time.perf_counter() - started
    table.attrs = {
        "diameter": diameter,
        "diameter_estimated": options.diameter is None and options.diameter_um is None,
        "diameter_certain": run.certain,
        "threshold": options.effective_threshold,
        "method": options.method,
        "device": run.device,
        "seconds": seconds,
        "mvoxel_per_s": float(np.prod(part.shape)) / 1e6 / seconds,
        "notices": run.notices,
    }
    return table


def _z_range(options: Options, slices: int) -> tuple[int, int]:
    low, high = options.z_range or (0, slices)
    if not 0 <= low < high <= slices:
        raise ColloidsError(f"The z range {low}:{high} does not lie within the {slices} slices of the stack.")
    return low, high


def _slab(low: int, high: int, slices: int, context: float) -> slice:
    """Return the wanted slices and some beyond, so that particles at the ends of the range are seen whole."""
    extra = int(np.ceil(context))
    return slice(max(low - extra, 0), min(high + extra, slices))


def _given_diameter(options: Options, stack: Stack) -> float | None:
    """Return the diameter in lateral voxels if the user gave one."""
    if options.diameter_um is None:
        return options.diameter
    if stack.voxel_size is None:
        raise ColloidsError(
            "The stack has no voxel size, so a diameter in micrometres says nothing: "
            "give the voxel size, or the diameter in voxels."
        )
    diameter = options.diameter_um / stack.voxel_size[2]
    low, high = DIAMETER_LIMITS
    if not low <= diameter <= high:
        raise ColloidsError(
            f"A diameter of {options.diameter_um:g} um is {diameter:.3g} voxels here; it must lie between {low:g} and "
            f"{high:g}. Are the diameter and the voxel size right?"
        )
    return diameter


def _estimate(run: _Run) -> Generator[Progress, None, float]:
    from napari_colloids.detection.diameter import estimate_diameter
    from napari_colloids.detection.weights import bundled_network

    estimate = yield from estimate_diameter(run.volume, run.levels, run.aspect, bundled_network())
    run.certain = estimate.certain
    if not estimate.certain:
        run.notices.append(
            f"The diameter could not be told for sure from the image ({estimate.diameter:.1f} px is the best guess): "
            "look at the result and type the diameter if it is wrong."
        )
    return estimate.diameter


def _by_network(run: _Run, part: Any, diameter: float) -> Generator[Progress, None, Candidates]:
    """Apply the network; when memory runs out or a device that nobody asked for fails, go on with what is left."""
    from napari_colloids.detection.device import choose_device
    from napari_colloids.detection.memory import attempts, is_out_of_memory
    from napari_colloids.detection.weights import bundled_network

    scale = Scale.for_diameter(diameter, part.shape, run.aspect)
    halo = bundled_network().halo
    wanted = choose_device(run.options.device)
    broken = None
    for device, core in attempts(scale, halo, wanted, run.options.tile):
        if device == broken:
            continue
        run.device = device
        try:
            return (yield from _tile_by_tile(run, part, scale, core, halo))
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                run.notices.append(f"Memory ran out on {device} with tiles of {core}: went on with smaller tiles.")
            elif run.options.device == "auto" and device != "cpu":
                broken = device
                run.notices.append(f"The network failed on {device} ({error}): the CPU was used instead.")
            else:
                raise ColloidsError(f"The network failed on {device}: {error}") from error
    raise ColloidsError("There is not enough memory even for the smallest tiles; close other programs and try again.")


def _tile_by_tile(
    run: _Run, part: Any, scale: Scale, core: tuple[int, int, int], halo: int
) -> Generator[Progress, None, Candidates]:
    from napari_colloids.detection.inference import candidates_in, tiles_of
    from napari_colloids.detection.weights import bundled_network

    # A copy: the bundled network stays on the CPU for whoever comes next.
    network = bundled_network() if run.device == "cpu" else copy.deepcopy(bundled_network()).to(run.device)
    tiles = tiles_of(scale, core, halo)
    found = []
    yield Progress(0, len(tiles), "detecting")
    for candidates in candidates_in(tiles, part, scale, run.levels, network, run.device, FLOOR):
        found.append(candidates)
        yield Progress(len(found), len(tiles), "detecting")
    kept = suppress_overlaps(Candidates.joined(found))
    lateral = scale.step[2]
    return Candidates(scale.to_source(kept.positions), kept.radii * lateral, kept.confidence)


def _by_baseline(run: _Run, part: Any, diameter: float) -> Generator[Progress, None, Candidates]:
    """Apply trackpy or LoG to the whole volume at once: they have no tiles."""
    from napari_colloids.detection.baselines import locate_log, locate_trackpy

    yield Progress(0, 1, f"detecting with {run.options.method}")
    image = run.levels.apply(np.asarray(part))
    try:
        if run.options.method == "trackpy":
            found = locate_trackpy(image, diameter, run.aspect)
        else:
            found = locate_log(image, diameter, run.aspect, FLOOR)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise ColloidsError(f"{run.options.method} failed: {error}") from error
    yield Progress(1, 1, f"detecting with {run.options.method}")
    return found


def _inside(
    positions: NDArray[np.float64], shape: tuple[int, int, int], low: int, high: int, border: float
) -> NDArray[np.bool_]:
    """Mark the centres that lie in the stack and the z range, at least `border` from the stack's edge."""
    first = np.full(3, border - 0.5)
    last = np.asarray(shape) - 0.5 - border
    marked: NDArray[np.bool_] = np.all((positions >= first) & (positions < last), axis=1)
    return marked & (positions[:, 0] >= low - 0.5) & (positions[:, 0] < high - 0.5)
