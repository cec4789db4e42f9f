"""The Score widget: which layers are meant, in which voxels, and what is shown of the outcome."""

import numpy as np
import pytest

from napari_colloids.io import write_particles
from napari_colloids.particles import particle_table
from napari_colloids.scoring import compare, score
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.origin import is_child_of
from napari_colloids.widgets.layers.spheres import add_layer
from napari_colloids.widgets.score import ScoreWidget

SHAPE = (16, 60, 60)
PLACE = {"scale": (1.0, 0.1, 0.1), "units": ("um",) * 3}


@pytest.fixture
def table():
    """Eighteen particles off the border."""
    place = np.stack(np.meshgrid([7, 9], [15, 30, 45], [15, 30, 45], indexing="ij"), axis=-1).reshape(-1, 3)
    return particle_table(place, radius=6, confidence=0.9)


def dock(viewer):
    widget = ScoreWidget(viewer)
    viewer.window.add_dock_widget(widget)
    return widget


def add(viewer, table, place, kind):
    return add_layer(viewer, layers.particle_layer_data(table, place, name=kind, kind=kind))


def press_score(widget, qtbot, click):
    click(widget.button)
    qtbot.waitUntil(lambda: not widget.button.busy, timeout=30_000)


@pytest.mark.parametrize(
    ("scale", "units"),
    [((1, 250, 250), ("um", "nm", "nm")), ((4, 1, 1), ("pixel",) * 3), ((1, 0.25, 0.25), ("um",) * 3)],
    ids=["units of their own", "pixels", "one unit"],
)
def test_voxels_four_times_as_high_as_wide(viewer, qtbot, click, scale, units):
    image = viewer.add_image(np.zeros(SHAPE), scale=scale, units=units)
    place = np.stack(np.meshgrid([1, 5, 9, 14], [5, 30, 50], [9, 29, 49], indexing="ij"), axis=-1).reshape(-1, 3)
    truth = particle_table(place, radius=6)
    place = np.concatenate([place[3:], [[7, 40, 40]]]) + np.array([0.9, 0, 0])
    found = particle_table(place, radius=6, confidence=0.9)
    for table, kind in ((truth, "truth"), (found, "particles")):
        add_layer(viewer, layers.particle_layer_data(table, places.place_of(image), name=kind, kind=kind))
    widget = ScoreWidget(viewer)
    viewer.window.add_dock_widget(widget)
    assert widget.controls["diameter"].value == 12
    click(widget.button)
    qtbot.waitUntil(lambda: not widget.button.busy, timeout=30_000)
    right = score(truth, found, diameter=12, shape=SHAPE, voxel_size=(4, 1, 1))
    assert 0.8 < right.precision < 1
    counts = f"{right.true_positives} / {right.false_positives} / {right.false_negatives}"
    size = places.voxel_size_of(image)
    errors = f"z {right.rmse['z']:.3f}" if size is None else f"z {1000 * size[0] * right.rmse['z']:.1f}"
    for figure in (f"{right.precision:.3f}", f"{right.recall:.3f}", counts, errors):
        assert figure in widget.status.text()
    assert ("nm" in widget.status.text()) == ("µm" in widget.status.text()) == (size is not None)


def test_a_table_from_a_file_may_be_the_truth(viewer, qtbot, click, table, tmp_path):
    widget = dock(viewer)
    for missing in ("detections", "true particles", "3D image"):
        assert missing in widget.button.toolTip()
    viewer.add_image(np.zeros(SHAPE), name="image")
    found = add(viewer, table[3:], {}, "particles")
    write_particles(tmp_path / "beads.csv", table.drop(columns="confidence"))
    (opened,) = viewer.open(tmp_path / "beads.csv", plugin="napari-colloids")
    assert widget.truth.value is opened
    assert widget.detections.value is found
    press_score(widget, qtbot, click)
    assert "15 / 0 / 3" in widget.status.text()
    # With confidences it looks like detections, but may be chosen.
    write_particles(tmp_path / "sure.csv", table)
    (sure,) = viewer.open(tmp_path / "sure.csv", plugin="napari-colloids")
    widget.truth.value = sure
    widget.detections.value = found
    press_score(widget, qtbot, click)
    assert "15 / 0 / 3" in widget.status.text()
    viewer.layers.remove("image")
    assert not widget.button.isEnabled()
    assert widget.button.toolTip() == "Missing: a 3D image."


def test_points_of_another_kind_are_neither_detections_nor_truth_unless_chosen(viewer, click, table):
    widget = dock(viewer)
    viewer.add_image(np.zeros(SHAPE))
    truth, found = (add(viewer, table, {}, kind) for kind in ("truth", "particles"))
    scribble = viewer.add_points(np.ones((2, 3)), name="scribble")
    assert (widget.detections.value, widget.truth.value) == (found, truth)
    newer = add(viewer, table, {}, "particles")
    assert (widget.detections.value, widget.truth.value) == (newer, truth)
    viewer.layers.remove(newer)
    assert widget.detections.value is found, "not the scribble, though that is newer"
    for combo in (widget.detections, widget.truth):
        combo.value = scribble
    click(widget.button)
    assert not widget.button.busy
    assert "'scribble' is chosen as the detections and as the truth" in widget.status.text()


def test_diameter_is_in_voxels_of_the_image(viewer, table):
    image = viewer.add_image(np.zeros(SHAPE), **PLACE)
    add(viewer, table, {"scale": (500, 50, 50), "units": ("nm",) * 3}, "truth")
    widget = dock(viewer)
    assert widget.controls["diameter"].value == pytest.approx(6.0)
    finer = viewer.add_image(np.zeros(SHAPE), scale=(1, 0.025, 0.025), units=("um",) * 3)
    assert widget.image.value is finer
    assert widget.controls["diameter"].value == pytest.approx(24.0)
    widget.image.value = image
    assert widget.controls["diameter"].value == pytest.approx(6.0)


def test_what_is_not_counted_is_explained_and_outcomes_have_colours_of_their_own(viewer, qtbot, click):
    viewer.add_image(np.zeros(SHAPE))
    every = particle_table([[8, 30, 30], [8, 2, 30], [8, 30, 57]], radius=6, confidence=0.9)
    for name in ("truth", "particles"):
        add_layer(viewer, layers.particle_layer_data(every, {}, name=name, kind=name))
    widget = dock(viewer)
    press_score(widget, qtbot, click)
    assert "2 detections, 2 true" in widget.status.text()
    assert "less than half a diameter (6 px) from a face" in widget.status.text()
    click(widget.outcomes["truth"].boxes["true positives"].native)
    shown = [viewer.layers[name].border_color[0].tolist() for name in ("truth", "particles", "true positives")]
    assert len({tuple(colour) for colour in shown}) == 3


def test_boxes_follow_the_layers_of_the_outcome(viewer, qtbot, click, table):
    image = viewer.add_image(np.zeros(SHAPE), name="image")
    add(viewer, table, {}, "truth")
    add(viewer, table[3:], {}, "particles")
    widget = dock(viewer)
    press_score(widget, qtbot, click)
    right, missed = (widget.outcomes["truth"].boxes[kind].native for kind in ("true positives", "missed"))
    for box in (right, missed):
        click(box)
    layer = viewer.layers["missed"]
    assert layers.note_of(layer)["image"] == "image"
    image.name = "renamed"
    assert is_child_of(layer, image)
    layer.visible = False
    assert (right.isChecked(), missed.isChecked()) == (True, False)
    layer.visible = True
    assert missed.isChecked()
    viewer.layers.remove(layer)
    assert (right.isChecked(), missed.isChecked()) == (True, False)
    click(missed)
    assert len(viewer.layers["missed"].data) == 3

    press_score(widget, qtbot, click)
    assert right.isChecked(), "another score shows what was shown before"
    assert missed.isChecked()
    assert [one.name for one in viewer.layers][-2:] == ["true positives", "missed"]
    assert layers.note_of(viewer.layers["missed"])["image"] == "renamed"


def test_two_detections_are_compared_and_shown_as_layers(viewer, qtbot, click, table):
    viewer.add_image(np.zeros(SHAPE), name="image")
    first, second = table[3:], table[:-2].assign(z=table["z"] + 0.5)
    add_layer(viewer, layers.particle_layer_data(first, {}, name="network", kind="particles"))
    other = add_layer(viewer, layers.particle_layer_data(second, {}, name="trackpy", kind="particles"))
    widget = dock(viewer)
    assert widget.truth.native.isVisible()
    assert not widget.other.native.isVisible()
    widget.controls["against"].value = "other"
    assert not widget.truth.native.isVisible()
    assert widget.other.native.isVisible()
    assert "others" in widget.button.toolTip()
    assert widget.detections.value is other
    assert widget.other.value is viewer.layers["network"], "another one than the detections"
    widget.detections.value, widget.other.value = viewer.layers["network"], other
    press_score(widget, qtbot, click)
    found = compare(first, second, diameter=12)
    assert (found.common, found.only_first.sum(), found.only_second.sum()) == (13, 2, 3)
    for figure in ("<b>13</b>", "2 / 3", "z 0.500, y 0.000, x 0.000 voxels"):
        assert figure in widget.status.text()
    for kind, count in (("in both", 13), ("only in the first", 2), ("only in the second", 3)):
        box = widget.outcomes["other"].boxes[kind].native
        assert box.isVisible()
        click(box)
        assert len(viewer.layers[kind].data) == count
        assert viewer.layers[kind] not in [widget.detections.native.itemData(n) for n in range(2)]
    assert not widget.outcomes["truth"].isVisible()
    assert widget.plot.axes.get_xlabel() == "displacement (voxels)"


def test_a_layer_is_not_compared_with_itself(viewer, click, table):
    viewer.add_image(np.zeros(SHAPE))
    only = add(viewer, table, {}, "particles")
    widget = dock(viewer)
    widget.controls["against"].value = "other"
    assert widget.other.value is only
    click(widget.button)
    assert not widget.button.busy
    assert "'particles' is chosen as the detections and as the others" in widget.status.text()
