"""Plots take their colours from napari's theme and follow it."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from napari_colloids.dynamics import Diffusion
from napari_colloids.scoring.ranking import PrecisionRecallCurve
from napari_colloids.widgets.parts.panel import Panel
from napari_colloids.widgets.parts.plot_look import CURVE_COLOURS
from napari_colloids.widgets.parts.plots import ConfidenceHistogram, ResultPlot


def histogram():
    plot = ConfidenceHistogram()
    plot.show_confidences(np.array([0.1, 0.9, 0.9]))
    plot.show_threshold(0.3)
    return plot


def curve():
    found = PrecisionRecallCurve(np.array([0.9, 0.5]), np.array([1.0, 0.8]), np.array([0.1, 0.5]))
    plot = ResultPlot(150, "Precision against recall.")
    plot.show_result(lambda axes: found.plot(axes).plot(0.5, 0.8, "o"))
    return plot


def msd():
    plot = ResultPlot(190, "Mean squared displacement.")
    table = pd.DataFrame({"lag": [1, 2], "msd": [1.0, 2.0]})
    table.attrs["unit"] = "um"
    plot.show_result(Diffusion(0.1, 0.6, 0.4, "um^2/frame", table).plot)
    return plot


@pytest.mark.parametrize("make", [histogram, curve, msd])
def test_a_plot_follows_the_theme(make_napari_viewer, qtbot, make):
    viewer = make_napari_viewer(show=True)
    panel, plot = Panel(viewer), make()
    panel.column.addWidget(plot)
    viewer.window.add_dock_widget(panel)
    seen = {}
    for theme in ("light", "dark"):
        viewer.theme = theme
        qtbot.wait(50)
        palette = panel.palette()
        paper, ink = palette.window().color().name(), palette.windowText().color().name()
        assert to_hex(plot.figure.get_facecolor()) == to_hex(plot.axes.get_facecolor()) == paper
        assert to_hex(plot.axes.xaxis.label.get_color()) == to_hex(plot.axes.yaxis.label.get_color()) == ink
        assert to_hex(plot.axes.get_xticklabels()[0].get_color()) == ink
        lines = [line.get_xydata().tolist() for line in plot.axes.get_lines()]
        if isinstance(plot, ConfidenceHistogram):
            assert [to_hex(line.get_color()) for line in plot.axes.get_lines()] == [ink]
        else:
            data, *others = (to_hex(line.get_color()) for line in plot.axes.get_lines())
            assert data == CURVE_COLOURS[theme == "light"]
            assert set(others) == {ink}
        seen[theme] = (lines, len(plot.axes.patches), plot.axes.get_xlim())
        assert lines
    assert seen["light"] == seen["dark"], "the same is drawn in both"


def test_few_doubtful_confidences_are_seen_beside_many_certain_ones(qtbot, tmp_path):
    plot = ConfidenceHistogram()
    qtbot.addWidget(plot)
    plot.show_confidences(np.array([0.31, 0.62, *[0.99] * 2000]))
    low, high = plot.axes.get_ylim()
    heights = [np.log(bar.get_height() / low) / np.log(high / low) for bar in plot.axes.patches if bar.get_height() > 0]
    assert min(heights) > 0.05, "a bar of a single particle"
    assert max(heights) < 1
    plot.save.write(tmp_path / "confidences.csv")
    qtbot.waitUntil(lambda: not plot.save.busy, timeout=30_000)
    assert pd.read_csv(tmp_path / "confidences.csv")["points"].sum() == 2002
