"""Checks that disagree beyond their errors are told; those that agree are not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_colloids.assessment import Injection, Interval, Prediction, Thinning, chapman, disagreements

RMSE = {"z": 0.8, "y": 0.3, "x": 0.3}
PREDICTION = Prediction(Interval(1, 0.98, 1), Interval(0.9, 0.86, 0.93), RMSE, np.zeros(1), np.zeros(1), np.zeros(1))
EDGE = {"z": 0.7, "lateral": 0.25}
THINNING = Thinning(900, chapman(800, 800, 660), {"z": 0.6, "y": 0.2, "x": 0.2})
INJECTION = Injection(Interval(0.92, 0.9, 0.94), RMSE, 3000)


def test_nothing_is_said_where_all_agree():
    assert disagreements(PREDICTION, EDGE, THINNING, INJECTION) == []
    assert disagreements() == []


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        ({"thinning": replace(THINNING, found=800)}, ["The twins predict", "Injection finds a recall of at least"]),
        ({"injection": replace(INJECTION, recall=Interval(0.8, 0.77, 0.83))}, ["harder than the twins"]),
        ({"injection": replace(INJECTION, recall=Interval(0.945, 0.935, 0.955))}, ["more often"]),
        ({"injection": replace(INJECTION, rmse={"z": 1.3, "y": 0.3, "x": 0.3})}, ["(z) are 1.3 voxels by injection"]),
        ({"edge_errors": {"z": 1.3, "lateral": 0.25}}, ["(z) are 1.3 voxels by the contact edge"]),
        ({"edge_errors": {"z": 0.8, "lateral": 0.08}}, ["(lateral) are 0.08 voxels by the contact edge"]),
        ({"thinning": replace(THINNING, rmse={"z": 1.2, "y": 0.2, "x": 0.2})}, ["(z) are 1.2 voxels by noise alone"]),
    ],
)
def test_what_disagrees_is_said(checks, words):
    given = {"edge_errors": EDGE, "thinning": THINNING, "injection": INJECTION} | checks
    said = disagreements(PREDICTION, **given)
    assert len(said) == len(words)
    assert all(part in sentence for part, sentence in zip(words, said, strict=True))


def test_checks_are_compared_with_each_other_where_the_twins_are_refused():
    said = disagreements(None, {"z": 2.0, "lateral": 0.3}, replace(THINNING, found=800), INJECTION)
    assert len(said) == 2
    assert "Injection finds" in said[0]
    assert "by injection" in said[1]
