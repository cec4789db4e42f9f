"""``napari-colloids score``: figures as JSON for programs and as a table for people."""

import json
from pathlib import Path

import pandas as pd
import pytest


@pytest.fixture
def tables(folder):
    truth = pd.DataFrame({"z": [10.0, 20, 30], "y": 20.0, "x": 20.0})
    found = truth.assign(x=truth["x"] + 0.5, confidence=0.9).iloc[:2]
    found = pd.concat([found, pd.DataFrame({"z": [20.0], "y": [35.0], "x": [35.0], "confidence": [0.2]})])
    truth.to_csv("truth.csv", index=False)
    found.to_csv("found.csv", index=False)
    return ["truth.csv", "found.csv", "--diameter", 8, "--shape", 41, 41, 41]


def test_score_json(run, tables, capsys):
    assert run("score", *tables, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["true_positives"], figures["false_positives"], figures["false_negatives"]) == (2, 1, 1)
    assert figures["precision"] == pytest.approx(2 / 3)
    assert figures["recall"] == pytest.approx(2 / 3)
    assert figures["f1"] == pytest.approx(2 / 3)
    assert figures["rmse"] == pytest.approx({"z": 0, "y": 0, "x": 0.5})
    assert 0 < figures["challenge_ap"] < 1
    assert figures["ap"] == pytest.approx(2 / 3)


def test_score_for_people(run, tables, capsys):
    assert run("score", *tables) == 0
    shown = capsys.readouterr().out
    assert "recall" in shown
    assert "0.6667" in shown
    assert shown.endswith("\nvoxel size unknown: cubic voxels assumed (--voxel-size)\n")
    assert run("score", *tables, "--voxel-size", 0.2, 0.1, 0.1) == 0
    assert capsys.readouterr().out.endswith("\nvoxels 0.2 x 0.1 x 0.1 µm\n")


def test_score_refuses(fails, tables, folder):
    Path("bad.csv").write_text("a,b\n1,2\n")
    fails("score", "bad.csv", *tables[1:])
    assert "missing.csv" in fails("score", "missing.csv", *tables[1:])
    fails("score", "truth.csv", "found.csv", "--diameter", 0, "--shape", 41, 41, 41)


def test_compare_json(run, tables, capsys):
    assert run("score", *tables[:4], "--compare", "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["common"], figures["only_first"], figures["only_second"]) == (2, 1, 1)
    assert figures["offset"] == pytest.approx({"z": 0, "y": 0, "x": 0.5})


def test_compare_for_people_takes_a_shape_but_needs_none(run, tables, fails, capsys):
    assert run("score", "--compare", *tables) == 0
    shown = capsys.readouterr().out
    assert "only in the first" in shown
    assert "offset x [voxels]              0.500" in shown
    assert shown.endswith("\nvoxel size unknown: cubic voxels assumed (--voxel-size)\n")
    message = fails("score", *tables[:4])
    assert "--shape Z Y X" in message
    assert "--compare" in message
