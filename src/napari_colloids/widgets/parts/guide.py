"""Help: the page of the documentation that explains a dock, in a window of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QImage, QTextCursor, QTextDocument
from qtpy.QtWidgets import QTextBrowser, QToolButton, QWidget

import napari_colloids
from napari_colloids.widgets.parts.own_control import wrapped

if TYPE_CHECKING:
    from typing import Any

_SIZE_PX = (820, 720)
#: Of pictures, so that they are seen whole beside the bar of the window.
_PICTURE_WIDTH_PX = 760


def docs_folder() -> Path:
    """Return the folder of the documentation: in the package, or beside the sources of a clone."""
    package = Path(napari_colloids.__file__).parent
    packed = package / "docs"
    return packed if packed.is_dir() else package.parents[1] / "docs"


class HelpButton(QToolButton):
    """Shows a page of the documentation.

    Parameters
    ----------
    page
        Name of a file in `docs_folder`, and after ``#`` the heading to begin with, if any.
    """

    def __init__(self, page: str) -> None:
        super().__init__()
        self._page = page
        self.setText("Help")
        self.setAutoRaise(True)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setToolTip(wrapped("What this dock does, step by step. Key F1."))
        self.clicked.connect(self.open)

    def open(self) -> None:
        """Show the page; all docks of a napari window share one window of help."""
        window = self.window()
        if window is None:
            return
        guide = window.findChild(Guide) or Guide(window)
        guide.open(self._page)


class Guide(QTextBrowser):
    """A window that shows pages of the documentation and follows their links."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowFlag(Qt.WindowType.Window)
        self.setWindowTitle("Colloids: help")
        self.resize(*_SIZE_PX)
        self.setOpenExternalLinks(True)
        self.setSearchPaths([str(docs_folder())])

    def open(self, page: str) -> None:
        """Show a page from one of its headings on, and come to the front."""
        name, _, heading = page.partition("#")
        self.setSource(QUrl(name), QTextDocument.ResourceType.MarkdownResource)
        self.show()
        self.raise_()
        self._go_to(heading)

    def loadResource(self, kind: int, name: QUrl) -> Any:
        """Return a file of the documentation: pictures no wider than the window, nothing for those not installed."""
        if kind != QTextDocument.ResourceType.ImageResource.value:
            return super().loadResource(kind, name)
        picture = QImage(str(docs_folder() / name.path()))
        if picture.isNull():  # a dot, where Qt would draw a sheet of paper
            picture = QImage(1, 1, QImage.Format.Format_ARGB32)
            picture.fill(Qt.GlobalColor.transparent)
        if picture.width() > _PICTURE_WIDTH_PX:
            return picture.scaledToWidth(_PICTURE_WIDTH_PX, Qt.TransformationMode.SmoothTransformation)
        return picture

    def _go_to(self, heading: str) -> None:
        """Scroll to a heading: Qt gives those of Markdown no anchors."""
        document, bar = self.document(), self.verticalScrollBar()
        layout = None if document is None else document.documentLayout()
        if document is None or layout is None or bar is None:
            return
        block = document.begin()
        while block.isValid() and not (block.blockFormat().headingLevel() and block.text() == heading):
            block = block.next()
        if block.isValid():
            self.setTextCursor(QTextCursor(block))
            bar.setValue(int(layout.blockBoundingRect(block).y()))
