"""The menu command that makes a Labels layer of particles, and tables of other programs in napari."""

import numpy as np
import pytest
from napari.components import ViewerModel
from npe2 import PluginManifest

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import particle_table
from napari_colloids.stack import Stack
from napari_colloids.widgets.layers import layers
from napari_colloids.widgets.layers.labels import add_labels_layer
from napari_colloids.widgets.layers.places import place_of
from napari_colloids.widgets.layers.reader import get_particle_reader, read_tables
from napari_colloids.widgets.layers.spheres import add_layer


def shown(axes, shape, table):
    """A viewer with an image of a stack and a chosen layer of particles."""
    viewer = ViewerModel()
    stack = Stack(np.random.default_rng(0).random(shape), axes, voxel_size=(0.2, 0.1, 0.1), name="stack")
    (described,) = layers.image_layer_data(stack)
    image = add_layer(viewer, described)
    points = add_layer(viewer, layers.particle_layer_data(table, place_of(image), note={"image": "stack"}))
    viewer.layers.selection.active = points
    return viewer, image, points


def test_labels_lie_in_place():
    table = particle_table([[4, 8, 8], [4, 8, 20]], radius=3, confidence=[0.9, 0.1])
    viewer, image, points = shown("zyx", (9, 16, 30), table)
    labels = add_labels_layer(viewer)
    assert labels in viewer.layers
    assert tuple(labels.scale) == tuple(image.scale)
    assert labels.data[4, 8, [8, 20]].tolist() == [1, 2]
    assert labels.data[:, 8, 8].tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0]  # voxels are twice as high as wide
    layers.show_above(points, 0.5)
    viewer.layers.selection.active = points
    assert np.unique(add_labels_layer(viewer).data).tolist() == [0, 1]


def test_labels_of_a_series():
    table = particle_table([[4, 8, 8], [4, 8, 20], [4, 8, 12]], radius=3, frame=[0, 0, 1])
    viewer, _, _ = shown("tzyx", (3, 9, 16, 30), table)
    labels = add_labels_layer(viewer)
    assert labels.data.shape == (3, 9, 16, 30)
    assert [np.unique(volume).tolist() for volume in labels.data] == [[0, 1, 2], [0, 1], [0]]


def test_what_is_missing_is_told():
    viewer, image, points = shown("zyx", (9, 16, 30), particle_table([[4, 8, 8]], radius=3))
    viewer.layers.selection.active = image
    with pytest.raises(ColloidsError, match="Choose a Points layer"):
        add_labels_layer(viewer)
    viewer.layers.remove(image)
    viewer.layers.selection.active = points
    with pytest.raises(ColloidsError, match="no image"):
        add_labels_layer(viewer)


def test_the_menu_has_the_command():
    from napari_colloids import widgets

    manifest = PluginManifest.from_file(f"{widgets.__path__[0]}/../napari.yaml")
    offered = {getattr(item, "command", None) for item in manifest.contributions.menus["napari/layers/segment"]}
    assert "napari-colloids.add_labels" in offered & {command.id for command in manifest.contributions.commands}


@pytest.mark.parametrize("name", ["a.csv", "a.txt", "a.tsv"])
def test_tables_of_others_are_dropped_on_napari(tmp_path, name):
    path = tmp_path / name
    path.write_text("Z;Y;X\n1,5;2;3\n")
    assert get_particle_reader(str(path)) is read_tables
    ((data, _, kind),) = read_tables(str(path))
    assert kind == "points"
    assert data.tolist() == [[1.5, 2, 3]]


@pytest.mark.parametrize("text", ["a;b;c\n1;2;3\n", "some words\n", "", "x,y\n1,2\n", "index,axis-0,axis-1\n0,1,2\n"])
def test_other_texts_are_left_alone(tmp_path, text):
    for name in ("a.csv", "a.txt", "a.dat"):
        (tmp_path / name).write_text(text)
        assert get_particle_reader(str(tmp_path / name)) is None


MICROMETRES = {
    "separated": "z [um];y [um];x [um];radius [um]\n1,5;2;3;0,4\n",
    "nanometres": "X (nm),Y (nm),Z (nm),Radius (nm)\n3000,2000,1500,400\n",
    "TrackMate": "LABEL,ID,TRACK_ID,QUALITY,POSITION_X,POSITION_Y,POSITION_Z,POSITION_T,FRAME,RADIUS\n"
    "ID1,1,1,9,3,2,1.5,0,0,.4\n",
}


@pytest.mark.parametrize("text", MICROMETRES.values(), ids=MICROMETRES)
@pytest.mark.parametrize(
    ("sizes", "taken", "said"),
    [
        ([(0.2, 0.1, 0.1)], (0.2, 0.1, 0.1), "that of 'image 0' was taken, 0.2 x 0.1 x 0.1 µm"),
        ([None, (0.2, 0.1, 0.1), (0.2, 0.1, 0.1)], (0.2, 0.1, 0.1), "that of 'image 1' was taken"),
        ([(0.2, 0.1, 0.1), (0.3, 0.1, 0.1)], (1, 1, 1), "the images have several: voxels of 1 µm were assumed"),
        ([None], (1, 1, 1), "no image with one is open: voxels of 1 µm were assumed"),
        ([], (1, 1, 1), "no image with one is open: voxels of 1 µm were assumed"),
    ],
)
def test_positions_in_micrometres_alone_lie_where_they_are(tmp_path, monkeypatch, text, sizes, taken, said):
    """Whatever voxel size is taken, which is told, the world's coordinates are those of the table."""
    lines = []
    monkeypatch.setattr("napari.utils.notifications.show_info", lines.append)
    viewer = ViewerModel()
    for number, size in enumerate(sizes):
        stack = Stack(np.zeros((4, 5, 6)), voxel_size=size, name=f"image {number}")
        add_layer(viewer, layers.image_layer_data(stack)[0])
    monkeypatch.setattr("napari.current_viewer", lambda: viewer)
    path = tmp_path / "a.csv"
    path.write_text(text)
    (described,) = read_tables(str(path))
    points = add_layer(viewer, described)
    np.testing.assert_allclose(points.scale[-3:], taken)
    assert {str(unit) for unit in points.units[-3:]} == {"micrometer"}
    np.testing.assert_allclose(points.data_to_world(points.data[0])[-3:], (1.5, 2, 3))
    np.testing.assert_allclose(points.features["radius"], 0.4 / taken[2])
    assert said in lines[0]
