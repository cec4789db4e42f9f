"""The benchmark of the refinement as JSON (everything) and as Markdown (what one reads)."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_colloids.benchmark.refinement import METHODS
from napari_colloids.benchmark.report import settings, table_row
from napari_colloids.jsonable import jsonable

if TYPE_CHECKING:
    import pandas as pd

    from napari_colloids.benchmark.exactness import Exactness
    from napari_colloids.benchmark.refinement import Result

_PLAIN, _REFINED, _TRACKPY = METHODS


def as_json(result: Result) -> str:
    """Return everything as JSON; figures that do not exist are null."""
    everything = {
        "machine": result.machine,
        "weights_sha256": result.weights_sha256,
        "tuned": {_TRACKPY: asdict(result.trackpy)},
        "exactness": [
            {"group": group, "method": method} | _figures(exact) for (group, method), exact in result.exactness.items()
        ],
        "touching": json.loads(result.touching.to_json(orient="records")),
        "volumes": json.loads(result.figures.to_json(orient="records")),
    }
    return json.dumps(everything, indent=1, allow_nan=False) + "\n"


def as_markdown(result: Result) -> str:
    """Return all in the mean by group, a table of points for each, and the pairs that touch."""
    figures = result.figures
    groups = list(figures["group"].unique())
    lines = ["## refinement: errors over the Cramer-Rao bound", ""]
    lines += [f"{figures['volume'].nunique()} volumes. {result.machine}.", "", *_summary(result, groups)]
    for group in groups:
        lines += ["", f"### {group}", "", *_points(figures[figures["group"] == group])]
    lines += ["", "### two spheres that touch", "", *_touching(result.touching)]
    lines += ["", settings(_TRACKPY, asdict(result.trackpy))]
    return "\n".join(lines) + "\n"


def _summary(result: Result, groups: list[str]) -> list[str]:
    columns = ["group", "method", "precision", "recall", "F1", "error / bound, z (worst)", "lateral"]
    columns += ["within 1 standard error z / y / x", "within 2", "bias by place in the voxel z", "lateral"]
    columns += ["radius error", "refined", "s per 1000"]
    lines = table_row(columns) + table_row(["---"] * len(columns))
    for group in groups:
        for method in METHODS:
            part = result.figures.query("group == @group and method == @method")
            mean = part.mean(numeric_only=True)
            # trackpy gives no radius but the one it was told.
            radius = np.nan if method == _TRACKPY else mean["radius_rmse"]
            exact = result.exactness[group, method]
            lines += table_row(
                [
                    *(group, method, *(f"{mean[name]:.3f}" for name in ("precision", "recall", "f1"))),
                    *(f"{_number(mean[name])} ({_number(part[name].max())})" for name in ("ratio_z", "ratio_lateral")),
                    *(" / ".join(_percent(share) for share in shares) for shares in exact.share_within),
                    *(f"{bias:.3f} ± {doubt:.3f}" for bias, doubt in exact.phase_bias),
                    *(_percent(radius, 1), _percent(mean["refined"], 1), f"{mean['s_per_1000']:.2f}"),
                ]
            )
    return lines


def _points(figures: pd.DataFrame) -> list[str]:
    columns = ["point", "particles", *(f"RMSE z, lateral: {method}" for method in METHODS), "bound"]
    columns += ["refined / bound z, lateral", "F1 network", "refined", "within 1, 2 standard errors", "radius error"]
    columns += ["s per 1000"]
    lines = table_row(columns) + table_row(["---"] * len(columns))
    for point in figures["point"].unique():
        part = figures[figures["point"] == point]
        mean = part.groupby("method").mean(numeric_only=True)
        own = mean.loc[_REFINED]
        shares = [np.mean([own[f"within_{n}_{axis}"] for axis in "zyx"]) for n in (1, 2)]
        lines += table_row(
            [
                *(str(point), f"{own['particles']:.0f}"),
                *(f"{mean.loc[m, 'rmse_z']:.3f}, {mean.loc[m, 'rmse_lateral']:.3f}" for m in METHODS),
                f"{_number(own['bound_z'], 3)}, {_number(own['bound_lateral'], 3)}",
                f"{_number(own['ratio_z'])}, {_number(own['ratio_lateral'])}",
                *(f"{mean.loc[m, 'f1']:.3f}" for m in (_PLAIN, _REFINED)),
                ", ".join(map(_percent, shares)),
                *(_percent(own["radius_rmse"], 1), f"{own['s_per_1000']:.2f}"),
            ]
        )
    return lines


def _touching(pairs: pd.DataFrame) -> list[str]:
    directions = list(pairs["direction"].unique())
    columns = ["error of the distance (d) at a gap (d) of", "method", *directions]
    lines = table_row(columns) + table_row(["---"] * len(columns))
    for (gap, method), part in pairs.groupby(["gap", "method"], sort=False):
        rows = part.set_index("direction").loc[directions]
        cells = [f"{row.bias:+.4f} ± {row.bias_err:.4f}" for row in rows.itertuples()]
        lines += table_row([f"{gap:g}", str(method), *cells])
    return lines


def _figures(exact: Exactness) -> dict[str, Any]:
    names = ("rmse", "bound", "ratio", "share_within", "phase_bias")
    return {"particles": exact.number, **{name: jsonable(getattr(exact, name)) for name in names}}


def _number(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}" if np.isfinite(value) else "-"


def _percent(share: float, digits: int = 0) -> str:
    return f"{100 * share:.{digits}f} %" if np.isfinite(share) else "-"
