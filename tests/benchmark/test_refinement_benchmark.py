"""Errors over the bound, coverage of the standard errors, bias by position in the voxel, pairs that touch, tables."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_colloids.benchmark import refinement, refinement_report, touching
from napari_colloids.benchmark.localisation import PHASES, localisation_errors
from napari_colloids.benchmark.methods import Finder
from napari_colloids.cli import main
from napari_colloids.particles import particle_table, positions_of
from napari_colloids.simulation import Parameters

SMALL = Parameters(shape=(32, 36, 40), volume_fraction=0.35, radius=5.0, psf_sigma=(2.0, 1.1, 1.1), snr=5, cnr=5)


@pytest.fixture
def truth():
    """Particles far apart, anywhere in their voxels."""
    cells = np.stack(np.meshgrid(*[np.arange(12.0)] * 3, indexing="ij"), -1).reshape(-1, 3)
    return 20 * cells + np.random.default_rng(2).uniform(0, 1, cells.shape)


def compared(truth, error, *, refined=True, counted=None):
    found = particle_table(truth + error, errors=np.tile([0.3, 0.1, 0.1, 0.1], (len(truth), 1)), refined=refined)
    counted = np.ones(len(truth), bool) if counted is None else counted
    return localisation_errors(truth, counted, np.full(truth.shape, 0.1), found.sample(frac=1, random_state=1), 10.0)


def test_normal_errors_have_their_rmse_ratio_and_pulls(truth):
    error = np.random.default_rng(3).normal(0, [0.3, 0.1, 0.2], truth.shape)
    errors = compared(truth, error)
    assert errors.number == errors.with_standard_error == len(truth)
    np.testing.assert_allclose(errors.rmse, [0.3, np.hypot(0.1, 0.2) / np.sqrt(2)], rtol=0.05)
    np.testing.assert_allclose(errors.ratio, errors.rmse / 0.1)
    np.testing.assert_allclose(errors.coverage[:, :2], [[0.683] * 2, [0.954] * 2], atol=0.03)
    np.testing.assert_allclose(errors.coverage[:, 2], [0.383, 0.683], atol=0.03)  # twice the stated error
    (_, doubt_z), (largest, doubt) = errors.phase_bias
    assert largest < 4 * doubt
    assert doubt_z == pytest.approx(0.3 / np.sqrt(len(truth) / PHASES), rel=0.2)


def test_particles_that_do_not_count_or_were_not_fitted_are_left_out(truth):
    counted = np.arange(len(truth)) % 3 == 0
    error = np.where(counted[:, None], 0.05, 1.0) * np.ones(3)
    errors = compared(truth, error, counted=counted)
    assert errors.number == counted.sum()
    np.testing.assert_allclose(errors.rmse, 0.05)
    left = compared(truth, error, refined=False)
    assert left.with_standard_error == 0
    assert np.isnan(left.coverage).all()
    both = errors + left
    assert (both.number, both.with_standard_error) == (errors.number + left.number, errors.with_standard_error)


def test_a_pull_towards_the_middle_of_the_voxel_shows_by_phase_and_not_in_the_mean(truth):
    error = np.zeros(truth.shape)
    error[:, 2] = -0.2 * np.sin(2 * np.pi * truth[:, 2])
    errors = compared(truth, error)
    assert errors.phase_bias[0, 0] == pytest.approx(0, abs=1e-9)
    # Half of it in y and x together.
    assert errors.phase_bias[1, 0] == pytest.approx(0.2 * np.sinc(1 / PHASES) * np.sin(3 * np.pi / 8) / 2, rel=0.25)
    assert abs(errors.phase_sum[2].sum() / len(truth)) < 0.01


def test_distances_of_pairs_are_measured_along_their_direction(monkeypatch):
    simulation, pairs = touching.make_pairs(0.1, (1, 1, 1), seed=4)
    apart = pairs[:, 1] - pairs[:, 0]
    np.testing.assert_allclose(np.linalg.norm(apart, axis=1), 1.1 * 2 * touching.IMAGED.radius)
    np.testing.assert_allclose(apart, apart[0, 0])
    assert len(pairs) == 9
    assert len(simulation.particles) == 27

    # As if blur drove partners apart, and a third of the pairs had a sphere that nobody found.
    monkeypatch.setattr(touching, "CASES", [(0.0, "z")])

    def find(_stack, diameter):
        _, true = touching.make_pairs(0.0, (1, 0, 0), seed=9)
        away = np.array([0.01 * diameter, 0, 0])
        return particle_table(np.concatenate([true[:, 0] - away, true[:6, 1] + away]))

    (row,) = touching.measure_pairs({"off": find}, 9, lambda _done: None).to_dict("records")
    assert row["pairs"] == 6
    assert row["bias"] == pytest.approx(0.02)


def test_every_point_is_one_of_a_kind_and_can_be_simulated():
    chosen = refinement.points()
    assert len({(point.group, point.label) for point in chosen}) == len(chosen)
    assert all(64 <= point.parameters.shape[0] <= 96 for point in chosen)


def test_the_command_writes_figures_of_all_methods(monkeypatch, tmp_path, capsys):
    shells = replace(SMALL, shell=0.5)
    small = [refinement.Point("plain", "small", SMALL), refinement.Point("odd", "shells", shells)]
    monkeypatch.setattr(refinement, "points", lambda: small)
    monkeypatch.setattr(touching, "CASES", [(0.1, "x")])
    imaged = replace(touching.IMAGED, shape=(64, 78, 78), radius=4.0, psf_sigma=(1.5, 0.9, 0.9))
    monkeypatch.setattr(touching, "IMAGED", imaged)
    arguments = ["benchmark", "refinement", "--volumes", "1", "--no-tune", "--output", str(tmp_path)]
    assert main(arguments) == 0
    report = json.loads((tmp_path / "refinement.json").read_text())
    rows = {(row["point"], row["method"]): row for row in report["volumes"]}
    assert len(rows) == 2 * 3
    fitted = rows["small", "network, refined"]
    assert 0.5 < fitted["ratio_lateral"] < 2.5 < 10 * rows["small", "trackpy"]["ratio_lateral"]
    assert fitted["ratio_lateral"] == pytest.approx(fitted["rmse_lateral"] / fitted["bound_lateral"])
    assert fitted["refined"] > 0.9
    assert rows["shells", "network"]["ratio_z"] is None
    (pair,) = [row for row in report["touching"] if row["method"] == "network, refined"]
    assert pair["pairs"] == 9
    assert abs(pair["bias"]) < 0.02
    table = (tmp_path / "refinement.md").read_text()
    assert "### odd" in table
    assert table.strip() in capsys.readouterr().out


def test_the_truth_itself_has_no_error(monkeypatch):
    simulation, inside = refinement.with_neighbours(SMALL)
    everything = particle_table(
        positions_of(simulation.particles), radius=simulation.particles["radius"], confidence=1.0
    )
    finder = Finder(lambda _stack, _diameter: everything[inside], 0.5)
    figures, errors = refinement._measured(simulation, inside, refinement._bound(simulation), finder)
    assert figures["f1"] == 1
    assert figures["rmse_z"] == figures["ratio_lateral"] == 0
    assert 0 < errors.number < inside.sum()
    assert refinement_report._number(float("nan")) == "-"
