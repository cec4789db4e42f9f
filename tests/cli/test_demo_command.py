"""``napari-colloids demo`` where there is no display."""

import json
import sys
from pathlib import Path

import pytest

from napari_colloids.io import read_particles, read_truth
from napari_colloids.scoring import match


@pytest.mark.skipif(sys.platform != "linux", reason="there is always a display")
def test_demo_without_a_display(run, fails, folder, monkeypatch, capsys):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert run("demo") == 0
    shown = capsys.readouterr()
    assert "No display" in shown.err
    assert "recall" in shown.out
    assert {"points.csv", "scores.json", "stack.h5"} <= {path.name for path in Path("demo").iterdir()}
    figures = json.loads(Path("demo/scores.json").read_text())
    assert figures["precision"] > 0.9
    assert figures["recall"] > 0.9
    # The table belongs to the stack, up to its edge: spheres cut by it are found, those centred outside are not listed.
    truth, found = read_truth("demo/stack.h5"), read_particles("demo/points.csv")
    matched = len(match(truth, found, 6))
    assert matched > 0.98 * len(truth)
    assert matched > 0.98 * len(found)
    assert "no display" in fails("demo", "--gui")
