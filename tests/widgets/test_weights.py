"""Own weights in the Detect widget, in a real window."""

from __future__ import annotations

from pathlib import Path

from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_colloids.widgets.detect import DetectWidget

TIMEOUT = 60_000


def test_a_file_is_asked_for_and_searched_with(viewer, simulated, blind_weights, qtbot, click, monkeypatch):
    viewer.add_image(simulated.stack.data, name="beads")
    widget = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    widget.advanced.expand()
    widget.mode.setCurrentIndex(widget.mode.findData("px"))
    widget.pixels.setValue(10)

    def answer(path):
        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (path, ""))
        widget.weights.setFocus()
        qtbot.keyClick(widget.weights, Qt.Key.Key_End)  # to the last entry, as by hand

    assert widget.options().weights is None
    answer("")  # the dialog is closed
    assert widget.options().weights is None
    answer(blind_weights)
    assert widget.options().weights == blind_weights
    assert widget.weights.currentText() == Path(blind_weights).name
    answer("")
    assert widget.options().weights == blind_weights, "who closes the dialog changes nothing"
    click(widget.button)
    qtbot.waitUntil(lambda: not widget.button.busy, timeout=TIMEOUT)
    assert len(viewer.layers["beads particles"].data) == 0

    widget.method.setCurrentIndex(widget.method.findData("log"))
    assert widget.options().weights is None
    assert not widget.weights.isEnabled()
