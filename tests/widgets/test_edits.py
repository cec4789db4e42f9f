"""Edits of particles by mouse and keys: undone, redone, recorded; radii set by hand."""

import numpy as np
import pandas as pd
import pytest
from napari.layers.base import ActionType
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from napari_colloids.particles import particle_table
from napari_colloids.widgets.layers import layers
from napari_colloids.widgets.layers.edit_history import EDITS, history_of, resize
from napari_colloids.widgets.layers.spheres import add_layer, watch
from napari_colloids.widgets.layers.writer import origin_of

#: Particles in the slice z = 5, far apart, and one of low confidence.
PLACES = [[5, 20, 20], [5, 20, 60], [5, 60, 20], [5, 60, 60], [5, 40, 40]]
CONFIDENCE = [0.9, 0.8, 0.7, 0.6, 0.1]


def particles(viewer, places=PLACES, **columns):
    viewer.add_image(np.zeros((10, 80, 80), np.uint8), name="image")
    errors = np.full((len(places), 4), 0.1)
    table = particle_table(
        places, radius=[4.0, 5.0, 6.0, 7.0, 8.0], confidence=CONFIDENCE, errors=errors, refined=1, **columns
    )
    layer = add_layer(viewer, layers.particle_layer_data(table, name="found", note={"threshold": 0.5}))
    watch(viewer).show_above(layer, 0.5)
    viewer.dims.set_point(0, 5)
    return layer


def state(layer):
    return layers.table_of(layer, shown_only=False), np.array(layer.shown)


def assert_same(layer, before):
    table, shown = before
    now, shown_now = state(layer)
    pd.testing.assert_frame_equal(now[list(table)], table)
    np.testing.assert_array_equal(shown_now, shown)


def edit_by(layer, how):
    if how == "delete":
        layer.selected_data = {1, 3}
        layer.remove_selected()
    elif how == "add":
        layer.add([5, 10, 10])
    elif how == "resize":
        resize(layer, [2, 0], 3.5)
    else:
        layer.events.data(value=layer.data, action=ActionType.CHANGING, data_indices=(2,), vertex_indices=((),))
        layer.data[2, 1] += 3
        layer.events.data(value=layer.data, action=ActionType.CHANGED, data_indices=(2,), vertex_indices=((),))


@pytest.mark.parametrize("how", ["delete", "add", "resize", "move"])
def test_an_edit_is_undone_and_redone(viewer, how):
    layer = particles(viewer)
    before = state(layer)
    edit_by(layer, how)
    after = state(layer)
    assert len(after[0]) != len(before[0]) or not after[0].equals(before[0])
    assert history_of(layer).undo().startswith(how)
    assert_same(layer, before)
    assert history_of(layer).redo().startswith(how)
    assert_same(layer, after)
    assert not history_of(layer).redo()


def test_many_edits_are_undone_one_by_one(viewer):
    layer = particles(viewer)
    states = [state(layer)]
    for how in ("add", "delete", "move", "resize", "add", "delete"):
        edit_by(layer, how)
        states.append(state(layer))
    for before in reversed(states[:-1]):
        assert history_of(layer).undo()
        assert_same(layer, before)
    assert history_of(layer).undo() == ""
    for after in states[1:]:
        assert history_of(layer).redo()
        assert_same(layer, after)


def test_all_particles_are_deleted_and_come_back(viewer):
    layer = particles(viewer)
    before = state(layer)
    layer.selected_data = set(range(5))
    layer.remove_selected()
    assert len(layer.data) == 0
    history_of(layer).undo()
    assert_same(layer, before)


def test_what_was_edited_is_marked_and_recorded(viewer):
    layer = particles(viewer)
    edit_by(layer, "delete")
    assert "by_hand" not in layers.table_of(layer)
    edit_by(layer, "add")
    edit_by(layer, "resize")
    table = layers.table_of(layer, shown_only=False)
    assert table["by_hand"].tolist() == [2, 0, 2, 1]
    assert table["refined"].tolist() == [0, 1, 0, 0]
    assert np.isnan(table["radius_err"][0])
    edits = origin_of(layer)[EDITS]
    assert [one["edit"] for one in edits] == ["delete", "add", "resize"]
    assert edits[0]["before"] == [[5.0, 20.0, 60.0, 5.0], [5.0, 60.0, 60.0, 7.0]]
    assert edits[1]["after"][0][:3] == [5.0, 10.0, 10.0]
    assert [row[3] for row in edits[2]["after"]] == [3.5, 3.5]
    while history_of(layer).undo():
        pass
    assert EDITS not in origin_of(layer)


def test_columns_that_came_later_hold_nothing_of_what_comes_back(viewer):
    layer = particles(viewer)
    edit_by(layer, "delete")
    features = layer.features.copy()
    features["q6"], features["neighbours"] = 0.5, 12
    layer.features = features
    history_of(layer).undo()
    table = layers.table_of(layer, shown_only=False)
    assert table["q6"].isna().tolist() == [False, True, False, True, False]
    assert table["neighbours"].tolist() == [12, 0, 12, 0, 12]


def test_a_new_edit_ends_what_can_be_redone(viewer):
    layer = particles(viewer)
    edit_by(layer, "delete")
    history_of(layer).undo()
    edit_by(layer, "add")
    assert history_of(layer).redo() == ""


class TestInTheWindow:
    """By real mouse and keys."""

    @pytest.fixture
    def viewer(self, make_napari_viewer, qtbot):
        viewer = make_napari_viewer(show=True)
        viewer.window._qt_window.resize(1366, 768)
        return viewer

    @staticmethod
    def at(viewer, y, x):
        """Place of a point of the image on the canvas."""
        canvas = viewer.window._qt_viewer.canvas
        middle = np.array([canvas.native.width(), canvas.native.height()]) / 2
        away = (np.array([x, y]) - np.array(viewer.camera.center)[[2, 1]]) * viewer.camera.zoom
        return QPoint(*np.rint(middle + away).astype(int))

    @staticmethod
    def native(viewer):
        return viewer.window._qt_viewer.canvas.native

    def press(self, viewer, key, modifier=Qt.KeyboardModifier.NoModifier):
        QTest.keyClick(self.native(viewer), key, modifier)
        QTest.qWait(20)

    def undo(self, viewer):
        self.press(viewer, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)

    def redo(self, viewer):
        self.press(viewer, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)

    def click(self, viewer, y, x):
        native = self.native(viewer)
        QTest.mouseMove(native, self.at(viewer, y, x))
        QTest.mouseClick(native, Qt.MouseButton.LeftButton, pos=self.at(viewer, y, x))
        QTest.qWait(20)

    def drag(self, viewer, start, end):
        native = self.native(viewer)
        QTest.mousePress(native, Qt.MouseButton.LeftButton, pos=self.at(viewer, *start))
        for part in np.linspace(0, 1, 5)[1:]:
            QTest.mouseMove(native, self.at(viewer, *(np.array(start) + part * (np.array(end) - start))))
            QTest.qWait(10)
        QTest.mouseRelease(native, Qt.MouseButton.LeftButton, pos=self.at(viewer, *end))
        QTest.qWait(20)

    def test_delete_add_move_and_back(self, viewer):
        layer = particles(viewer)
        viewer.layers.selection.active = layer
        QTest.qWait(100)
        states = [state(layer)]
        layer.mode = "select"
        self.click(viewer, 20, 20)
        assert layer.selected_data == {0}
        self.press(viewer, Qt.Key.Key_Delete)
        states.append(state(layer))
        assert len(layer.data) == 4
        layer.mode = "add"
        self.click(viewer, 40, 70)
        states.append(state(layer))
        np.testing.assert_allclose(layer.data[-1], [5, 40, 70], atol=0.2)
        layer.mode = "select"
        self.click(viewer, 60, 20)
        self.drag(viewer, (60, 20), (68, 24))
        states.append(state(layer))
        np.testing.assert_allclose(layer.data[1], [5, 68, 24], atol=0.2)
        for before in reversed(states[:-1]):
            self.undo(viewer)
            assert_same(layer, before)
        assert "Undone: delete 1 particle" in viewer.status
        self.undo(viewer)
        assert "nothing to undo" in viewer.status
        for after in states[1:]:
            self.redo(viewer)
            assert_same(layer, after)

    def test_the_point_size_is_the_diameter_of_the_selected_and_stays(self, viewer):
        layer = particles(viewer)
        viewer.layers.selection.active = layer
        QTest.qWait(100)
        before = state(layer)
        layer.mode = "select"
        self.click(viewer, 20, 60)
        controls = viewer.window._qt_viewer.controls.widgets[layer]
        slider = controls._current_size_slider_control.size_slider
        for value in (13, 15, 18):
            slider.setValue(value)
        assert layer.features["radius"].tolist() == [4.0, 9.0, 6.0, 7.0, 8.0]
        viewer.dims.set_current_step(0, 7)
        viewer.dims.set_current_step(0, 5)
        assert layer.size[1] == 18
        table = layers.table_of(layer)
        assert table["radius"].tolist() == [4.0, 9.0, 6.0, 7.0]
        assert table["by_hand"].tolist() == [0, 2, 0, 0]
        self.undo(viewer)
        assert_same(layer, before)

    def test_gl_is_at_hand_when_a_layer_goes(self, viewer):
        """Else napari gives what a hidden layer held on the graphics card to nobody, and crashes when it draws next."""
        from qtpy.QtGui import QOpenGLContext

        layer = particles(viewer)
        QTest.qWait(100)
        layer.visible = False
        at_hand = []
        viewer.layers.events.removing.connect(lambda: at_hand.append(QOpenGLContext.currentContext()), position="last")
        QOpenGLContext.currentContext() and QOpenGLContext.currentContext().doneCurrent()
        viewer.layers.remove(layer)
        assert at_hand[0] is not None
        assert at_hand[0].shareGroup() is self.native(viewer).context().shareGroup()


@pytest.mark.parametrize("how", ["delete", "undo of add"])
@pytest.mark.parametrize("ndisplay", [2, 3])
def test_a_hidden_layer_with_fewer_particles_is_drawn_anew(windowed_viewer, how, ndisplay):
    viewer = windowed_viewer
    layer = particles(viewer)
    viewer.dims.ndisplay = ndisplay
    if how == "undo of add":
        layer.add([5, 10, 10])
    layer.visible = False
    if how == "delete":
        layer.selected_data = {1, 4}
        layer.remove_selected()
    else:
        history_of(layer).undo()
    viewer.dims.ndisplay = 5 - ndisplay
    layer.border_width = 0.2
    layer.visible = True
    assert set(layer._view_indices) == (set(range(3)) if how == "delete" else set(range(4 + (ndisplay == 2))))
