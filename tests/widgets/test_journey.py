"""The whole path as a user walks it: Load, Detect, threshold, Score, Export, with real files and a real window."""

import numpy as np
import pandas as pd
import pytest
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtCore import QLocale, Qt
from qtpy.QtWidgets import QApplication

from napari_colloids.detection import DEFAULT_THRESHOLD
from napari_colloids.particles import ERRORS, particle_table
from napari_colloids.widgets.detect import DetectWidget
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.spheres import add_layer
from napari_colloids.widgets.load import LoadWidget
from napari_colloids.widgets.parts.number_box import NumberBox
from napari_colloids.widgets.score import ScoreWidget
from napari_colloids.widgets.simulate import SimulateWidget

TIMEOUT = 30_000


def dock(viewer, kind):
    """Dock a widget as napari's menu does, which hands it no viewer but a proxy of it."""
    widget = kind(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    return widget


def load(viewer, path, qtbot, click, index=0):
    widget = dock(viewer, LoadWidget)
    widget.path.value = str(path)
    widget.path.native.editingFinished.emit()
    qtbot.waitUntil(widget.button.isEnabled, timeout=TIMEOUT)
    widget.picker.index.value = index
    before = len(viewer.layers)
    click(widget.button)
    qtbot.waitUntil(lambda: len(viewer.layers) > before and widget.button.isEnabled(), timeout=TIMEOUT)
    return widget


def detect(viewer, qtbot, click, diameter=10.0, method="log", widget=None):
    widget = widget or dock(viewer, DetectWidget)
    widget.controls["method"].value = method
    widget.controls["diameter_unit"].value = "diameter"
    widget.controls["diameter"].value = diameter
    before = len(viewer.layers)
    click(widget.button)
    assert widget.button.text() == "Cancel"
    qtbot.waitUntil(lambda: widget.button.text() == "Detect" and len(viewer.layers) > before, timeout=TIMEOUT)
    return widget


def scored_truths(truth, image, diameter=10.0):
    """Number of true particles that lie off the border."""
    low, high = diameter / 2 - 0.5, np.array(image.data.shape) - diameter / 2 - 0.5
    return int(((truth.data >= low) & (truth.data <= high)).all(axis=1).sum())


def test_load_detect_threshold_score_export(make_napari_viewer, qtbot, click, export, challenge_file, tmp_path):
    viewer = make_napari_viewer(show=True)
    load(viewer, challenge_file, qtbot, click)
    image, truth = viewer.layers
    image.scale, image.translate = (0.2, 0.2, 0.2), (1.0, 2.0, 3.0)
    truth.scale, truth.translate = image.scale, image.translate

    widget = detect(viewer, qtbot, click)
    points = viewer.layers[-1]
    assert points.name == f"{image.name} particles"
    np.testing.assert_allclose(points.scale, image.scale)
    np.testing.assert_allclose(points.translate, image.translate)
    assert "particles" in widget.status.text()
    assert "10.0 px" in widget.status.text()
    assert not widget.button.bar.native.isVisibleTo(widget)

    panel = widget.threshold
    confidence = points.features["confidence"].to_numpy()
    middle = round(float(np.median(confidence)), 2)
    panel.slider.setValue(middle)
    np.testing.assert_array_equal(points.shown, confidence >= middle)
    shown = int((confidence >= middle).sum())
    assert 0 < shown < len(confidence)
    assert panel.count.text() == f"{shown} of {len(confidence)} shown"

    export(panel, tmp_path / "found.csv")
    written = pd.read_csv(tmp_path / "found.csv", comment="#")
    assert len(written) == shown
    np.testing.assert_allclose(written["z_um"], written["z"] * 0.2)

    panel.slider.setValue(0.2)
    scoring = dock(viewer, ScoreWidget)
    assert scoring.controls["diameter"].value == pytest.approx(10.0, abs=0.01)
    scoring.truth.value = truth
    click(scoring.button)
    qtbot.waitUntil(lambda: scoring.outcomes["truth"].boxes["missed"].enabled, timeout=TIMEOUT)
    assert "Challenge AP" in scoring.status.text()
    click(scoring.outcomes["truth"].boxes["true positives"].native)
    right = viewer.layers["true positives"]
    assert len(right.data) > 0.7 * scored_truths(truth, image)
    np.testing.assert_allclose(right.scale, image.scale)
    click(scoring.outcomes["truth"].boxes["true positives"].native)
    assert not right.visible
    assert not scoring.detections.native.findText("true positives") >= 0, "outcomes are no detections"


def test_score_is_that_of_the_core_whatever_the_frame(viewer, qtbot, click, simulated):
    from napari_colloids.scoring import score

    found = simulated.particles.iloc[3:].copy()
    found["x"] += 0.7
    found["confidence"] = 0.9
    (described,) = layers.image_layer_data(simulated.stack)
    image = add_layer(viewer, described)
    add_layer(
        viewer, layers.particle_layer_data(simulated.particles, places.place_of(image), name="truth", kind="truth")
    )
    # The same detections in half as large voxels with another origin: the world positions are equal.
    moved = found.copy()
    moved[["z", "y", "x"]] = found[["z", "y", "x"]] * 2 - 4
    moved["radius"] *= 2
    frame = {"scale": image.scale / 2, "translate": image.scale * 2, "units": image.units}
    add_layer(viewer, layers.particle_layer_data(moved, frame, name="found"))
    widget = dock(viewer, ScoreWidget)
    click(widget.button)
    qtbot.waitUntil(lambda: widget.outcomes["truth"].boxes["missed"].enabled, timeout=TIMEOUT)
    size = simulated.stack.voxel_size
    right = score(simulated.particles, found, diameter=10.0, shape=simulated.stack.shape, voxel_size=size)
    assert right.false_negatives > 0
    for value in (right.challenge_ap, right.recall):
        assert f"{value:.3f}"[:4] in widget.status.text()
    assert f"x {1000 * size[2] * right.rmse['x']:.1f} nm" in widget.status.text()
    click(widget.outcomes["truth"].boxes["missed"].native)
    assert len(viewer.layers["missed"].data) == right.false_negatives


def test_another_volume_and_a_typed_voxel_size(viewer, qtbot, click, challenge_file, stack_file):
    widget = load(viewer, challenge_file, qtbot, click, index=1)
    assert widget.picker.index.native.maximum() == 1
    assert viewer.layers[0].data.shape == (16, 20, 24)
    widget.path.value = str(stack_file)
    widget.path.native.editingFinished.emit()
    qtbot.waitUntil(lambda: not widget.picker.index.enabled and widget.button.isEnabled(), timeout=TIMEOUT)
    assert widget.controls["voxel_size"].enabled
    widget.controls["voxel_size"].value = (0.3, 0.1, 0.1)
    click(widget.button)
    qtbot.waitUntil(lambda: "beads" in [layer.name for layer in viewer.layers], timeout=TIMEOUT)
    assert tuple(viewer.layers["beads"].scale) == pytest.approx((0.3, 0.1, 0.1))


def test_unreadable_file_is_said_and_not_loaded(viewer, qtbot, tmp_path):
    (tmp_path / "no.tif").write_bytes(b"nothing")
    widget = dock(viewer, LoadWidget)
    widget.path.value = str(tmp_path / "no.tif")
    widget.path.native.editingFinished.emit()
    qtbot.waitUntil(lambda: "no.tif" in widget.status.text(), timeout=TIMEOUT)
    assert not widget.button.isEnabled()


def test_second_run_keeps_the_first_hidden_and_leaves_user_layers_alone(viewer, qtbot, click, simulated):
    viewer.add_image(np.asarray(simulated.stack.data), name="beads")
    own = viewer.add_points(np.zeros((1, 3)), name="mine")
    widget = detect(viewer, qtbot, click)
    first = viewer.layers[-1]
    detect(viewer, qtbot, click, diameter=9.0, widget=widget)
    second = viewer.layers[-1]
    assert len({first, second, own}) == 3
    assert (first.visible, second.visible, own.visible) == (False, True, True)
    assert widget.threshold.layers.value is second


def test_results_are_hidden_by_a_new_one_of_their_image_whatever_its_name(viewer, qtbot, click, simulated):
    first = viewer.add_image(np.asarray(simulated.stack.data), name="beads")
    widget = detect(viewer, qtbot, click)
    found = viewer.layers[-1]
    first.name = "old"
    second = viewer.add_image(first.data, name="beads")
    widget.form.image.value = second
    detect(viewer, qtbot, click, widget=widget)
    assert found.visible, "it is of another image, which had the name before"
    other = viewer.layers[-1]
    widget.form.image.value = first
    detect(viewer, qtbot, click, widget=widget)
    assert (found.visible, other.visible) == (False, True)


def test_a_new_result_hides_how_the_one_before_was_scored_and_what_was_loaded(viewer, qtbot, click, simulated):
    viewer.add_image(np.asarray(simulated.stack.data), name="beads")
    noted = [
        add_layer(
            viewer, layers.particle_layer_data(simulated.particles, name=kind, kind=kind, note={"image": "beads"})
        )
        for kind in ("true positives", "false positives", "missed", "particles")
    ]
    truth = add_layer(viewer, layers.particle_layer_data(simulated.particles, name="truth", kind="truth"))
    detect(viewer, qtbot, click)
    assert not any(layer.visible for layer in noted)
    assert truth.visible


def test_threshold_follows_the_selected_layer(viewer, qtbot, click, simulated):
    widget = dock(viewer, DetectWidget)
    assert not widget.threshold.isEnabled()
    table = simulated.particles.assign(confidence=np.linspace(0, 1, len(simulated.particles)))
    first, second = (add_layer(viewer, layers.particle_layer_data(table, name=name)) for name in "ab")
    panel = widget.threshold
    viewer.layers.selection.active = second
    panel.slider.setValue(0.5)
    viewer.layers.selection.active = first
    assert panel.slider.value() == 0.0
    panel.slider.setValue(0.9)
    assert first.shown.sum() < second.shown.sum() < len(table)
    viewer.layers.selection.active = second
    assert panel.slider.value() == pytest.approx(0.5)


def test_a_button_brings_the_default_threshold_of_the_network_back(viewer, qtbot, click, simulated):
    widget = dock(viewer, DetectWidget)
    panel = widget.threshold
    table = simulated.particles.assign(confidence=np.linspace(0, 1, len(simulated.particles)))
    by_network, by_log = (
        add_layer(viewer, layers.particle_layer_data(table, name=method, note={"method": method}))
        for method in ("network", "log")
    )
    viewer.layers.selection.active = by_log
    assert not panel.default.native.isVisibleTo(widget), "its confidence is no probability"
    viewer.layers.selection.active = by_network
    panel.slider.setValue(0.1)
    assert "95" in panel.default.text
    click(panel.default.native)
    default = DEFAULT_THRESHOLD["network"]
    assert panel.slider.value() == pytest.approx(default)
    assert by_network.shown.sum() == (table["confidence"] >= default).sum()


def test_points_that_are_added_and_deleted_by_hand_are_counted(viewer, qtbot, click, simulated):
    viewer.add_image(np.asarray(simulated.stack.data), name="beads")
    widget = detect(viewer, qtbot, click)
    layer = viewer.layers["beads particles"]
    widget.threshold.slider.setValue(0.5)
    total, shown = len(layer.data), int(layer.shown.sum())
    bars = [bar.get_height() for bar in widget.threshold.histogram.axes.patches]
    layer.selected_data = set(np.flatnonzero(layer.shown)[:2].tolist())
    layer.remove_selected()
    assert widget.threshold.count.text() == f"{shown - 2} of {total - 2} shown"
    assert sum(bar.get_height() for bar in widget.threshold.histogram.axes.patches) == sum(bars) - 2
    layer.add([[5.0, 5.0, 5.0]])
    assert widget.threshold.count.text() == f"{shown - 1} of {total - 1} shown"
    layer.selected_data = {total - 2}
    layer.remove_selected()
    assert widget.threshold.count.text() == f"{shown - 2} of {total - 2} shown"
    layer.selected_data = set(range(len(layer.data)))
    layer.remove_selected()
    assert widget.threshold.count.text() == "0 of 0 shown"
    layer.add([[5.0, 5.0, 5.0]])
    assert widget.threshold.count.text() == "1 of 1 shown"
    # A layer that is not the one chosen any more is not heard of.
    viewer.layers.selection.active = viewer.add_points(np.ones((1, 3)), features={"confidence": [0.9]}, name="other")
    layer.add([[6.0, 6.0, 6.0]])
    assert widget.threshold.count.text() == "1 of 1 shown"


def test_points_added_or_moved_by_hand_are_certain_but_not_fitted(viewer):
    errors = [[0.1, 0.2, 0.3, 0.4]] * 3
    table = particle_table([[4, 4, 4], [8, 8, 8], [12, 12, 12]], radius=[3, 3, 9], confidence=[0.1, 0.9, 0.9])
    table = table.assign(refined=1, **dict(zip(ERRORS, np.transpose(errors), strict=True)))
    layer = add_layer(viewer, layers.particle_layer_data(table, name="found"))
    layers.show_above(layer, 0.5)
    layer.selected_data = {0}  # napari gives its features to those that follow
    layer.add([[6.0, 6.0, 6.0]])
    added = layer.features.iloc[3]
    assert added[["radius", "confidence", "refined"]].tolist() == [6, 1, 0], "as those on show"
    assert layer.size[3] == 12
    assert added[ERRORS].isna().all()
    assert layer.shown.tolist() == [False, True, True, True]
    layer.selected_data = {1}
    layer._move([1], layer.data[1] + 2)
    assert layer.features["refined"].tolist() == [1, 0, 1, 0]
    assert layer.features.iloc[1][ERRORS].isna().all()
    assert layer.features["confidence"].tolist() == [0.1, 0.9, 0.9, 1.0]


@pytest.fixture(params=["C", "de_DE", "fr_FR"])
def language(request):
    QLocale.setDefault(QLocale(request.param))
    yield request.param
    QLocale.setDefault(QLocale.system())


@pytest.mark.parametrize(
    ("typed", "value"),
    [("0,25", 0.25), ("0.25", 0.25), ("1.5e-3", 0.0015), ("1,234.5", 1234.5), ("0.07218931", 0.072189), ("0.3µm", 0.3)],
)
@pytest.mark.parametrize("pasted", [False, True])
def test_numbers_are_typed_with_a_point_or_a_comma(qtbot, language, typed, value, pasted):
    control = NumberBox(0.0, 0.0, 5000.0, decimals=6, unit="µm")
    box = control.native
    qtbot.addWidget(box)
    box.selectAll()
    if pasted:
        QApplication.clipboard().setText(typed)
        box.lineEdit().paste()
    else:
        qtbot.keyClicks(box, typed)
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert control.value == pytest.approx(value)
    assert box.text() == f"{value:g} µm"


def test_a_number_is_typed_where_a_word_stands(qtbot):
    control = NumberBox(None, 0.001, 10.0, decimals=3, unit="s", unset="unknown")
    box = control.native
    qtbot.addWidget(box)
    assert (control.value, box.text()) == (None, "unknown")
    box.lineEdit().setCursorPosition(3)
    qtbot.keyClicks(box, "2,5")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert control.value == 2.5


def test_the_threshold_is_typed_beside_its_slider(viewer, qtbot, language):
    panel = dock(viewer, DetectWidget).threshold
    viewer.add_points(np.ones((2, 3)), features={"confidence": [0.2, 0.9]}, name="found")
    panel.level.native.selectAll()
    qtbot.keyClicks(panel.level.native, "0,65")
    qtbot.keyClick(panel.level.native, Qt.Key.Key_Return)
    assert panel.slider.value() == pytest.approx(0.65)
    assert panel.count.text() == "1 of 2 shown"
    panel.slider.setValue(0.1)
    assert panel.level.value == 0.1


def test_the_newest_layers_are_meant_unless_others_were_chosen(viewer):
    widget, scoring = dock(viewer, DetectWidget), dock(viewer, ScoreWidget)
    for name in ("first", "second"):
        image = viewer.add_image(np.zeros((8, 9, 10)), name=name)
        found = viewer.add_points(np.ones((1, 3)), features={"confidence": [0.9]}, name=f"{name} particles")
        assert widget.form.image.value is scoring.image.value is image
        assert scoring.detections.value is found
    viewer.layers.move(viewer.layers.index("second"), 0)
    viewer.add_points(np.ones((1, 3)))
    assert widget.form.image.value is viewer.layers["second"], "the newest, wherever it lies"
    widget.form.image.value = viewer.layers["first"]
    viewer.add_image(np.zeros((8, 9, 10)), name="third")
    assert widget.form.image.value is viewer.layers["first"]
    viewer.layers.remove("second")
    assert widget.form.image.value is viewer.layers["first"]


def test_unusual_settings_do_not_hide(viewer):
    first = dock(viewer, DetectWidget)
    assert not first.form.advanced.isExpanded()
    first.controls["border"].value = 15.0
    assert dock(viewer, DetectWidget).form.advanced.isExpanded()


def test_tracks_are_no_detections(viewer):
    viewer.add_tracks(np.array([[0, 0, 1, 1, 1], [0, 1, 1, 1, 1]]), features={"confidence": [0.5, 0.9]})
    assert dock(viewer, DetectWidget).threshold.layers.value is None


def test_time_step_on_show_is_searched(viewer, qtbot, click, simulated):
    volume = np.asarray(simulated.stack.data)
    viewer.add_image(np.stack([np.zeros_like(volume), volume]), name="film", scale=(1, 0.1, 0.1, 0.1))
    viewer.dims.set_current_step(0, 1)
    detect(viewer, qtbot, click)
    points = viewer.layers[-1]
    assert points.ndim == 4
    assert len(points.data) > 10
    assert (points.data[:, 0] == 1).all()


def test_slices_border_and_units_reach_the_core(viewer, qtbot, click, simulated):
    viewer.add_image(np.asarray(simulated.stack.data), scale=(0.1,) * 3)
    widget = dock(viewer, DetectWidget)
    widget.controls["slices"].value = (10, 30)
    widget.controls["border"].value = 4
    widget.controls["diameter_unit"].value = "diameter_um"
    widget.controls["diameter_um"].value = 1.0
    options = widget.form.options()
    assert (options.border, options.diameter_um, options.diameter) == (4.0, 1.0, None)
    assert widget.form.z_range() == (10, 31)
    widget.controls["method"].value = "log"
    click(widget.button)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=TIMEOUT)
    points = viewer.layers[-1].data
    assert points[:, 0].min() >= 9.5
    assert points[:, 0].max() <= 30.5
    assert points[:, 1:].min() >= 3
    assert "10.0 px" in widget.status.text()


def test_simulate(viewer, qtbot, click):
    widget = dock(viewer, SimulateWidget)
    widget.preset.value = "dilute"
    widget.controls["shape"].value = (24, 24, 24)
    widget.controls["volume_fraction"].value = 0.2
    click(widget.button)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=TIMEOUT)
    image, truth = viewer.layers
    assert image.data.shape == (24, 24, 24)
    assert f"{len(truth.data)} particles" in widget.status.text()


def test_impossible_simulation_is_said(viewer, click):
    widget = dock(viewer, SimulateWidget)
    widget.controls["arrangement"].value = "random"
    widget.controls["volume_fraction"].value = 0.74
    click(widget.button)
    assert "jam" in widget.status.text()
    assert widget.button.isEnabled()


def test_settings_are_remembered(viewer, qtbot):
    first = dock(viewer, DetectWidget)
    first.controls["diameter_unit"].value = "diameter"
    first.controls["diameter"].value = 7.5
    first.controls["method"].value = "trackpy"
    first.controls["device"].value = "cpu"
    first.controls["tile"].value = 96
    second = dock(viewer, DetectWidget)
    assert second.form.options().diameter is None, "that of another stack is not to be used unasked"
    assert second.controls["diameter"].value == 7.5
    assert (second.form.options().method, second.form.options().device, second.form.options().tile) == (
        "trackpy",
        "cpu",
        96,
    )


def test_widget_that_was_closed_does_not_hear_of_layers(viewer, qtbot):
    widget = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget, name="gone")
    viewer.window.remove_dock_widget(widget)
    widget.deleteLater()
    qtbot.wait(50)
    viewer.add_image(np.zeros((4, 5, 6)))
    viewer.layers.selection.active = None
