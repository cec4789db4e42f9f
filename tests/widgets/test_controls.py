"""Messages and long names, in both of napari's themes."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pytest
from qtpy.QtCore import QSettings, Qt
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QLabel, QStyle, QStyleOptionComboBox

from napari_colloids.detection import Options
from napari_colloids.settings import Setting, settings_of
from napari_colloids.simulation import Parameters
from napari_colloids.widgets import DetectWidget, LoadWidget, SimulateWidget, TrackWidget
from napari_colloids.widgets.layers import layers
from napari_colloids.widgets.parts.controls import Form, Row, choice, controls_of
from napari_colloids.widgets.parts.layer_choice import LayerChoice
from napari_colloids.widgets.parts.number_box import NumberBox
from napari_colloids.widgets.parts.panel import Panel
from napari_colloids.widgets.parts.remembered import PLUGIN, remember
from napari_colloids.widgets.parts.status import Status, notice

LONG = "2026-11-27_PMMA_phi0.58_NBD_laser488_objective100x_zoom8_series{:03d}_deconvolved"


def contrast(one, other):
    """Of two colours, by WCAG 2: text needs 4.5."""

    def luminance(colour):
        part = np.array(QColor(colour).getRgbF()[:3])
        return np.dot(
            np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4), [0.2126, 0.7152, 0.0722]
        )

    low, high = sorted(luminance(colour) + 0.05 for colour in (one, other))
    return high / low


def colours_of(widget):
    """Return the background of a widget and the colours that are drawn on it, brightest and darkest."""
    picture = widget.grab().toImage()
    inside = {picture.pixelColor(x, y).name() for x in range(picture.width()) for y in range(picture.height())}
    return widget.palette().window().color().name(), inside


@pytest.fixture
def status(make_napari_viewer):
    """A message in a window on show, and the viewer."""
    viewer = make_napari_viewer(show=True)
    panel = Panel(viewer)
    status = Status()
    panel.column.addWidget(status)
    viewer.window.add_dock_widget(panel)
    return viewer, status


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_messages_can_be_read_in_both_themes(status, qtbot, theme):
    viewer, label = status
    for said in ("plain", "notice", "error"):  # in one window, which takes longest
        # Said in the other theme: what is on show already changes its colour too.
        viewer.theme = "light" if theme == "dark" else "dark"
        qtbot.wait(50)
        if said == "error":
            label.fail("WWWWWWWWWW")
        else:
            label.say(notice("WWWWWWWWWW") if said == "notice" else "WWWWWWWWWW")
        viewer.theme = theme
        qtbot.wait(50)
        paper, drawn = colours_of(label)
        assert (QColor(paper).lightness() > 127) == (theme == "light"), said
        assert max(contrast(paper, ink) for ink in drawn) >= 4.5, said
        label.say("all right")
        assert not label.styleSheet()


def test_what_is_cut_off_is_told_by_the_tooltip(viewer):
    status = Status()
    status.say(f"Wrote 3 particles to /{LONG}/{LONG}.csv.")
    assert status.toolTip() == status.text()
    accepts = layers.is_stack
    control = LayerChoice(viewer, accepts, "Which image.")
    combo = control.native
    assert combo.toolTip() == "Which image."
    first, second = (viewer.add_image(np.zeros((4, 5, 6)), name=LONG.format(i)) for i in (1, 2))
    names = [combo.itemData(index, Qt.ItemDataRole.ToolTipRole) for index in range(2)]
    assert names == [first.name, second.name]
    assert combo.toolTip() == f"{second.name}\nWhich image."
    second.name = "short"
    assert combo.toolTip() == "short\nWhich image."
    assert combo.itemText(1) == combo.itemData(1, Qt.ItemDataRole.ToolTipRole) == "short"
    control.value = first
    assert combo.toolTip().startswith(first.name)


def test_names_that_differ_at_their_ends_look_different(viewer):
    combo = LayerChoice(viewer, layers.is_stack, "Which image.").native
    combo.resize(200, 24)
    layer = viewer.add_image(np.zeros((4, 5, 6)), name=f"{LONG} one")
    before = combo.grab().toImage()
    layer.name = f"{LONG} two"
    assert combo.grab().toImage() != before


def test_no_choice_is_cut_by_what_stands_beside_it(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    panel = Panel(viewer)
    unit = choice({"px": "pixels", "um": "micrometres"}, "um")
    form = Form([Row([unit, NumberBox(1.0, 0.001, 1000.0, decimals=3, unit="µm")], label="Diameter")])
    box = unit.native
    panel.add(form)
    viewer.window.add_dock_widget(panel)
    panel.setFixedWidth(340)
    qtbot.wait(50)
    option = QStyleOptionComboBox()
    box.initStyleOption(option)
    part = QStyle.SubControl.SC_ComboBoxEditField
    room = box.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, part, box)
    assert room.width() >= box.fontMetrics().horizontalAdvance("micrometres")


@dataclass(frozen=True)
class Example:
    ratio: Annotated[
        float, Setting(label="Ratio", help="Large over small.", unit="px", low=0.5, high=2, decimals=3)
    ] = 1.0
    count: Annotated[int | None, Setting(label="Count", help="How many.", low=1, high=9, unset="automatic")] = None
    shape: Annotated[
        tuple[int, int, int], Setting(label="Shape", help="Edges.", unit="voxels", low=8, metavar="Z Y X")
    ] = (9, 8, 8)
    mode: Annotated[str, Setting(label="Mode", help="How.", choices={"a": "slow", "b": "fast"})] = "a"
    on: Annotated[bool, Setting(label="On", help="Whether.")] = False
    untold: int = 0


def test_a_control_has_the_label_unit_bounds_and_tooltip_of_its_setting(qtbot):
    controls = controls_of(Example)
    form = Form(controls.values())
    qtbot.addWidget(form)
    labels = [label.text() for label in form.findChildren(QLabel)]
    assert labels == ["Ratio", "Count", "Shape\nz, y, x (voxels)", "Mode", ""]
    assert {name: control.value for name, control in controls.items()} == {
        "ratio": 1.0, "count": None, "shape": (9, 8, 8), "mode": "a", "on": False,
    }  # fmt: skip
    ratio, count, shape = (controls[name] for name in ("ratio", "count", "shape"))
    assert ratio.native.text() == "1.0 px"
    assert ratio.tooltip == "Large over small.\nFrom 0.5 to 2 px"
    ratio.value = 5
    assert ratio.value == 2.0
    assert count.native.text() == "automatic"
    count.native.stepUp()
    assert (count.value, type(count.value)) == (1, int)
    count.value = None
    assert count.native.text() == "automatic"
    shape.value = (1, 20, 30)
    assert shape.value == (8, 20, 30)
    assert controls["mode"].native.currentText() == "slow"


def test_changes_are_told_once_and_can_be_remembered(qtbot):
    controls = controls_of(Example)
    remember("example", controls.values())
    seen = []
    controls["count"].changed.connect(seen.append)
    for value in (3, None):
        controls["count"].value = value
    assert seen == [3, None]
    controls["shape"].value = (10, 11, 12)
    controls["mode"].value = "b"
    again = controls_of(Example)
    remember("example", again.values())
    assert [again[name].value for name in ("count", "shape", "mode")] == [None, (10, 11, 12), "b"]


@pytest.mark.parametrize("stored", ["[1]", "null", "NaN", '"c"', "nonsense"])
def test_a_stored_value_that_no_longer_fits_is_passed_over(qtbot, stored):
    settings = QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, PLUGIN, PLUGIN)
    for name in ("ratio", "shape", "mode"):
        settings.setValue(f"example/{name}", stored)
    settings.sync()
    controls = controls_of(Example)
    remember("example", controls.values())
    assert [controls[name].value for name in ("ratio", "shape", "mode")] == [1.0, (9, 8, 8), "a"]


def test_a_voxel_size_is_not_cut_where_the_dock_is_narrow(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    dock = LoadWidget(viewer)
    viewer.window.add_dock_widget(dock)
    dock.setFixedWidth(dock.minimumSizeHint().width())
    dock.controls["voxel_size"].value = (0.206612, 0.043125, 0.043125)
    qtbot.wait(50)
    for box in dock.controls["voxel_size"].parts():
        room = box.native.lineEdit().width() - 4  # what Qt leaves free at both ends of the line
        assert box.native.fontMetrics().horizontalAdvance(box.native.text()) <= room


def test_controls_that_are_folded_away_do_not_get_the_focus(make_napari_viewer, qtbot):
    viewer = make_napari_viewer(show=True)
    dock = SimulateWidget(viewer)
    viewer.window.add_dock_widget(dock)
    hidden = dock.controls["photon_noise"].native
    assert not hidden.isVisible()
    dock.advanced.toggleButton().click()
    qtbot.waitUntil(lambda: not hidden.visibleRegion().isEmpty())
    dock.advanced.toggleButton().click()
    assert not hidden.isVisible()


def test_what_was_typed_into_an_earlier_version_is_kept(viewer):
    settings = QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, PLUGIN, PLUGIN)
    earlier = {"detect/method": '"trackpy"', "detect/border": "2.5", "simulate/radius": "7.5", "track/memory": "3"}
    for key, value in earlier.items():
        settings.setValue(key, value)
    settings.sync()
    detect, simulate, track = DetectWidget(viewer), SimulateWidget(viewer), TrackWidget(viewer)
    for dock in (detect, simulate, track):
        viewer.window.add_dock_widget(dock)
    assert (detect.controls["method"].value, detect.controls["border"].value) == ("trackpy", 2.5)
    assert (simulate.controls["radius"].value, track.controls["memory"].value) == (7.5, 3)


def test_every_setting_of_detection_and_simulation_has_a_control(viewer):
    detect, simulate = DetectWidget(viewer), SimulateWidget(viewer)
    for dock in (detect, simulate):
        viewer.window.add_dock_widget(dock)
    # The threshold hides points instead, and has a slider.
    assert set(settings_of(Options)) - {"threshold"} <= set(detect.controls)
    assert set(settings_of(Parameters)) == set(simulate.controls)
    for dock in (detect, simulate):
        assert all(dock.isAncestorOf(control.native) for control in dock.controls.values())
