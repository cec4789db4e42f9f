"""Status line of a dock: messages, notices and errors, in colours that suit napari's theme."""

from __future__ import annotations

import html

from napari.utils.notifications import show_error
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

#: Colours of what the user should not overlook and of errors: on a dark panel, and on a light one.
NOTICE_COLOURS = ("#ffb000", "#8a5a00")
ERROR_COLOURS = ("#ff6b5a", "#b3261e")
_NOTICE_MARK = "class='notice'"


def is_light(widget: QWidget) -> bool:
    """Whether the theme of a widget is dark on light."""
    return widget.palette().window().color().lightness() > 127


def notice(text: str) -> str:
    """Mark a notice, which a `Status` colours to suit the theme."""
    return f"<span {_NOTICE_MARK}>{html.escape(text)}</span>"


def status_near(widget: QWidget) -> Status | None:
    """Return the status line of the dock that a widget stands in; None where there is none."""
    around = widget.parentWidget()
    while around is not None:
        found = around.findChildren(Status)
        if found:
            return found[0]
        around = around.parentWidget()
    return None


class Status(QLabel):
    """Lines of text: a result, which stays until there is another, and below it the last message or error.

    Each may be about layers, with which it goes.
    """

    _result = _message = ""
    _result_about: tuple[object, ...] = ()
    _message_about: tuple[object, ...] = ()
    _failed = False
    _light: bool | None = None

    def __init__(self) -> None:
        super().__init__("")
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.MinimumExpanding)

    def keep(self, result: str, *about: object) -> None:
        """Show a result, which no message takes away; empty for none."""
        self._result, self._result_about = result, about
        self._dress()

    def say(self, text: str, *about: object) -> None:
        """Show a message; empty for none."""
        self._message, self._message_about, self._failed = text, about, False
        self._dress()

    def fail(self, text: str) -> None:
        """Show an error here and among napari's notifications."""
        self._message, self._message_about, self._failed = text, (), True
        self._dress()
        show_error(text)

    def forget(self, layer: object) -> None:
        """Show nothing any more that is about this layer, which is gone."""
        if layer in self._result_about:
            self.keep("")
            self.say("")
        if layer in self._message_about:
            self.say("")

    def changeEvent(self, event: QEvent | None) -> None:
        """Follow napari's theme."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.PaletteChange and is_light(self) != self._light:
            self._dress()

    def _dress(self) -> None:
        self._light = light = is_light(self)
        message = self._message
        if self._failed and self._result:
            message = f"<span style='color:{ERROR_COLOURS[light]}'>{html.escape(message)}</span>"
        # Named, because the tooltip would take the colour too, on a background of its own.
        failed_alone = self._failed and not self._result
        self.setStyleSheet(f"Status {{ color: {ERROR_COLOURS[light]}; }}" if failed_alone else "")
        text = "<br>".join(filter(None, (self._result, message)))
        self.setText(text.replace(_NOTICE_MARK, f"style='color:{NOTICE_COLOURS[light]}'"))
        self.setToolTip(text)  # a path, which cannot be broken into lines, may be cut off
