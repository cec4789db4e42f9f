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
    widget.form.advanced.expand()
    widget.controls["diameter_unit"].value = "diameter"
    widget.controls["diameter"].value = 10

    def answer(path):
        monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (path, ""))
        widget.controls["weights"].native.setFocus()
        qtbot.keyClick(widget.controls["weights"].native, Qt.Key.Key_End)  # to the last entry, as by hand

    assert widget.form.options().weights is None
    answer("")  # the dialog is closed
    assert widget.form.options().weights is None
    answer(blind_weights)
    assert widget.form.options().weights == blind_weights
    assert widget.controls["weights"].native.currentText() == Path(blind_weights).name
    answer("")
    assert widget.form.options().weights == blind_weights, "who closes the dialog changes nothing"
    click(widget.button)
    qtbot.waitUntil(lambda: not widget.button.busy, timeout=TIMEOUT)
    assert len(viewer.layers["beads particles"].data) == 0

    widget.controls["method"].value = "log"
    assert widget.form.options().weights is None
    assert not widget.controls["weights"].enabled
