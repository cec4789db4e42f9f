"""Plots are saved as pictures on white, whatever the theme, and as the numbers of their curves."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from napari_colloids.structure import PairCorrelation, StructureFactor
from napari_colloids.widgets.parts.plot_data import numbers_of
from napari_colloids.widgets.parts.plots import ResultPlot
from napari_colloids.widgets.parts.status import Status

TIMEOUT = 30_000
R = np.array([0.5, 1.5, 2.5])
G = PairCorrelation(R, np.array([0.0, 2.4, 0.9]), "um", error=np.array([0.0, 0.3, 0.1]))


class Dock(QWidget):
    """A plot with a status line, as in the docks."""

    def __init__(self):
        super().__init__()
        self.plot, self.status = ResultPlot(150, "g(r).", xlabel="r"), Status()
        column = QVBoxLayout(self)
        inner = QWidget()
        QVBoxLayout(inner).addWidget(self.plot)
        column.addWidget(inner)
        column.addWidget(self.status)


@pytest.fixture
def dock(qtbot):
    dock = Dock()
    qtbot.addWidget(dock)
    dark = dock.plot.palette()
    dark.setColor(QPalette.ColorRole.Window, QColor("black"))
    dark.setColor(QPalette.ColorRole.WindowText, QColor("white"))
    dock.plot.setPalette(dark)
    dock.show()
    return dock


@pytest.fixture
def dialog(monkeypatch):
    """File dialogs that answer with a path; what they proposed."""

    def answers(path, kind="Picture (*.png)"):
        proposed = []
        given = "" if path is None else str(path)
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *asked: proposed.append(asked[2]) or (given, kind))
        return proposed

    return answers


def saved(dock, qtbot, path):
    dock.plot.save.write(path)
    qtbot.waitUntil(lambda: not dock.plot.save.busy, timeout=TIMEOUT)
    return path


def test_a_click_saves_a_picture_that_can_be_printed(dock, qtbot, click, dialog, tmp_path):
    button = dock.plot.save
    assert not button.isEnabled(), "nothing is drawn"
    dock.plot.show_result(G.plot)
    assert "Save plot" in button.text()
    assert "CSV" in button.toolTip()
    assert dock.plot.rect().contains(button.geometry())
    assert button.action in dock.plot.actions(), "in the context menu"
    proposed = dialog(tmp_path / "curve")
    click(button)
    qtbot.waitUntil(lambda: not button.busy, timeout=TIMEOUT)
    assert proposed == ["g(r) against r.png"]
    with Image.open(tmp_path / "curve.png") as picture:
        assert picture.size == (1017, 762)
        assert np.allclose(picture.info["dpi"], 300, atol=0.1)
    pixels = imread(tmp_path / "curve.png")[..., :3]
    assert (pixels[[0, -1]] == 1).all(), "on white"
    assert (pixels == 0).all(axis=-1).any(), "with black letters"
    assert f"Saved the plot to {tmp_path / 'curve.png'}." in dock.status.text()
    proposed = dialog(None)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    assert proposed == [str(tmp_path / "g(r) against r.png")], "in the same folder"


def test_numbers_are_those_of_the_result_with_errors_and_units(dock, qtbot, tmp_path):
    dock.plot.show_result(G.plot)
    table = pd.read_csv(saved(dock, qtbot, tmp_path / "g.csv"))
    assert list(table) == ["curve", "r (µm)", "g(r)", "error of g(r)"]
    np.testing.assert_allclose(table["r (µm)"], R)
    np.testing.assert_allclose(table["g(r)"], G.g)
    np.testing.assert_allclose(table["error of g(r)"], G.error)
    assert not (tmp_path / "g.csv").read_text().startswith("\ufeff")


def test_a_drawing_has_no_colour_of_the_theme(dock, qtbot, tmp_path):
    dock.plot.show_result(G.plot)
    text = saved(dock, qtbot, tmp_path / "g.svg").read_text()
    assert "<svg" in text
    assert dock.plot.look.curves[0] != "#00708a"
    assert dock.plot.look.curves[0] not in text
    assert "#00708a" in text


def test_every_curve_has_its_own_errors():
    s, direct = np.array([0.1, 1.9, 0.8]), np.array([0.2, 1.7, 0.9])
    factor = StructureFactor(R, s, direct=direct, error=0.1 * direct, lowest=1.2, length_unit="px")
    table = numbers_of(factor.plot())
    assert list(table["curve"]) == ["from g(r)"] * 3 + ["direct"] * 3
    assert table["error of S(q)"][:3].isna().all()
    np.testing.assert_allclose(table["error of S(q)"][3:], 0.1 * direct)
    np.testing.assert_allclose(table["S(q)"], [*s, *direct])
    assert list(table["q (1/px)"]) == [*R, *R]


def test_histograms_and_bars():
    axes = Figure().add_subplot()
    axes.stairs([3, 5], [0, 1, 2], label="first")
    axes.bar([4.0], [7])
    assert numbers_of(axes).to_numpy().tolist() == [["first", 0.5, 3], ["first", 1.5, 5], ["y", 4.0, 7]]
    assert numbers_of(Figure().add_subplot()).empty


@pytest.mark.parametrize(("name", "said"), [("no/g.png", "There is no folder"), ("g.gif", ".png, .svg, .csv")])
def test_what_cannot_be_written_is_said(dock, qtbot, tmp_path, name, said):
    dock.plot.show_result(G.plot)
    saved(dock, qtbot, tmp_path / name)
    assert said in dock.status.text()
    assert not list(tmp_path.iterdir())
