"""Base of the docks: a column that scrolls, with a part that can be folded away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QSize, Qt, QTimer
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QDockWidget, QFrame, QHBoxLayout, QScrollArea, QVBoxLayout, QWidget
from superqt import QCollapsible

from napari_colloids.widgets.layers.spheres import watch
from napari_colloids.widgets.layers.unwrapped import unwrapped
from napari_colloids.widgets.parts.docking import Docking
from napari_colloids.widgets.parts.guide import HelpButton
from napari_colloids.widgets.parts.status import Status
from napari_colloids.widgets.parts.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari import Viewer
    from napari.utils.events import Event
    from qtpy.QtGui import QKeyEvent

#: Of a panel, in pixels; docks beside the image should not take its room.
_MIN_WIDTH_PX = 340
_FOLD_STYLE = "QPushButton { background: transparent; border: none; text-align: left; padding: 3px 0px; }"


class Panel(QScrollArea):
    """Base of the dock widgets: a column that scrolls where the window is too low for it.

    Panels share one place as tabs. What a panel has under way ends when its dock is closed, and so does the panel.
    """

    #: Page of the documentation that explains the dock, and after "#" its heading.
    guide = ""
    _docked = False

    def __init__(self, viewer: Viewer) -> None:
        super().__init__()
        self._viewer = unwrapped(viewer)
        watch(self._viewer)  # for the slices to be reached, whatever is added by whom
        self._viewer.layers.events.removed.connect(self._on_removed)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._inside = QWidget()
        self.column = QVBoxLayout(self._inside)
        self.column.setContentsMargins(6, 6, 6, 6)
        self.column.setSpacing(6)
        self.setWidget(self._inside)

    def add(self, *parts: QWidget) -> None:
        """Add widgets to the column, from top to bottom, with room and the way to the help below the last."""
        for part in parts:
            self.column.addWidget(part)
        self.column.addStretch(1)
        self.help = HelpButton(self.guide)
        self.column.addWidget(self.help, alignment=Qt.AlignmentFlag.AlignRight)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Show the help with F1."""
        if event is not None and event.key() == Qt.Key.Key_F1:
            self.help.open()
        else:
            super().keyPressEvent(event)

    def _on_removed(self, event: Event) -> None:
        """Say no more what was said about a layer that is gone."""
        if isalive(self):
            for status in self.findChildren(Status):
                status.forget(event.value)

    def changeEvent(self, event: QEvent | None) -> None:
        """Take a place among the docks; stop when the dock is closed, which lets go of its panel."""
        super().changeEvent(event)
        if event is None or event.type() != QEvent.Type.ParentChange:
            return
        dock = self.parent()
        if isinstance(dock, QDockWidget):
            self._docked = True
            Docking(dock, Panel)
        elif dock is None and self._docked:
            self._docked = False
            for task in self.findChildren(Task):
                task.cancel()
            QTimer.singleShot(0, self._end)

    def _end(self) -> None:
        """Follow no layer any more, unless docked again: it would compete with a panel that is opened later."""
        if isalive(self) and not self._docked:
            self.deleteLater()

    def sizeHint(self) -> QSize:
        """Ask for the room the column needs, where a scroll area would ask for little."""
        return QSize(self.minimumSizeHint().width(), self._inside.sizeHint().height())

    def minimumSizeHint(self) -> QSize:
        """Never be too narrow for the column, with the bar beside it: there is no scrolling to the side."""
        bar = self.verticalScrollBar()
        inside = self._inside.minimumSizeHint().width() + (bar.sizeHint().width() if bar is not None else 0)
        return QSize(max(_MIN_WIDTH_PX, inside), super().minimumSizeHint().height())


def across(*parts: QWidget) -> QHBoxLayout:
    """Put widgets side by side."""
    row = QHBoxLayout()
    for part in parts:
        row.addWidget(part)
    return row


class Fold(QCollapsible):
    """Controls that are folded away under "Advanced", where those are named that `unusual` returns."""

    def __init__(self, form: QWidget, tooltip: str, unusual: Callable[[], Sequence[str]] = tuple) -> None:
        super().__init__("")
        self._unusual = unusual
        self.setToolTip(tooltip)
        self.setDuration(0)
        # A line of text rather than one more button; superqt's own arrow has not the colour of the theme.
        self.setCollapsedIcon(QIcon())
        self.setExpandedIcon(QIcon())
        self.toggleButton().setStyleSheet(_FOLD_STYLE)
        for layout, indent in ((self.layout(), 0), (self.content().layout(), 8)):
            if layout is not None:
                layout.setContentsMargins(indent, 0, 0, 0)
        self.addWidget(form)
        # Controls that are out of sight are not to have the focus.
        self.toggled.connect(form.setVisible)
        self.toggled.connect(self.refresh)
        form.hide()
        self.refresh()

    def refresh(self, _: object = None) -> None:
        """Name what is unusual, unless it is in sight."""
        names = "" if self.isExpanded() else ", ".join(self._unusual())
        self.setText(f"{'▾' if self.isExpanded() else '▸'} Advanced" + (f": {names}" if names else ""))
