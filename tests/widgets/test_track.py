"""The Track widget in a real window: from the points of a series to tracks, a plot and a table."""

import threading

import numpy as np
import pandas as pd
import pytest
from napari.layers import Tracks

from napari_colloids.dynamics import diffusion_coefficient, link, mean_squared_displacement
from napari_colloids.io import read_particles, write_particles
from napari_colloids.particles import POSITION, particle_table
from napari_colloids.structure import suggest_search_range
from napari_colloids.widgets.layers import layers
from napari_colloids.widgets.layers.spheres import add_layer
from napari_colloids.widgets.track import TrackWidget, _link

TIMEOUT = 30_000
SIZE = (0.3, 0.1, 0.1)
PLACE = {
    "scale": (1.0, *SIZE),
    "translate": (0.0, 1.0, 2.0, 3.0),
    "units": ("pixel", "um", "um", "um"),
    "axis_labels": ("t", "z", "y", "x"),
}


@pytest.fixture
def found():
    """Fifty particles over eight frames, 10 px apart; some more of little confidence."""
    rng = np.random.default_rng(0)
    start = rng.permutation(np.indices((4, 4, 4)).reshape(3, -1).T)[:50] * 10.0
    paths = (start + np.cumsum(rng.normal(0, 0.4, (8, 50, 3)), axis=0)) / [3, 1, 1]
    true = particle_table(paths.reshape(-1, 3), radius=4, confidence=0.9, frame=np.repeat(range(8), 50))
    false = particle_table(rng.random((60, 3)) * [13, 40, 40], radius=4, confidence=0.1, frame=rng.integers(0, 8, 60))
    return pd.concat([true, false], ignore_index=True)


def dock(viewer, qtbot):
    widget = TrackWidget(viewer)
    viewer.window.add_dock_widget(widget)
    return widget


def add(viewer, table, place=PLACE, threshold=0.5):
    points = add_layer(viewer, layers.particle_layer_data(table, place, name="found"))
    layers.show_above(points, threshold)
    return points


def measured(widget, qtbot):
    """Wait until the search range has been measured, which begins a moment after the layer came."""
    qtbot.wait(50)
    qtbot.waitUntil(lambda: not widget.busy, timeout=TIMEOUT)


def press_link(widget, qtbot, click):
    click(widget.button)
    assert widget.button.text() == "Cancel"
    linked(widget, qtbot)


def linked(widget, qtbot):
    """Wait until the particles have been linked, and their trajectories evaluated."""
    qtbot.waitUntil(lambda: not widget.busy and not widget.curves.button.busy, timeout=TIMEOUT)


def test_points_become_tracks_a_plot_and_a_table(viewer, qtbot, click, export, found, tmp_path):
    widget = dock(viewer, qtbot)
    assert not widget.button.isEnabled()
    points = add(viewer, found)
    measured(widget, qtbot)
    assert widget.points.value is points
    shown = layers.table_of(points)
    suggested = suggest_search_range(shown)
    assert widget.controls["search_range"].native.suffix() == " µm"
    assert widget.controls["search_range"].value == pytest.approx(suggested * 0.1, abs=1e-3)
    assert not widget.controls["subtract_drift"].value

    press_link(widget, qtbot, click)
    expected = link(shown)
    tracks = viewer.layers["found tracks"]
    assert isinstance(tracks, Tracks)
    np.testing.assert_allclose(tracks.scale, points.scale)
    np.testing.assert_allclose(tracks.translate, points.translate)
    assert tracks.units == points.units
    assert len(np.unique(tracks.data[:, 0])) == expected["particle"].nunique() == 50
    ordered = expected.sort_values(["particle", "frame"])
    np.testing.assert_allclose(tracks.data, ordered[["particle", "frame", *POSITION]])
    diffusion = diffusion_coefficient(mean_squared_displacement(expected))
    error = f"localisation error at most {diffusion.localisation_error:.2g} µm"
    for part in ("50 trajectories", "mean length 8.0", f"{diffusion.coefficient:.3g} µm²/frame", error):
        assert part in widget.status.text()
    (dots, line) = widget.curves.plot.axes.get_lines()
    assert len(dots.get_xdata()) == 4
    assert widget.curves.plot.axes.get_xscale() == "log"
    assert len(line.get_xdata()) > 1

    widget.controls["frame_interval"].value = 0.5
    assert f"{2 * diffusion.coefficient:.3g} µm²/s" in widget.status.text()
    assert widget.curves.plot.axes.get_xlabel() == "lag (s)"
    np.testing.assert_allclose(widget.curves.plot.axes.get_lines()[0].get_xdata(), [0.5, 1.0, 1.5, 2.0])

    export(widget, tmp_path / "tracks.csv")
    written = read_particles(tmp_path / "tracks.csv")
    assert written["particle"].tolist() == expected["particle"].tolist()
    np.testing.assert_allclose(written["z_um"], written["z"] * 0.3)
    assert written.attrs["search_range"] == pytest.approx(suggested)
    assert "50 trajectories" in widget.status.text()


def test_a_typed_range_a_minimal_length_and_voxels_of_unknown_size(viewer, qtbot, click, found):
    add(viewer, found, {}, threshold=0.0)
    widget = dock(viewer, qtbot)
    measured(widget, qtbot)
    assert widget.controls["search_range"].native.suffix() == " px"
    widget.controls["search_range"].value = 2.0
    widget.controls["min_length"].value = 4
    widget.controls["memory"].value = 1
    press_link(widget, qtbot, click)
    expected = link(found, search_range=2.0, min_length=4, memory=1)
    assert len(viewer.layers["found tracks"].data) == len(expected)
    assert "search range 2 px" in widget.status.text()
    assert "px²/frame" in widget.status.text()
    click(widget.suggest.native)
    measured(widget, qtbot)
    assert widget.controls["search_range"].value == pytest.approx(suggest_search_range(found), abs=1e-3)


def test_drift_is_taken_off_where_asked_for(viewer, qtbot, click, found):
    found["x"] += found["frame"]
    add(viewer, found)
    widget = dock(viewer, qtbot)
    measured(widget, qtbot)
    press_link(widget, qtbot, click)
    click(widget.controls["subtract_drift"].native)
    press_link(widget, qtbot, click)
    moved, still = (layer.data for layer in viewer.layers if isinstance(layer, Tracks))
    steps = [data[data[:, 1] == 7][:, 4].mean() - data[data[:, 1] == 0][:, 4].mean() for data in (moved, still)]
    assert steps == pytest.approx([7.0, 0.0], abs=0.5)
    visible = [layer.visible for layer in viewer.layers if isinstance(layer, Tracks)]
    assert visible == [False, True], "the result before stays, hidden"


def test_flow_is_predicted_and_told(viewer, qtbot, click, export, found, tmp_path):
    found["x"] += 7 * found["frame"]
    add(viewer, found)
    widget = dock(viewer, qtbot)
    measured(widget, qtbot)
    press_link(widget, qtbot, click)
    assert "50 trajectories" in widget.status.text()
    assert "A common motion of 6.9 px" in widget.status.text()
    export(widget, tmp_path / "tracks.csv")
    note = read_particles(tmp_path / "tracks.csv").attrs
    assert [motion["x"] for motion in note["common_motion"]] == pytest.approx([7] * 7, abs=0.3)
    assert "was estimated and predicted" in note["notices"][0]
    click(widget.controls["predict_motion"].native)
    press_link(widget, qtbot, click)
    assert "50 trajectories" not in widget.status.text()
    assert "find no partner in the next frame" in widget.status.text()


def test_what_cannot_be_linked_is_said(viewer, qtbot, click, found):
    widget = dock(viewer, qtbot)
    viewer.add_points(np.zeros((3, 3)), name="no time")
    assert widget.points.value is None
    add(viewer, found[found["frame"] == 2])
    measured(widget, qtbot)
    click(widget.button)
    assert "one frame" in widget.status.text()
    add(viewer, found).name = "all"
    widget.points.value = viewer.layers["all"]
    measured(widget, qtbot)
    widget.controls["search_range"].value = 9.0
    press_link(widget, qtbot, click)
    assert "lower the search range" in widget.status.text()
    assert not widget.export.isEnabled()
    assert not [layer for layer in viewer.layers if isinstance(layer, Tracks)]
    widget.export.write("nowhere.csv")
    assert "link particles first" in widget.status.text()


def test_a_table_is_opened_from_a_file(viewer, qtbot, click, found, tmp_path):
    widget = dock(viewer, qtbot)
    write_particles(tmp_path / "series.csv", found[found["confidence"] > 0.5])
    widget.open_table(tmp_path / "series.csv")
    measured(widget, qtbot)
    assert widget.points.value is viewer.layers["series"]
    press_link(widget, qtbot, click)
    assert "50 trajectories" in widget.status.text()
    write_particles(tmp_path / "single.csv", found[POSITION])
    widget.open_table(tmp_path / "single.csv")
    assert "time series" in widget.status.text()
    widget.open_table(tmp_path / "missing.csv")
    assert "missing.csv" in widget.status.text()


def test_channels_are_linked_each_on_its_own(viewer, qtbot, click, export, tmp_path):
    steps = np.arange(6)
    # In every frame the other channel's particle is the nearer one to where this one was.
    paths = [np.column_stack([steps * 0 + z, steps * 1.0, steps * 0]) for z in (4, 4.5)]
    paths[1][:, 1] += 1
    table = particle_table(np.concatenate(paths), radius=3, frame=np.tile(steps, 2), channel=np.repeat([0, 1], 6))
    write_particles(tmp_path / "both.csv", table)
    widget = dock(viewer, qtbot)
    widget.open_table(tmp_path / "both.csv")
    measured(widget, qtbot)
    widget.controls["search_range"].value = 1.5
    press_link(widget, qtbot, click)
    expected = link(table, search_range=1.5)
    assert expected["particle"].nunique() == 2
    np.testing.assert_allclose(
        viewer.layers["both tracks"].data, expected.sort_values(["particle", "frame"])[["particle", "frame", *POSITION]]
    )
    export(widget, tmp_path / "tracks.csv")
    written = read_particles(tmp_path / "tracks.csv")
    pd.testing.assert_frame_equal(written[["channel", "particle"]], expected[["channel", "particle"]])

    # And what is linked already stays so when it is opened and saved.
    widget.open_table(tmp_path / "tracks.csv")
    viewer.layers["tracks"].save(str(tmp_path / "again.csv"), plugin="napari-colloids")
    again = read_particles(tmp_path / "again.csv")
    pd.testing.assert_frame_equal(again[list(written)], written)


def test_a_result_keeps_the_interval_of_its_own_layer(viewer, qtbot, click, export, found, tmp_path):
    widget = dock(viewer, qtbot)
    add(viewer, found, {**PLACE, "scale": (2.0, *SIZE), "units": ("s", *PLACE["units"][1:])})
    measured(widget, qtbot)
    press_link(widget, qtbot, click)
    said = widget.status.text()
    assert "µm²/s" in said
    export(widget, tmp_path / "tracks.csv")
    assert read_particles(tmp_path / "tracks.csv").attrs["frame_interval"] == 2.0
    said_after_export = widget.status.text()
    assert said_after_export.startswith(said)
    add(viewer, found, {**PLACE, "scale": (20.0, *SIZE), "units": ("s", *PLACE["units"][1:])})
    measured(widget, qtbot)
    assert widget.controls["frame_interval"].value == 20.0
    assert widget.status.text() == said_after_export


def test_time_between_frames_is_taken_from_the_layer(viewer, qtbot, found):
    place = {**PLACE, "scale": (0.25, *SIZE), "units": ("s", "um", "um", "um")}
    add(viewer, found, place)
    widget = dock(viewer, qtbot)
    assert widget.controls["frame_interval"].value == pytest.approx(0.25)
    measured(widget, qtbot)


@pytest.fixture
def goes_on(monkeypatch):
    """Return an event that linking waits for."""
    event = threading.Event()

    def link_later(*args):
        event.wait(TIMEOUT / 1000)
        return (yield from _link(*args))

    monkeypatch.setattr("napari_colloids.widgets.track._link", link_later)
    return event


def test_cancelling_stays_so_when_points_are_added(viewer, qtbot, click, found, goes_on):
    widget = dock(viewer, qtbot)
    add(viewer, found)
    measured(widget, qtbot)
    click(widget.button)
    click(widget.button)
    add(viewer, found)
    assert widget.button.text() == "Cancelling…"
    assert not widget.button.isEnabled()
    goes_on.set()
    linked(widget, qtbot)
    assert widget.status.text().startswith("Cancelled")
    assert widget.button.isEnabled()
    measured(widget, qtbot)


@pytest.mark.parametrize("typed", [None, 0.123])
def test_a_range_does_not_outlive_its_layer(viewer, qtbot, click, found, typed, goes_on):
    widget = dock(viewer, qtbot)
    points = add(viewer, found)
    measured(widget, qtbot)
    if typed is not None:
        widget.controls["search_range"].value = typed
    click(widget.button)
    # While that is linked, points of an unknown voxel size come.
    other = add(viewer, found, {}, threshold=0.0)
    qtbot.wait(50)
    assert widget.points.value is other
    assert widget.controls["search_range"].native.suffix() == " px"
    goes_on.set()
    linked(widget, qtbot)
    measured(widget, qtbot)
    used = typed or suggest_search_range(layers.table_of(points)) * 0.1
    assert f"search range {used:.3g} µm" in widget.status.text()
    assert widget.controls["search_range"].value == pytest.approx(
        suggest_search_range(layers.table_of(other)), abs=1e-3
    )
    # And what is typed for the new points meanwhile stays.
    goes_on.clear()
    click(widget.button)
    widget.points.value = points
    qtbot.wait(50)
    widget.controls["search_range"].value = 0.2
    goes_on.set()
    linked(widget, qtbot)
    measured(widget, qtbot)
    assert widget.controls["search_range"].value == 0.2


def test_older_tracks_are_hidden_after_the_points_were_renamed(viewer, qtbot, click, found):
    widget = dock(viewer, qtbot)
    points = add(viewer, found)
    measured(widget, qtbot)
    press_link(widget, qtbot, click)
    points.name = "renamed"
    press_link(widget, qtbot, click)
    assert [(one.name, one.visible) for one in viewer.layers if isinstance(one, Tracks)] == [
        ("found tracks", False),
        ("renamed tracks", True),
    ]
    # Other points of that name are not the same points.
    points.name = "first"
    add(viewer, found).name = "renamed"
    measured(widget, qtbot)
    press_link(widget, qtbot, click)
    assert viewer.layers["renamed tracks"].visible
