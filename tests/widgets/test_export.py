"""Tables are written in the background, as they were when Export was clicked."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from napari_colloids.io import read_particles
from napari_colloids.particles import particle_table
from napari_colloids.widgets.detect import DetectWidget
from napari_colloids.widgets.layers import layers, writer
from napari_colloids.widgets.layers.spheres import add_layer

TIMEOUT = 30_000


@pytest.fixture
def points(viewer):
    table = particle_table([[1, 2, 3], [4, 5, 6], [7, 8, 9]], radius=2, confidence=[0.2, 0.6, 0.9])
    return add_layer(viewer, layers.particle_layer_data(table, name="found", note={"threshold": 0.5}))


@pytest.fixture
def widget(viewer, points):
    widget = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    return widget


@pytest.fixture
def slow_disk(monkeypatch):
    """A disk that waits for the test; notes which thread waits for it."""
    disk = SlowDisk(writer.write_table)
    monkeypatch.setattr("napari_colloids.widgets.parts.export.write_table", disk)
    yield disk
    disk.goes_on.set()


class SlowDisk:
    def __init__(self, write):
        self._write = write
        self.threads, self.begun, self.goes_on, self.done = [], *(threading.Event() for _ in range(3))

    def __call__(self, *args):
        self.threads.append(threading.current_thread())
        self.begun.set()
        assert self.goes_on.wait(TIMEOUT / 1000)
        self._write(*args)
        self.done.set()


def test_what_was_on_show_is_written_whatever_becomes_of_it(viewer, widget, points, slow_disk, tmp_path, qtbot):
    panel = widget.threshold
    panel.export.write(tmp_path / "found.csv")
    qtbot.waitUntil(slow_disk.begun.is_set, timeout=TIMEOUT)
    assert threading.main_thread() not in slow_disk.threads
    assert panel.export.busy
    assert panel.export.text() == "Exporting…"
    assert not panel.export.isEnabled()
    assert "Wrote" not in widget.status.text()

    points.data[:] = 99  # in place, as napari moves points
    panel.slider.setValue(0.0)
    viewer.layers.remove(points)
    slow_disk.goes_on.set()
    qtbot.waitUntil(lambda: not panel.export.busy, timeout=TIMEOUT)
    written = read_particles(tmp_path / "found.csv")
    assert written[["z", "y", "x"]].to_numpy().tolist() == [[4, 5, 6], [7, 8, 9]]
    assert written.attrs["threshold"] == 0.5
    assert written.attrs["layer"] == "found"
    assert written.attrs["program"].startswith("napari-colloids ")
    assert widget.status.text() == f"Wrote 2 particles to {tmp_path / 'found.csv'}."
    assert panel.export.text() == "Export CSV…"


def test_what_cannot_be_written_is_said(widget, export, tmp_path):
    export(widget.threshold, tmp_path / "nowhere" / "found.csv")
    assert "There is no folder" in widget.status.text()
    assert widget.threshold.export.isEnabled()


def test_a_dock_that_is_closed_meanwhile_loses_nothing(viewer, widget, slow_disk, tmp_path, qtbot):
    (tmp_path / "found.csv").write_text("as it was")
    widget.threshold.export.write(tmp_path / "found.csv")
    qtbot.waitUntil(slow_disk.begun.is_set, timeout=TIMEOUT)
    viewer.window.remove_dock_widget(widget)
    widget.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert (tmp_path / "found.csv").read_text() == "as it was"
    slow_disk.goes_on.set()
    qtbot.waitUntil(slow_disk.done.is_set, timeout=TIMEOUT)
    assert len(read_particles(tmp_path / "found.csv")) == 2


def test_there_must_be_something_to_export(viewer, qtbot, tmp_path):
    widget = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    widget.threshold.export.write(Path("nowhere.csv"))
    assert "detect particles first" in widget.status.text()
    assert not widget.threshold.export.isEnabled()
