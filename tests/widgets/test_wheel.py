"""Scrolling a panel changes no setting on the way."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication

from napari_colloids.widgets.parts.controls import choice
from napari_colloids.widgets.parts.layer_choice import LayerChoice
from napari_colloids.widgets.parts.number_box import NumberBox
from napari_colloids.widgets.parts.status import Status
from napari_colloids.widgets.threshold import ThresholdPanel


def turn_wheel(control):
    """Turn the wheel by a notch towards the user, the pointer over the control; return whether the control took it.

    What a control does not take Qt hands on to the panel, but only if the event comes from a real wheel.
    """
    middle = QPointF(control.rect().center())
    event = QWheelEvent(
        middle,
        QPointF(control.mapToGlobal(middle.toPoint())),
        QPoint(),
        QPoint(0, -120),
        Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier,
        Qt.ScrollPhase.NoScrollPhase,
        False,
    )
    QApplication.sendEvent(control, event)
    return event.isAccepted()


def test_the_threshold_stays_too(viewer, qtbot):
    panel = ThresholdPanel(viewer, Status())
    qtbot.addWidget(panel)
    panel.slider.setValue(0.5)
    for part in (panel.slider, panel.level.native):
        assert not turn_wheel(part)
    assert panel.slider.value() == 0.5


@pytest.fixture(params=["choice", "whole", "number", "layers"])
def control(request, viewer, qtbot):
    made = {
        "choice": lambda: choice({0: "network", 1: "trackpy"}, 0),
        "whole": lambda: NumberBox(5, 0, 9, decimals=0, unit="px"),
        "number": lambda: NumberBox(5.0, 0.0, 9.0, decimals=1, unit="px"),
        "layers": lambda: LayerChoice(viewer, lambda _: True, "Which.", none="none"),
    }[request.param]()
    viewer.add_points(name="points")
    qtbot.addWidget(made.native)
    return made


def test_a_control_that_is_passed_by_leaves_the_wheel_to_the_panel(control):
    before = control.value
    assert not turn_wheel(control.native)
    assert control.value == before


def test_one_that_was_chosen_is_turned(control, monkeypatch):
    monkeypatch.setattr(
        type(control.native), "hasFocus", lambda _: True
    )  # where windows have no manager none gets the focus
    before = control.value
    assert turn_wheel(control.native)
    assert control.value != before
