"""Where a table is saved, and under which name."""

from pathlib import Path

import pytest
from qtpy.QtWidgets import QFileDialog, QMessageBox

from napari_colloids.widgets.parts.saving import ask_for_table


@pytest.mark.parametrize(
    ("typed", "kind", "expected"),
    [
        ("/a/b", "Parquet (*.parquet)", "/a/b.parquet"),
        ("/a/beads_0.5um", "CSV table (*.csv)", "/a/beads_0.5um.csv"),
        ("/a/b.xyz", "CSV table (*.csv)", "/a/b.xyz"),
        ("", "", None),
    ],
)
def test_a_table_is_saved_under_the_ending_that_was_chosen(monkeypatch, typed, kind, expected):
    proposed = []
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *given: proposed.append(given[2]) or (typed, kind))
    path = ask_for_table(None, "Export", "a/b: particles")
    assert path == (expected and Path(expected))
    assert proposed == ["a_b_ particles.csv"]


@pytest.mark.parametrize("answer", ["Yes", "No"])
def test_a_file_is_not_replaced_without_asking(monkeypatch, tmp_path, answer):
    (tmp_path / "mine.csv").touch()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "mine"), "CSV table (*.csv)"))
    monkeypatch.setattr(QMessageBox, "question", lambda *_: QMessageBox.StandardButton[answer])
    assert ask_for_table(None, "Export", "mine") == (tmp_path / "mine.csv" if answer == "Yes" else None)
