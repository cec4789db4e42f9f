"""The Inspect dock: table, filter, sections, tours and colours, by mouse and keys."""

import dask.array as da
import numpy as np
import pytest
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtCore import QPoint, Qt

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import particle_table
from napari_colloids.stack import Stack
from napari_colloids.widgets.inspect import InspectWidget
from napari_colloids.widgets.inspection.filters import matching
from napari_colloids.widgets.inspection.sections import Cut
from napari_colloids.widgets.inspection.tours import following
from napari_colloids.widgets.layers import layers, order_colours, places
from napari_colloids.widgets.layers.quantities import quantities_of, values_of
from napari_colloids.widgets.layers.spheres import add_layer
from napari_colloids.widgets.layers.writer import origin_of
from napari_colloids.widgets.score import ScoreWidget

CENTRES = [[4, 10, 12], [8, 20, 30], [12, 30, 14], [5, 9, 31]]
CONFIDENCE = [0.9, 0.3, 0.6, 0.1]


def table(**columns):
    errors = [[0.1, 0.05, 0.05, 0.02], [0.2, 0.1, 0.1, 0.04], [np.nan] * 4, [0.3, 0.1, 0.1, 0.05]]
    given = {"radius": [4.0, 5.0, 4.5, 3.0], "confidence": CONFIDENCE, "errors": errors, "refined": [1, 1, 0, 1]}
    return particle_table(CENTRES, **{**given, "misfit": [1.0, 1.2, np.nan, 2.5], **columns})


def stack(shape=(16, 40, 44), voxel_size=(0.2, 0.1, 0.1)):
    return Stack(np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8), voxel_size=voxel_size)


def shown_in(viewer, particles, image=None, threshold=0.25, **about):
    (described,) = layers.image_layer_data(stack() if image is None else image)
    image = add_layer(viewer, described)
    points = add_layer(viewer, layers.particle_layer_data(particles, places.place_of(image), **about), image)
    if "confidence" in particles:
        layers.add_to_note(points, threshold=threshold)
        layers.show_above(points, threshold)
    return image, points


@pytest.fixture
def scene(viewer):
    return shown_in(viewer, table(), name="found")


@pytest.fixture
def dock(viewer, scene):
    return docked(viewer)


def docked(viewer):
    widget = InspectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    return widget


def click_row(qtbot, dock, row, modifier=Qt.KeyboardModifier.NoModifier):
    view = dock.list.table
    place = view.visualRect(view.particles.index(row, 0)).center()
    qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, modifier, place)


def click_title(qtbot, dock, name):
    view = dock.list.table
    header = view.horizontalHeader()
    column = [quantity.name for quantity in view.particles.quantities].index(name)
    view.scrollTo(view.particles.index(0, column))
    qtbot.mouseClick(
        header.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(header.sectionViewportPosition(column) + 8, 8)
    )


def texts(dock, row):
    model = dock.list.table.particles
    return {
        model.headerData(column, Qt.Orientation.Horizontal): model.data(model.index(row, column))
        for column in range(model.columnCount())
    }


def test_rows_are_what_is_on_show_in_micrometres_and_nanometres(dock):
    assert dock.list.listed().tolist() == [0, 1, 2]
    seen = texts(dock, 1)
    assert [seen[name] for name in ("z (µm)", "y (µm)", "radius (µm)")] == ["1.600", "2.000", "0.500"]
    assert [seen[name] for name in ("z error (nm)", "radius error (nm)", "refined")] == ["40.0", "4.0", "1"]
    assert texts(dock, 2)["z error (nm)"] == "none"
    dock.list.hidden.value = True
    assert dock.list.listed().tolist() == [0, 1, 2, 3]


def test_without_a_voxel_size_lengths_are_in_voxels(viewer):
    shown_in(viewer, table(), stack(voxel_size=None))
    seen = texts(docked(viewer), 1)
    assert [seen[name] for name in ("z (voxels)", "radius (px)")] == ["8.00", "5.00"]


def test_the_table_follows_threshold_edits_and_features(viewer, scene, dock, qtbot):
    _, points = scene
    layers.show_above(points, 0.5)
    qtbot.waitUntil(lambda: dock.list.listed().tolist() == [0, 2])
    points.add([[3.0, 3, 3]])
    qtbot.waitUntil(lambda: dock.list.listed().tolist() == [0, 2, 4])
    points.features = points.features.assign(radius=2.0)
    qtbot.waitUntil(lambda: texts(dock, 0)["radius (µm)"] == "0.200")
    points.selected_data = {0}
    points.remove_selected()
    qtbot.waitUntil(lambda: dock.list.listed().tolist() == [1, 3])
    viewer.layers.remove(points)
    assert not len(dock.list.listed())


def test_a_click_on_a_row_goes_there_and_selects_the_point(viewer, scene, dock, qtbot):
    image, points = scene
    viewer.layers.selection.active = image
    click_row(qtbot, dock, 1)
    assert points.selected_data == {1}
    assert viewer.layers.selection.active is points
    assert viewer.dims.point[0] == pytest.approx(8 * 0.2)
    assert viewer.scene.camera.center[1:] == pytest.approx((2.0, 3.0))
    click_row(qtbot, dock, 2, Qt.KeyboardModifier.ControlModifier)
    assert points.selected_data == {1, 2}
    qtbot.keyClick(dock.list.table, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: dock.list.listed().tolist() == [0])
    assert len(points.data) == 2


def test_points_selected_in_the_layer_are_selected_rows(scene, dock, qtbot):
    points = scene[1]
    points.selected_data = {0, 2}
    rows = {index.row() for index in dock.list.table.selectionModel().selectedRows()}
    assert rows == {0, 2}
    assert "2 selected" in dock.list.count.text()
    click_title(qtbot, dock, "confidence")
    assert dock.list.listed().tolist() == [1, 2, 0]
    assert {index.row() for index in dock.list.table.selectionModel().selectedRows()} == {1, 2}, "also once sorted"


def test_titles_sort_and_what_is_unknown_comes_last(dock, qtbot):
    click_title(qtbot, dock, "z_err")
    assert dock.list.listed().tolist() == [0, 1, 2]
    click_title(qtbot, dock, "z_err")
    assert dock.list.listed().tolist() == [1, 0, 2]


def test_a_typed_filter(dock, qtbot):
    qtbot.keyClicks(dock.list.filter, "refined = 0")
    assert dock.list.listed().tolist() == [2]
    dock.list.filter.setText("conf > 0,2 and 0.9 < z < 2")
    assert dock.list.listed().tolist() == [1]
    dock.list.filter.setText("height > 2")
    assert "There is no column" in dock.list.count.text()
    assert dock.list.listed().tolist() == [1], "as long as it cannot be understood"
    dock.list.filter.clear()
    assert len(dock.list.listed()) == 3


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", None),
        ("z < 2", [True, False, False]),
        ("2 <= z", [False, True, True]),
        ("z != 2, radius = 1", [True, False, True]),
        ("1,5 < z <= 3 & radius >= 1", [False, True, True]),
        ("Z error > 0.2", [False, True, True]),
        ("group = b", [False, True, False]),
    ],
)
def test_filters(text, found):
    columns = {"z": np.array([1.0, 2, 3]), "z_error": np.array([0.1, 0.3, 0.5]), "radius": np.ones(3)}
    mask = matching(text, {**columns, "group": np.array(["a", "b", "c"])})
    assert mask is None if found is None else mask.tolist() == found


@pytest.mark.parametrize("text", ["z", "z <", "z < many", "depth < 3", "r > 1", "1 < 2", "z < 3 < 1 < 2"])
def test_filters_that_cannot_be_understood(text):
    with pytest.raises(ColloidsError):
        matching(text, {"z": np.zeros(2), "radius": np.zeros(2), "red": np.zeros(2)})


@pytest.mark.parametrize("lazy", [False, True])
def test_sections_have_the_true_lengths(viewer, scene, lazy):
    image, points = scene
    whole = np.asarray(image.data)
    if lazy:
        image.data = da.from_array(whole, chunks=(4, 20, 22))
    cut = Cut(points, 1, image, viewer)
    assert cut.in_memory is not lazy
    found = cut.read()
    reach = 2.2 * 5
    assert found.reach == pytest.approx(reach)
    assert found.pixel_um == pytest.approx(0.1)
    xy, xz = found.of["xy"], found.of["xz"]
    np.testing.assert_array_equal(xy.image, whole[8, 9:32, 19:42])
    np.testing.assert_array_equal(xz.image, whole[2:15, 20, 19:42])
    np.testing.assert_allclose(xy.extent, (-11.5, 11.5, 11.5, -11.5))
    np.testing.assert_allclose(xz.extent, (-11.5, 11.5, 13, -13)), "slices are twice as high"
    own = [ring for section in found.of.values() for ring in section.rings if ring.own]
    assert [(ring.right, ring.down, ring.radius) for ring in own] == [(0, 0, 5)] * 3


def test_rings_of_neighbours_are_their_cross_sections(viewer):
    particles = particle_table([[8, 20, 20], [10, 26, 20], [8, 20, 42]], radius=[4, 5, 5])
    image, points = shown_in(viewer, particles)
    xy = Cut(points, 0, image, viewer).read().of["xy"]
    others = [ring for ring in xy.rings if not ring.own]
    assert [(ring.right, ring.down, ring.radius) for ring in others] == [(0, 6, pytest.approx(3))]


def test_sections_of_a_particle_of_a_time_series(viewer):
    film = np.random.default_rng(1).integers(0, 255, (3, 12, 30, 30)).astype(np.uint8)
    particles = particle_table([[6, 15, 15]] * 3, radius=3, frame=[0, 1, 2])
    image, points = shown_in(viewer, particles, Stack(film, "tzyx"))
    viewer.dims.set_current_step(0, 0)
    xy = Cut(points, 2, image, viewer).read().of["xy"]
    np.testing.assert_array_equal(xy.image, film[2, 6, 8:23, 8:23])
    assert len(xy.rings) == 1


def test_a_particle_beside_the_image_has_sections(viewer):
    image, points = shown_in(viewer, particle_table([[-1.5, 20, 20], [5, 300, 20]], radius=4))
    assert Cut(points, 0, image, viewer).read().of["xy"].image.size
    assert not Cut(points, 1, image, viewer).read().of["xy"].image.size


def test_a_lazy_image_is_read_in_the_background_and_the_last_particle_is_shown(viewer, scene, dock, qtbot):
    image, points = scene
    image.data = da.from_array(np.asarray(image.data), chunks=(4, 20, 22))
    for index in (0, 2, 1):
        points.selected_data = {index}
    assert dock.sections.busy
    qtbot.waitUntil(lambda: not dock.sections.busy)
    assert dock.sections.sections.reach == pytest.approx(2.2 * 5)


def test_tours_of_uncertain_and_misfit_particles(viewer, scene, dock, click):
    points = scene[1]
    for expected in (1, 2, 0, 1):
        click(dock.buttons["uncertain"])
        assert points.selected_data == {expected}
    assert "1 of 3, by rising confidence: confidence 0.3" in dock.status.text()
    click(dock.buttons["residual"])
    assert points.selected_data == {1}, "the hidden one is worse, the next one was not refined"
    assert viewer.dims.point[0] == pytest.approx(1.6)
    click(dock.buttons["missed"])
    assert "use Score first" in dock.status.text()


def test_keys_go_on_and_back(windowed_viewer, qtbot):
    _, points = shown_in(windowed_viewer, table())
    dock = docked(windowed_viewer)
    canvas = windowed_viewer.window._qt_viewer.canvas.native
    seen = []
    for modifier in (Qt.KeyboardModifier.NoModifier,) * 3 + (Qt.KeyboardModifier.ShiftModifier,):
        qtbot.keyClick(canvas, Qt.Key.Key_U, modifier)
        seen += points.selected_data
    assert seen == [1, 2, 0, 2]
    for name, key in (("uncertain", "U"), ("residual", "R"), ("false", "F"), ("missed", "M")):
        assert f"Key {key}" in dock.buttons[name].toolTip()


def test_tours_of_false_and_missed_particles(viewer, qtbot, click):
    particles = particle_table(CENTRES[:3], radius=4, confidence=[0.9, 0.8, 0.7])
    image, points = shown_in(viewer, particles, stack((40, 60, 60), None), name="found")
    truth = particle_table([[12, 30, 30], [8, 20, 30]], radius=4)
    add_layer(viewer, layers.particle_layer_data(truth, places.place_of(image), name="truth", kind="truth"))
    score, dock = ScoreWidget(PublicOnlyProxy(viewer)), docked(viewer)
    viewer.window.add_dock_widget(score)
    dock.points.value = points
    viewer.layers.selection.active = points
    click(score.button)
    qtbot.waitUntil(lambda: not score.button.busy)
    click(dock.buttons["false"])
    assert points.selected_data == {0}, "the most confident one"
    assert viewer.layers.selection.active is points
    click(dock.buttons["missed"])
    assert viewer.layers["missed"].selected_data == {0}
    assert not points.selected_data
    assert viewer.dims.point[0] == 12
    assert score.outcomes["truth"].boxes["missed"].value


def test_the_order_of_a_tour():
    order = np.array([5, 2, 9])
    assert [following(order, current, 1) for current in (None, 5, 9, 7)] == [0, 1, 0, 0]
    assert [following(order, current, -1) for current in (None, 5, 9)] == [2, 2, 1]
    assert following(order[:0], None, 1) is None


def test_colours_by_any_column_within_a_range(viewer, scene, dock):
    points = scene[1]
    before = points.border_color.copy()
    assert dock.colours.column.value == "confidence"
    dock.colours.column.value = "radius"
    low, high = dock.colours.low.value, dock.colours.high.value
    assert 0.3 <= low < high <= 0.5, "in micrometres"
    by_size = points.border_color.copy()
    assert not np.allclose(by_size, before)
    dock.colours.high.value = 0.41
    np.testing.assert_allclose(points.border_color[1], points.border_color[2])
    assert not np.allclose(by_size[1], by_size[2])
    dock.colours.low.value = 0.6
    assert "must end above" in dock.status.text()
    dock.colours.automatic.native.click()
    np.testing.assert_allclose(points.border_color, by_size)
    for column in ("z", "z_err", "misfit", "refined"):
        dock.colours.column.value = column
        assert len(np.unique(points.border_color, axis=0)) > 1
    dock.colours.column.value = "z_err"
    assert len({*points.border_color[2, :3].round(3)}) == 1, "grey where it was not refined"
    viewer.dims.ndisplay = 3
    assert len(np.unique(points.face_color, axis=0)) > 2
    viewer.dims.ndisplay = 2
    dock.colours.column.value = ""
    assert len(np.unique(points.border_color, axis=0)) == 1
    dock.colours.column.value = "confidence"
    np.testing.assert_allclose(points.border_color, before)
    assert not {"colour_by", "colour_limits"} & set(origin_of(points))


def test_confidence_within_a_typed_range(scene, dock):
    points = scene[1]
    before = points.border_color.copy()
    dock.colours.low.value = 0.5
    assert not np.allclose(points.border_color, before)
    dock.colours.automatic.native.click()
    np.testing.assert_allclose(points.border_color, before)


def test_points_of_others_are_coloured_and_get_their_colours_back(viewer):
    points = viewer.add_points(np.array(CENTRES), features={"size": [1.0, 2, 3, 4], "group": list("abca")})
    before = points.face_color.copy()
    dock = docked(viewer)
    assert "group" not in dock.colours.column.choices
    dock.list.filter.setText("group = a")
    assert dock.list.listed().tolist() == [0, 3]
    dock.colours.column.value = "size"
    assert order_colours.coloured_by(points) == "size"
    assert not np.allclose(points.face_color, before)
    dock.colours.column.value = ""
    np.testing.assert_allclose(points.face_color, before)


def test_histograms_of_what_is_listed(dock, qtbot):
    def bars():
        return sum(bar.get_height() for bar in dock.plot.axes.patches)

    qtbot.waitUntil(lambda: bars() == 3)
    assert dock.plot.axes.get_xlabel() == "radius (µm)"
    assert dock.spread.text().startswith("radius 0.450 ± 0.041 µm (polydispersity 9.1%)")
    dock.list.filter.setText("refined = 1")
    qtbot.waitUntil(lambda: bars() == 2)
    dock.show_what.value = "confidence"
    assert dock.plot.axes.get_yscale() == "log"


def test_values_and_units_of_a_series(viewer):
    _, points = shown_in(viewer, table(frame=[0, 0, 1, 1]), Stack(np.zeros((2, 4, 5, 6)), "tzyx"))
    quantities = quantities_of(points)
    assert list(quantities)[:4] == ["frame", "z", "y", "x"]
    assert values_of(points, "frame").tolist() == [0, 0, 1, 1]
    assert quantities["z_err"].unit == "voxels"


def test_an_empty_dock(viewer):
    dock = docked(viewer)
    assert "no points" in dock.list.count.text()
    for name in dock.buttons:
        dock.tour(name)
        assert dock.status.text()
