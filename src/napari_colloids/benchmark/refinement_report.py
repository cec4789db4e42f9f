"""Report of the benchmark of the refinement: JSON with all figures, and tables in Markdown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.benchmark.formatting import records, table, tuned_line, tuned_record
from napari_colloids.benchmark.refinement import NETWORK, REFINED, TRACKPY
from napari_colloids.jsonable import jsonable

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from napari_colloids.benchmark.localisation import LocalisationErrors
    from napari_colloids.benchmark.refinement import Result

#: The methods in the order of the columns.
_METHODS = (NETWORK, REFINED, TRACKPY)
_SUMMARY = (
    *("group", "method", "precision", "recall", "F1", "error / bound, z (worst)", "lateral"),
    *("within 1 standard error z / y / x", "within 2", "bias by place in the voxel z", "lateral"),
    *("radius error", "refined", "s per 1000"),
)
_POINTS = (
    *("point", "particles", *(f"RMSE z, lateral: {method}" for method in _METHODS), "bound"),
    *("refined / bound z, lateral", "F1 network", "refined", "within 1, 2 standard errors", "radius error"),
    "s per 1000",
)


def as_json(result: Result) -> str:
    """Return all figures as JSON; undefined ones are null."""
    everything = {
        "machine": result.machine,
        "weights_sha256": result.weights_sha256,
        "tuned": {method: tuned_record(tuned) for method, tuned in result.tuned.items()},
        "exactness": [
            {"group": group, "method": method} | _figures(errors)
            for (group, method), errors in result.localisation.items()
        ],
        "touching": records(result.touching),
        "volumes": records(result.figures),
    }
    return json.dumps(everything, indent=1, allow_nan=False) + "\n"


def as_markdown(result: Result) -> str:
    """Return the means by group, a table of points for each group, and the pairs that touch."""
    figures = result.figures
    lines = ["## refinement: errors over the Cramer-Rao bound", ""]
    lines += [f"{figures['volume'].nunique()} volumes. {result.machine}.", ""]
    lines += table(_SUMMARY, _by_group(result))
    for group, part in figures.groupby("group", sort=False):
        lines += ["", f"### {group}", "", *table(_POINTS, _by_point(part))]
    lines += ["", "### two spheres that touch", "", *_touching(result.touching)]
    lines += ["", *(tuned_line(method, tuned) for method, tuned in result.tuned.items())]
    return "\n".join(lines) + "\n"


def _by_group(result: Result) -> Iterator[list[str]]:
    for group in result.figures["group"].unique():
        for method in _METHODS:
            part = result.figures.query("group == @group and method == @method")
            mean = part.mean(numeric_only=True)
            # trackpy has no radii but half of the diameter that it is given.
            radius = np.nan if method == TRACKPY else mean["radius_rmse"]
            errors = result.localisation[group, method]
            yield [
                *(group, method, *(f"{mean[name]:.3f}" for name in ("precision", "recall", "f1"))),
                *(f"{_number(mean[name])} ({_number(part[name].max())})" for name in ("ratio_z", "ratio_lateral")),
                *(" / ".join(_percent(share) for share in shares) for shares in errors.coverage),
                *(f"{bias:.3f} ± {error:.3f}" for bias, error in errors.phase_bias),
                *(_percent(radius, 1), _percent(mean["refined"], 1), f"{mean['s_per_1000']:.2f}"),
            ]


def _by_point(figures: pd.DataFrame) -> Iterator[list[str]]:
    for point, part in figures.groupby("point", sort=False):
        means = dict(part.groupby("method").mean(numeric_only=True).iterrows())
        own = means[REFINED]
        coverage = [np.mean([own[f"within_{n}_{axis}"] for axis in "zyx"]) for n in (1, 2)]
        yield [
            *(str(point), f"{own['particles']:.0f}"),
            *(f"{means[m]['rmse_z']:.3f}, {means[m]['rmse_lateral']:.3f}" for m in _METHODS),
            f"{_number(own['bound_z'], 3)}, {_number(own['bound_lateral'], 3)}",
            f"{_number(own['ratio_z'])}, {_number(own['ratio_lateral'])}",
            *(f"{means[m]['f1']:.3f}" for m in (NETWORK, REFINED)),
            ", ".join(map(_percent, coverage)),
            *(_percent(own["radius_rmse"], 1), f"{own['s_per_1000']:.2f}"),
        ]


def _touching(pairs: pd.DataFrame) -> list[str]:
    directions = list(pairs["direction"].unique())
    rows = []
    for (gap, method), part in pairs.groupby(["gap", "method"], sort=False):
        by_direction = part.set_index("direction").loc[directions]
        biases = [f"{row.bias:+.4f} ± {row.bias_err:.4f}" for row in by_direction.itertuples()]
        rows.append([f"{gap:g}", str(method), *biases])
    return table(["error of the distance (d) at a gap (d) of", "method", *directions], rows)


def _figures(errors: LocalisationErrors) -> dict[str, object]:
    return {
        "particles": errors.number,
        "rmse": jsonable(errors.rmse),
        "bound": jsonable(errors.bound),
        "ratio": jsonable(errors.ratio),
        "share_within": jsonable(errors.coverage),
        "phase_bias": jsonable(errors.phase_bias),
    }


def _number(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %" if np.isfinite(share) else "-"
