"""Results as JSON (everything) and as Markdown (what one reads)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from napari_colloids.detection.methods import DEFAULT_PRECISION

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from napari_colloids.benchmark.run import Result

#: Columns of the table over all volumes: title, and how the figures of a method become one text.
COLUMNS = {
    "AP": lambda m: f"{m['challenge_ap']:.3f}",
    "precision": lambda m: f"{m['precision']:.3f}",
    "recall": lambda m: f"{m['recall']:.3f}",
    "F1": lambda m: f"{m['f1']:.3f}",
    "RMSE z / y / x": lambda m: " / ".join(f"{m[f'rmse_{axis}']:.2f}" for axis in "zyx"),
    "ranked AP": lambda m: f"{m['ap']:.3f}",
    "at 0.1 d": lambda m: f"{m['ap_0.1d']:.3f}",
    "radius error": lambda m: f"{100 * m['radius_rmse']:.1f} %",
    "s/Mvoxel": lambda m: f"{m['s_per_mvoxel']:.2f}",
}
#: Which of them the table by scene has of the first method, beside the F1 of all.
OF_THE_FIRST = ("precision", "recall", "RMSE z / y / x")


def as_json(results: Sequence[Result]) -> str:
    """Return everything as JSON; figures that do not exist are null."""
    suites = {}
    for result in results:
        suites[result.name] = {
            "title": result.title,
            "machine": result.machine,
            "weights_sha256": result.weights_sha256,
            "tuned": result.tuned,
            "calibration": {
                method: {"error": r.error, "number": r.number.tolist(), "true": r.true.tolist()}
                | {"confidence": r.confidence.tolist()}
                for method, r in result.reliability.items()
            },
            "curves": {
                method: {name: values.tolist() for name, values in curve.reset_index().items()}
                for method, curve in mean_curves(result).items()
            },
            "threshold": {method: threshold_of(result, method) for method in result.reliability},
            "volumes": json.loads(result.figures.to_json(orient="records")),
        }
    return json.dumps({"suites": suites}, indent=1, allow_nan=False) + "\n"


def as_markdown(results: Sequence[Result]) -> str:
    """Return a section per suite: the methods over all volumes and, where there is more than one point, F1 by point."""
    return "\n".join(_section(result) for result in results)


def mean_curves(result: Result) -> dict[str, pd.DataFrame]:
    """Return the mean over all volumes of ``precision`` and ``recall`` by ``threshold`` (the index), per method."""
    return {
        str(method): part.groupby("threshold")[["precision", "recall"]].mean()
        for method, part in result.curves.groupby("method", sort=False)
    }


def threshold_of(result: Result, method: str) -> float | None:
    """Return the lowest threshold, which has the highest recall, that keeps the wanted precision where it is needed.

    That is: in the mean over the hard points, those that do not have this precision anyhow, at the lowest threshold.
    None if no threshold does.
    """
    curves = result.curves[result.curves["method"] == method]
    by_point = curves.groupby(["threshold", "point"])["precision"].mean().unstack()
    hard = by_point.loc[:, by_point.iloc[0] < DEFAULT_PRECISION]
    if hard.shape[1] == 0:
        return float(by_point.index[0])
    enough = hard.index[hard.mean(axis=1) >= DEFAULT_PRECISION]
    return float(enough[0]) if len(enough) else None


def _section(result: Result) -> str:
    figures = result.figures
    methods = list(figures["method"].unique())
    volumes = figures["volume"].nunique()
    lines = [f"## {result.name}: {result.title}", "", f"{volumes} volumes. {result.machine}.", ""]
    lines += table_row(["method", *COLUMNS, "calibration error"]) + table_row(["---"] * (len(COLUMNS) + 2))
    for method in methods:
        mean = figures[figures["method"] == method].mean(numeric_only=True)
        cells = [show(mean) for show in COLUMNS.values()]
        lines += table_row([method, *cells, f"{result.reliability[method].error:.3f}"])
    if figures["point"].nunique() > 1:
        lines += ["", *_by_point(figures, result.axis, methods)]
    lines += ["", *(_threshold(result, method) for method in methods)]
    lines += ["", *(settings(method, best) for method, best in result.tuned.items())]
    return "\n".join(lines) + "\n"


def _by_point(figures: pd.DataFrame, axis: str | None, methods: list[str]) -> list[str]:
    first = methods[0]
    header = [axis or "scene", *(f"F1 {m}" for m in methods), *(f"{first}: {c}" for c in OF_THE_FIRST)]
    lines = table_row(header) + table_row(["---"] * len(header))
    for point in figures["point"].unique():
        part = figures[figures["point"] == point]
        mean = part.groupby("method").mean(numeric_only=True)
        f1 = [COLUMNS["F1"](mean.loc[m]) for m in methods]
        lines += table_row([str(point), *f1, *(COLUMNS[c](mean.loc[first]) for c in OF_THE_FIRST)])
    return lines


def table_row(cells: list[str]) -> list[str]:
    """Return a row of a table in Markdown, as a list of one line."""
    return [f"| {' | '.join(cells)} |"]


def _threshold(result: Result, method: str) -> str:
    threshold = threshold_of(result, method)
    if threshold is None:
        return f"{method}: no threshold keeps a precision of {DEFAULT_PRECISION:g} at the hard points."
    recall = mean_curves(result)[method]["recall"].loc[threshold]
    return (
        f"{method}: a precision of {DEFAULT_PRECISION:g} at the hard points from a threshold of {threshold:g}, "
        f"mean recall {recall:.3f}."
    )


def settings(method: str, best: dict[str, Any]) -> str:
    """Say which settings a rival ran with."""
    values = ", ".join(f"{name} {value:g}" for name, value in best["settings"].items())
    how = "as shipped" if best["reached"] is None else "tuned"
    return f"{method}, {how}: {values}; confidence at least {best['cut']:g}."
