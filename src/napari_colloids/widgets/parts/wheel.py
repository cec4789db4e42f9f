"""Mouse wheel: scrolls the panel without changing controls under the pointer."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QWidget


class _Passing(QObject):
    def eventFilter(self, control: QObject | None, event: QEvent | None) -> bool:
        """Hand a turn of the wheel on to the panel, unless the control was chosen by a click or a key."""
        passed_by = isinstance(control, QWidget) and not control.hasFocus()
        if event is None or event.type() != QEvent.Type.Wheel or not passed_by:
            return False
        event.ignore()
        return True


def leave_wheel_to_panel(control: QWidget) -> None:
    """Let the wheel change a control, or the parts that it is made of, only while they have the focus."""
    for part in (control, *control.findChildren(QWidget)):
        part.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        part.installEventFilter(_Passing(part))
