"""A voxel size typed in the Detect dock: the image and all that belongs to it follow; micrometres from then on."""

import numpy as np
import pytest
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_colloids.widgets.detect import DetectWidget
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.spheres import add_layer

TIMEOUT = 60_000


@pytest.fixture
def image(viewer, simulated):
    return viewer.add_image(np.asarray(simulated.stack.data), name="beads")


@pytest.fixture
def widget(viewer, image):
    return docked(viewer)


def docked(viewer):
    widget = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    widget.controls["method"].value = "log"
    return widget


def type_into(box, text):
    line = box.native.lineEdit()
    line.selectAll()
    QTest.keyClicks(line, text)
    QTest.keyClick(line, Qt.Key.Key_Return)


def type_size(widget, *edges):
    for box, edge in zip(widget.controls["voxel_size"].parts(), edges, strict=True):
        type_into(box, str(edge))


def run(widget, qtbot, click):
    click(widget.button)
    qtbot.waitUntil(lambda: not widget.button.busy, timeout=TIMEOUT)


def test_a_diameter_in_micrometres_works_once_the_voxel_size_is_typed(viewer, widget, image, qtbot, click):
    assert widget.controls["voxel_size"].value == (None, None, None)
    widget.controls["diameter_unit"].value = "diameter_um"
    type_into(widget.controls["diameter_um"], "1.0")
    run(widget, qtbot, click)
    assert "voxel size" in widget.status.text()
    type_size(widget, 0.1, 0.1, 0.1)
    assert places.voxel_size_of(image) == pytest.approx((0.1, 0.1, 0.1))
    run(widget, qtbot, click)
    assert "diameter 1 µm (10.0 px)" in widget.status.text()
    points = viewer.layers[-1]
    assert {"z_um", "radius_um"} <= set(layers.table_of(points))


def test_all_that_belongs_to_the_image_follows(viewer, widget, image, simulated, qtbot, click):
    widget.controls["diameter_unit"].value = "diameter"
    type_into(widget.controls["diameter"], "10")
    run(widget, qtbot, click)
    points = viewer.layers[-1]
    shapes = viewer.add_shapes([[[5, 5], [5, 20], [20, 20], [20, 5]]], name="region")
    stranger = viewer.add_image(np.zeros((4, 5, 6)), name="stranger", scale=(2, 1, 1), units=("um",) * 3)
    widget.form.image.value = image
    viewer.dims.set_current_step(0, 7)
    here = np.array(points.data_to_world(points.data[0]))
    type_size(widget, 0.3, 0.1, 0.1)
    for layer in (image, points):
        assert places.voxel_size_of(layer) == pytest.approx((0.3, 0.1, 0.1)), layer.name
    np.testing.assert_allclose(shapes.scale, [0.1, 0.1])
    np.testing.assert_allclose(stranger.scale, [2, 1, 1])
    np.testing.assert_allclose(points.data_to_world(points.data[0]), here * [0.3, 0.1, 0.1])
    assert places.coincide(points, image)
    assert layers.note_of(points)["voxel_size"] == pytest.approx((0.3, 0.1, 0.1))
    assert [layer for layer in viewer.layers if layer.units[-1] != image.units[-1]] == []


def test_the_size_of_the_image_is_shown_and_followed(viewer, widget, image):
    other = viewer.add_image(np.zeros((8, 9, 9)), name="other", scale=(0.2, 0.05, 0.05), units=("um",) * 3)
    widget.form.image.value = other
    assert widget.controls["voxel_size"].value == pytest.approx((0.2, 0.05, 0.05))
    other.scale = (0.4, 0.05, 0.05)
    assert widget.controls["voxel_size"].value == pytest.approx((0.4, 0.05, 0.05))
    widget.form.image.value = image
    assert widget.controls["voxel_size"].value == (None, None, None)


def test_the_slice_on_show_stays(viewer, widget, image):
    viewer.dims.set_current_step(0, 7)
    type_size(widget, 0.3, 0.1, 0.1)
    assert viewer.dims.current_step[0] == 7
    assert viewer.dims.nsteps[0] == 48


def test_hovering_says_the_units(viewer, image, simulated):
    image.scale, image.units = (0.2, 0.1, 0.1), ("um",) * 3
    table = simulated.particles.assign(confidence=0.9, z_err=0.05)
    points = add_layer(viewer, layers.particle_layer_data(table, places.place_of(image), name="found"), image)
    viewer.dims.set_point(0, points.data_to_world(points.data[4])[0])
    here = points.data_to_world(points.data[4])
    said = points.get_status(here, view_direction=None, dims_displayed=[1, 2], world=True)["coordinates"]
    assert "particle 4" in said
    z, y, x = points.data[4] * [0.2, 0.1, 0.1]
    assert f"z, y, x {z:.2f}, {y:.2f}, {x:.2f} µm" in said
    assert "radius 0.5 µm (5.00 px)" in said
    assert "z ± 0.01 µm" in said
    assert "confidence 0.9" in said
    nowhere = points.get_status((-5, -5, -5), view_direction=None, dims_displayed=[1, 2], world=True)
    assert "particle" not in nowhere["coordinates"].split("[")[0]


def test_a_stack_in_other_units_is_shown_and_its_slices_are_reached(viewer, widget, image):
    other = viewer.add_image(np.zeros((20, 30, 30)), name="in um", scale=(0.3, 0.1, 0.1), units=("um",) * 3)
    assert other.visible
    assert not image.visible
    assert viewer.dims.nsteps[0] == 20
    assert viewer.dims.current_step[0] == 10
    assert viewer.camera.center[-1] == pytest.approx(1.45, abs=0.1)
    other.visible, image.visible = False, True
    assert viewer.dims.nsteps[0] == 48
    widget.form.image.value = image
    type_size(widget, 0.3, 0.1, 0.1)
    other.visible = True
    assert viewer.dims.nsteps[0] == 48
    assert image.visible
