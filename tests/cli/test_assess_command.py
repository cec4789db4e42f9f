"""``napari-colloids assess``: a prediction for people, as JSON and as a page."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_colloids.simulation import simulate


@pytest.fixture
def dense_file(folder):
    made = simulate(shape=(30, 38, 38), volume_fraction=0.4, radius=4, psf_sigma=(2, 1, 1), snr=5, cnr=4, seed=1)
    tifffile.imwrite("dense.tif", made.stack.data)
    return "dense.tif"


def test_prediction_as_json_and_page(run, dense_file, capsys):
    assert run("assess", dense_file, "--diameter", 8, "--twins", 2, "--json", "--output", "out") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["describes"]
    assert figures["precision"]["low"] > 0.9
    assert json.loads(Path("out/assessment.json").read_text()) == figures
    assert "dense" in Path("out/report.html").read_text()


def test_refusal_ends_well_and_says_why(run, folder, capsys):
    noise = np.random.default_rng(0).normal(100, 20, (24, 40, 40)).astype(np.uint8)
    tifffile.imwrite("noise.tif", noise)
    assert run("assess", "noise.tif", "--diameter", 8, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["describes"] is False
    assert figures["precision"] is figures["recall"] is None
    assert run("assess", "noise.tif", "--diameter", 8) == 0
    shown = capsys.readouterr().out
    assert "No prediction" in shown
    assert "only 0 particles" in shown
    assert "voxel size unknown" in shown


def test_bad_input_is_one_line(fails, dense_file):
    assert "missing.tif" in fails("assess", "missing.tif")
    assert "frame" in fails("assess", dense_file, "--diameter", 8, "--frame", 3)
    assert "--diameter" in fails("assess", dense_file, "--diameter", 1)
    fails("assess", dense_file, "--twins", 1)
