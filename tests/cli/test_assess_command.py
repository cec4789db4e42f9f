"""``napari-colloids assess``: a prediction for people, as JSON and as a page."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_colloids import Record
from napari_colloids.io import read_particles
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


def test_detect_measures_the_quality_of_each_image(run, stack_file, simulated, folder, capsys):
    arguments = ["detect", stack_file, "-o", "found.csv", "--diameter", 10, "--quality"]
    assert run(*arguments) == 0
    shown = capsys.readouterr().err
    quality = json.loads(Path("found.csv.json").read_text())["quality"]
    assert quality["diameter"] == pytest.approx(10, rel=0.05)
    assert quality["snr"] == pytest.approx(simulated.parameters.snr, rel=0.2)
    assert quality["verdicts"]["SNR"].endswith(": good")
    assert f"SNR                       {quality['verdicts']['SNR']}\n" in shown
    table = read_particles("found.csv")
    assert Record.from_attrs(table.attrs).quality == quality


def test_a_quality_that_cannot_be_measured_is_a_notice(run, stack_file, folder, capsys):
    region = ["--z-range", 4, 28]
    assert run("detect", stack_file, "-o", "found.csv", "--diameter", 10, "--quality", *region) == 0
    notice, summary = capsys.readouterr().err.splitlines()
    assert "search without a region" in notice
    assert "particles" in summary
    assert json.loads(Path("found.csv.json").read_text())["quality"] == {}
