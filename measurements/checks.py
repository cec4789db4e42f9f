"""Checks beside the digital twins, and all of them beside the truth: data thinning, injection, contact edge.

python measurements/checks.py hard --count 8 --seed 12000
python measurements/checks.py benchmark --count 4 --seed 12100

The stacks are those of `assessment.py`. A row has the true recall in the part that is assessed, that of the twins and
of injection with their intervals, and the bound of data thinning; then the localisation errors along z and y. The last
lines say how far injection is off, and where the bound does not hold.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import numpy as np
from assessment import SETS, Case

import napari_colloids as nc
from napari_colloids.assessment.disagreements import disagreements
from napari_colloids.assessment.injection import Injection, iter_injection
from napari_colloids.assessment.measurement import measured
from napari_colloids.assessment.sample import Sample
from napari_colloids.assessment.sample_model import fitted_model
from napari_colloids.assessment.thinning import Thinning, iter_thinning
from napari_colloids.detection import Options, Part
from napari_colloids.progress import result_of

if TYPE_CHECKING:
    from napari_colloids.assessment import Assessment
    from napari_colloids.scoring import Score

HEADER = ("stack", "true recall", "twins", "injection", "thinning: at most")
HEADER += tuple(f"RMSE {axis}: {of}" for axis in "zy" for of in ("true", "twins", "injection", "noise alone", "edge"))


def main() -> None:
    """Check the stacks of a set, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stacks", choices=[name for name in SETS if name != "refused"])
    parser.add_argument("--count", type=int, help="number of stacks")
    parser.add_argument("--seed", type=int, default=12000)
    options = parser.parse_args()
    cases, usual = SETS[options.stacks]
    print("|", " | ".join(HEADER), "|")
    print("|---" * len(HEADER) + "|")
    stacks = cases(options.seed, options.count or usual)
    rows = [row(case, nc.assess(case.stack, diameter=case.diameter)) for case in stacks]
    summarise(np.array(rows))


def row(case: Case, assessment: Assessment) -> tuple[float, float, float]:
    """Print a row; returns the true recall, that of injection and the bound, NaN where there is none."""
    truth = score_of(case, assessment)
    thinning, injection = checks(case, assessment)
    predicted, edge = assessment.prediction, assessment.checks.edge_errors
    known = [check if not isinstance(check, str) else None for check in (thinning, injection)]
    cells = [case.name, f"{truth.recall:.3f}", "-" if predicted is None else f"{predicted.recall!r}"]
    cells.append(injection if isinstance(injection, str) else f"{injection.recall!r}")
    cells.append(thinning if isinstance(thinning, str) else f"{thinning.recall_bound!r}")
    for axis in "zy":
        # A shift of all positions is no error between particles.
        true = float(np.sqrt(truth.rmse[axis] ** 2 - truth.bias[axis] ** 2))
        found = [None if one is None else one.rmse[axis] for one in (predicted, known[1], known[0])]
        found.append(None if edge is None else edge["z" if axis == "z" else "lateral"])
        cells += [f"{true:.2f}", *("-" if value is None else f"{value:.2f}" for value in found)]
    print("|", " | ".join(cells), "|", flush=True)
    for words in disagreements(predicted, edge, *known):
        print(f"   {words}", flush=True)
    return (
        truth.recall,
        np.nan if isinstance(injection, str) else injection.recall.value,
        np.nan if isinstance(thinning, str) else thinning.recall_bound.high,
    )


def score_of(case: Case, assessment: Assessment) -> Score:
    """Score what was found in the part of a stack that was assessed: its middle."""
    shape = np.array(assessment.sample.shape)
    positions = case.positions - (np.array(case.stack.shape) - shape) // 2
    inside = np.all((positions >= -0.5) & (positions < shape - 0.5), axis=1)
    return nc.score(
        positions[inside],
        assessment.particles,
        diameter=case.diameter,
        shape=assessment.sample.shape,
        voxel_size=case.stack.voxel_size,
    )


def checks(case: Case, assessment: Assessment) -> tuple[Thinning | str, Injection | str]:
    """Return both checks, or why they say nothing."""
    options = Options(diameter=case.diameter)
    sample = Sample.of(case.stack, Part(), case.diameter, dark=False)
    target = measured(sample.stack, assessment.particles, case.diameter)
    if isinstance(target, str):
        return target, target
    model = fitted_model(sample, assessment.particles, target, case.diameter)
    if isinstance(model, str):
        return model, model
    return (
        result_of(iter_thinning(sample, model, assessment.particles, options, case.diameter)),
        result_of(iter_injection(sample, model, options, case.diameter)),
    )


def summarise(rows: np.ndarray) -> None:
    """Print how far injection is off, and whether the bound holds."""
    off = (rows[:, 1] - rows[:, 0])[np.isfinite(rows[:, 1])]
    known = np.isfinite(rows[:, 2])
    print(
        f"injection less truth: {off.mean():+.3f} (mean), {np.median(np.abs(off)):.3f} (median magnitude), "
        f"{off.min():+.3f} to {off.max():+.3f}; the bound holds in {(rows[known, 2] >= rows[known, 0]).sum()} of "
        f"{known.sum()}, by {np.mean(rows[known, 2] - rows[known, 0]):.3f} (mean)"
    )


if __name__ == "__main__":
    main()
