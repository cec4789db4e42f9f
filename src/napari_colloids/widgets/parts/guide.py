"""Help: the page of the documentation that explains a dock, in a window of its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QImage, QTextCursor, QTextDocument
from qtpy.QtWidgets import QTextBrowser, QToolButton, QWidget

import napari_colloids
from napari_colloids.widgets.parts.own_control import wrapped
from napari_colloids.widgets.parts.status import is_light

if TYPE_CHECKING:
    from typing import Any

_SIZE_PX = (820, 720)
#: A picture as the pages have them: source in the light and in the dark theme, and what it shows.
_PICTURE = re.compile(r'<picture><source [^>]*srcset="([^"]+)"><img src="([^"]+)" alt="([^"]*)"></picture>')
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
        if self.source() == QUrl(name):
            self.reload()  # the theme may be another
        self.setSource(QUrl(name), QTextDocument.ResourceType.MarkdownResource)
        self.show()
        self.raise_()
        self._go_to(heading)

    def loadResource(self, kind: int, name: QUrl) -> Any:
        """Return a page, or a picture no wider than the window; a dot for one that is not installed."""
        if kind == QTextDocument.ResourceType.MarkdownResource.value:
            page = docs_folder() / name.path()
            return self._in_this_theme(page.read_text(encoding="utf-8")) if page.is_file() else ""
        if kind != QTextDocument.ResourceType.ImageResource.value:
            return super().loadResource(kind, name)
        picture = QImage(str(docs_folder() / name.path()))
        if picture.isNull():  # where Qt would draw a sheet of paper
            picture = QImage(1, 1, QImage.Format.Format_ARGB32)
            picture.fill(Qt.GlobalColor.transparent)
        if picture.width() > _PICTURE_WIDTH_PX:
            return picture.scaledToWidth(_PICTURE_WIDTH_PX, Qt.TransformationMode.SmoothTransformation)
        return picture

    def _in_this_theme(self, text: str) -> str:
        """Return Markdown with one picture each for those of both themes, of which Qt does not know."""
        return _PICTURE.sub(r"![\3](\1)" if is_light(self) else r"![\3](\2)", text)

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
