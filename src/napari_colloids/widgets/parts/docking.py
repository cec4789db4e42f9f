"""One place for the docks: tabs of one area of napari's window, in the order of the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import QDockWidget, QMainWindow, QTabBar

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

#: The docks in the order of the work; any other comes last.
ORDER = ("Load", "Detect", "Assess", "Inspect", "Track", "Structure", "Score", "Simulate")

#: All of the names are to be read at the least width of a panel.
_TAB_STYLE = "QTabBar::tab { padding: 3px 2px; font-size: 11px; min-width: 0px; }"


class Docking(QObject):
    """Gives a dock its tab among the docks of this kind when it is shown first; later it stays where the user puts it.

    napari's menus hide a dock that lies behind another, as it counts as visible: here they bring it to the front.
    """

    def __init__(self, dock: QDockWidget, kind: type[QWidget]) -> None:
        super().__init__(dock)
        self._dock, self._kind = dock, kind
        self._placed = self._behind = False
        dock.setWindowTitle(dock.windowTitle().partition(" (")[0])  # of the tab; napari's title bar says more
        dock.installEventFilter(self)
        dock.visibilityChanged.connect(self._on_visible)

    def eventFilter(self, dock: QObject | None, event: QEvent | None) -> bool:
        """Place the dock when it is shown; show it where it is to be hidden behind others."""
        if event is not None and event.type() == QEvent.Type.Show:
            # Later: the window is still busy with its layout.
            QTimer.singleShot(0, self._place)
        elif event is not None and event.type() == QEvent.Type.Hide and self._behind and self._dock.isHidden():
            QTimer.singleShot(0, self._show)
        return False

    def _on_visible(self, _: bool) -> None:
        self._behind = self._dock.isVisible() and self._dock.visibleRegion().isEmpty()
        window = self._dock.parent()
        if isinstance(window, QMainWindow):
            for bar in window.findChildren(QTabBar, options=Qt.FindChildOption.FindDirectChildrenOnly):
                if bar.elideMode() != Qt.TextElideMode.ElideNone and _is_ours(bar):
                    bar.setElideMode(Qt.TextElideMode.ElideNone)
                    bar.setStyleSheet(_TAB_STYLE)

    def _show(self) -> None:
        if isalive(self):
            self._dock.show()

    def _place(self) -> None:
        window = self._dock.parent() if isalive(self) else None
        if not isinstance(window, QMainWindow) or self._dock.isHidden():
            return
        if not self._placed:
            self._placed = True
            if not self._dock.isFloating():
                self._join(window)
        self._dock.raise_()

    def _join(self, window: QMainWindow) -> None:
        """Become one of the tabs, in their order."""
        others = [dock for dock in window.findChildren(QDockWidget) if self._is_beside(dock)]
        if not others:
            return
        animated = window.isAnimated()
        window.setAnimated(False)
        # Those that the user has put elsewhere stay there.
        together = [others[0], *(dock for dock in window.tabifiedDockWidgets(others[0]) if dock in others)]
        window.tabifyDockWidget(others[0], self._dock)
        first, *later = sorted([*together, self._dock], key=_rank)
        for dock in later:
            window.tabifyDockWidget(first, dock)
        window.setAnimated(animated)

    def _is_beside(self, dock: QDockWidget) -> bool:
        """Whether a dock is another one of the kind, and at its place in the window."""
        elsewhere = dock is self._dock or dock.isFloating() or dock.isHidden()
        return isinstance(dock.widget(), self._kind) and not elsewhere


def _is_ours(bar: QTabBar) -> bool:
    """Whether all tabs of a bar are those of docks of this plugin."""
    return bar.count() > 0 and all(bar.tabText(index) in ORDER for index in range(bar.count()))


def _rank(dock: QDockWidget) -> int:
    name = dock.windowTitle()
    return ORDER.index(name) if name in ORDER else len(ORDER)
