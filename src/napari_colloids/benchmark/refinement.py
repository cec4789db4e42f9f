"""How close to the physical limit: the network, refined and not, and trackpy beside the Cramer-Rao bound.

The images come from `napari_colloids.simulation`, whose optics are known to the last digit, so that the bound is.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from napari_colloids.benchmark import rivals, touching
from napari_colloids.benchmark.bound import cramer_rao, with_neighbours
from napari_colloids.benchmark.exactness import Exactness, exactness
from napari_colloids.benchmark.measure import measure
from napari_colloids.benchmark.microscope import Scene, Volume
from napari_colloids.detection import DEFAULT_THRESHOLD, FLOOR, detect
from napari_colloids.detection.weights import weights_digest
from napari_colloids.particles import positions_of
from napari_colloids.simulation import Parameters, simulate

if TYPE_CHECKING:
    from napari_colloids.simulation import Simulation
    from napari_colloids.stack import Stack

Find = Callable[["Stack", float], pd.DataFrame]

#: What is measured.
METHODS = ("network", "network, refined", "trackpy")
#: Name of this among the suites.
NAME = "refinement"
#: Tuning volumes have seeds this far from those that are reported, and so have pairs that touch.
_TUNING_SEED = 500_000
_TOUCHING_SEED = 600_000


@dataclass(frozen=True)
class Point:
    """One kind of stack: the group whose tables it is in, its label and how it is simulated."""

    group: str
    label: str
    parameters: Parameters


@dataclass(frozen=True, eq=False)
class Result:
    """What came of it.

    Attributes
    ----------
    figures
        A row per method and volume: ``group``, ``point``, ``volume``, ``method``, ``particles`` (whose errors count),
        ``precision``, ``recall``, ``f1``, ``radius_rmse`` and ``radius_bias`` (relative), ``seconds``,
        ``s_per_1000`` (particles found), ``refined`` (their share), ``rmse_z`` and ``rmse_lateral``, the bounds
        ``bound_z`` and ``bound_lateral`` (voxels), and what the errors are of them, ``ratio_z`` and ``ratio_lateral``.
    exactness
        By group and method.
    touching
        See `touching.measure_pairs`.
    trackpy
        The settings of trackpy.
    machine
        What it ran on.
    weights_sha256
        Digest of the network's weights.
    """

    figures: pd.DataFrame
    exactness: dict[tuple[str, str], Exactness]
    touching: pd.DataFrame
    trackpy: rivals.Tuned
    machine: str
    weights_sha256: str


def points() -> list[Point]:
    """Return what is measured: a grid of volume fraction, SNR and axial blur, and what else may matter."""
    grid = [
        _point("equal spheres", f"phi {phi:g}, SNR {snr:g}, axial {axial:g} r", axial, snr, volume_fraction=phi)
        for phi in (0.3, 0.45, 0.55)
        for snr in (2.5, 5.0, 10.0)
        for axial in (0.35, 0.5, 0.6, 1.0)
    ]
    sizes = [
        _point("other radii", f"r {radius:g}, SNR {snr:g}, axial {axial:g} r", axial, snr, radius=radius)
        for radius in (4.0, 8.0)
        for snr in (2.5, 5.0)
        for axial in (0.35, 0.6, 1.0)
    ]
    mixed = [
        _point("polydispersity 8 %", f"SNR {snr:g}, axial {axial:g} r", axial, snr, polydispersity=0.08)
        for snr in (2.5, 5.0, 10.0)
        for axial in (0.35, 0.5, 0.6, 1.0)
    ]
    changes: dict[str, dict[str, Any]] = {
        "as the model has it": {},
        "halo of 20 % of the light": {"psf_tail": 0.2},
        "PSF leaning by 0.25": {"psf_tilt": (0.0, 0.25)},
        "shells, core 0.6 r": {"shell": 0.6},
        "brightness spread 20 %": {"brightness_spread": 0.2},
        "60 % lost over the depth, shading 20 %": {"depth_loss": 0.6, "shading": 0.2},
    }
    unknown = [
        _point("another microscope", f"{label}, SNR {snr:g}", 0.5, snr, **change)
        for label, change in changes.items()
        for snr in (2.5, 5.0)
    ]
    return [*grid, *sizes, *mixed, *unknown]


def _point(group: str, label: str, axial: float, snr: float, radius: float = 6.0, **changes: Any) -> Point:
    edge = int(np.clip(round(13.5 * radius), 64, 96))
    lateral = 0.22 * radius
    return Point(
        group,
        label,
        replace(
            Parameters(shape=(edge, edge, edge), volume_fraction=0.55, radius=radius, snr=snr, cnr=snr),
            psf_sigma=(axial * radius, lateral, lateral),
            **changes,
        ),
    )


def run(
    chosen: Sequence[Point] | None = None,
    *,
    volumes: int = 1,
    seed: int = 731_000_000,
    weights: str | None = None,
    tune: bool = True,
    progress: Callable[[int, int], None] | None = None,
) -> Result:
    """Measure all points, and pairs that touch.

    Parameters
    ----------
    chosen
        What to measure; `points` where None.
    volumes
        Volumes per point.
    seed
        Of the first volume; the next ones have the following.
    weights
        A file of weights for the network; None takes the bundled ones.
    tune
        Whether to tune trackpy, on three volumes with other seeds; else it runs as shipped.
    progress
        Called with the number of stacks that are done and that there are.
    """
    chosen = points() if chosen is None else chosen
    best = rivals.tune("trackpy", _practice(chosen, seed), by_ap=False) if tune else rivals.shipped("trackpy")
    finders: dict[str, Find] = {
        METHODS[0]: partial(_network, refine=False, weights=weights),
        METHODS[1]: partial(_network, refine=True, weights=weights),
        METHODS[2]: partial(_trackpy, tuned=best),
    }
    cuts = dict(zip(METHODS, (*[DEFAULT_THRESHOLD["network"]] * 2, best.cut), strict=True))
    for find in finders.values():
        _warm_up(find)
    rows: list[dict[str, Any]] = []
    sums: dict[tuple[str, str], Exactness] = {}
    count = len(chosen) * volumes
    total = count + len(touching.CASES)
    report = progress or (lambda _done, _total: None)
    report(0, total)
    for number in range(count):
        point = chosen[number // volumes]
        simulation, inside = with_neighbours(replace(point.parameters, seed=seed + number))
        least = _least(simulation)
        for method, find in finders.items():
            figures, exact = _measured(simulation, inside, least, find, cuts[method])
            rows.append({"group": point.group, "point": point.label, "volume": number, "method": method} | figures)
            key = (point.group, method)
            sums[key] = sums[key] + exact if key in sums else exact
        report(number + 1, total)
    pairs = touching.measure_pairs(
        {method: finders[method] for method in METHODS[:2]},
        seed + _TOUCHING_SEED,
        lambda done: report(count + done, total),
    )
    return Result(pd.DataFrame(rows), sums, pairs, best, platform.machine(), weights_digest(weights))


def _measured(
    simulation: Simulation, inside: np.ndarray, least: np.ndarray, find: Find, cut: float
) -> tuple[dict[str, Any], Exactness]:
    radius, shape = simulation.parameters.radius, np.array(simulation.parameters.shape)
    truth = positions_of(simulation.particles)
    started = time.perf_counter()
    found = find(simulation.stack, 2 * radius)
    seconds = time.perf_counter() - started
    measured = measure(_volume(simulation, inside), found, cut).figures
    kept = found[found["confidence"] >= cut].reset_index(drop=True)
    off_border = np.all((truth >= radius - 0.5) & (truth <= shape - 0.5 - radius), axis=1)
    exact = exactness(truth, off_border, least, kept, 2 * radius)
    figures = {name: measured[name] for name in ("precision", "recall", "f1", "radius_rmse", "radius_bias")}
    figures |= {"particles": exact.number, "seconds": seconds, "s_per_1000": 1000 * seconds / max(len(kept), 1)}
    figures["refined"] = float(kept["refined"].mean()) if "refined" in kept else float("nan")
    for name in ("rmse", "bound", "ratio"):
        figures |= dict(zip((f"{name}_z", f"{name}_lateral"), getattr(exact, name).tolist(), strict=True))
    within, bias = exact.share_within, exact.phase_bias
    figures |= {f"within_{n + 1}_{axis}": within[n, k] for n in range(2) for k, axis in enumerate("zyx")}
    return figures | {"phase_bias_z": bias[0, 0], "phase_bias_lateral": bias[1, 0]}, exact


def _least(simulation: Simulation) -> np.ndarray:
    """Return the bound of each particle ``(N, 3)``: NaN where the optics are none that the bound knows."""
    p = simulation.parameters
    if p.psf_tail or p.psf_skew or any(p.psf_tilt) or p.shell or p.shading or p.depth_loss:
        return np.full((len(simulation.particles), 3), np.nan)
    bound = cramer_rao(simulation)
    return bound.free[:, :3] if p.polydispersity or p.size_ratio != 1 else bound.equal


def _volume(simulation: Simulation, inside: np.ndarray) -> Volume:
    """Return the simulation as the other suites have theirs."""
    parameters, particles = simulation.parameters, simulation.particles[inside]
    scene = Scene(shape=parameters.shape, radius=parameters.radius, aspect=parameters.voxel_aspect)
    image = np.asarray(simulation.stack.data)
    return Volume(image, positions_of(particles), particles["radius"].to_numpy(dtype=float), scene)


def _practice(chosen: Sequence[Point], seed: int) -> list[Volume]:
    """Simulate stacks from the beginning, the middle and the end of the first group."""
    group = [point for point in chosen if point.group == chosen[0].group]
    some = [group[0], group[len(group) // 2], group[-1]]
    made = [with_neighbours(replace(p.parameters, seed=seed + _TUNING_SEED + n)) for n, p in enumerate(some)]
    return [_volume(simulation, inside) for simulation, inside in made]


def _network(stack: Stack, diameter: float, *, refine: bool, weights: str | None) -> pd.DataFrame:
    return detect(stack, diameter=diameter, refine=refine, weights=weights, threshold=FLOOR)


def _trackpy(stack: Stack, diameter: float, tuned: rivals.Tuned) -> pd.DataFrame:
    shape = stack.data.shape
    scene = Scene(shape=(shape[0], shape[1], shape[2]), radius=diameter / 2)
    return rivals.find(Volume(np.asarray(stack.data), np.empty((0, 3)), np.empty(0), scene), "trackpy", tuned.settings)


def _warm_up(find: Find) -> None:
    """Whoever is first must not pay for loading libraries and weights, or for compiling."""
    find(simulate(shape=(48, 48, 48), volume_fraction=0.4, seed=1).stack, 12.0)
