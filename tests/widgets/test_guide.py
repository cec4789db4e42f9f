"""Help: the page that explains a dock, by a click and by F1."""

import re

import pytest
from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QColor, QPalette
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QMainWindow

import napari_colloids
from napari_colloids import widgets
from napari_colloids.widgets.parts.guide import Guide, docs_folder


@pytest.fixture
def window(qtbot):
    window = QMainWindow()
    qtbot.addWidget(window)
    return window


def docked(window, viewer, name="InspectWidget"):
    dock = getattr(widgets, name)(viewer)
    window.setCentralWidget(dock)
    window.resize(500, 700)
    window.show()
    return dock


def first_line_on_show(guide):
    return guide.cursorForPosition(guide.viewport().rect().topLeft()).block().text()


@pytest.mark.parametrize("how", ["click", "F1"])
def test_help_explains_the_dock(window, viewer, how):
    dock = docked(window, viewer)
    if how == "click":
        QTest.mouseClick(dock.help, Qt.MouseButton.LeftButton)
    else:
        QTest.keyClick(dock.list.filter, Qt.Key.Key_F1)
    guide = window.findChild(Guide)
    assert guide.isVisible()
    assert first_line_on_show(guide) == "Inspect: a result particle by particle"


def test_one_window_begins_with_the_heading_of_each_dock_and_follows_links(window, viewer, qtbot):
    dock = docked(window, viewer, "StructureWidget")
    dock.help.open()
    dock.help.open()
    (guide,) = window.findChildren(Guide)
    assert first_line_on_show(guide) == "The dock"
    guide.setSource(QUrl("refinement.md"))
    assert guide.document().begin().text() == "Refinement"


@pytest.mark.parametrize("name", widgets.__all__)
def test_every_dock_has_a_page_with_its_heading(name):
    page, _, heading = getattr(widgets, name).guide.partition("#")
    lines = (docs_folder() / page).read_text(encoding="utf-8").splitlines()
    assert any(line.startswith("#") and line.lstrip("# ") == heading for line in lines) or not heading


@pytest.mark.parametrize("page", sorted(path.name for path in docs_folder().glob("*.md")))
def test_pages_are_shown_whole(window, page):
    """HTML in the midst of Markdown swallows what follows it."""
    text = re.sub(r"```.*?```", "", (docs_folder() / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = [line.lstrip("# ") for line in text.splitlines() if line.startswith("#")]
    guide = Guide(window)
    guide.open(page)
    shown, block = [], guide.document().begin()
    while block.isValid():
        if block.blockFormat().headingLevel():
            shown.append(block.text())
        block = block.next()
    assert shown == [heading.replace("`", "") for heading in headings]


def test_pictures_are_those_of_the_theme(window):
    guide = Guide(window)
    for colour, theme in (("black", "dark"), ("white", "light")):
        palette = guide.palette()
        palette.setColor(QPalette.ColorRole.Window, QColor(colour))
        guide.setPalette(palette)
        guide.open("tutorial.md")
        names = re.findall(r'<img src="([^"]+)"', guide.toHtml())
        assert len(names) > 5
        assert all(name.endswith(f"_{theme}.png") for name in names)


def test_pages_of_an_installed_package_have_no_pictures(window, monkeypatch, tmp_path):
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "inspect.md").write_text("# Inspect\n\n![the dock](images/inspect_dock.png)\n\nafter it\n")
    monkeypatch.setattr(napari_colloids, "__file__", str(tmp_path / "__init__.py"))
    assert docs_folder() == tmp_path / "docs"
    guide = Guide(window)
    guide.open("inspect.md")
    assert guide.document().begin().text() == "Inspect"
    assert guide.document().idealWidth() < 200
