"""One button runs work, cancels it, and says how it went."""

import threading

import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_colloids.errors import ColloidsError
from napari_colloids.progress import Progress
from napari_colloids.widgets.parts.run_button import RunButton
from napari_colloids.widgets.parts.status import Status
from napari_colloids.widgets.parts.task import call

TIMEOUT = 30_000


class Work:
    """Two steps, of which the second waits for the test."""

    def __init__(self):
        self.goes_on = threading.Event()

    def __call__(self):
        yield Progress(1, 2, "working")
        assert self.goes_on.wait(TIMEOUT / 1000)
        yield Progress(2, 2, "working")
        return "done"


@pytest.fixture
def work():
    work = Work()
    yield work
    work.goes_on.set()


@pytest.fixture
def status(qtbot):
    status = Status()
    qtbot.addWidget(status)
    return status


@pytest.fixture
def button(qtbot, status, work):
    button = RunButton("Run", status, doing="Running", prepare=lambda: work, cancel_tip="Stop.")
    button.offer(True, "Run it.")
    for widget in (button, button.bar.native):
        qtbot.addWidget(widget)
    button.show()
    return button


def test_it_runs_and_cancels(qtbot, click, button, status, work):
    assert (button.text(), button.toolTip()) == ("Run", "Run it.")
    click(button)
    qtbot.waitUntil(lambda: button.bar.value == 1, timeout=TIMEOUT)
    assert (button.text(), button.toolTip(), status.text()) == ("Cancel", "Stop.", "working: 50%")
    assert button.bar.visible
    click(button)
    assert (button.text(), button.isEnabled()) == ("Cancelling…", False)
    work.goes_on.set()
    qtbot.waitUntil(lambda: not button.busy, timeout=TIMEOUT)
    assert (button.text(), button.isEnabled(), button.bar.visible) == ("Run", True, False)
    assert status.text() == "Cancelled; nothing was changed."


def test_a_double_click_starts_it_once_and_does_not_cancel(qtbot, button, work):
    results = []
    button.succeeded.connect(results.append)
    middle = button.rect().center()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton, pos=middle)
    qtbot.mouseDClick(button, Qt.MouseButton.LeftButton, pos=middle)
    assert button.text() == "Cancel"
    work.goes_on.set()
    qtbot.waitUntil(lambda: results == ["done"], timeout=TIMEOUT)


def test_what_cannot_be_prepared_is_said_and_not_run(click, button, status):
    def refuse():
        raise ColloidsError("Choose an image.")

    button.run(refuse)
    assert status.text() == "Choose an image."
    button.run(lambda: None)
    assert not button.busy


def test_work_without_steps_is_not_cancelled(qtbot, click, status):
    goes_on = threading.Event()
    button = RunButton("Load", status, doing="Loading", prepare=lambda: call(lambda: goes_on.wait(TIMEOUT / 1000)))
    qtbot.addWidget(button)
    click(button)
    assert (button.text(), button.isEnabled(), button.bar.visible) == ("Loading…", False, False)
    goes_on.set()
    qtbot.waitUntil(lambda: button.text() == "Load", timeout=TIMEOUT)


def test_two_take_turns(qtbot, click, button, status, work):
    other = RunButton("Other", status, doing="Other", prepare=lambda: work, cancel_tip="Stop.")
    qtbot.addWidget(other)
    other.offer(True, "Run the other.")
    button.take_turns_with(other)
    click(button)
    assert not other.isEnabled()
    assert other.toolTip() == "Wait for 'Run', or cancel it."
    work.goes_on.set()
    qtbot.waitUntil(other.isEnabled, timeout=TIMEOUT)
    assert other.toolTip() == "Run the other."


def test_what_is_kept_of_failed_work_is_said(qtbot, click, status):
    def fails():
        yield Progress(1, 2, "working")
        raise ColloidsError("No light.")

    button = RunButton(
        "Run", status, doing="Running", prepare=lambda: fails, cancel_tip="Stop.", kept=lambda: ": one frame is done."
    )
    qtbot.addWidget(button)
    click(button)
    qtbot.waitUntil(lambda: not button.busy, timeout=TIMEOUT)
    assert status.text() == "No light. Stopped: one frame is done."


def test_the_window_is_drawn_after_a_result_in_a_turn_of_its_own(qtbot, click):
    """While napari adds a layer, and while it draws it, nothing is heard: there is a turn in between."""
    window, status = QWidget(), Status()
    column = QVBoxLayout(window)
    button = RunButton("Go", status, doing="Going", prepare=lambda: call(lambda: 1))
    column.addWidget(button)
    qtbot.addWidget(window)
    window.show()
    drawn = []
    button.succeeded.connect(lambda _: drawn.append(window.updatesEnabled()))
    with qtbot.waitSignal(button.ended):
        click(button)
    assert drawn == [False]
    qtbot.waitUntil(window.updatesEnabled)
