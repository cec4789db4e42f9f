"""The docks share one place as tabs, and end what they have under way when they are closed."""

import numpy as np
import pytest
from napari.utils import progress
from qtpy.compat import isalive
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QTabBar

from napari_colloids.widgets.parts.panel import Panel

TIMEOUT = 30_000
PLUGIN = "napari-colloids"


@pytest.fixture
def window(make_napari_viewer):
    """A window of the size of a small laptop."""
    window = make_napari_viewer(show=True).window
    window._qt_window.resize(1366, 768)
    return window


@pytest.fixture
def opened(window, qtbot):
    """Open a dock as napari's menu does, and wait until it lies before the others."""

    def open_(name):
        dock, panel = window.add_plugin_dock_widget(PLUGIN, name)
        qtbot.waitUntil(lambda: in_front(dock), timeout=TIMEOUT)
        return dock, panel

    return open_


def in_front(dock):
    return dock.isVisible() and not dock.visibleRegion().isEmpty()


def tabs(window):
    bars = [bar for bar in window._qt_window.findChildren(QTabBar) if bar.isVisible() and bar.count()]
    return [[bar.tabText(index) for index in range(bar.count())] for bar in bars]


def test_docks_open_as_tabs_in_the_order_of_the_work_and_keep_their_room(window, opened, qtbot):
    alone, _ = opened("Score")
    height = alone.height()
    opened("Load")
    detect, _ = opened("Detect")
    qtbot.waitUntil(lambda: tabs(window) == [["Load", "Detect", "Score"]], timeout=TIMEOUT)
    qtbot.waitUntil(lambda: detect.height() > 0.9 * height, timeout=TIMEOUT)
    assert window._qt_window.width() <= 1366


def test_the_menu_brings_a_dock_that_lies_behind_another_to_the_front(opened, qtbot):
    behind, _ = opened("Detect")
    opened("Track")
    qtbot.waitUntil(lambda: not in_front(behind), timeout=TIMEOUT)
    behind.setVisible(not behind.isVisible())  # napari's menu does no more
    qtbot.waitUntil(lambda: in_front(behind), timeout=TIMEOUT)
    qtbot.mouseClick(behind.titleBarWidget().hide_button, Qt.MouseButton.LeftButton)
    qtbot.wait(50)
    assert behind.isHidden()


def test_a_dock_that_was_moved_elsewhere_stays_there(window, opened, qtbot):
    moved, _ = opened("Detect")
    window._qt_window.addDockWidget(Qt.DockWidgetArea.BottomDockWidgetArea, moved)
    moved.setFloating(True)
    opened("Score")
    opened("Track")
    qtbot.waitUntil(lambda: tabs(window) == [["Track", "Score"]], timeout=TIMEOUT)
    assert moved.isFloating()


def test_closing_a_dock_ends_its_run(window, opened, qtbot, click):
    viewer = window._qt_viewer.viewer
    viewer.add_image(np.random.default_rng(0).integers(0, 255, (64, 64, 64), dtype=np.uint8))
    dock, panel = opened("Detect")
    panel.controls["diameter_unit"].value = "diameter"
    panel.controls["tile"].value = 16
    steps = []
    panel.button.progressed.connect(lambda *step: steps.append(step))
    click(panel.button)
    qtbot.waitUntil(lambda: bool(steps), timeout=TIMEOUT)
    thread = panel.button.task
    qtbot.mouseClick(dock.titleBarWidget().close_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: not isalive(thread), timeout=TIMEOUT)
    assert not progress._all_instances
    qtbot.wait(200)
    assert len(viewer.layers) == 1
    again, panel = opened("Detect")
    assert in_front(again)
    assert panel.button.isEnabled()


@pytest.mark.parametrize("name", ["Load", "Detect", "Assess", "Track", "Structure", "Score", "Simulate"])
def test_a_closed_dock_hears_of_nothing(viewer, name, qtbot):
    from napari.utils._proxies import PublicOnlyProxy

    from napari_colloids import widgets

    panel = getattr(widgets, f"{name}Widget")(PublicOnlyProxy(viewer))
    assert isinstance(panel, Panel)
    viewer.window.add_dock_widget(panel)
    viewer.window.remove_dock_widget(panel)
    qtbot.waitUntil(lambda: not isalive(panel), timeout=TIMEOUT)
    image = viewer.add_image(np.zeros((4, 5, 6)))
    points = viewer.add_points(np.ones((2, 4)), features={"confidence": [0.2, 0.9]})
    viewer.layers.selection.active = image
    points.selected_data = {0}
    points.remove_selected()
    image.name = "other"
    viewer.layers.clear()


def test_detect_takes_the_image_that_is_selected_and_says_why_others_are_refused(viewer):
    from napari.utils._proxies import PublicOnlyProxy

    from napari_colloids.widgets import DetectWidget

    widget = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    viewer.add_image(np.zeros((4, 5)), name="slice")
    assert "is a single 2D image" in widget.status.text()
    assert not widget.button.isEnabled()
    first, second = (viewer.add_image(np.zeros((4, 5, 6)), name=name) for name in ("first", "second"))
    assert widget.form.image.value is second
    assert not widget.status.text(), "there is one that can be searched"
    viewer.layers.selection.active = first
    assert widget.form.image.value is first
    colours = viewer.add_image(np.zeros((4, 5, 6, 3)), name="photo", rgb=True)
    assert "split it into channels" in widget.status.text()
    assert widget.form.image.value is first
    viewer.layers.remove(colours)
    assert not widget.status.text()


def test_what_is_folded_away_and_unusual_is_named(viewer):
    from napari.utils._proxies import PublicOnlyProxy

    from napari_colloids.widgets import DetectWidget

    widget = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    viewer.add_image(np.zeros((8, 9, 10)))
    fold = widget.form.advanced
    assert fold.text() == "▸ Advanced"
    region = viewer.add_shapes([[[1, 1], [1, 5], [5, 5], [5, 1]]], name="here")
    widget.controls["region"].value = region
    widget.controls["slices"].value = (2, 5)
    assert fold.text() == "▸ Advanced: Region, Slices"
    fold.expand()
    assert fold.text() == "▾ Advanced"
    fold.collapse()
    viewer.layers.remove(region)
    widget.controls["dark"].value = True
    assert fold.text() == f"▸ Advanced: {widget.controls['dark'].label}, Slices"


def test_the_threshold_moves_with_the_arrow_keys_and_the_summary_counts_along(window, opened, qtbot, click):
    from napari_colloids.simulation import simulate

    viewer = window._qt_viewer.viewer
    made = simulate(shape=(32, 32, 32), volume_fraction=0.3, radius=5, seed=1)
    viewer.add_image(np.asarray(made.stack.data))
    _, panel = opened("Detect")
    panel.controls["diameter_unit"].value = "diameter"
    panel.controls["diameter"].value = 10.0
    panel.controls["method"].value = "log"
    click(panel.button)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=TIMEOUT)
    points, slider = viewer.layers[-1], panel.threshold.slider
    before = slider.value()
    slider.setFocus(Qt.FocusReason.TabFocusReason)
    for _ in range(20):
        qtbot.keyClick(slider, Qt.Key.Key_Right)
    assert slider.value() == pytest.approx(before + 0.2)
    shown = int(points.shown.sum())
    assert f"<b>{shown} particles</b>" in panel.status.text()
    assert panel.threshold.count.text() == f"{shown} of {len(points.data)} shown"
    viewer.layers.remove(points)
    assert not panel.status.text()
