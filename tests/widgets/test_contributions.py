"""What the manifest promises: readers, writer, sample data, widgets and preferences."""

from pathlib import Path

import napari_builtins
import numpy as np
import pandas as pd
import pytest
import tifffile
from napari.layers import Image, Points
from napari.plugins._npe2 import file_extensions_string_for_layers
from npe2 import PluginManifest

from napari_colloids import widgets
from napari_colloids.detection import Options
from napari_colloids.io import write_particles
from napari_colloids.particles import particle_table
from napari_colloids.settings import settings_of
from napari_colloids.widgets.layers import layers
from napari_colloids.widgets.layers.reader import get_particle_reader, get_stack_reader
from napari_colloids.widgets.layers.sample_data import dilute
from napari_colloids.widgets.layers.spheres import add_layer

ROOT = Path(__file__).parents[2]


def test_manifest_at_the_top_is_the_packaged_one():
    assert (ROOT / "napari.yaml").read_text() == (ROOT / "src/napari_colloids/napari.yaml").read_text()


def test_every_command_exists():
    manifest = PluginManifest.from_file(ROOT / "napari.yaml")
    manifest.validate_imports()
    assert manifest.display_name == "Colloids"


def test_preferences_offer_what_detection_knows():
    from napari.settings import get_plugin_settings

    page = get_plugin_settings("napari-colloids").detection
    schema = type(page).model_json_schema()["properties"]
    options = settings_of(Options)
    assert set(schema) <= set(options)
    assert schema["device"]["enum"] == list(options["device"].setting.choices)
    assert schema["tile"]["maximum"] == options["tile"].setting.high
    assert f"Below {options['tile'].setting.low:g} " in schema["tile"]["description"]


def test_dropped_tiff_keeps_its_voxel_size(viewer, tmp_path):
    path = tmp_path / "beads.tif"
    tifffile.imwrite(
        path, np.zeros((4, 5, 6), np.uint8), imagej=True, resolution=(10, 10), metadata={"spacing": 0.3, "unit": "um"}
    )
    (image,) = viewer.open(path, plugin="napari-colloids")
    assert tuple(image.scale) == pytest.approx((0.3, 0.1, 0.1))


def test_dropped_challenge_file_brings_its_truth(windowed_viewer, challenge_file, simulated):
    image, truth = windowed_viewer.open(challenge_file, plugin="napari-colloids")
    assert isinstance(image, Image)
    assert isinstance(truth, Points)
    np.testing.assert_allclose(truth.data, simulated.particles[["z", "y", "x"]], atol=1e-5)
    np.testing.assert_allclose(truth.size, 10.0)
    assert any(windowed_viewer.dims.thickness), "cross-sections need thick slices"


def test_broken_file_is_refused_in_one_line(viewer, tmp_path):
    path = tmp_path / "broken.tif"
    path.write_bytes(b"not an image")
    with pytest.raises(Exception, match=r"broken\.tif") as refusal:
        viewer.open(path, plugin="napari-colloids")
    assert "\n" not in str(refusal.value).strip()


@pytest.mark.parametrize("name", ["photo.png", "table.csv"])
def test_other_files_are_left_alone(tmp_path, name):
    path = tmp_path / name
    path.write_text("a,b\n1,2\n")
    assert get_stack_reader(str(path)) is None
    assert get_particle_reader(str(path)) is None


def test_the_time_between_frames_comes_back(viewer, tmp_path):
    table = particle_table([[1, 2, 3], [4, 5, 6]], radius=[2, 3], frame=[0, 2])
    place = {"scale": (2.5, 0.3, 0.1, 0.1), "units": ("s", *("um",) * 3), "axis_labels": ("t", "z", "y", "x")}
    points = add_layer(viewer, layers.particle_layer_data(table, place, name="found"))
    viewer.layers.save(str(tmp_path / "found.csv"), plugin="napari-colloids")
    (again,) = viewer.open(tmp_path / "found.csv", plugin="napari-colloids")
    assert tuple(again.scale) == pytest.approx(place["scale"])
    assert again.units == points.units


def test_channels_of_a_table_are_layers_of_their_own(viewer, tmp_path):
    table = particle_table([[1, 2, 3], [4, 5, 6], [7, 8, 9]], radius=2, frame=[0, 0, 1], channel=[1, 0, 1])
    write_particles(tmp_path / "both.csv", table, metadata={"frame_interval": 2.5})
    first, second = viewer.open(tmp_path / "both.csv", plugin="napari-colloids")
    assert [layer.name for layer in (first, second)] == ["both channel 0", "both channel 1"]
    assert [layer.data[:, 1:].tolist() for layer in (first, second)] == [[[4, 5, 6]], [[1, 2, 3], [7, 8, 9]]]
    assert first.scale[0] == second.scale[0] == 2.5
    assert layers.table_of(second)["channel"].tolist() == [1, 1]


@pytest.mark.parametrize("ending", [".csv", ".xyz", ".h5", ".parquet"])
def test_saved_points_come_back_as_they_were_shown(viewer, tmp_path, ending):
    table = particle_table([[1, 2, 3], [4, 5, 6]], radius=[2, 3], confidence=[0.2, 0.9])
    place = {"scale": (0.3, 0.1, 0.1), "units": ("um",) * 3, "axis_labels": ("z", "y", "x")}
    points = add_layer(viewer, layers.particle_layer_data(table, place, name="found"))
    layers.show_above(points, 0.5)
    path = tmp_path / f"found{ending}"
    (written,) = viewer.layers.save(str(path), plugin="napari-colloids")
    assert Path(written) == path
    (again,) = viewer.open(path, plugin="napari-colloids")
    np.testing.assert_allclose(again.data, [[4, 5, 6]])
    assert tuple(again.scale) == pytest.approx(place["scale"])
    assert again.features["radius"].tolist() == [3.0]
    assert again.features["confidence"].tolist() == [0.9]


def test_csv_has_voxels_and_micrometres(viewer, tmp_path):
    table = particle_table([[1, 2, 3], [4, 5, 6]], radius=[2, 3], confidence=[0.2, 0.9])
    place = {"scale": (0.3, 0.1, 0.1), "units": ("um",) * 3}
    points = add_layer(viewer, layers.particle_layer_data(table, place))
    layers.show_above(points, 0.5)
    viewer.layers.save(str(tmp_path / "found.csv"), plugin="napari-colloids")
    written = pd.read_csv(tmp_path / "found.csv", comment="#")
    expected = {"z": 4, "y": 5, "x": 6, "radius": 3, "confidence": 0.9}
    expected |= {"z_um": 1.2, "y_um": 0.5, "x_um": 0.6, "radius_um": 0.3}
    assert written.to_dict("records") == [pytest.approx(expected)]


def offered(viewer):
    """What Save Selected Layers offers, in its order."""
    return file_extensions_string_for_layers(list(viewer.layers.selection))[0].split(";;")


def test_particles_are_saved_by_this_plugin_and_points_of_others_by_napari(viewer, npe2pm, tmp_path):
    npe2pm.register(PluginManifest.from_file(Path(napari_builtins.__file__).with_name("builtins.yaml")))
    table = particle_table([[1, 2, 3], [4, 5, 6]], radius=[2, 3], confidence=[0.2, 0.9])
    points = add_layer(viewer, layers.particle_layer_data(table, name="found"))
    layers.show_above(points, 0.5)
    others = viewer.add_points([[1.0, 2.0]], name="of others")
    assert offered(viewer)[0].startswith("napari")
    viewer.layers.selection = {points}
    assert offered(viewer)[0].startswith("Colloids")
    viewer.layers.save(str(tmp_path / "found.csv"), selected=True)
    assert pd.read_csv(tmp_path / "found.csv", comment="#")[["z", "y", "x"]].to_numpy().tolist() == [[4, 5, 6]]
    viewer.layers.selection = {others}
    viewer.layers.save(str(tmp_path / "others.csv"), selected=True)
    assert list(pd.read_csv(tmp_path / "others.csv")) == ["index", "axis-0", "axis-1"]


def test_table_without_micrometres_lies_in_voxels(viewer, tmp_path):
    write_particles(tmp_path / "plain.csv", particle_table([[1, 2, 3]], radius=2))
    (points,) = viewer.open(tmp_path / "plain.csv", plugin="napari-colloids")
    assert tuple(points.scale) == (1, 1, 1)


def test_sample_data(windowed_viewer):
    for key in ("dense", "dilute", "polydisperse", "nano"):
        image, truth = windowed_viewer.open_sample("napari-colloids", key)
        assert image.ndim == 3
        inside = np.asarray(image.data)[tuple(np.rint(truth.data).astype(int).clip(0, 63).T)]
        assert inside.mean() > 1.15 * np.asarray(image.data).mean()


def shown_radii(viewer, points):
    """Radii of the rings on show, and those of the true cross-sections, both rising."""
    distance = points.data[:, 0] - points.world_to_data(viewer.dims.point)[0]
    squared = points.features["radius"].to_numpy() ** 2 - distance**2
    return np.sort(points._view_size) / 2, np.sort(np.sqrt(squared[squared > 0]))


def test_truth_is_shown_in_cross_section_at_once(make_napari_viewer, challenge_file):
    reading, current = make_napari_viewer(), make_napari_viewer()
    for layers_of in (
        lambda: reading.open_sample("napari-colloids", "dense"),
        lambda: reading.open(challenge_file, plugin="napari-colloids"),
    ):
        reading.layers.clear()
        _, truth = layers_of()
        drawn, true = shown_radii(reading, truth)
        assert len(true) > 5
        np.testing.assert_allclose(drawn[drawn > 0], true, atol=1e-5)
    assert not current.layers


def test_samples_and_files_are_read_without_a_viewer(challenge_file):
    assert [kind for _, _, kind in dilute()] == ["image", "points"]
    assert [kind for _, _, kind in get_stack_reader(str(challenge_file))(str(challenge_file))] == ["image", "points"]


def test_widgets_open_from_the_menu(windowed_viewer):
    contributed = PluginManifest.from_file(ROOT / "napari.yaml").contributions.widgets
    assert {f"{widget.display_name}Widget" for widget in contributed} == set(widgets.__all__)
    for name in (widget.display_name for widget in contributed):
        _, widget = windowed_viewer.window.add_plugin_dock_widget("napari-colloids", name)
        assert widget.isVisibleTo(widget.parentWidget())
        # Not the proxy, whose layers are never those of the layer list.
        assert type(widget._viewer) is type(windowed_viewer)
