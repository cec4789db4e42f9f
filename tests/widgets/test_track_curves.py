"""The curves of the Track dock: evaluated in the background, drawn as chosen, exported with what they came from."""

import json
import threading

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from qtpy.QtWidgets import QFileDialog

from napari_colloids import relaxation
from napari_colloids.dynamics import RelaxationSettings, link
from napari_colloids.particles import particle_table
from napari_colloids.settings import settings_of
from napari_colloids.widgets.layers import layers
from napari_colloids.widgets.layers.spheres import add_layer
from napari_colloids.widgets.track import TrackWidget
from napari_colloids.widgets.track_curves import _evaluate

TIMEOUT = 30_000
SIZE = (0.3, 0.1, 0.1)
PLACE = {
    "scale": (0.5, *SIZE),
    "translate": (0.0, 0.0, 0.0, 0.0),
    "units": ("s", "um", "um", "um"),
    "axis_labels": ("t", "z", "y", "x"),
}


@pytest.fixture
def found():
    """Sixty-four random walks over ten frames, seen with known errors."""
    rng = np.random.default_rng(0)
    errors = np.array([0.2, 0.3, 0.3])
    start = np.indices((4, 4, 4)).reshape(3, -1).T * 10.0
    paths = (start + np.cumsum(rng.normal(0, 0.4, (10, 64, 3)), axis=0)) / [3, 1, 1]
    return particle_table(
        (paths + rng.normal(0, 1, paths.shape) * errors).reshape(-1, 3),
        radius=4,
        confidence=0.9,
        frame=np.repeat(range(10), 64),
        errors=np.tile([*errors, 0.1], (640, 1)),
    )


@pytest.fixture
def dock(viewer, qtbot, click):
    """Return a function that makes the dock of a table that was linked."""

    def made(table, place=PLACE, search_range=None):
        add_layer(viewer, layers.particle_layer_data(table, place, name="found"))
        widget = TrackWidget(viewer)
        viewer.window.add_dock_widget(widget)
        qtbot.wait(50)
        done(widget, qtbot)
        if search_range is not None:
            widget.controls["search_range"].value = search_range
        click(widget.button)
        done(widget, qtbot)
        return widget

    return made


def done(widget, qtbot):
    qtbot.waitUntil(lambda: not widget.busy and not widget.curves.button.busy, timeout=TIMEOUT)


def lines(widget):
    return {line.get_label(): line.get_ydata() for line in widget.curves.plot.axes.get_lines()}


def expected_of(viewer, **settings):
    return relaxation(link(layers.table_of(viewer.layers["found"])), frame_interval=0.5, **settings)


def test_each_quantity_is_drawn_corrected_and_as_measured(viewer, qtbot, dock, found):
    widget = dock(found)
    expected = expected_of(viewer)
    axes = widget.curves.plot.axes
    assert np.all(expected.msd < expected.msd_raw)
    assert set(lines(widget)) == {"corrected", "as measured", f"D = {widget.curves._diffusion.coefficient:.3g} µm²/s"}
    for name, label in (
        ("msd", "MSD (µm²)"),
        ("fs", f"F_s(q = {expected.q:.3g} /µm, t)"),
        ("overlap", f"overlap Q (a = {expected.overlap_distance:.3g} µm)"),
        ("chi4", "χ₄"),
        ("alpha2", "α₂"),
    ):
        widget.curves.show_what.value = name
        assert axes.get_ylabel() == label
        assert axes.get_xlabel() == "lag (s)"
        value = getattr(expected, name)
        np.testing.assert_allclose(lines(widget)["corrected"], value[np.isfinite(value)])
        np.testing.assert_allclose(lines(widget)["as measured"], getattr(expected, f"{name}_raw"))
        assert len(axes.collections) == 1, "the standard errors are a band"
    widget.curves.show_what.value = "fs"
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert band.max() == pytest.approx((expected.fs + expected.fs_err).max())
    assert band.min() == pytest.approx((expected.fs - expected.fs_err).min())
    assert to_rgb(axes.collections[0].get_facecolor()[0]) == to_rgb(axes.get_lines()[0].get_color())
    widget.curves.show_what.value = "survivors"
    (survivors,) = lines(widget).values()
    np.testing.assert_allclose(survivors, expected.survivors)
    assert f"F_s at q = {expected.q:.3g} /µm" in widget.status.text()
    assert "64 trajectories" in widget.status.text()
    widget.controls["frame_interval"].value = None
    assert axes.get_xlabel() == "lag (frames)"


def test_a_wave_number_is_typed_in_the_unit_of_the_points(viewer, qtbot, dock, found):
    widget = dock(found)
    boxes = widget.curves.controls
    assert (boxes["q"].native.isVisibleTo(widget), boxes["q_um"].native.isVisibleTo(widget)) == (False, True)
    assert boxes["q_um"].native.suffix() == " 1/µm"
    assert settings_of(RelaxationSettings)["q_um"].setting.help.split()[0] in boxes["q_um"].tooltip
    widget.curves.show_what.value = "fs"
    boxes["q_um"].value = 20.0
    done(widget, qtbot)
    expected = expected_of(viewer, q_um=20.0)
    np.testing.assert_allclose(lines(widget)["corrected"], expected.fs)
    assert f"Relaxation time <b>{expected.tau_alpha_s:.3g} s</b>, at which F_s at q = 20 /µm" in widget.status.text()


def test_points_of_unknown_voxel_size_and_errors_are_drawn_as_measured(viewer, qtbot, dock, found):
    widget = dock(found[["frame", "z", "y", "x", "radius", "confidence"]], {})
    boxes = widget.curves.controls
    assert (boxes["q"].native.isVisibleTo(widget), boxes["q_um"].native.isVisibleTo(widget)) == (True, False)
    boxes["q"].value = 2.0
    widget.curves.show_what.value = "fs"
    done(widget, qtbot)
    assert widget.curves.found.q == 2.0
    assert widget.curves.plot.axes.get_ylabel() == "F_s(q = 2 /px, t)"
    assert "corrected" not in lines(widget)
    np.testing.assert_allclose(lines(widget)["as measured"], widget.curves.found.fs)
    assert "nothing is corrected for localisation errors" in widget.status.text()


def test_settings_reach_the_computation_and_the_fit_is_drawn_where_it_belongs(viewer, qtbot, dock, found):
    widget = dock(found)
    boxes = widget.curves.controls
    boxes["axes"].value = "yx"
    boxes["cage_relative"].value = True
    boxes["cutoff"].value = 12.0
    boxes["overlap_diameters"].value = 0.2
    boxes["diameter"].value = 9.0
    boxes["max_lag"].value = 3
    done(widget, qtbot)
    expected = expected_of(
        viewer, axes="yx", cage_relative=True, cutoff=12.0, overlap_diameters=0.2, diameter=9.0, max_lag=3
    )
    assert widget.curves.found.to_frame().equals(expected.to_frame())
    assert set(lines(widget)) == {"corrected", "as measured"}
    np.testing.assert_allclose(lines(widget)["corrected"], expected.msd)


def test_curves_are_exported_with_what_they_came_from(viewer, qtbot, click, dock, found, tmp_path, monkeypatch):
    widget = dock(found)
    asked = {}

    def answer(parent, title, name, kinds):
        asked.update(name=name, kinds=kinds)
        return str(tmp_path / "curves v1.2"), kinds

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    click(widget.curves.export)
    qtbot.waitUntil(lambda: not widget.curves.export.busy, timeout=TIMEOUT)
    assert asked["name"] == "found tracks curves.csv"
    written = pd.read_csv(tmp_path / "curves v1.2.csv")
    expected = expected_of(viewer)
    pd.testing.assert_frame_equal(written, expected.to_frame(), check_dtype=False)
    note = json.loads((tmp_path / "curves v1.2.csv.json").read_text(encoding="utf-8"))
    assert note["relaxation"]["q"] == pytest.approx(expected.q)
    assert note["relaxation"]["options"]["axes"] == "zyx"
    assert note["tracks"]["memory"] == 0
    assert note["table_rows"] == len(written)
    assert f"Wrote the curves at {len(written)} lags" in widget.status.text()
    widget.curves.write(tmp_path / "nowhere" / "curves.csv")
    qtbot.waitUntil(lambda: "nowhere" in widget.status.text(), timeout=TIMEOUT)


def test_before_anything_is_linked_nothing_is_offered(viewer):
    widget = TrackWidget(viewer)
    viewer.window.add_dock_widget(widget)
    assert not widget.curves.button.isEnabled()
    assert not widget.curves.export.isEnabled()
    widget.curves.write("nowhere.csv")
    assert "link particles first" in widget.status.text()


def test_what_is_shown_and_along_which_axes_is_remembered_but_not_a_wave_number(viewer, qtbot, dock, found):
    widget = dock(found)
    widget.curves.show_what.value = "chi4"
    widget.curves.controls["axes"].value = "yx"
    widget.curves.controls["q_um"].value = 3.0
    done(widget, qtbot)
    later = TrackWidget(viewer)
    viewer.window.add_dock_widget(later)
    assert (later.curves.show_what.value, later.curves.controls["axes"].value) == ("chi4", "yx")
    assert later.curves.controls["q_um"].value is None


def test_why_there_are_no_curves_is_said(viewer, qtbot, dock, found):
    widget = dock(found[found.index % 64 == 0], search_range=1.0)
    widget.curves.controls["cage_relative"].value = True
    done(widget, qtbot)
    assert "1 trajectories" in widget.status.text()
    assert "give a cutoff" in widget.status.text()
    assert widget.curves.found is None
    assert not widget.curves.export.isEnabled()


@pytest.fixture
def goes_on(monkeypatch):
    """Return an event that evaluating waits for, and the threads that wait."""
    event, threads = threading.Event(), []

    def evaluate_later(*args):
        threads.append(threading.current_thread())
        event.wait(TIMEOUT / 1000)
        return (yield from _evaluate(*args))

    monkeypatch.setattr("napari_colloids.widgets.track_curves._evaluate", evaluate_later)
    yield event, threads
    event.set()


def test_evaluating_is_cancelled_and_the_trajectories_stay(viewer, qtbot, click, dock, found, goes_on):
    event, threads = goes_on
    event.set()
    widget = dock(found)
    event.clear()
    click(widget.curves.button)
    assert widget.curves.button.text() == "Cancel"
    assert not widget.button.isEnabled(), "one at a time"
    click(widget.curves.button)
    event.set()
    done(widget, qtbot)
    assert widget.status.text().endswith("<br>Cancelled; the trajectories stay.")
    assert "found tracks" in viewer.layers
    assert widget.export.isEnabled()
    assert threading.main_thread() not in threads
    click(widget.curves.button)
    done(widget, qtbot)
    assert "Relaxation time" in widget.status.text()


def test_a_setting_that_changes_meanwhile_is_what_is_evaluated(viewer, qtbot, click, dock, found, goes_on):
    event, threads = goes_on
    event.set()
    widget = dock(found)
    event.clear()
    widget.curves.controls["q_um"].value = 5.0
    qtbot.waitUntil(lambda: len(threads) == 2, timeout=TIMEOUT)
    widget.curves.controls["q_um"].value = 6.0
    event.set()
    qtbot.waitUntil(lambda: widget.curves.found.q == 6.0, timeout=TIMEOUT)
    done(widget, qtbot)
    assert "q = 6 /µm" in widget.status.text()


def test_the_dialog_opens_in_the_folder_of_the_last_file(qtbot, click, dock, found, tmp_path, monkeypatch):
    widget = dock(found)
    proposed = []
    answer = str(tmp_path / "curves.csv"), "Table of curves (*.csv)"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *asked: proposed.append(asked[2]) or answer)
    for _ in range(2):
        click(widget.curves.export)
        qtbot.waitUntil(lambda: not widget.curves.export.busy, timeout=TIMEOUT)
    assert proposed[1] == str(tmp_path / "found tracks curves.csv")
