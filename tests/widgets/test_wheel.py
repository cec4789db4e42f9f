"""Scrolling a panel changes no setting on the way."""

from __future__ import annotations

import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication

from napari_colloids.widgets.parts.controls import LayerCombo, Status, choice, number, whole
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


def value_of(control):
    return control.value() if hasattr(control, "value") else control.currentData()


def test_the_threshold_stays_too(viewer, qtbot):
    panel = ThresholdPanel(viewer, Status())
    qtbot.addWidget(panel)
    panel.slider.setValue(0.5)
    for part in (panel.slider, panel.level):
        assert not turn_wheel(part)
    assert panel.slider.value() == 0.5


@pytest.fixture(params=["choice", "whole", "number", "layers"])
def control(request, viewer, qtbot):
    made = {
        "choice": lambda: choice({"network": 0, "trackpy": 1}, 0, "How."),
        "whole": lambda: whole(5, 0, 9, unit="px", tooltip="How many."),
        "number": lambda: number(5.0, 0.0, 9.0, decimals=1, unit="px", tooltip="How much."),
        "layers": lambda: LayerCombo(viewer, lambda _: True, "Which.", none="none"),
    }[request.param]()
    viewer.add_points(name="points")
    qtbot.addWidget(made)
    return made


def test_a_control_that_is_passed_by_leaves_the_wheel_to_the_panel(control):
    before = value_of(control)
    assert not turn_wheel(control)
    assert value_of(control) == before


def test_one_that_was_chosen_is_turned(control, monkeypatch):
    monkeypatch.setattr(type(control), "hasFocus", lambda _: True)  # where windows have no manager none gets the focus
    before = value_of(control)
    assert turn_wheel(control)
    assert value_of(control) != before
