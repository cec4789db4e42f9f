"""Accurate positions and the residual in the Detect widget, in a real window."""

from __future__ import annotations

import importlib
import json

import numpy as np
import pandas as pd
import pytest
from napari.utils._proxies import PublicOnlyProxy

from napari_colloids.particles import ERRORS, particle_table, positions_of
from napari_colloids.refinement import Residual
from napari_colloids.widgets.detect import DetectWidget
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.reader import read_tables
from napari_colloids.widgets.layers.spheres import add_layer
from napari_colloids.widgets.residual import residual_layer_data

TIMEOUT = 60_000
REFINED = [*ERRORS, "refined"]


@pytest.fixture
def image(viewer, simulated):
    return viewer.add_image(
        np.asarray(simulated.stack.data), name="beads", scale=(0.1,) * 3, translate=(1, 2, 3), units=("um",) * 3
    )


@pytest.fixture
def widget(viewer, image):
    return docked(viewer)


def docked(viewer):
    widget = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    widget.controls["diameter_unit"].value = "diameter"
    widget.controls["diameter"].value = 10
    widget.controls["refine"].value = True
    return widget


def finish(widget, qtbot, click, button=None):
    click(button or widget.button)
    qtbot.waitUntil(lambda: not (widget.button.busy or widget.threshold.residual.busy), timeout=TIMEOUT)


def add_truth(viewer, image, simulated, measured=None):
    """Add the true particles as if they had been detected, and measured by a refinement."""
    table = simulated.particles.assign(confidence=0.9)
    note = {"image": image.name, "diameter": 10.0, **(measured or {})}
    return add_layer(viewer, layers.particle_layer_data(table, places.place_of(image), name="found", note=note))


def in_many_blocks(monkeypatch):
    """Let the fit take ten particles at a time."""
    module = importlib.import_module("napari_colloids.refinement.refine")
    monkeypatch.setattr(module, "_PARTICLES_PER_BLOCK_RANGE", (10, 10))


def residuals(viewer):
    return [layer for layer in viewer.layers if layers.note_of(layer).get("kind") == "residual"]


def test_accurate_positions_with_errors_are_shown_and_exported(
    viewer, widget, simulated, qtbot, click, export, tmp_path
):
    seen = []
    widget.button.task.progressed.connect(lambda done, total, message: seen.append(message.partition(":")[0]))
    finish(widget, qtbot, click)
    assert list(dict.fromkeys(seen))[-4:] == ["detecting", "measuring the optics", "refining", "done"]
    points = viewer.layers["beads particles"]
    assert set(REFINED) <= set(points.features)
    refined = points.features["refined"] == 1
    assert refined.sum() > 30
    assert (points.features.loc[refined, ERRORS] > 0).all(axis=None)
    assert f"{refined.sum()} refined, PSF sigma 0.1" in widget.status.text()
    assert "µm (axial/lateral)" in widget.status.text()

    truth = positions_of(simulated.particles)
    away = np.linalg.norm(truth[:, None] - points.data[refined.to_numpy()][None], axis=2).min(axis=0)
    assert np.median(away) < 0.05

    points.add([[5.0, 5, 5]])  # by hand
    export(widget.threshold, tmp_path / "found.csv")
    written = pd.read_csv(tmp_path / "found.csv")
    assert written["refined"].tolist()[-1] == 0
    assert written[ERRORS].iloc[-1].isna().all()
    np.testing.assert_allclose(written[ERRORS][:-1], points.features[ERRORS][points.shown][:-1])
    assert json.loads((tmp_path / "found.csv.json").read_text())["psf_sigma"] == layers.note_of(points)["psf_sigma"]
    (described,) = read_tables(str(tmp_path / "found.csv"))
    assert described[1]["features"]["refined"].tolist() == written["refined"].tolist()


def test_what_is_not_refined_is_told_apart_and_the_notice_is_shown(viewer, qtbot, click):
    distance = np.linalg.norm(np.indices((24, 32, 32)) - np.array([12, 16, 16])[:, None, None, None], axis=0)
    light = np.random.default_rng(0).normal(20 + 100 / (1 + np.exp(2 * (distance - 5))), 5)
    viewer.add_image(light.astype(np.uint8), name="one")
    widget = docked(viewer)
    finish(widget, qtbot, click)
    assert "0 refined." in widget.status.text()
    assert "Not refined: " in widget.status.text()
    assert viewer.layers["one particles"].features["refined"].tolist() == [0]


def test_a_measured_psf_is_taken_from_a_layer(viewer, widget, qtbot, click):
    widget.controls["refine"].value = False
    assert not widget.controls["psf"].enabled
    widget.controls["refine"].value = True
    assert widget.controls["psf"].enabled
    z, y, x = np.meshgrid(*[np.arange(-20.0, 21)] * 3, indexing="ij")
    light = 200 * np.exp(-(z**2) / 2 / 2.2**2 - (y**2 + x**2) / 2 / 2.0**2)
    bead = viewer.add_image(light, name="bead", scale=(0.05,) * 3, units=("um",) * 3)
    widget.form.image.value = viewer.layers["beads"]
    widget.controls["psf"].value = bead
    finish(widget, qtbot, click)
    measured = layers.note_of(viewer.layers["beads particles"])["psf_sigma"]
    # 0.11 and 0.1 um in voxels of 0.1 um, whose own width is another; measured on the particles both are 1.04.
    assert measured == pytest.approx([1.13, 1.04], rel=0.02)

    viewer.add_image(np.zeros((20, 20, 20)), name="dark")
    widget.form.image.value = viewer.layers["beads"]
    widget.controls["psf"].value = viewer.layers["dark"]
    finish(widget, qtbot, click)
    assert "measured PSF" in widget.status.text()
    assert widget.button.text() == "Detect"
    assert widget.button.isEnabled()


def test_cancel_between_blocks(viewer, widget, qtbot, click, monkeypatch):
    in_many_blocks(monkeypatch)
    seen = []

    def cancel(done, total, message):
        seen.append((message, done, total))
        blocks = {at for what, at, _ in seen if what == "refining"}
        if len(blocks) > 1 and widget.button.isEnabled():
            click(widget.button)

    widget.button.task.progressed.connect(cancel)
    finish(widget, qtbot, click)
    assert widget.status.text().startswith("Cancelled")
    _, done, total = seen[-1]
    assert done < total
    assert [layer.name for layer in viewer.layers] == ["beads"]
    assert widget.button.text() == "Detect"
    assert widget.button.isEnabled()


def test_the_choice_is_remembered_and_reaches_the_core(viewer, widget):
    assert widget.form.options().refine is True
    assert docked_again(viewer).form.options().refine is True
    widget.controls["refine"].value = False
    assert docked_again(viewer).form.options().refine is False


def test_where_nothing_is_to_be_remembered_the_choice_is_the_default(viewer, widget):
    fresh = DetectWidget(PublicOnlyProxy(viewer), remembers=False)
    viewer.window.add_dock_widget(fresh)
    assert fresh.form.options().refine is False
    fresh.controls["refine"].value = True
    fresh.controls["refine"].value = False
    assert docked_again(viewer).form.options().refine is True


def docked_again(viewer):
    widget = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    return widget


def test_the_residual_lies_over_the_image_and_is_dark_but_for_a_missed_particle(
    viewer, widget, image, simulated, qtbot, click
):
    points = add_truth(viewer, image, simulated)
    button = widget.threshold.residual
    centre = np.array(simulated.stack.shape) / 2
    missed = int(np.argmin(np.linalg.norm(points.data - centre, axis=1)))
    points.features.loc[missed, "confidence"] = 0.1
    widget.threshold.slider.setValue(0.5)
    finish(widget, qtbot, click, button)
    (residual,) = residuals(viewer)
    assert residual.name == "beads residual"
    np.testing.assert_allclose(residual.extent.world, image.extent.world)
    assert residual.contrast_limits[0] == -residual.contrast_limits[1]
    order = [layer.name for layer in viewer.layers]
    assert order.index("beads") < order.index("beads residual") < order.index("found")
    spread = float(np.std(residual.data))
    at = tuple(np.rint(points.data[missed]).astype(int))
    assert residual.data[at] > 4 * spread, "light that nobody explains is bright"
    assert f"{len(points.data) - 1} particles" in widget.status.text()
    assert widget.form.image.value is image, "nobody looks for particles in a residual by default"

    # Again, with all of them: only the earlier residual goes.
    others = [viewer.add_image(np.zeros((4, 5, 6)), name=name) for name in ("own residual", "beads residual of mine")]
    widget.threshold.slider.setValue(0.0)
    finish(widget, qtbot, click, button)
    (second,) = residuals(viewer)
    assert second is not residual
    assert second.name == "beads residual"
    assert all(layer in viewer.layers for layer in (image, points, *others))
    assert second.data[at] < 2 * spread


def test_the_residual_says_why_its_particles_were_not_refined(viewer, widget, image, simulated, qtbot, click):
    measured = {
        **{"psf_sigma": [2.0, 1.2], "psf_tail": 0.0, "psf_tilt": [0.0, 0.0], "shell": 0.0, "polydispersity": 0.05},
        **{"background": 50.0, "brightness": 200.0, "brightness_spread": 0.1, "noise_gain": 2.0, "noise_floor": 20.0},
        "not_refined": "the standard errors <b> are too large",
    }
    add_truth(viewer, image, simulated, measured)
    finish(widget, qtbot, click, widget.threshold.residual)
    assert len(residuals(viewer)) == 1
    assert "Not refined: the standard errors &lt;b&gt; are too large." in widget.status.text()


def test_the_residual_of_the_time_step_on_show(viewer, simulated, qtbot, click):
    volume = np.asarray(simulated.stack.data)
    film = np.stack([np.zeros_like(volume), volume, np.zeros_like(volume)])
    image = viewer.add_image(film, name="film", scale=(2, 0.1, 0.1, 0.1), translate=(10, 0, 0, 0))
    table = simulated.particles.assign(confidence=0.9, frame=1)
    later = table.assign(frame=2, x=table["x"] + 3)
    note = {"image": "film", "diameter": 10.0}
    widget = docked(viewer)
    add_layer(
        viewer, layers.particle_layer_data(pd.concat([table, later]), places.place_of(image), name="p", note=note)
    )
    viewer.dims.set_current_step(0, 1)
    finish(widget, qtbot, click, widget.threshold.residual)
    (residual,) = residuals(viewer)
    assert f"{len(table)} particles" in widget.status.text()
    assert residual.data.shape == (1, *volume.shape)
    expected = image.extent.world
    np.testing.assert_allclose(residual.extent.world[:, 1:], expected[:, 1:])
    np.testing.assert_allclose(residual.extent.world.mean(axis=0)[0], 12)
    inner = np.s_[8:-8, 8:-8, 8:-8]  # spheres that are centred outside are nobody's
    assert np.std(residual.data[0][inner]) < 0.3 * np.std(volume[inner])

    viewer.dims.set_current_step(0, 0)
    finish(widget, qtbot, click, widget.threshold.residual)
    assert "no points on show" in widget.status.text()
    assert residuals(viewer) == [residual]


def test_no_residual_of_voxels_that_are_not_square(viewer, simulated, qtbot, click):
    image = viewer.add_image(np.asarray(simulated.stack.data), name="beads", scale=(0.1, 0.2, 0.1), units=("um",) * 3)
    widget = docked(viewer)
    add_truth(viewer, image, simulated)
    finish(widget, qtbot, click, widget.threshold.residual)
    assert widget.status.text().startswith("Refinement and residual need voxels that are as long along y as along x;")
    assert "2 times as long" in widget.status.text()
    assert residuals(viewer) == []
    assert widget.threshold.residual.text() == "Residual"
    assert widget.threshold.residual.isEnabled()
    assert widget.button.isEnabled()


def test_a_residual_is_cancelled_between_blocks(viewer, widget, image, simulated, qtbot, click, monkeypatch):
    in_many_blocks(monkeypatch)
    add_truth(viewer, image, simulated)
    button = widget.threshold.residual
    seen = []

    def cancel(done, total, message):
        seen.append((done, total))
        assert not widget.button.isEnabled(), "they share the bar"
        if message == "subtracting the particles" and button.isEnabled():
            assert button.text() == "Cancel"
            click(button)

    button.progressed.connect(cancel)
    finish(widget, qtbot, click, button)
    assert seen[-1][0] < seen[-1][1]
    assert residuals(viewer) == []
    assert widget.status.text().startswith("Cancelled")
    assert button.text() == "Residual"
    assert button.isEnabled()
    assert widget.button.isEnabled()
    assert not widget.button.bar.native.isVisibleTo(widget)


def test_a_residual_that_cannot_be_is_said(viewer, widget, image, simulated, qtbot, click):
    few = simulated.particles.assign(confidence=np.linspace(0, 1, len(simulated.particles)))
    note = {"image": "beads", "diameter": 10.0}
    add_layer(viewer, layers.particle_layer_data(few, places.place_of(image), name="few", note=note))
    widget.threshold.slider.setValue(0.98)
    finish(widget, qtbot, click, widget.threshold.residual)
    assert "no residual" in widget.status.text()
    assert widget.threshold.residual.isEnabled()
    assert residuals(viewer) == []


def test_the_button_waits_for_points_and_their_image(viewer, widget, image, simulated, click):
    button = widget.threshold.residual
    assert not button.isEnabled()
    add_layer(viewer, layers.particle_layer_data(simulated.particles.assign(confidence=0.9), name="from a file"))
    assert not button.isEnabled()
    points = add_truth(viewer, image, simulated)
    viewer.layers.selection.active = points
    assert button.isEnabled()
    viewer.layers.remove(image)
    assert not button.isEnabled()
    assert "image" in button.toolTip()


def test_the_residual_is_that_of_the_image_searched_whatever_its_name(viewer, widget, image, qtbot, click):
    widget.controls["refine"].value = False
    finish(widget, qtbot, click)
    button = widget.threshold.residual
    image.name = "renamed"
    other = viewer.add_image(np.zeros_like(image.data), name="beads")
    assert button.isEnabled()
    finish(widget, qtbot, click, button)
    assert residuals(viewer)[0].name == "renamed residual"
    viewer.layers.remove(image)
    assert other in viewer.layers
    assert not button.isEnabled()


def test_no_residual_of_an_image_that_was_rescaled_since(viewer, widget, image, qtbot, click):
    widget.controls["refine"].value = False
    finish(widget, qtbot, click)
    image.scale = (0.2, 0.2, 0.2)
    click(widget.threshold.residual)
    assert "no longer coincide" in widget.status.text()
    viewer.layers["beads particles"].scale = image.scale
    finish(widget, qtbot, click, widget.threshold.residual)
    assert len(residuals(viewer)) == 1


def test_deleting_the_points_cancels_their_residual(viewer, widget, image, simulated, qtbot, click, monkeypatch):
    in_many_blocks(monkeypatch)
    points = add_truth(viewer, image, simulated)
    click(widget.threshold.residual)
    viewer.layers.remove(points)
    assert widget.threshold.residual.text() == "Cancelling…"
    assert not widget.threshold.residual.isEnabled()
    qtbot.waitUntil(lambda: not widget.threshold.residual.busy, timeout=60_000)
    assert residuals(viewer) == []
    assert widget.button.isEnabled()


def test_new_points_hide_the_residual_of_those_before(viewer, widget, image, simulated, qtbot, click):
    add_truth(viewer, image, simulated)
    finish(widget, qtbot, click, widget.threshold.residual)
    widget.controls["method"].value = "log"
    widget.controls["refine"].value = False
    finish(widget, qtbot, click)
    (residual,) = residuals(viewer)
    assert not residual.visible
    assert image.visible
    assert not set(REFINED) & set(viewer.layers["beads particles"].features)


@pytest.mark.parametrize("index", [(), (3,)])
def test_binned_residuals_lie_over_the_image(viewer, index):
    bins, shape = (1, 3, 3), (4, 7, 8)
    full = (5,) * len(index) + shape
    scale, shift = (7.0,) * len(index) + (0.3, 0.1, 0.1), (9.0,) * len(index) + (1.0, 2.0, 3.0)
    image = viewer.add_image(np.zeros(full), scale=scale, translate=shift)
    inner = np.arange(4 * 2 * 2, dtype=np.float32).reshape(4, 2, 2)
    data, attributes, kind = residual_layer_data(Residual(inner, bins), places.place_of(image), index, name="a")
    assert kind == "image"
    layer = viewer.add_image(data, **attributes)
    # Voxel (2, 4, 1) of the image lies in the middle of bin (2, 1, 0).
    here = image.data_to_world((*index, 2, 4, 1))
    np.testing.assert_allclose(layer.world_to_data(here), (*(0,) * len(index), 2, 1, 0))


def test_refined_points_go_through_a_layer_and_back():
    from napari.layers import Layer

    errors = np.arange(8.0).reshape(2, 4)
    table = particle_table([[1, 2, 3], [4, 5, 6]], radius=2, confidence=0.9, errors=errors, refined=[1, 0])
    again = layers.table_of(Layer.create(*layers.particle_layer_data(table)))
    pd.testing.assert_frame_equal(again, table)
