"""Benchmark of the refinement: localisation errors of network, refined network and trackpy over the Cramer-Rao bound.

The stacks come from `napari_colloids.simulation`, whose optics are known exactly, so that the bound can be computed.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_colloids.benchmark import touching
from napari_colloids.benchmark.bound import cramer_rao, with_neighbours
from napari_colloids.benchmark.localisation import LocalisationErrors, localisation_errors
from napari_colloids.benchmark.measure import measure
from napari_colloids.benchmark.methods import METHODS, Finder, prepared
from napari_colloids.benchmark.microscope import Scene, Volume
from napari_colloids.detection.weights import weights_digest
from napari_colloids.particles import positions_of
from napari_colloids.simulation import Parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_colloids.benchmark.reference_methods import Tuned
    from napari_colloids.simulation import Simulation

#: The compared methods.
NETWORK, REFINED, TRACKPY = (METHODS[word].label for word in ("network", "refined", "trackpy"))
#: Name of this benchmark among the suites.
NAME = "refinement"
#: Distance of the seeds of tuning volumes, and of pairs that touch, from those of the volumes that are reported.
_TUNING_SEED_OFFSET = 500_000
_TOUCHING_SEED_OFFSET = 600_000
#: Base of all points.
_GLASS = Parameters(volume_fraction=0.55, radius=6.0)
#: Samples and optics beside the plain ones, by label.
_OTHER_OPTICS = {
    "as the model has it": _GLASS,
    "halo of 20 % of the light": replace(_GLASS, psf_tail=0.2),
    "PSF leaning by 0.25": replace(_GLASS, psf_tilt=(0.0, 0.25)),
    "shells, core 0.6 r": replace(_GLASS, shell=0.6),  # noqa: S604 (no subprocess)
    "brightness spread 20 %": replace(_GLASS, brightness_spread=0.2),
    "60 % lost over the depth, shading 20 %": replace(_GLASS, depth_loss=0.6, shading=0.2),
}


@dataclass(frozen=True)
class Point:
    """One kind of stack.

    Attributes
    ----------
    group
        Points of a group share a table.
    label
        In the tables.
    parameters
        Of the simulation.
    """

    group: str
    label: str
    parameters: Parameters


@dataclass(frozen=True, eq=False)
class Result:
    """Figures of the benchmark of the refinement.

    Attributes
    ----------
    figures
        A row per method and volume: ``group``, ``point``, ``volume``, ``method``, ``particles`` (whose errors count),
        ``precision``, ``recall``, ``f1``, ``radius_rmse`` and ``radius_bias`` (relative), ``seconds``,
        ``s_per_1000`` (particles found), ``refined`` (fraction of them), ``rmse_z`` and ``rmse_lateral``, the bounds
        ``bound_z`` and ``bound_lateral`` (voxels), the errors over them, ``ratio_z`` and ``ratio_lateral``, and what
        else `LocalisationErrors` has.
    localisation
        By group and method.
    touching
        See `touching.measure_pairs`.
    tuned
        Settings of the reference methods, by method.
    machine
        What it ran on.
    weights_sha256
        Digest of the network's weights.
    """

    figures: pd.DataFrame
    localisation: dict[tuple[str, str], LocalisationErrors]
    touching: pd.DataFrame
    tuned: dict[str, Tuned]
    machine: str
    weights_sha256: str


def points() -> list[Point]:
    """Return the kinds of stacks: a grid of volume fraction, SNR and axial blur, other sizes, other optics."""
    grid = [
        _point("equal spheres", f"phi {phi:g}, SNR {snr:g}, axial {axial:g} r", dense, axial, snr)
        for phi, dense in ((phi, replace(_GLASS, volume_fraction=phi)) for phi in (0.3, 0.45, 0.55))
        for snr in (2.5, 5.0, 10.0)
        for axial in (0.35, 0.5, 0.6, 1.0)
    ]
    sizes = [
        _point("other radii", f"r {sample.radius:g}, SNR {snr:g}, axial {axial:g} r", sample, axial, snr)
        for sample in (replace(_GLASS, radius=4.0), replace(_GLASS, radius=8.0))
        for snr in (2.5, 5.0)
        for axial in (0.35, 0.6, 1.0)
    ]
    polydisperse = replace(_GLASS, polydispersity=0.08)
    mixed = [
        _point("polydispersity 8 %", f"SNR {snr:g}, axial {axial:g} r", polydisperse, axial, snr)
        for snr in (2.5, 5.0, 10.0)
        for axial in (0.35, 0.5, 0.6, 1.0)
    ]
    other = [
        _point("another microscope", f"{label}, SNR {snr:g}", sample, 0.5, snr)
        for label, sample in _OTHER_OPTICS.items()
        for snr in (2.5, 5.0)
    ]
    return [*grid, *sizes, *mixed, *other]


def _point(group: str, label: str, sample: Parameters, axial: float, snr: float) -> Point:
    """Return a sample imaged with an axial standard deviation (over the radius) at an SNR."""
    edge = int(np.clip(round(13.5 * sample.radius), 64, 96))
    lateral = 0.22 * sample.radius
    sigma = (axial * sample.radius, lateral, lateral)
    return Point(group, label, replace(sample, shape=(edge, edge, edge), snr=snr, cnr=snr, psf_sigma=sigma))


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
        What to measure; None: `points`.
    volumes
        Volumes per point.
    seed
        Of the first volume; the next ones have the following.
    weights
        A file of weights for the network; None: the bundled ones.
    tune
        Whether to tune trackpy, on three volumes with other seeds; else it runs with the default settings.
    progress
        Called with the number of stacks that are done and that there are.
    """
    chosen = points() if chosen is None else chosen
    count = len(chosen) * volumes
    total = count + len(touching.CASES)
    report = progress or (lambda _done, _total: None)
    report(0, total)
    finders = prepared(
        ("network", "refined", "trackpy"),
        weights=weights,
        tuning_volumes=(lambda: _tuning_volumes(chosen, seed + _TUNING_SEED_OFFSET)) if tune else None,
    )
    rows: list[dict[str, object]] = []
    sums: dict[tuple[str, str], LocalisationErrors] = {}
    for number in range(count):
        point = chosen[number // volumes]
        simulation, inside = with_neighbours(replace(point.parameters, seed=seed + number))
        bound = _bound(simulation)
        for method, finder in finders.items():
            figures, errors = _measured(simulation, inside, bound, finder)
            rows.append({"group": point.group, "point": point.label, "volume": number, "method": method} | figures)
            key = (point.group, method)
            sums[key] = sums[key] + errors if key in sums else errors
        report(number + 1, total)
    pairs = touching.measure_pairs(
        {method: finders[method].find for method in (NETWORK, REFINED)},
        seed + _TOUCHING_SEED_OFFSET,
        lambda done: report(count + done, total),
    )
    return Result(
        figures=pd.DataFrame(rows),
        localisation=sums,
        touching=pairs,
        tuned={method: finder.tuned for method, finder in finders.items() if finder.tuned is not None},
        machine=platform.machine(),
        weights_sha256=weights_digest(weights),
    )


def _measured(
    simulation: Simulation, inside: NDArray[np.bool_], bound: NDArray[np.float64], finder: Finder
) -> tuple[dict[str, float], LocalisationErrors]:
    radius, shape = simulation.parameters.radius, np.array(simulation.parameters.shape)
    truth = positions_of(simulation.particles)
    found, seconds = finder.timed(simulation.stack, 2 * radius)
    measured = measure(_volume(simulation, inside), found, finder.threshold).figures
    kept = found[found["confidence"] >= finder.threshold].reset_index(drop=True)
    off_border = np.all((truth >= radius - 0.5) & (truth <= shape - 0.5 - radius), axis=1)
    errors = localisation_errors(truth, off_border, bound, kept, 2 * radius)
    figures = {name: measured[name] for name in ("precision", "recall", "f1", "radius_rmse", "radius_bias")}
    figures |= {"particles": errors.number, "seconds": seconds, "s_per_1000": 1000 * seconds / max(len(kept), 1)}
    figures["refined"] = float(kept["refined"].mean()) if "refined" in kept else float("nan")
    for name in ("rmse", "bound", "ratio"):
        figures |= dict(zip((f"{name}_z", f"{name}_lateral"), getattr(errors, name).tolist(), strict=True))
    coverage, bias = errors.coverage, errors.phase_bias
    figures |= {f"within_{n + 1}_{axis}": coverage[n, k] for n in range(2) for k, axis in enumerate("zyx")}
    return figures | {"phase_bias_z": bias[0, 0], "phase_bias_lateral": bias[1, 0]}, errors


def _bound(simulation: Simulation) -> NDArray[np.float64]:
    """Return the bound of each particle ``(N, 3)``: NaN where it cannot be computed for these optics."""
    p = simulation.parameters
    if p.psf_tail or p.psf_skew or any(p.psf_tilt) or p.shell or p.shading or p.depth_loss:
        return np.full((len(simulation.particles), 3), np.nan)
    bound = cramer_rao(simulation)
    return bound.radius_free[:, :3] if p.polydispersity or p.size_ratio != 1 else bound.radius_known


def _volume(simulation: Simulation, inside: NDArray[np.bool_]) -> Volume:
    """Return the simulation in the form of the other suites' volumes."""
    parameters, particles = simulation.parameters, simulation.particles[inside]
    scene = Scene(shape=parameters.shape, radius=parameters.radius, aspect=parameters.voxel_aspect)
    image = np.asarray(simulation.stack.data)
    return Volume(image, positions_of(particles), particles["radius"].to_numpy(dtype=float), scene)


def _tuning_volumes(chosen: Sequence[Point], seed: int) -> list[Volume]:
    """Simulate tuning volumes from the beginning, the middle and the end of the first group."""
    group = [point for point in chosen if point.group == chosen[0].group]
    some = [group[0], group[len(group) // 2], group[-1]]
    return [_volume(*with_neighbours(replace(p.parameters, seed=seed + n))) for n, p in enumerate(some)]
