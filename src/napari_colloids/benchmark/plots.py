"""Plots of a suite: F1, precision and recall, localisation error, precision-recall curve and reliability diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from napari_colloids.benchmark.methods import METHODS
from napari_colloids.benchmark.report import mean_curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from napari_colloids.benchmark.run import Result

_COLOURS = {compared.label: compared.colour for compared in METHODS.values()}


def draw(result: Result) -> Figure:
    """Plot a suite: F1, recall and precision by point, or recall, precision and lateral RMSE over the axis of a sweep.

    Beside it the precision-recall curve and the reliability diagram of the confidence, both over all volumes. The
    dashed line beside the RMSE is the Cramer-Rao bound of a single sphere.
    """
    figure = Figure(figsize=(16, 3.6), layout="constrained")
    figure.suptitle(result.title)
    panels = figure.subplots(1, 5)
    if result.axis is None:
        _draw_means(panels[0], result)
        _draw_means(panels[1], result, "recall")
        _draw_means(panels[2], result, "precision")
    else:
        for panel, name in zip(panels, ("recall", "precision"), strict=False):
            _draw_sweep(panel, result, [name], name)
            panel.set_ylim(top=1.005)
        _draw_sweep(panels[2], result, ["rmse_y", "rmse_x"], "lateral RMSE (px)")
        mean = result.figures.groupby("x")["bound"].mean()
        panels[2].plot(mean.index, mean, "k--", lw=1, label="bound")
        panels[2].set_yscale("log")
        panels[2].legend(fontsize=7)
    for method, curve in mean_curves(result).items():
        panels[3].plot(curve["recall"], curve["precision"], "o-", ms=2, lw=1, color=_COLOURS[method], label=method)
    panels[3].set_xlabel("recall")
    panels[3].set_ylabel("precision, thresholds 0.05 to 0.95")
    _draw_reliability(panels[4], result)
    return figure


def _draw_sweep(panel: Axes, result: Result, names: list[str], label: str) -> None:
    for method, part in result.figures.groupby("method", sort=False):
        mean = part.groupby("x")[names].mean().mean(axis=1)
        panel.plot(mean.index, mean, "o-", ms=3, lw=1, color=_COLOURS[str(method)], label=str(method))
    panel.set_xlabel(result.axis or "")
    panel.set_ylabel(label)


def _draw_means(panel: Axes, result: Result, name: str = "f1") -> None:
    """Draw a bar for each point and method."""
    methods = list(result.figures["method"].unique())
    table = result.figures.pivot_table(index="point", columns="method", values=name, sort=False)
    height = 0.8 / len(methods)
    places = np.arange(len(table))
    for number, method in enumerate(methods):
        panel.barh(places + number * height, table[method], height, color=_COLOURS[method], label=method)
    panel.set_yticks(places + 0.4 - height / 2, table.index if name == "f1" else [""] * len(table), fontsize=6)
    panel.set_xlim(max(0.0, float(table.min().min()) - 0.05), 1)
    panel.invert_yaxis()
    panel.set_xlabel("F1" if name == "f1" else name)


def _draw_reliability(panel: Axes, result: Result) -> None:
    """Draw the reliability diagram: fraction of true detections over the mean confidence of each bin."""
    panel.plot([0, 1], [0, 1], "k:", lw=1)
    for method, counts in result.reliability.items():
        some = counts.number > 0
        panel.plot(
            counts.confidence[some] / counts.number[some],
            counts.true[some] / counts.number[some],
            "o-", ms=3, lw=1, color=_COLOURS[method], label=f"{method}, error {counts.error:.3f}",
        )  # fmt: skip
    panel.set_xlabel("confidence")
    panel.set_ylabel("fraction that are particles")
    panel.legend(fontsize=7)
