"""Work in a thread: progress, cancel within one step, errors as a message, and everything reset afterwards."""

import gc
import threading
import time
from dataclasses import dataclass
from weakref import ref

import numpy as np
import pytest
from napari.utils._proxies import PublicOnlyProxy
from qtpy.QtCore import QObject

from napari_colloids.errors import ColloidsError
from napari_colloids.widgets.detect import DetectWidget
from napari_colloids.widgets.parts.task import Task, call

TIMEOUT = 30_000


@dataclass(frozen=True)
class Step:
    done: int
    total: int
    message: str = "tile"


@pytest.fixture
def parent(qapp):
    return QObject()


@pytest.fixture
def task(parent):
    return Task(parent, "Test")


def test_steps_and_result_arrive(task, qtbot):
    seen, results = [], []
    task.progressed.connect(lambda done, total, message: seen.append((done, total, message)))
    task.succeeded.connect(results.append)

    def work():
        yield Step(1, 2)
        yield Step(2, 2)
        return threading.get_ident()

    with qtbot.waitSignal(task.ended, timeout=TIMEOUT):
        task.start(work)
        assert task.running
    assert seen == [(1, 2, "tile"), (2, 2, "tile")]
    assert len(results) == 1
    assert results[0] != threading.get_ident()
    assert not task.running


def test_of_quick_steps_the_latest_are_told_and_quick_work_has_no_entry(pace, task, qtbot):
    from napari.utils import progress

    seen, entries = [], []
    task.progressed.connect(lambda done, total, message: seen.append(done))
    task.progressed.connect(lambda *_: entries.append(len(progress._all_instances)))

    def work():
        for step in range(50):
            yield Step(step, 50)
            time.sleep(0.01)
        time.sleep(0.3)

    with qtbot.waitSignal(task.ended, timeout=TIMEOUT):
        task.start(work)
    assert seen[0] == 0
    assert seen[-1] == 49
    assert 2 < len(seen) < 10
    assert not any(entries)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ColloidsError("Type the diameter."), "Type the diameter."),
        (RuntimeError("CUDA error:\n out of memory"), "Unexpected error (RuntimeError): CUDA error: out of memory."),
        (MemoryError(), "Unexpected error (MemoryError): MemoryError."),
    ],
    ids=["ours", "runtime", "memory"],
)
def test_errors_become_one_line_and_the_task_is_free_again(task, qtbot, error, message):
    from napari.utils import progress

    messages = []
    task.failed.connect(messages.append)

    def work():
        yield Step(1, 2)
        raise error

    with qtbot.waitSignal(task.ended, timeout=TIMEOUT):
        task.start(work)
    assert messages == [message]
    assert not task.running
    assert not progress._all_instances, "a progress bar was left open"
    with qtbot.waitSignals([task.succeeded, task.ended], timeout=TIMEOUT):
        task.start(call(lambda: 1))


def test_cancel_stops_at_the_next_step(task, qtbot):
    steps = []
    may_go_on = threading.Event()

    def work():
        for step in range(1000):
            steps.append(step)
            yield Step(step, 1000)
            may_go_on.wait(TIMEOUT / 1000)
            may_go_on.clear()

    with qtbot.waitSignal(task.cancelled, timeout=TIMEOUT):
        task.start(work)
        qtbot.waitUntil(lambda: steps == [0], timeout=TIMEOUT)
        task.cancel()
        may_go_on.set()
    qtbot.waitUntil(lambda: not task.running, timeout=TIMEOUT)
    assert len(steps) <= 2


def test_a_cancel_after_the_last_step_is_told(task, qtbot):
    told = []
    task.succeeded.connect(lambda _: told.append("succeeded"))
    task.failed.connect(told.append)
    task.cancelled.connect(lambda: told.append("cancelled"))
    at_the_end, may_end = threading.Event(), threading.Event()

    def work():
        yield Step(1, 1)
        at_the_end.set()
        may_end.wait(TIMEOUT / 1000)
        return 1

    with qtbot.waitSignal(task.ended, timeout=TIMEOUT):
        task.start(work)
        qtbot.waitUntil(at_the_end.is_set, timeout=TIMEOUT)
        assert not task.cancelling
        task.cancel()
        assert task.cancelling
        may_end.set()
    assert told == ["cancelled"]
    assert not task.cancelling
    with qtbot.waitSignal(task.ended, timeout=TIMEOUT):
        task.start(call(lambda: 1))
        assert not task.cancelling
    assert told == ["cancelled", "succeeded"]


@pytest.mark.parametrize("how", ["cancelled", "failed", "done"])
def test_what_the_work_held_is_released_at_its_end(windowed_viewer, qtbot, how):
    """napari keeps every worker, for its question on closing the window."""
    parent = QObject()
    task, held, closed, may_go_on = Task(parent, "Test"), [], [], threading.Event()

    def work():
        tile = np.zeros(1000)
        held.append(ref(tile))
        try:
            yield Step(1, 2)
            may_go_on.wait(TIMEOUT / 1000)
            yield Step(1 + int(tile[0]), 2)
            if how == "failed":
                raise ColloidsError("Type the diameter.")
        finally:
            closed.append(how)

    with qtbot.waitSignal(task.ended, timeout=TIMEOUT):
        task.start(work)
        if how == "cancelled":
            qtbot.waitUntil(lambda: bool(held), timeout=TIMEOUT)
            task.cancel()
        may_go_on.set()
    del work
    gc.collect()
    assert closed == [how]
    assert held[0]() is None
    assert windowed_viewer.window._task_status_manager._tasks, "napari keeps no workers any more"


def test_an_image_that_cannot_be_read_is_no_error_of_ours(task, qtbot, caplog):
    messages = []
    task.failed.connect(messages.append)

    def work():
        raise OSError(5, "Input/output error", "/mnt/nas/series.zarr")

    with qtbot.waitSignal(task.ended, timeout=TIMEOUT):
        task.start(call(work))
    assert messages == ["The image could not be read: [Errno 5] Input/output error: '/mnt/nas/series.zarr'."]
    assert not caplog.records


def test_work_stops_when_its_widget_goes(qapp, qtbot):
    from napari.utils import progress

    stopped = threading.Event()

    def work():
        try:
            for step in range(100_000):
                yield Step(step, 100_000)
                stopped.wait(0.001)
        finally:
            stopped.set()

    parent = QObject()
    task = Task(parent, "Test")
    steps = []
    task.progressed.connect(lambda *step: steps.append(step))
    task.start(work)
    qtbot.waitUntil(lambda: len(steps) > 2, timeout=TIMEOUT)
    parent.deleteLater()
    qtbot.waitUntil(stopped.is_set, timeout=TIMEOUT)
    assert not progress._all_instances


def test_the_activity_bar_shows_the_same_share_and_ends_with_the_work(task, qtbot):
    from napari._qt.widgets.qt_progress_bar import QtLabeledProgressBar
    from napari.utils import progress

    seen, may_begin, may_end = [], threading.Event(), threading.Event()

    def work():
        may_begin.wait(TIMEOUT / 1000)
        for step in range(1, 4):
            yield Step(step, 4)
        may_end.wait(TIMEOUT / 1000)

    with qtbot.waitSignal(task.ended, timeout=TIMEOUT):
        task.start(work)
        qtbot.waitUntil(lambda: bool(progress._all_instances), timeout=TIMEOUT)
        (bar,) = progress._all_instances
        shown = QtLabeledProgressBar(prog=bar)
        qtbot.addWidget(shown)
        for event, slot in ((bar.events.value, shown._set_value), (bar.events.total, shown._set_total)):
            event.connect(slot)
        bar.events.value.connect(lambda event: seen.append((event.value, bar.total)))
        may_begin.set()
        qtbot.waitUntil(lambda: (3, 4) in seen, timeout=TIMEOUT)
        assert (shown.qt_progress_bar.value(), shown.qt_progress_bar.maximum()) == (3, 4)
        may_end.set()
    assert not progress._all_instances


def test_cancelled_detection_leaves_the_window_usable(viewer, qtbot, click):
    viewer.add_image(np.random.default_rng(0).integers(0, 255, (48, 48, 48), dtype=np.uint8))
    widget = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    widget.controls["diameter_unit"].value = "diameter"
    widget.controls["diameter"].value = 12.0
    widget.controls["tile"].value = 16
    widget.controls["method"].value = "network"
    done = []
    widget.button.task.progressed.connect(lambda *step: done.append(step[0]))
    click(widget.button)
    qtbot.waitUntil(lambda: bool(done), timeout=TIMEOUT)
    at_cancel = done[-1]
    click(widget.button)
    assert not widget.button.isEnabled()
    qtbot.waitUntil(lambda: widget.button.text() == "Detect", timeout=TIMEOUT)
    assert done[-1] <= at_cancel + 1
    assert "Cancelled" in widget.status.text()
    assert len(viewer.layers) == 1
    assert widget.button.isEnabled()
    assert not widget.button.bar.native.isVisibleTo(widget)


def test_error_in_detection_resets_the_button_and_is_said(viewer, qtbot, click):
    from napari.utils.notifications import notification_manager

    viewer.add_image(np.random.default_rng(0).random((16, 16, 16)))
    widget = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    widget.controls["diameter_unit"].value = "diameter_um"
    click(widget.button)
    qtbot.waitUntil(lambda: widget.button.text() == "Detect", timeout=TIMEOUT)
    assert "voxel size" in widget.status.text()
    assert "voxel size" in notification_manager.records[-1].message
    assert widget.button.isEnabled()
    assert len(viewer.layers) == 1
