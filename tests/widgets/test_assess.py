"""The Assess dock: from a detection to a prediction and a page, in a window."""

from __future__ import annotations

import json

import numpy as np
import pytest
from napari.utils._proxies import PublicOnlyProxy

from napari_colloids.detection import Options, detect
from napari_colloids.particles import particle_table
from napari_colloids.simulation import simulate
from napari_colloids.widgets.assess import AssessWidget
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.spheres import add_layer
from napari_colloids.widgets.layers.writer import origin_of

TIMEOUT = 120_000
DIAMETER = 8.0


@pytest.fixture(scope="module")
def dense():
    return simulate(shape=(30, 38, 38), volume_fraction=0.4, radius=4, psf_sigma=(2, 1, 1), snr=5, cnr=4, seed=1)


def detected(viewer, image, threshold=0.65):
    table = detect(image.data, Options(diameter=DIAMETER, device="cpu"))
    note = {name: value for name, value in table.attrs.items() if name != "notices"}
    note |= {"image": image.name, "threshold": threshold}
    described = layers.particle_layer_data(table, places.place_of(image), name=f"{image.name} particles", note=note)
    return add_layer(viewer, described, image)


def docked(viewer):
    widget = AssessWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    return widget


def finish(widget, qtbot, click):
    click(widget.button)
    qtbot.waitUntil(lambda: not widget.button.busy, timeout=TIMEOUT)


def test_from_points_to_a_prediction_and_its_page(viewer, dense, qtbot, click, tmp_path):
    points = detected(viewer, viewer.add_image(dense.stack.data, name="dense"), threshold=0.8)
    widget = docked(viewer)
    assert not widget.save.isEnabled()
    finish(widget, qtbot, click)
    said = widget.status.text()
    assert "Precision" in said
    assert "threshold of 0.80" in said
    assert "SNR" in said
    lines, legend = widget.plot.axes.get_lines(), widget.plot.axes.get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["precision", "recall", "threshold"]
    assert [text.get_color() for text in legend.get_texts()] == [line.get_color() for line in lines]
    assert widget.save.isEnabled()
    widget.write(tmp_path / "report.html")
    qtbot.waitUntil(lambda: not widget.save.busy, timeout=TIMEOUT)
    assert "dense" in (tmp_path / "report.html").read_text()
    assert "Wrote the report" in widget.status.text()
    done = widget._done
    figures = origin_of(points)["assessment"]
    assert figures["precision"]["value"] == done.assessment.prediction.precision.value
    json.dumps(figures)
    finish(widget, qtbot, click)  # nothing has changed
    assert widget._done is done
    assert widget.status.text() == said


def test_what_cannot_be_described_gets_no_figures(viewer, qtbot, click):
    noise = np.random.default_rng(0).normal(100, 20, (24, 40, 40)).astype(np.uint8)
    detected(viewer, viewer.add_image(noise, name="noise"))
    widget = docked(viewer)
    finish(widget, qtbot, click)
    assert "No prediction" in widget.status.text()
    assert "only 0 particles" in widget.status.text()


def test_it_can_be_cancelled(viewer, dense, qtbot, click):
    detected(viewer, viewer.add_image(dense.stack.data, name="dense"))
    widget = docked(viewer)
    click(widget.button)
    qtbot.waitUntil(lambda: "%" in widget.status.text(), timeout=TIMEOUT)
    finish(widget, qtbot, click)
    assert "Cancelled" in widget.status.text()
    assert not widget.save.isEnabled()


def test_points_without_their_image_or_their_settings_are_not_assessed(viewer, dense, qtbot, click):
    widget = docked(viewer)
    assert not widget.button.isEnabled()
    image = viewer.add_image(dense.stack.data, name="dense")
    points = detected(viewer, image)
    assert widget.button.isEnabled()
    viewer.layers.remove(image)
    assert not widget.button.isEnabled()
    viewer.layers.remove(points)
    image = viewer.add_image(dense.stack.data, name="dense")
    table = particle_table([[10, 10, 10]], radius=4.0, confidence=0.9)
    described = layers.particle_layer_data(table, places.place_of(image), name="foreign", note={"image": "dense"})
    add_layer(viewer, described, image)
    click(widget.button)
    assert "detect the particles again" in widget.status.text()
