"""Refinement of the points of a layer, edits by hand included; a residual that is no longer theirs says so."""

import numpy as np
import pandas as pd
import pytest
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_colloids.particles import positions_of
from napari_colloids.widgets.detect import DetectWidget
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.edit_history import history_of, resize
from napari_colloids.widgets.layers.spheres import add_layer, watch

TIMEOUT = 60_000


@pytest.fixture
def image(viewer, simulated):
    return viewer.add_image(np.asarray(simulated.stack.data), name="beads", scale=(0.1,) * 3, units=("um",) * 3)


@pytest.fixture
def widget(viewer, image):
    widget = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    return widget


@pytest.fixture
def points(viewer, widget, image, simulated):
    """The truth, displaced by half a voxel or so, but for one particle; and one of low confidence."""
    found = simulated.particles.assign(confidence=0.9)
    rng = np.random.default_rng(0)
    found[["z", "y", "x"]] += rng.normal(0, 0.3, (len(found), 3))
    found.loc[3, "confidence"] = 0.1
    note = {"image": "beads", "diameter": 10.0, "threshold": 0.5}
    layer = add_layer(viewer, layers.particle_layer_data(found, places.place_of(image), name="found", note=note), image)
    watch(viewer).show_above(layer, 0.5)
    return layer


def finish(widget, button, qtbot, click):
    click(button)
    qtbot.waitUntil(lambda: not button.busy, timeout=TIMEOUT)


def errors_of(layer, truth, which):
    return np.linalg.norm(layer.data[which] - positions_of(truth)[which], axis=1)


def test_edits_are_fitted_and_kept_and_the_fit_is_undone(viewer, widget, points, simulated, qtbot, click):
    truth = simulated.particles
    middle = np.linalg.norm(positions_of(truth) - 23.5, axis=1)
    inner = [int(one) for one in np.argsort(middle) if one != 3][:4]
    added, deleted, moved = inner[0], inner[1], inner[2]
    # As a user would: two deleted, one of them added again a voxel off; another moved.
    points.selected_data = {added, deleted}
    points.remove_selected()
    points.add(positions_of(truth)[added] + [0.5, 0.7, -0.6])
    kept = [one for one in range(len(truth)) if one not in (added, deleted)]
    truth = truth.iloc[[*kept, added]].reset_index(drop=True)
    resize(points, [kept.index(moved)], 4.0)
    before = layers.table_of(points, shown_only=False)
    hidden = kept.index(3)

    finish(widget, widget.threshold.refine, qtbot, click)
    assert "refined" in widget.status.text(), widget.status.text()
    table = layers.table_of(points, shown_only=False)
    assert len(table) == len(truth), "none is added to what was deleted by hand"
    which = [kept.index(moved), len(truth) - 1]
    assert table["refined"][which].tolist() == [1, 1]
    assert errors_of(points, truth, which).max() < 0.15
    assert table["radius"][which].to_numpy() == pytest.approx([5.0, 5.0], abs=0.1)
    assert table["by_hand"][which].tolist() == [2, 1]
    assert (table["z_err"][which] < 0.1).all()
    assert table["refined"][hidden] == 0
    np.testing.assert_array_equal(points.data[hidden], positions_of(before)[hidden])
    assert "psf_sigma" in layers.note_of(points)
    assert layers.note_of(points)["edits"][-1]["edit"] == "refine"

    click(widget.threshold.edits.undo.native)
    undone = layers.table_of(points, shown_only=False)
    np.testing.assert_array_equal(positions_of(undone), positions_of(before))
    assert undone["radius"].tolist() == before["radius"].tolist()
    assert "psf_sigma" not in layers.note_of(points)
    click(widget.threshold.edits.redo.native)
    assert layers.table_of(points, shown_only=False).equals(table)


def test_points_that_are_edited_meanwhile_stay(viewer, widget, points, qtbot, click):
    button = widget.threshold.refine
    click(button)
    points.selected_data = {0}
    points.remove_selected()
    before = points.data.copy()
    qtbot.waitUntil(lambda: not button.busy, timeout=TIMEOUT)
    assert "edited while" in widget.status.text()
    np.testing.assert_array_equal(points.data, before)


def test_every_frame_of_a_series(viewer, simulated, qtbot, click):
    volume = np.asarray(simulated.stack.data)
    film = viewer.add_image(np.stack([volume, volume]), name="film")
    widget = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    table = simulated.particles.drop(columns=["z_um", "y_um", "x_um", "radius_um"], errors="ignore")
    table = table.assign(confidence=0.9)
    table[["z", "y", "x"]] += 0.3
    both = pd.concat([table.assign(frame=0), table.assign(frame=1)], ignore_index=True)
    points = add_layer(
        viewer, layers.particle_layer_data(both, places.place_of(film), name="p", note={"image": "film"}), film
    )
    finish(widget, widget.threshold.refine, qtbot, click)
    refined = layers.table_of(points)
    assert refined.groupby("frame")["refined"].sum().min() > 0.5 * len(table)
    inner = refined[refined["refined"] == 1]
    off = inner[["z", "y", "x"]].to_numpy() - positions_of(pd.concat([simulated.particles] * 2))[inner.index]
    assert np.median(np.abs(off)) < 0.1


def test_a_radius_is_typed_in_micrometres(viewer, widget, points, qtbot):
    box = widget.threshold.edits.radius
    assert not box.enabled
    points.selected_data = {2}
    assert box.enabled
    assert box.value == pytest.approx(0.5, abs=0.01)
    line = box.native.lineEdit()
    line.selectAll()
    QTest.keyClicks(line, "0.42")
    QTest.keyClick(line, Qt.Key.Key_Return)
    assert points.features["radius"][2] == pytest.approx(4.2)
    assert points.features["by_hand"].tolist().count(2) == 1


def test_the_residual_says_when_it_is_of_other_points(viewer, widget, points, qtbot, click):
    finish(widget, widget.threshold.residual, qtbot, click)
    (residual,) = [layer for layer in viewer.layers if "residual" in layer.name]
    assert residual.name == "beads residual"
    points.selected_data = {0}
    points.remove_selected()
    assert residual.name == "beads residual (before the last edit)"
    history_of(points).undo()
    assert residual.name == "beads residual"
    widget.threshold.slider.setValue(0.0)
    assert "before" in residual.name, "one more is on show"
    widget.threshold.slider.setValue(0.5)
    assert residual.name == "beads residual"
    resize(points, [1], 3.0)
    assert "before" in residual.name
    finish(widget, widget.threshold.residual, qtbot, click)
    assert [layer.name for layer in viewer.layers if "residual" in layer.name] == ["beads residual"]
