"""Settings of a search: written beside its table, taken over again, kept under names; results that are told apart."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QFileDialog, QInputDialog

from napari_colloids.cli import main
from napari_colloids.particles import positions_of
from napari_colloids.widgets.detect import DetectWidget
from napari_colloids.widgets.layers import layers
from napari_colloids.widgets.layers.edit_history import EDITS
from napari_colloids.widgets.layers.reader import origin_in, table_in, table_layer
from napari_colloids.widgets.layers.spheres import add_layer

TIMEOUT = 60_000


@pytest.fixture
def stack(tmp_path, simulated):
    path = tmp_path / "beads.tif"
    tifffile.imwrite(path, np.asarray(simulated.stack.data))
    return path


def opened(viewer, path):
    """Open a stack as napari does, which says where a layer comes from."""
    (layer,) = viewer.open(str(path), plugin="napari-colloids")
    return layer


@pytest.fixture
def image(viewer, stack):
    return opened(viewer, stack)


@pytest.fixture
def widget(viewer, image):
    return docked(viewer)


def docked(viewer):
    widget = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    return widget


def search(widget, qtbot, click, method="log", diameter=10):
    widget.controls["method"].value = method
    widget.controls["diameter_unit"].value = "diameter"
    widget.controls["diameter"].value = diameter
    return again(widget, qtbot, click)


def again(widget, qtbot, click):
    click(widget.button)
    qtbot.waitUntil(lambda: not widget.button.busy, timeout=TIMEOUT)
    return widget.threshold.layers.value


def choose(widget, text):
    """Choose a line of the list of settings by the keyboard."""
    combo = widget.settings.choice
    index = combo.findText(text, Qt.MatchFlag.MatchContains)
    assert index >= 0, [combo.itemText(i) for i in range(combo.count())]
    combo.showPopup()
    for _ in range(index - combo.currentIndex()):
        QTest.keyClick(combo.view(), Qt.Key.Key_Down)
    QTest.keyClick(combo.view(), Qt.Key.Key_Return)


def test_a_search_is_repeated_from_the_file_beside_its_table(
    viewer, widget, image, tmp_path, qtbot, click, export, monkeypatch
):
    corners = [[4, 4], [4, 40], [40, 40], [40, 4]]
    viewer.add_shapes([corners], shape_type="polygon", name="here")
    widget.controls["region"].value = viewer.layers["here"]
    widget.controls["slices"].value = (5, 40)
    widget.controls["border"].value = 2
    found = search(widget, qtbot, click)
    widget.threshold.slider.setValue(0.3)
    found.selected_data = {0}
    found.remove_selected()
    expected = layers.table_of(found, shown_only=False)
    export(widget.threshold, tmp_path / "found.csv")
    said = json.loads((tmp_path / "found.csv.json").read_text())
    assert said["settings"]["border"] == 2
    assert said["region"]["z_range"] == [5, 41]
    assert said["threshold"] == 0.3
    assert said["input"] == "beads.tif"
    assert said["shape"] == [48, 48, 48]
    assert [one["edit"] for one in said[EDITS]] == ["delete"]

    fresh = docked(viewer)
    fresh.controls["method"].value = "network"
    fresh.controls["diameter_unit"].value = ""
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, **__: (str(tmp_path / "found.csv"), ""))
    choose(fresh, ".json")
    assert "those of found.csv.json" in fresh.status.text()
    repeated = again(fresh, qtbot, click)
    assert repeated is not found
    table = layers.table_of(repeated, shown_only=False)
    assert len(table) == len(expected) + 1, "but for the particle that was deleted by hand"
    pd.testing.assert_frame_equal(table.iloc[1:].reset_index(drop=True), expected)
    assert fresh.threshold.slider.value() == pytest.approx(0.3)


def test_the_command_line_writes_the_same_record(viewer, widget, image, stack, tmp_path, qtbot, click, export):
    search(widget, qtbot, click)
    export(widget.threshold, tmp_path / "window.csv")
    assert main(["detect", str(stack), "-o", str(tmp_path / "line.csv"), "--diameter", "10", "--method", "log"]) == 0
    window, line = (json.loads((tmp_path / f"{name}.csv.json").read_text()) for name in ("window", "line"))
    for key in ("program", "version", "input", "shape", "voxel_size", "region", "method", "diameter", "weights_sha256"):
        assert window[key] == line[key], key
    assert {**window["settings"], "threshold": None} == line["settings"]
    widget.controls["diameter_unit"].value = ""
    widget.settings.take_file(tmp_path / "line.csv.json")
    assert widget.form.options().diameter == 10
    assert widget.form.options().method == "log"


def test_settings_of_a_result_are_taken_over(viewer, widget, qtbot, click):
    first = search(widget, qtbot, click, diameter=9)
    widget.threshold.slider.setValue(0.4)
    search(widget, qtbot, click, method="trackpy", diameter=11)
    choose(widget, f"as '{first.name}'")
    assert widget.form.options().diameter == 9
    assert widget.form.options().method == "log"
    assert again(widget, qtbot, click).features["confidence"].size == first.features["confidence"].size
    assert widget.threshold.slider.value() == pytest.approx(0.4)


def test_settings_are_kept_under_a_name_chosen_and_forgotten(viewer, widget, image, click, monkeypatch):
    widget.controls["method"].value = "trackpy"
    widget.controls["diameter_unit"].value = "diameter"
    widget.controls["diameter"].value = 7.5
    widget.controls["border"].value = 3
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, **__: ("small ones", True))
    click(widget.settings.save)
    later = docked(viewer)
    later.controls["method"].value = "log"
    later.controls["diameter_unit"].value = ""
    later.controls["border"].value = 0
    choose(later, "small ones")
    options = later.form.options()
    assert (options.method, options.diameter, options.border) == ("trackpy", 7.5, 3)
    click(later.settings.delete)
    assert later.settings.choice.findText("small ones") < 0
    assert not later.settings.delete.isEnabled()
    assert docked(viewer).settings.choice.findText("small ones") < 0


def test_a_file_without_settings_is_said(viewer, widget, tmp_path, monkeypatch):
    (tmp_path / "x.csv.json").write_text("{}")
    for name, words in (("x.csv", "not known"), ("y.csv", "There is no y.csv.json")):
        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_, name=name, **__: (str(tmp_path / name), ""))
        choose(widget, ".json")
        assert words in widget.status.text()


def test_results_are_told_apart(viewer, widget, qtbot, click):
    first = search(widget, qtbot, click)
    assert first.name == "beads particles"
    second = search(widget, qtbot, click, method="trackpy", diameter=9)
    third = search(widget, qtbot, click, diameter=12)
    assert [one.name for one in (first, second, third)] == [
        "beads particles (log, 10 px)",
        "beads particles (trackpy, 9 px)",
        "beads particles (log, 12 px)",
    ]


def test_a_table_that_comes_back_finds_its_image(viewer, widget, image, tmp_path, qtbot, click, export):
    image.scale, image.units, image.translate = (0.2, 0.1, 0.1), ("um",) * 3, (3, 2, 1)
    found = search(widget, qtbot, click)
    widget.threshold.slider.setValue(0.35)
    export(widget.threshold, tmp_path / "found.csv")
    for layer in list(viewer.layers):
        viewer.layers.remove(layer)
    image = opened(viewer, tmp_path / "beads.tif")
    image.scale, image.units, image.translate = (0.2, 0.1, 0.1), ("um",) * 3, (3, 2, 1)
    table = table_in(tmp_path / "found.csv", viewer)
    layer = add_layer(viewer, table_layer(table, "found", *origin_in(table.attrs, viewer)))
    assert widget.threshold.layers.value is layer
    assert widget.threshold.slider.value() == pytest.approx(0.35)
    assert layers.note_of(layer)["diameter"] == 10
    np.testing.assert_allclose(layer.translate, image.translate)
    np.testing.assert_allclose(positions_of(layers.table_of(layer)), positions_of(layers.table_of(found)))
    click(widget.threshold.residual)
    qtbot.waitUntil(lambda: not widget.threshold.residual.busy, timeout=TIMEOUT)
    assert "Residual of" in widget.status.text()


def test_a_typed_diameter_is_not_used_for_the_next_stack(viewer, widget, image):
    widget.controls["diameter_unit"].value = "diameter"
    widget.controls["diameter"].value = 7
    assert widget.form.options().diameter == 7
    viewer.add_image(np.zeros((9, 9, 9)), name="next")
    assert widget.form.options().diameter is None
    assert docked(viewer).form.options().diameter is None
