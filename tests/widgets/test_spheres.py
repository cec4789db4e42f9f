"""What is drawn is the cross-section of the sphere, also where voxels are not cubes, and a ball in 3D."""

import gc

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.utils._proxies import PublicOnlyProxy

from napari_colloids.particles import particle_table
from napari_colloids.stack import Stack
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.spheres import add_layer, watch


@pytest.fixture
def viewer():
    """A viewer without a window, which is all that layers and dims need."""
    return ViewerModel()


RADIUS = 6.0


def shown_radius(viewer, points):
    """Radius of the disc on the screen in lateral voxels; 0 where nothing is drawn."""
    drawn = points._view_size
    return float(drawn[0]) / 2 if len(drawn) else 0.0


def scene(viewer, aspect):
    shape = (round(41 / aspect), 41, 41)
    (data,) = layers.image_layer_data(Stack(np.zeros(shape, np.uint8), voxel_size=(0.1 * aspect, 0.1, 0.1)))
    image = add_layer(viewer, data)
    table = particle_table([[shape[0] // 2, 20, 20]], radius=RADIUS, confidence=0.9)
    return image, add_layer(viewer, layers.particle_layer_data(table, places.place_of(image)))


@pytest.mark.parametrize("aspect", [1.0, 3.0, 0.5])
def test_cross_sections(viewer, aspect):
    _, points = scene(viewer, aspect)
    for order in ((0, 1, 2), (1, 0, 2), (2, 1, 0)):
        viewer.dims.order = order
        axis = order[0]
        across = aspect if axis == 0 else 1.0
        for away in (-13, -7, -3, -2, -1, 0, 1, 2, 5, 6, 12):
            if abs(away) > points.data[0, axis]:
                continue
            viewer.dims.set_current_step(axis, int(points.data[0, axis]) + away)
            left = RADIUS**2 - (across * away) ** 2
            assert shown_radius(viewer, points) == pytest.approx(np.sqrt(left) if left > 0 else 0.0, abs=1e-6)


def test_balls_in_3d_and_rings_again(viewer):
    _, points = scene(viewer, 3.0)
    viewer.dims.set_current_step(0, 0)
    viewer.dims.ndisplay = 3
    assert points.shading == "spherical"
    assert points.face_color[0, 3] == 1
    assert points.size.tolist() == [2 * RADIUS]
    viewer.dims.ndisplay = 2
    assert points.shading == "none"
    assert points.face_color[0, 3] == 0
    assert points.border_color[0, 3] == 1


def test_hidden_points_are_hidden_in_3d_as_well(viewer):
    table = particle_table([[5, 5, 5], [9, 9, 9]], radius=RADIUS, confidence=[0.2, 0.9])
    points = add_layer(viewer, layers.particle_layer_data(table))
    viewer.dims.ndisplay = 3
    layers.show_above(points, 0.5)
    assert points._view_size.tolist() == [0.0, 2 * RADIUS]
    points.shown = True
    assert points._view_size.tolist() == [2 * RADIUS, 2 * RADIUS]
    layers.show_above(points, 0.5)
    viewer.dims.ndisplay = 2
    assert points.size.tolist() == [2 * RADIUS, 2 * RADIUS]


def test_the_threshold_draws_once(viewer):
    table = particle_table([[5, 5, 5], [9, 9, 9]], radius=RADIUS, confidence=[0.2, 0.9])
    points = add_layer(viewer, layers.particle_layer_data(table))
    drawn = []
    points.events.set_data.connect(lambda event: drawn.append(points._view_size.tolist()))
    watch(viewer).show_above(points, 0.5)
    assert points.shown.tolist() == [False, True]
    assert len(drawn) == 1
    viewer.dims.ndisplay = 3
    for threshold, first in ((0.1, 2 * RADIUS), (0.5, 0.0)):
        drawn.clear()
        watch(viewer).show_above(points, threshold)
        assert drawn == [[first, 2 * RADIUS]]
    viewer.dims.ndisplay = 2
    assert points.shown.tolist() == [False, True]


def test_points_of_others_follow_their_threshold_in_3d(viewer):
    points = viewer.add_points(np.ones((2, 3)), features={"confidence": [0.2, 0.9]})
    viewer.dims.ndisplay = 3
    drawn = []
    points.events.set_data.connect(drawn.append)
    watch(viewer).show_above(points, 0.5)
    assert points.shown.tolist() == [False, True]
    assert len(drawn) == 1


@pytest.mark.parametrize("missing", [np.nan, 0.0])
def test_a_radius_that_is_missing_is_the_median(viewer, missing):
    table = particle_table([[5, 5, 5], [9, 9, 9], [9, 5, 5]], radius=[4, 6, 20], confidence=0.9)
    points = add_layer(viewer, layers.particle_layer_data(table))
    points.features = points.features.assign(radius=[4, 6, missing])
    viewer.dims.ndisplay = 3
    assert points.size.tolist() == [8, 12, 10]


def test_thick_slices_change_no_other_layer(viewer):
    before = viewer.add_image(np.random.default_rng(0).random((9, 41, 41)))
    own = viewer.add_points(np.array([[0.0, 1, 1], [8, 1, 1]]))
    scene(viewer, 1.0)
    after = viewer.add_image(np.zeros((9, 41, 41)))
    assert before.projection_mode == after.projection_mode == "none"
    assert own.projection_mode == "none"
    viewer.dims.set_point(0, 0.0)
    assert len(own._view_indices) == 1


def test_hidden_layer_is_right_when_shown_again(viewer):
    _, points = scene(viewer, 3.0)
    points.visible = False
    viewer.dims.set_current_step(0, 0)
    points.visible = True
    assert shown_radius(viewer, points) == 0.0


def test_particles_are_looked_after_when_the_widget_that_added_them_is_gone(viewer):
    proxy = PublicOnlyProxy(viewer)  # as a widget gets it that is opened from the menu
    _, points = scene(proxy, 3.0)
    del proxy
    gc.collect()
    assert points in viewer.layers
    viewer.dims.set_current_step(0, 0)
    assert shown_radius(viewer, points) == 0.0
    viewer.dims.ndisplay = 3
    assert points.shading == "spherical"


def test_points_of_others_keep_their_size_when_their_threshold_is_moved(viewer):
    scene(viewer, 1.0)
    points = viewer.add_points(np.ones((2, 3)), size=7, features={"radius": [1.0, 2.0], "confidence": [0.2, 0.9]})
    points.metadata[layers.KEY] = {"threshold": 0.1}
    viewer.dims.set_current_step(0, 3)
    assert points.size.tolist() == [7, 7]
