"""Suites, figures, tuning and the command: on volumes small enough to be measured here."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from napari_colloids import ColloidsError
from napari_colloids.benchmark import SUITES, reference_methods, run
from napari_colloids.benchmark import suites as suites_module
from napari_colloids.benchmark.measure import THRESHOLDS, measure
from napari_colloids.benchmark.microscope import Scene, make_volume
from napari_colloids.benchmark.report import precise_threshold
from napari_colloids.benchmark.suites import Point, Suite, suite
from napari_colloids.cli import main
from napari_colloids.detection import METHODS
from napari_colloids.particles import particle_table

SMALL = Scene(shape=(40, 40, 40), radius=4, psf=(1.6, 0.8), volume_fraction=0.3, snr=8, cnr=8)


@pytest.fixture(scope="module")
def volume():
    return make_volume(SMALL, seed=5)


@pytest.fixture
def small_suite(monkeypatch):
    """A sweep of two small points in place of a real one, under its own name."""
    points = [Point("0.2", replace(SMALL, volume_fraction=0.2), 0.2), Point("0.3", SMALL, 0.3)]
    monkeypatch.setitem(suites_module.SUITES, "small", lambda _metadata: Suite("a small sweep", points, "fraction"))


@pytest.mark.parametrize("name", SUITES)
def test_every_suite_has_points_that_can_be_told_apart(name):
    chosen = suite(name)
    assert len({point.label for point in chosen.points}) == len(chosen.points) > 1
    if chosen.axis:
        values = [point.x for point in chosen.points]
        assert values == sorted(values)


def test_the_challenge_suites_take_the_rows_of_a_table(tmp_path):
    rows = {"volfrac": [0.45] * 250, "r": [5] * 250, "particle_size": [0.2] * 250, "snr": [4] * 250, "cnr": [6] * 250}
    pd.DataFrame({**rows, "type": "train"}).to_csv(tmp_path / "rows.csv")
    chosen = suite("challenge-train", tmp_path / "rows.csv")
    assert len(chosen.points) == 100
    scene = chosen.points[0].scene
    assert (scene.shape, scene.radius, scene.volume_fraction, scene.snr, scene.cnr) == ((64,) * 3, 5, 0.45, 4, 4)
    assert scene.psf == pytest.approx((0.371 / 2.3548 * 25, 0.106 / 2.3548 * 25))
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ColloidsError, match="no column"):
        suite("challenge-test", tmp_path / "wrong.csv")
    with pytest.raises(ColloidsError, match="no suite"):
        suite("nonsense")


def test_the_truth_itself_is_perfect_and_its_errors_are_measured(volume):
    perfect = particle_table(volume.positions, radius=volume.radii, confidence=np.ones(len(volume.radii)))
    measured = measure(volume, perfect, 0.5)
    figures, reliability = measured.figures, measured.reliability
    assert (measured.precision == 1).all()
    assert (measured.recall == 1).all()
    assert figures["f1"] == figures["precision"] == figures["recall"] == figures["ap"] == 1
    assert figures["rmse_z"] == figures["radius_rmse"] == reliability.error == 0

    off = particle_table(
        np.add(volume.positions, [0, 0.3, 0]), radius=1.1 * volume.radii, confidence=np.full(len(volume.radii), 0.4)
    )
    measured = measure(volume, off, 0.3)
    figures, reliability = measured.figures, measured.reliability
    np.testing.assert_array_equal(measured.recall, THRESHOLDS <= 0.4)
    assert figures["rmse_y"] == pytest.approx(0.3)
    assert figures["radius_bias"] == pytest.approx(0.1) == figures["radius_rmse"]
    assert reliability.error == pytest.approx(0.6)  # said 0.4, all were right
    assert measure(volume, off, 0.5).figures["recall"] == 0


def test_reliabilities_add_up(volume):
    half = particle_table(volume.positions, radius=volume.radii, confidence=np.full(len(volume.radii), 0.55))
    first = measure(volume, half, 0.0).reliability
    both = first + first
    assert both.number.sum() == 2 * first.number.sum() > 0
    assert both.error == pytest.approx(first.error) == pytest.approx(0.45)


@pytest.mark.parametrize("method", ["trackpy", "log"])
def test_tuning_never_makes_a_reference_method_worse(method, volume, monkeypatch):
    monkeypatch.setattr(METHODS[method].locator, "GRID", {"separation": (0.6, 1.4)})
    shipped = reference_methods.shipped(method)
    wrong = replace(shipped, settings=replace(shipped.settings, separation=1.4))
    monkeypatch.setattr(reference_methods, "shipped", lambda _method: wrong)
    best = reference_methods.tune(method, [volume], by_ap=False)
    assert best.settings.separation == 0.6
    found = reference_methods.find(volume.stack, volume.diameter, wrong)
    assert best.score > measure(volume, found, 0.0).figures["f1"]


def test_run_measures_every_method_on_every_volume(small_suite):
    calls = []
    result = run("small", methods=("network", "log"), volumes=1, tune=False, progress=lambda *call: calls.append(call))
    figures = result.figures
    assert list(figures["method"]) == ["network", "log"] * 2
    assert (figures[figures["method"] == "network"]["f1"] > 0.9).all()
    assert calls == [(0, 2), (1, 2), (2, 2)]
    again = run("small", methods=("network", "log"), volumes=1, tune=False)
    pd.testing.assert_series_equal(again.figures["rmse_z"], figures["rmse_z"])


def test_other_weights_are_measured_instead(small_suite, blind_weights, tmp_path):
    arguments = [
        "benchmark",
        "small",
        "--volumes",
        "1",
        "--methods",
        "network",
        "--no-tune",
        "--weights",
        blind_weights,
    ]
    assert main([*arguments, "--output", str(tmp_path)]) == 0
    report = json.loads((tmp_path / "benchmark.json").read_text())["suites"]["small"]
    assert {row["recall"] for row in report["volumes"]} == {0}
    assert report["weights_sha256"] == hashlib.sha256(Path(blind_weights).read_bytes()).hexdigest()


def test_the_command_writes_json_tables_and_pictures(small_suite, tmp_path, capsys):
    arguments = ["benchmark", "small", "--volumes", "1", "--methods", "network,log", "--no-tune"]
    assert main([*arguments, "--output", str(tmp_path / "out")]) == 0
    report = json.loads((tmp_path / "out" / "benchmark.json").read_text())["suites"]["small"]
    assert {row["method"] for row in report["volumes"]} == {"network", "log"}
    assert report["curves"]["network"]["threshold"] == THRESHOLDS.tolist()
    table = (tmp_path / "out" / "benchmark.md").read_text()
    assert "| network |" in table
    assert table.strip() in capsys.readouterr().out
    assert (tmp_path / "out" / "small.png").read_bytes().startswith(b"\x89PNG")


def test_the_threshold_is_the_lowest_that_is_precise_where_it_is_hard(small_suite):
    result = run("small", methods=("network",), volumes=1, tune=False)
    curves = result.curves
    easy, hard = (curves["point"] == point for point in ("0.2", "0.3"))
    curves.loc[easy, "precision"] = 1.0
    curves.loc[hard, "precision"] = 0.9 + 0.1 * curves.loc[hard, "threshold"]
    assert precise_threshold(result, "network") == pytest.approx(0.5)
    curves.loc[hard, "precision"] = 0.9
    assert precise_threshold(result, "network") is None
    curves.loc[hard, "precision"] = 0.96
    assert precise_threshold(result, "network") == 0.05


@pytest.mark.parametrize("wrong", [["nonsense"], ["dense", "--methods", "magic"], ["dense", "--methods", ","]])
def test_wrong_names_are_answered_with_the_right_ones(wrong, capsys):
    assert main(["benchmark", *wrong]) == 2
    message = capsys.readouterr().err
    assert (", ".join(METHODS) in message) or ("challenge-test" in message)
