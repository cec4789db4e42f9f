"""Report of the suites: JSON with all figures, and tables in Markdown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from napari_colloids.benchmark.formatting import records, table, tuned_line, tuned_record
from napari_colloids.detection.methods import DEFAULT_PRECISION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd

    from napari_colloids.benchmark.run import Result

#: Columns of the table over all volumes: title, and the text of a method's mean figures.
COLUMNS: dict[str, Callable[[pd.Series[float]], str]] = {
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
#: Columns of the first method in the table by point, beside the F1 of all methods.
FIRST_METHOD_COLUMNS = ("precision", "recall", "RMSE z / y / x")


def as_json(results: Sequence[Result]) -> str:
    """Return all figures as JSON; undefined ones are null."""
    suites = {
        result.name: {
            "title": result.title,
            "machine": result.machine,
            "weights_sha256": result.weights_sha256,
            "tuned": {method: tuned_record(tuned) for method, tuned in result.tuned.items()},
            "calibration": {
                method: {
                    "error": counts.error,
                    "number": counts.number.tolist(),
                    "true": counts.true.tolist(),
                    "confidence": counts.confidence.tolist(),
                }
                for method, counts in result.reliability.items()
            },
            "curves": {
                method: {name: values.tolist() for name, values in curve.reset_index().items()}
                for method, curve in mean_curves(result).items()
            },
            "threshold": {method: precise_threshold(result, method) for method in result.reliability},
            "volumes": records(result.figures),
        }
        for result in results
    }
    return json.dumps({"suites": suites}, indent=1, allow_nan=False) + "\n"


def as_markdown(results: Sequence[Result]) -> str:
    """Return a section per suite: the methods over all volumes and, if there are several points, F1 by point."""
    return "\n".join(_section(result) for result in results)


def mean_curves(result: Result) -> dict[str, pd.DataFrame]:
    """Return the mean over all volumes of ``precision`` and ``recall`` by ``threshold`` (the index), per method."""
    return {
        str(method): part.groupby("threshold")[["precision", "recall"]].mean()
        for method, part in result.curves.groupby("method", sort=False)
    }


def precise_threshold(result: Result, method: str) -> float | None:
    """Return the lowest threshold, so that of the highest recall, at which a method reaches the default precision.

    The precision is the mean over the hard points: those that do not reach it at the lowest threshold. None where no
    threshold is high enough.
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
    lines = [f"## {result.name}: {result.title}", "", f"{figures['volume'].nunique()} volumes. {result.machine}.", ""]
    lines += table(["method", *COLUMNS, "calibration error"], _all_points(result, methods))
    if figures["point"].nunique() > 1:
        header = [f"F1 {method}" for method in methods] + [f"{methods[0]}: {name}" for name in FIRST_METHOD_COLUMNS]
        lines += ["", *table([result.axis or "scene", *header], _by_point(figures, methods))]
    lines += ["", *(_threshold_line(result, method) for method in methods)]
    lines += ["", *(tuned_line(method, tuned) for method, tuned in result.tuned.items())]
    return "\n".join(lines) + "\n"


def _all_points(result: Result, methods: list[str]) -> Iterator[list[str]]:
    for method in methods:
        mean = result.figures[result.figures["method"] == method].mean(numeric_only=True)
        yield [method, *(text(mean) for text in COLUMNS.values()), f"{result.reliability[method].error:.3f}"]


def _by_point(figures: pd.DataFrame, methods: list[str]) -> Iterator[list[str]]:
    for point, part in figures.groupby("point", sort=False):
        means = dict(part.groupby("method").mean(numeric_only=True).iterrows())
        f1 = [COLUMNS["F1"](means[method]) for method in methods]
        yield [str(point), *f1, *(COLUMNS[name](means[methods[0]]) for name in FIRST_METHOD_COLUMNS)]


def _threshold_line(result: Result, method: str) -> str:
    threshold = precise_threshold(result, method)
    if threshold is None:
        return f"{method}: no threshold keeps a precision of {DEFAULT_PRECISION:g} at the hard points."
    recall = mean_curves(result)[method]["recall"].loc[threshold]
    return (
        f"{method}: a precision of {DEFAULT_PRECISION:g} at the hard points from a threshold of {threshold:g}, "
        f"mean recall {recall:.3f}."
    )
