"""The Structure dock: from points to words, plots, colours and a table."""

from __future__ import annotations

import html
import threading
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from napari.utils._proxies import PublicOnlyProxy

from napari_colloids.errors import ColloidsError
from napari_colloids.io import read_particles
from napari_colloids.particles import particle_table
from napari_colloids.simulation.arrangement import Composition, arrange
from napari_colloids.structure import LOCAL_COLUMNS, measure_structure
from napari_colloids.widgets.layers import layers
from napari_colloids.widgets.layers.spheres import add_layer
from napari_colloids.widgets.structure import StructureWidget
from napari_colloids.widgets.structure_plots import CONTACT, THEORY
from napari_colloids.widgets.structure_request import measure as measured_in_steps

TIMEOUT = 60_000
EDGE, SIZE = 72, 0.1
PLACE = {"scale": (SIZE,) * 3, "units": ("um",) * 3, "axis_labels": ("z", "y", "x")}


@pytest.fixture(autouse=True, scope="module")
def few_waves():
    """Few wave vectors: the direct S(q) takes most of the time."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_MIN_VECTORS", "_MAX_VECTORS"):
            patch.setattr(import_module("napari_colloids.structure.structure_factor"), name, 5)
        yield


@pytest.fixture(scope="module")
def fluid():
    """A fluid of spheres of diameter 8 voxels in 72 voxels each way, with a confidence."""
    made = arrange("random", (EDGE / 8,) * 3, Composition(0.4, 0.5), np.random.default_rng(8))
    return particle_table(8 * made.positions - 0.5, radius=8 * made.radii, confidence=0.9)


@pytest.fixture(scope="module")
def expected(fluid):
    return measure_structure(fluid, shape=(EDGE,) * 3, voxel_size=(SIZE,) * 3)


def add(viewer, table, *, image=True, place=PLACE, name="found", **note):
    parent = viewer.add_image(np.zeros((EDGE,) * 3, np.uint8), name="stack", **PLACE) if image else None
    return add_layer(viewer, layers.particle_layer_data(table, place, name=name, note=note), parent)


def docked(viewer):
    widget = StructureWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    return widget


def measure(widget, qtbot, click):
    click(widget.button)
    qtbot.waitUntil(lambda: not widget.button.busy, timeout=TIMEOUT)


def labels_of(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_words_plots_and_table_are_those_of_the_library(viewer, fluid, expected, qtbot, click, export, tmp_path):
    widget = docked(viewer)
    assert not widget.button.isEnabled()
    points = add(viewer, fluid)
    assert widget.points.value is points
    assert not widget.colour_by.enabled
    click(widget.button)
    assert widget.button.text() == "Cancel"
    qtbot.waitUntil(lambda: widget.button.text() == "Measure", timeout=TIMEOUT)
    said = widget.status.text()
    for line in (*expected.lines(), *expected.notices):
        assert html.escape(line) in said
    assert "shape of the stack is unknown" not in said

    assert widget.plot.axes.get_xlabel() == "r (µm)"
    np.testing.assert_allclose(widget.plot.axes.get_lines()[0].get_ydata(), expected.g.g)
    mark = widget.plot.axes.get_lines()[-1]
    phi = expected.volume_fraction.value
    assert mark.get_xydata().tolist() == [[expected.diameter, pytest.approx((1 - phi / 2) / (1 - phi) ** 3)]]
    assert labels_of(widget.plot.axes) == ["g(r)", CONTACT]
    assert widget.plot.axes.get_ylim()[1] > mark.get_ydata()[0]
    (band,) = widget.plot.axes.collections
    assert to_hex(band.get_facecolor()[0]) == widget.plot.look.curves[0], "the error has the colour of its line"
    widget.show_what.value = "s"
    np.testing.assert_allclose(widget.plot.axes.get_lines()[0].get_ydata(), expected.s.s)
    assert to_hex(widget.plot.axes.collections[0].get_edgecolor()[0]) == widget.plot.look.ink
    alone = expected.s.plot().get_ylim()
    assert widget.plot.axes.get_ylim() == pytest.approx(alone), "not the limits of what was shown before"
    assert labels_of(widget.plot.axes) == ["from g(r)", THEORY, "direct"]
    widget.show_what.value = "voronoi_volume"
    assert widget.plot.axes.get_xlabel() == "Voronoi volume (µm³)"
    assert sum(bar.get_height() for bar in widget.plot.axes.patches) == len(expected.inside) > 0

    export(widget, tmp_path / "order.csv")
    written = read_particles(tmp_path / "order.csv")
    pd.testing.assert_frame_equal(written[list(LOCAL_COLUMNS)], expected.particles[list(LOCAL_COLUMNS)], atol=1e-6)
    assert written.attrs["structure"]["interior"] == len(expected.inside)
    done = widget._done
    measure(widget, qtbot, click)
    assert widget._done is done, "nothing has changed"
    widget.controls["neighbours"].value = 12
    measure(widget, qtbot, click)
    assert "12.00 neighbours" in widget.status.text()


def test_a_diameter_for_which_there_is_no_fluid_and_voxels_of_unknown_size(viewer, fluid, qtbot, click):
    add(viewer, fluid, image=False, place={})
    widget = docked(viewer)
    widget.controls["diameter"].value = 9
    measure(widget, qtbot, click)
    assert "particles of diameter 9 px" in widget.status.text()
    assert "The shape of the stack is unknown" in widget.status.text()
    widget.show_what.value = "s"
    assert labels_of(widget.plot.axes) == ["from g(r)", "direct"], "above freezing"


@pytest.mark.parametrize(("border", "known"), [(0, True), (6, False)])
def test_the_window_is_the_image_where_all_of_it_was_searched(viewer, fluid, qtbot, click, border, known):
    add(viewer, fluid, settings={"border": border})
    widget = docked(viewer)
    measure(widget, qtbot, click)
    assert ("shape of the stack is unknown" in widget.status.text()) is not known


def test_only_points_on_show_are_measured(viewer, fluid, qtbot, click):
    points = add(viewer, pd.concat([fluid, fluid.iloc[:9].assign(confidence=0.1)], ignore_index=True))
    layers.show_above(points, 0.5)
    widget = docked(viewer)
    measure(widget, qtbot, click)
    assert f"{len(fluid)} particles" in widget.status.text()
    assert not points.features["interior"][len(fluid) :].any()
    assert points.features["q6"][len(fluid) :].isna().all()


@pytest.mark.parametrize("ndisplay", [2, 3])
def test_points_are_coloured_by_a_column_and_get_their_colours_back(viewer, fluid, qtbot, click, ndisplay):
    points = add(viewer, fluid)
    viewer.dims.ndisplay = ndisplay
    widget = docked(viewer)
    measure(widget, qtbot, click)
    part = "face_color" if ndisplay == 3 else "border_color"
    before = getattr(points, part).copy()
    widget.colour_by.value = "q6_averaged"
    coloured = getattr(points, part).copy()
    inside = points.features["interior"] == 1
    assert len(np.unique(coloured[inside], axis=0)) > 5
    assert len(np.unique(coloured[~inside], axis=0)) == 1, "grey where it is not that of the bulk"
    assert np.unique(coloured[~inside][0, :3]).size == 1
    if ndisplay == 3:
        assert points.size[~inside].max() < 4 < points.size[inside].min(), "not in the way"

    viewer.dims.ndisplay = 5 - ndisplay
    viewer.dims.ndisplay = ndisplay
    np.testing.assert_allclose(getattr(points, part), coloured)
    widget.controls["neighbours"].value = 6
    measure(widget, qtbot, click)
    assert widget.colour_by.value == "q6_averaged"
    assert not np.allclose(getattr(points, part), coloured)
    widget.colour_by.value = ""
    np.testing.assert_allclose(getattr(points, part), before)
    assert getattr(points, f"{part}_mode") == "colormap"
    if ndisplay == 3:
        np.testing.assert_allclose(points.size, 2 * fluid["radius"])


def test_a_point_that_is_moved_loses_its_colour(viewer, fluid, qtbot, click):
    points = add(viewer, fluid)
    widget = docked(viewer)
    measure(widget, qtbot, click)
    widget.colour_by.value = "q4"
    inside = int(np.flatnonzero(points.features["interior"])[0])
    points.selected_data = {inside}
    points._move([inside], points.data[inside] + 2)
    points.events.data(value=points.data, action="changed", data_indices=(inside,), vertex_indices=((),))
    assert points.features["interior"][inside] == 0
    assert np.unique(points.border_color[inside, :3]).size == 1


def test_points_of_others_are_coloured_too(viewer, fluid, qtbot, click):
    points = viewer.add_points(fluid[["z", "y", "x"]].to_numpy(), size=8, face_color="red", name="theirs")
    widget = docked(viewer)
    measure(widget, qtbot, click)
    assert f"{len(fluid)} particles of diameter 8 px" in widget.status.text()
    widget.colour_by.value = "neighbours"
    assert len(np.unique(points.face_color, axis=0)) > 2
    widget.points.value = other = add(viewer, fluid)
    assert widget.colour_by.value == ""
    assert not widget.colour_by.enabled
    widget.points.value = points
    assert widget.colour_by.value == "neighbours"
    widget.colour_by.value = ""
    np.testing.assert_allclose(points.face_color, [[1, 0, 0, 1]] * len(fluid))
    assert other in viewer.layers


def test_too_few_points_and_a_missing_library_are_said(viewer, fluid, qtbot, click, monkeypatch):
    def missing():
        raise ColloidsError('Voronoi cells need one more package: pip install "napari-colloids[structure]".')

    add(viewer, fluid.iloc[:1])
    widget = docked(viewer)
    click(widget.button)
    assert "fewer than two points" in widget.status.text()
    monkeypatch.setattr("napari_colloids.structure.voronoi.freud", missing)
    add(viewer, fluid)
    measure(widget, qtbot, click)
    assert "napari-colloids[structure]" in widget.status.text()
    assert not widget.export.isEnabled()
    widget.export.write("nowhere.csv")
    assert "measure it first" in widget.status.text()


@pytest.fixture
def goes_on(monkeypatch):
    """Return an event that the measurement waits for."""
    event = threading.Event()

    def later(*args):
        event.wait(TIMEOUT / 1000)
        return (yield from measured_in_steps(*args))

    monkeypatch.setattr("napari_colloids.widgets.structure.measure", later)
    return event


def test_it_can_be_cancelled(viewer, fluid, qtbot, click, goes_on):
    points = add(viewer, fluid)
    widget = docked(viewer)
    click(widget.button)
    click(widget.button)
    goes_on.set()
    qtbot.waitUntil(lambda: not widget.button.busy, timeout=TIMEOUT)
    assert widget.status.text().startswith("Cancelled")
    assert "q6" not in points.features


def test_points_that_were_changed_meanwhile_are_not_coloured(viewer, fluid, qtbot, click, goes_on):
    points = add(viewer, fluid)
    widget = docked(viewer)
    click(widget.button)
    points.data = points.data[1:]
    goes_on.set()
    qtbot.waitUntil(lambda: not widget.button.busy, timeout=TIMEOUT)
    assert "changed meanwhile" in widget.status.text()
    assert "q6" not in points.features
    assert not widget.colour_by.enabled


def test_neighbours_and_what_is_shown_are_remembered(viewer):
    first = docked(viewer)
    first.controls["neighbours"].value = 14
    first.show_what.value = "q6"
    second = docked(viewer)
    assert (second.controls["neighbours"].value, second.show_what.value) == (14, "q6")


@pytest.fixture(scope="module")
def blurred(fluid):
    """The fluid with errors of a tenth of a diameter."""
    noise = np.random.default_rng(0).normal(0, 0.8, (len(fluid), 3))
    return fluid.assign(**{name: fluid[name] + noise[:, axis] for axis, name in enumerate("zyx")})


def test_layers_are_compared_in_one_plot(viewer, fluid, blurred, expected, qtbot, click):
    truth = add(viewer, fluid, name="truth")
    widget = docked(viewer)
    measure(widget, qtbot, click)
    found = add(viewer, blurred)
    assert widget.points.value is found
    assert widget.status.text() == ""
    assert "not measured yet" in [text.get_text() for text in widget.plot.axes.texts]
    assert not widget.export.isEnabled()
    (box,) = widget.comparison.boxes.values()
    click(box)
    assert labels_of(widget.plot.axes) == ["g(r)", CONTACT], "alone, as it is not measured beside"
    measure(widget, qtbot, click)
    axes = widget.plot.axes
    assert labels_of(axes) == ["found", "truth", CONTACT]
    first, second, *others = axes.get_lines()
    np.testing.assert_allclose(second.get_ydata(), expected.g.g)
    assert first.get_ydata().max() < second.get_ydata().max()
    assert [line.get_color() for line in (first, second)] == list(widget.plot.look.curves[:2])
    assert {line.get_color() for line in others} == {widget.plot.look.ink}
    bands = [to_hex(band.get_facecolor()[0]) for band in axes.collections]
    assert bands == list(widget.plot.look.curves[:2])

    widget.show_what.value = "s"
    assert labels_of(axes) == ["found", "truth", THEORY], "the theory once"
    np.testing.assert_allclose(axes.get_lines()[1].get_ydata(), expected.s.s)
    widget.show_what.value = "q6"
    assert labels_of(axes) == ["found", "truth"]
    for line in axes.get_lines():
        assert line.get_ydata().sum() == pytest.approx(1), "parts of the particles of each"

    truth.name = "the truth"
    assert labels_of(axes) == ["found", "the truth"]
    assert next(iter(widget.comparison.boxes.values())).text() == "the truth"
    widget.points.value = truth
    assert html.escape(expected.lines()[0]) in widget.status.text()
    assert [line.get_text() for line in axes.texts] == []
    assert axes.get_legend() is None, "found is not ticked"
    assert list(widget.comparison.boxes) == [found]
    widget.points.value = found
    assert labels_of(axes) == ["found", "the truth"], "as it was chosen before"
    viewer.layers.remove(truth)
    assert not widget.comparison.boxes
    assert axes.get_legend() is None
    assert sum(bar.get_height() for bar in axes.patches) > 0


@pytest.fixture(scope="module")
def refined(blurred):
    """The fluid with errors that are known, as of refined particles."""
    return blurred.assign(z_err=0.8, y_err=0.8, x_err=0.8)


def test_a_simulation_gets_the_errors_of_the_points(viewer, fluid, refined, expected, qtbot, click):
    simulated = add(viewer, fluid, name="simulated")
    add(viewer, refined)
    widget = docked(viewer)
    widget.controls["bands"].value = False
    widget.simulation.layer.value = simulated
    measure(widget, qtbot, click)
    axes = widget.plot.axes
    assert labels_of(axes) == ["found", "simulated, with these errors", "simulated, exact", CONTACT]
    found, degraded, exact = (line.get_ydata() for line in axes.get_lines()[:3])
    np.testing.assert_allclose(exact, expected.g.g)
    assert degraded.max() == pytest.approx(found.max(), rel=0.15)
    assert exact.max() > 1.3 * degraded.max()
    assert "simulation with these errors: g(r) highest" in widget.status.text()
    widget.show_what.value = "s"
    assert labels_of(axes)[:3] == ["found", "simulated, with these errors", "simulated, exact"]
    kept = widget._done
    measure(widget, qtbot, click)
    assert widget._done is kept, "nothing has changed"
    widget.simulation.layer.value = None
    measure(widget, qtbot, click)
    assert "simulated, exact" not in labels_of(axes)
    assert "simulation" not in widget.status.text()


def test_a_fluid_like_the_points_gets_their_errors(viewer, refined, qtbot, click):
    add(viewer, refined)
    widget = docked(viewer)
    widget.controls["bands"].value = False
    widget.simulation.fluid.value = True
    assert not widget.simulation.layer.enabled
    measure(widget, qtbot, click)
    assert labels_of(widget.plot.axes)[1:3] == ["hard-sphere fluid, with these errors", "hard-sphere fluid, exact"]
    found, degraded, exact = (line.get_ydata().max() for line in widget.plot.axes.get_lines()[:3])
    assert degraded == pytest.approx(found, rel=0.15)
    assert exact > 1.3 * degraded


def test_a_simulation_that_cannot_be_compared_is_said(viewer, fluid, refined, qtbot, click):
    points = add(viewer, fluid)
    widget = docked(viewer)
    widget.simulation.layer.value = points
    measure(widget, qtbot, click)
    assert "choose another one" in widget.status.text()
    other = add(viewer, fluid, image=False, place={**PLACE, "scale": (0.2,) * 3}, name="other")
    widget.points.value, widget.simulation.layer.value = points, other
    measure(widget, qtbot, click)
    assert "other voxels" in widget.status.text()
    widget.simulation.layer.value = None
    widget.simulation.fluid.value = True
    measure(widget, qtbot, click)
    assert "errors of the sample are not known" in widget.status.text()
    assert widget.status.text().startswith("<b>"), "its structure is kept"
    assert "q6" in points.features
    viewer.layers.remove("stack")
    add(viewer, refined, image=False, name="alone")
    measure(widget, qtbot, click)
    assert "open their image" in widget.status.text()


def test_layers_in_other_units_are_not_compared(viewer, fluid, qtbot, click):
    add(viewer, fluid, image=False, place={}, name="in voxels")
    widget = docked(viewer)
    measure(widget, qtbot, click)
    add(viewer, fluid, image=False)
    measure(widget, qtbot, click)
    (box,) = widget.comparison.boxes.values()
    assert not box.isEnabled()
    assert "in px" in box.toolTip()


def test_only_a_range_of_z_is_measured(viewer, fluid, qtbot, click, export, tmp_path):
    points = add(viewer, fluid)
    widget = docked(viewer)
    low, high = widget.slab.parts()
    assert low.native.suffix() == " µm"
    high.value = 4.95
    measure(widget, qtbot, click)
    inside = fluid["z"] <= 49.5
    part = measure_structure(fluid, shape=(EDGE,) * 3, voxel_size=(SIZE,) * 3, slab=(-1, 49.5))
    assert f"{inside.sum()} particles" in widget.status.text()
    assert "Only between z = the start and 4.95 (µm)" in widget.status.text()
    np.testing.assert_allclose(widget.plot.axes.get_lines()[0].get_ydata(), part.g.g)
    assert points.features["q6"][~inside].isna().all()
    assert not points.features["interior"][~inside].any()
    np.testing.assert_array_equal(points.features["q6"][inside], part.particles["q6"])
    export(widget, tmp_path / "slab.csv")
    written = read_particles(tmp_path / "slab.csv")
    assert len(written) == inside.sum()
    assert written.attrs["options"]["slab"][1] == pytest.approx(49.5)
    low.value = 6
    click(widget.button)
    assert "must end above" in widget.status.text()
    low.value, high.value = 50, None
    click(widget.button)
    assert "give a wider one" in widget.status.text()
    add(viewer, fluid, image=False, place={}, name="in voxels")
    assert widget.slab.value == (None, None), "of other units"
    assert low.native.suffix() == " voxels"


def test_what_changes_with_time_is_drawn_by_frame(viewer, fluid, qtbot, click):
    series = pd.concat([fluid.assign(frame=0), fluid.iloc[::2].assign(frame=1)], ignore_index=True)
    place = {name: ((2.0, "s", "t")[i], *values) for i, (name, values) in enumerate(PLACE.items())}
    widget = docked(viewer)
    entries = widget.show_what.native.model()
    add(viewer, fluid)
    assert not entries.item(2).isEnabled()
    add(viewer, series, image=False, place=place, name="series")
    assert entries.item(2).isEnabled()
    widget.show_what.value = "time:volume_fraction"
    measure(widget, qtbot, click)
    axes = widget.plot.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time (s)", "volume fraction")
    values, mean = axes.get_lines()[0].get_ydata(), axes.get_lines()[-1].get_ydata()[0]
    assert axes.get_lines()[0].get_xdata().tolist() == [0, 2]
    assert values[0] == pytest.approx(0.4, abs=0.02)
    assert values[1] == pytest.approx(0.2, abs=0.02)
    assert mean == pytest.approx(values.mean())
    assert to_hex(axes.collections[0].get_color()[0]) == widget.plot.look.curves[0], "errors as their curve"
    widget.show_what.value = "time:q6_averaged"
    means = widget._done.found.inside.groupby("frame")["q6_averaged"].mean()
    np.testing.assert_allclose(axes.get_lines()[0].get_ydata(), means.reindex([0, 1]))
    widget.points.value = viewer.layers["found"]
    assert widget.show_what.value == "g", "of one time nothing changes"
