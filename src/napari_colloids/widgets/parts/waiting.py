"""Waiting for work in the background where napari wants the result at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEventLoop, QObject, QThread
from qtpy.QtWidgets import QApplication

from napari_colloids.errors import ColloidsError
from napari_colloids.progress import Progress, result_of
from napari_colloids.widgets.parts.task import Task

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_colloids.progress import Result


def wait_for(steps: Generator[Progress, None, Result], name: str) -> Result:
    """Return the result of a computation that runs in a thread while the window goes on drawing itself.

    Clicks and keys wait until it has ended: what they would change may be what the result is for. Without a window
    that is in use, as in a script before ``napari.run()``, it runs where it is called.

    Parameters
    ----------
    steps
        The computation.
    name
        Of its entry in napari's activity dock.

    Raises
    ------
    ColloidsError
        If the computation failed.
    """
    application, thread = QApplication.instance(), QThread.currentThread()
    if application is None or thread is None or application.thread() is not thread or thread.loopLevel() == 0:
        return result_of(steps)
    loop, parent = QEventLoop(), QObject()
    results: list[Result] = []
    errors: list[str] = []
    task = Task(parent, name)
    task.succeeded.connect(results.append)
    task.failed.connect(errors.append)
    task.ended.connect(loop.quit)
    task.start(lambda: steps)
    loop.exec(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)
    if not results:
        raise ColloidsError(*errors)
    return results[0]
