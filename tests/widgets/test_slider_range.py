"""Every slice of an image can be reached and drawn in, wherever the particles in the viewer lie."""

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_colloids.particles import particle_table
from napari_colloids.stack import Stack
from napari_colloids.widgets.detect import DetectWidget
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.layers import image_layer_data, particle_layer_data, tracks_layer_data
from napari_colloids.widgets.layers.spheres import add_layer, watch
from napari_colloids.widgets.residual import residual_layer_data
from napari_colloids.widgets.score import ScoreWidget

DEPTH = 32
#: Half a voxel below the first slice, and outside by a few voxels at either end.
OUTSIDE = [[-0.5, 5, 5], [-3.2, -0.5, 4], [DEPTH + 2.3, 3, 9.7], [7, 6, -1.6]]


@pytest.fixture
def viewer():
    """A viewer without a window, which is all that layers and dims need."""
    return ViewerModel()


def numbered(depth=DEPTH):
    """A stack in which every voxel holds the number of its slice."""
    return np.broadcast_to(np.arange(depth, dtype=np.uint8)[:, None, None], (depth, 10, 9)).copy()


def shown_slices(viewer, image, axis=0):
    """Numbers of the slices that are seen one after the other as the slider is moved from end to end."""
    seen = []
    for step in range(viewer.dims.nsteps[axis]):
        viewer.dims.set_current_step(axis, step)
        assert viewer.dims.current_step[axis] == step
        here = image.world_to_data(viewer.dims.point)[axis]
        assert here == pytest.approx(round(here), abs=1e-6), "between two slices nothing can be drawn"
        seen.append(image._data_view.max())
    return seen


def add_particles(viewer, image, positions=OUTSIDE, **more):
    table = particle_table(positions, radius=3, confidence=0.9)
    return add_layer(viewer, particle_layer_data(table, places.place_of(image), **more))


# The last slice of 32 at 0.3 is one that napari does not reach by itself: 9.3 / 0.3 is less than 31.
PLACES = [{}, {"scale": (0.3, 0.1, 0.1), "units": ("um",) * 3}, {"scale": (0.3, 0.1, 0.1), "translate": (1.25, -3, 7)}]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("kind", ["particles", "truth", "missed"])
def test_particles_outside_leave_the_slices(viewer, place, kind):
    image = viewer.add_image(numbered(), **place)
    viewer.dims.set_current_step(0, 21)
    points = add_particles(viewer, image, kind=kind)
    assert viewer.dims.current_step[0] == image._data_view.max() == 21
    assert shown_slices(viewer, image) == list(range(DEPTH))
    assert layers.table_of(points)[["z", "y", "x"]].to_numpy().tolist() == OUTSIDE


def test_the_sliders_of_the_other_axes(viewer):
    image = viewer.add_image(np.moveaxis(numbered(), 0, 1))
    add_particles(viewer, image, positions=[[5, -0.5, 5]])
    viewer.dims.order = (1, 0, 2)
    assert shown_slices(viewer, image, axis=1) == list(range(DEPTH))


def test_what_is_done_to_the_layers_leaves_the_slices(make_napari_viewer):
    viewer = make_napari_viewer()
    image = viewer.add_image(numbered())
    points = add_particles(viewer, image, positions=[[1, 5, 5]])
    viewer.dims.set_current_step(0, 9)
    slider = viewer.window._qt_viewer.dims.slider_widgets[0].slider
    other = None

    def move():
        points.data = np.array([[-4.5, 5, 5]])

    def add_point():
        points.add([DEPTH + 0.5, 2, 2])

    def delete():
        points.selected_data = {0}
        points.remove_selected()

    def rename():
        points.name = "renamed"

    def hide():
        points.visible = False

    def add_other():
        nonlocal other
        other = viewer.add_points([[-0.5, 1, 1]])

    def remove_other():
        viewer.layers.remove(other)

    def reorder():
        viewer.layers.move(0, 2)

    for change in (move, add_point, delete, rename, hide, add_other, remove_other, reorder):
        change()
        assert (viewer.dims.nsteps[0], viewer.dims.point[0], slider.value()) == (DEPTH, 9, 9), change.__name__
    for place in ({"scale": (0.3, 0.1, 0.1)}, {"translate": (0.7, 0, 0)}):
        for layer in (points, image):
            for name, value in place.items():
                setattr(layer, name, value)
    assert shown_slices(viewer, image) == list(range(DEPTH))


def test_an_image_that_comes_after_its_particles(viewer):
    table = particle_table([[3.27, 4, 4], [8.9, 3, 3], *OUTSIDE], radius=3)
    points = add_layer(viewer, particle_layer_data(table))
    assert viewer.dims.point[0] % 1 > 0
    image = viewer.add_image(numbered())
    assert viewer.dims.point[0] % 1 == 0
    assert shown_slices(viewer, image) == list(range(DEPTH))
    points.data = [[0, 4, 4], [DEPTH - 1, 3, 3]]
    viewer.layers.remove(image)
    again = viewer.add_image(numbered(20))
    assert shown_slices(viewer, again) == list(range(20))


def test_layers_of_others_can_be_reached_where_they_lie(viewer):
    image = viewer.add_image(numbered())
    watch(viewer)
    viewer.add_points([[-0.5, 5, 5], [DEPTH - 0.5, 5, 5]])
    assert shown_slices(viewer, image) == list(range(DEPTH))
    far = viewer.add_points([[-3.2, 5, 5], [DEPTH + 9.8, 5, 5]])
    viewer.dims.set_current_step(0, 0)
    assert viewer.dims.point[0] == -3
    assert len(far._view_indices) == 1
    seen = shown_slices(viewer, image)
    assert seen[3:-11] == list(range(DEPTH))
    assert len(far._view_indices) == 1


def test_points_of_others_leave_the_slices_while_any_dock_is_open(make_napari_viewer):
    viewer = make_napari_viewer()
    viewer.window.add_dock_widget(ScoreWidget(viewer))
    image = viewer.add_image(numbered())
    viewer.add_points([[-0.5, 5, 5], [7, 6, 5]])
    assert shown_slices(viewer, image) == list(range(DEPTH))


def test_units_are_those_of_the_viewer(viewer):
    viewer.add_image(numbered(), scale=(0.3, 0.1, 0.1), units=("um",) * 3)
    watch(viewer)
    viewer.add_points([[-150, 50, 50]], units=("nm",) * 3)
    assert viewer.dims.range[0] == pytest.approx((0, (DEPTH - 1) * 300, 300))
    assert viewer.dims.nsteps[0] == DEPTH


def test_series_tracks_and_residual(viewer):
    series = np.stack([numbered(), numbered() + 100])
    (described,) = image_layer_data(Stack(series, "tzyx", voxel_size=(0.3, 0.1, 0.1), frame_interval=2.5))
    image = add_layer(viewer, described)
    place = places.place_of(image)
    table = particle_table(OUTSIDE, radius=3, frame=[0, 0, 1, 1]).assign(particle=[0, 1, 0, 1])
    add_layer(viewer, particle_layer_data(table, place))
    add_layer(viewer, tracks_layer_data(table, place, name="tracks"))
    binned = np.zeros((DEPTH // 2, 5, 5), np.float32)

    class Residual:
        image, bins = binned, (2, 2, 2)

    add_layer(viewer, residual_layer_data(Residual(), place, (1,), name="image"))
    assert shown_slices(viewer, image, axis=1) == list(range(DEPTH))
    viewer.dims.set_current_step(1, 4)
    assert shown_slices(viewer, image) == [4, 104]


def test_back_from_3d_a_slice_is_shown(viewer):
    image = viewer.add_image(numbered())
    add_particles(viewer, image)
    viewer.dims.ndisplay = 3
    viewer.scene.camera.center = (9.4, 3, 3)
    viewer.dims.ndisplay = 2
    assert viewer.dims.point[0] == image._data_view.max() == 9


def drag(viewer, first, last):
    """Drag the mouse over the canvas, from one place to another in pixels of the canvas."""
    canvas = viewer.window._qt_viewer.canvas.native

    def send(kind, place, button, pressed):
        local = QPointF(*place)
        event = QMouseEvent(kind, local, canvas.mapToGlobal(local), button, pressed, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(canvas, event)
        QApplication.processEvents()

    none, left = Qt.MouseButton.NoButton, Qt.MouseButton.LeftButton
    send(QEvent.Type.MouseMove, first, none, none)
    send(QEvent.Type.MouseButtonPress, first, left, left)
    for place in np.linspace(first, last, 6)[1:]:
        send(QEvent.Type.MouseMove, place, none, left)
    send(QEvent.Type.MouseButtonRelease, last, left, none)


def test_a_rectangle_is_drawn_after_a_detection_and_searched(make_napari_viewer, qtbot, click, simulated):
    viewer = make_napari_viewer(show=True)
    image = add_layer(viewer, image_layer_data(simulated.stack)[0])
    widget = DetectWidget(viewer)
    viewer.window.add_dock_widget(widget)
    widget.controls["diameter_unit"].value = "diameter"
    widget.controls["diameter"].value = 10.0

    def detect():
        click(widget.button)
        qtbot.waitUntil(lambda: widget.button.text() == "Detect", timeout=60_000)
        return layers.table_of(widget.threshold.layers.value)

    found = detect()
    assert found["z"].min() < -0.05, "a particle that is cut by the first face"
    viewer.dims.set_current_step(0, 17)
    viewer.window._qt_viewer.layerButtons.newShapesButton.click()
    shapes = viewer.layers[-1]
    shapes.mode = "add_rectangle"
    canvas = viewer.window._qt_viewer.canvas.native
    viewer.reset_view()
    middle = np.array([canvas.width(), canvas.height()]) / 2
    drag(viewer, middle - 60, middle + 60)
    (corners,) = shapes.data
    assert shapes.shape_type == ["rectangle"]
    assert set(corners[:, 0]) == {17}
    low, high = corners[:, 1:].min(axis=0), corners[:, 1:].max(axis=0)
    assert (high - low > 5).all()
    widget.controls["region"].value = shapes
    inside = detect()
    wanted = ((found[["y", "x"]] >= low) & (found[["y", "x"]] <= high)).all(axis=1)
    assert 0 < len(inside) == wanted.sum() < len(found)
    assert places.coincide(shapes, image)
