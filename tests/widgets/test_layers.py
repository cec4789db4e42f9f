"""Stacks and tables become layers, and layers stacks and tables."""

import dask.array
import numpy as np
import pandas as pd
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Layer, Points

from napari_colloids.detection.normalise import GreyLevels
from napari_colloids.errors import ColloidsError
from napari_colloids.particles import particle_table
from napari_colloids.stack import Stack
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.spheres import add_layer


@pytest.fixture
def viewer():
    """A viewer without a window, which is all that layers and dims need."""
    return ViewerModel()


SIZE = (0.3, 0.1, 0.1)


def image_of(shape=(4, 5, 6), axes="zyx", **kwargs):
    return [Layer.create(*one) for one in layers.image_layer_data(Stack(np.zeros(shape, np.uint8), axes, **kwargs))]


def points_of(table, frame=None, **kwargs):
    return Layer.create(*layers.particle_layer_data(table, frame, **kwargs))


def test_a_hot_voxel_does_not_hide_the_rest():
    data = np.random.default_rng(0).integers(10, 60, (20, 30, 30)).astype(np.uint8)
    data[5, 5, 5] = 255
    image = Layer.create(*layers.image_layer_data(Stack(data))[0])
    assert image.contrast_limits[0] < 15
    assert 50 < image.contrast_limits[1] < 65


def test_the_contrast_of_a_chunked_file_is_measured_in_a_few_chunks():
    rng = np.random.default_rng(0)
    depth, height, width = np.indices((160, 160, 150), sparse=True)
    # Darker with depth and towards the edges.
    light = 1000 * np.exp(-depth / 200) * (1 - ((height - 80) ** 2 + (width - 75) ** 2) / 30_000)
    data = (light * rng.random((160, 160, 150))).astype(np.uint16)
    read = []

    def chunk(block_info=None):
        read.append(block_info[None]["chunk-location"])
        return data[tuple(slice(*ends) for ends in block_info[None]["array-location"])]

    chunks = dask.array.core.normalize_chunks((16, 16, 16), data.shape)
    lazy = dask.array.map_blocks(chunk, chunks=chunks, dtype=data.dtype, meta=np.empty((0, 0, 0), data.dtype))
    limits = [layers.image_layer_data(Stack(one))[0][1]["contrast_limits"] for one in (data, lazy)]
    assert lazy.npartitions == 1000
    assert 4 <= len(set(read)) <= len(read) <= 10
    levels = GreyLevels.of(data)
    assert limits[0] == (levels.low, levels.high), "of an array in memory"
    np.testing.assert_allclose(limits[1], limits[0], atol=0.1 * levels.high)


def test_image_lies_to_scale():
    (image,) = image_of(voxel_size=SIZE, name="beads")
    assert image.name == "beads"
    assert tuple(image.scale) == SIZE
    assert [str(unit) for unit in image.units] == ["micrometer"] * 3
    assert image.axis_labels == ("z", "y", "x")
    assert places.voxel_size_of(image) == pytest.approx(SIZE)


def test_unknown_voxel_size_stays_unknown():
    (image,) = image_of()
    assert places.voxel_size_of(image) is None


def test_other_units_of_length_are_converted():
    image = Image(np.zeros((4, 5, 6)), scale=(300, 100, 100), units=("nm",) * 3)
    assert places.voxel_size_of(image) == pytest.approx(SIZE)


def test_scale_without_unit_is_taken_as_micrometres():
    assert places.voxel_size_of(Image(np.zeros((4, 5, 6)), scale=SIZE)) == pytest.approx(SIZE)


def test_a_layer_per_channel_and_time_stays_an_axis():
    first, second = image_of((3, 2, 4, 5, 6), "tczyx", voxel_size=SIZE, channel_names=("beads", "dye"), name="a")
    assert (first.name, second.name) == ("a beads", "a dye")
    assert first.data.shape == (3, 4, 5, 6)
    assert tuple(first.scale) == (1.0, *SIZE)


def test_particles_lie_where_the_image_lies():
    (image,) = image_of(voxel_size=SIZE)
    image.translate = (1, 2, 3)
    points = points_of(particle_table([[1, 2, 3]], radius=4, confidence=0.5), places.place_of(image))
    for attribute in ("scale", "translate"):
        np.testing.assert_allclose(getattr(points, attribute), getattr(image, attribute))
    assert points.units == image.units
    assert points.axis_labels == image.axis_labels
    assert points.size.tolist() == [8.0]
    np.testing.assert_allclose(points.data, [[1, 2, 3]])


def test_particles_of_a_time_step_carry_it():
    (image,) = image_of((3, 4, 5, 6), "tzyx", voxel_size=SIZE)
    points = points_of(particle_table([[1, 2, 3]], radius=4), places.place_of(image), leading=(2,))
    np.testing.assert_allclose(points.data, [[2, 1, 2, 3]])
    assert layers.table_of(points)["frame"].tolist() == [2]


def test_series_of_particles_beside_a_single_volume():
    (image,) = image_of(voxel_size=SIZE)
    points = points_of(particle_table([[1, 2, 3]], frame=[4]), places.place_of(image))
    np.testing.assert_allclose(points.data, [[4, 1, 2, 3]])
    assert tuple(points.scale) == (1.0, *SIZE)


@pytest.mark.parametrize("kind", ["particles", "truth"])
def test_no_particles_make_an_empty_layer(kind):
    points = points_of(particle_table([], radius=[], confidence=[]), kind=kind)
    assert len(points.data) == 0
    assert points.ndim == 3


def test_particles_without_radius_are_drawn_all_the_same():
    assert points_of(particle_table([[1, 2, 3]])).size.tolist() == [2 * layers.DEFAULT_RADIUS]


def test_rings_leave_the_sphere_in_sight():
    points = points_of(particle_table([[1, 2, 3], [2, 2, 2]], radius=4, confidence=[0.0, 1.0]))
    assert (points.face_color[:, 3] == 0).all()
    assert not np.allclose(points.border_color[0], points.border_color[1])


def test_table_holds_what_is_shown_in_both_units():
    points = points_of(
        particle_table([[1, 2, 3], [4, 5, 6]], radius=[2, 3], confidence=[0.2, 0.9]),
        {"scale": SIZE, "units": ("um",) * 3},
    )
    layers.show_above(points, 0.5)
    assert points.shown.sum() == 1
    table = layers.table_of(points)
    assert table[["z", "y", "x", "radius", "confidence"]].to_numpy().tolist() == [[4, 5, 6, 3, 0.9]]
    np.testing.assert_allclose(table[["z_um", "y_um", "x_um", "radius_um"]], [[1.2, 0.5, 0.6, 0.3]])
    assert len(layers.table_of(points, shown_only=False)) == 2


@pytest.fixture
def two_channels():
    """Particles of two channels in two frames, linked."""
    return particle_table(
        [[1, 2, 3], [1, 2, 4], [5, 6, 7], [1, 2, 3], [1, 2, 4]],
        radius=2,
        frame=[0, 0, 0, 1, 1],
        channel=[0, 1, 1, 0, 1],
        particle=[0, 1, 2, 0, 1],
    )


def test_channels_and_trajectories_go_through_a_layer_and_back(two_channels):
    pd.testing.assert_frame_equal(layers.table_of(points_of(two_channels)), two_channels)
    empty = points_of(two_channels[:0], leading=(0,))
    empty.add([[0, 1, 2, 3]])
    assert layers.table_of(empty)[["channel", "particle"]].to_numpy().tolist() == [[0, 0]]


def test_a_point_added_by_hand_is_of_one_channel_and_a_trajectory_of_its_own(viewer, two_channels):
    points = add_layer(viewer, layers.particle_layer_data(two_channels))
    points.add([[1, 9, 9, 9], [1, 3, 9, 9]])
    points.selected_data = {0}  # napari gives its features to those that follow
    points.add([[1, 9, 9, 3]])
    added = layers.table_of(points)[-3:]
    assert added["channel"].tolist() == [1, 1, 0], "the most common one, and that of the one selected"
    assert added["particle"].tolist() == [3, 4, 5]


def test_a_point_moved_by_hand_does_not_change_the_channel_of_those_that_follow(viewer, two_channels):
    refined = two_channels.assign(refined=1, z_err=0.1, y_err=0.1, x_err=0.1, radius_err=0.1)
    points = add_layer(viewer, layers.particle_layer_data(refined))
    points.selected_data = {3}
    points._move([3], points.data[3] + 1)
    points.add([[1, 9, 9, 9]])
    table = layers.table_of(points)
    assert table["refined"].tolist() == [1, 1, 1, 0, 1, 0]
    assert table["channel"].tolist() == [0, 1, 1, 0, 1, 0]
    assert table["particle"].tolist() == [0, 1, 2, 0, 1, 3]


@pytest.mark.parametrize("values", [["GFP", "RFP"], [0.5, 1.0], [np.nan, 1.0]])
def test_what_others_call_a_channel_is_left_alone(values):
    points = Points(np.zeros((2, 3)), features={"channel": values})
    assert list(layers.table_of(points)) == ["z", "y", "x", "radius"]


@pytest.mark.parametrize("values", [["high", "low"], [None, "low"]])
def test_a_confidence_in_words_is_none(values):
    points = Points(np.zeros((2, 3)), features={"confidence": values, "radius": values})
    assert not layers.is_result(points)
    assert list(layers.table_of(points)) == ["z", "y", "x", "radius"]
    assert layers.is_result(Points(np.zeros((2, 3)), features={"confidence": [0, 1]}))


def test_any_points_layer_is_a_particle_table():
    table = layers.table_of(Points(np.array([[1.0, 2, 3]]), size=6))
    assert table[["z", "y", "x", "radius"]].to_numpy().tolist() == [[1, 2, 3, 3]]


def test_threshold_keeps_points_added_by_hand():
    points = points_of(particle_table([[1, 2, 3]], radius=4, confidence=0.2))
    points.add([[2, 2, 2]])
    layers.show_above(points, 0.5)
    assert points.shown.tolist() == [False, True]


def test_volume_of_the_time_step_is_not_copied():
    data = np.arange(3 * 4 * 5 * 6).reshape(3, 4, 5, 6)
    stack = layers.stack_of(Image(data), (1,))
    assert stack.shape == (4, 5, 6)
    assert np.shares_memory(stack.data, data)


@pytest.mark.parametrize(
    ("layer", "words"),
    [(Image(np.zeros((5, 6))), "2D"), (Image(np.zeros((4, 5, 6, 3)), rgb=True), "RGB")],
    ids=["2D", "RGB"],
)
def test_what_is_no_stack_is_refused(layer, words):
    with pytest.raises(ColloidsError, match=words):
        layers.stack_of(layer)


def test_particles_are_brought_into_the_voxels_of_an_image_of_other_units():
    points = points_of(particle_table([[4, 2, 6]], radius=3), {"scale": SIZE, "units": ("um",) * 3})
    image = Image(np.zeros((9, 9, 9)), scale=(600, 200, 200), units=("nm",) * 3)
    table = layers.in_voxels(points, image, ())
    np.testing.assert_allclose(table[["z", "y", "x", "radius"]], [[2, 1, 3, 1.5]])


def test_particles_of_several_frames_are_not_those_of_one_volume():
    points = points_of(particle_table([[1, 2, 3], [1, 2, 3]], radius=1, frame=[0, 1]))
    with pytest.raises(ColloidsError, match="several frames"):
        layers.in_voxels(points, Image(np.zeros((4, 5, 6))), ())


@pytest.mark.parametrize("turned", [{"rotate": 30}, {"shear": [0.1, 0, 0]}, {"affine": np.diag([1, 2, 1, 1])}])
def test_what_does_not_lie_straight_is_refused(turned):
    with pytest.raises(ColloidsError, match="rotated, sheared"):
        places.place_of(Image(np.zeros((4, 5, 6)), scale=SIZE, translate=(1, 2, 3), **turned))


def test_points_can_be_moved_in_place():
    assert points_of(particle_table([[1, 2, 3]], radius=1)).data.flags.writeable


def test_2d_points_are_refused():
    with pytest.raises(ColloidsError, match="2D points"):
        layers.table_of(Points(np.zeros((1, 2))))


def test_a_layer_keeps_what_was_assumed_and_what_was_never_recorded():
    recorded = np.ones((2, 3, 4), bool)
    recorded[1, 2, 1] = False
    told = {"voxel_size": SIZE, "assumed": "z", "recorded": recorded, "notices": ("z was assumed",)}
    images = image_of((2, 3, 4, 5, 6), "tczyx", **told)
    for channel, image in enumerate(images):
        series, volume = layers.series_of(image), layers.stack_of(image, (1,))
        np.testing.assert_array_equal(series.recorded, recorded[:, channel])
        np.testing.assert_array_equal(volume.recorded, recorded[1, channel])
        assert (volume.assumed, volume.notices) == ("z", ("z was assumed",))


def test_what_was_changed_in_a_layer_since_it_was_read_no_longer_holds():
    (image,) = image_of(voxel_size=SIZE, assumed="z", recorded=np.array([True, True, False, True]))
    image.scale = (0.2, 0.1, 0.1)
    assert layers.stack_of(image).assumed == ""
    image.data = image.data[:3]
    assert layers.stack_of(image).recorded is None


def test_images_leave_the_spheres_in_3d_whole():
    """With napari's own blending scraps of the image poke through the spheres."""
    (described,) = layers.image_layer_data(Stack(np.zeros((4, 5, 6), np.uint8)))
    assert Layer.create(*described).blending == "translucent_no_depth"
