"""Recall from two frames: right where the sample is arrested, refused where it is not."""

from __future__ import annotations

import numpy as np
import pytest

import napari_colloids as nc
from napari_colloids.assessment import arrested_recall

THERE = 10.0 * np.indices((11, 11, 11)).reshape(3, -1).T
RECALL = 0.75


def frame(seed, moved=0.4):
    rng = np.random.default_rng(seed)
    return (THERE + rng.normal(0, moved, THERE.shape))[rng.uniform(size=len(THERE)) < RECALL]


def test_recall_and_number_are_those_of_the_particles():
    found = arrested_recall(frame(0), frame(1), 8)
    assert found.first.value == pytest.approx(RECALL, abs=0.03)
    assert found.first.low < RECALL < found.first.high
    assert found.second.value == pytest.approx(RECALL, abs=0.03)
    assert found.particles.number.value == pytest.approx(len(THERE), rel=0.03)
    assert found.median_distance == pytest.approx(0.4 * 2**0.5 * 1.538, rel=0.1)  # of a Maxwell distribution
    assert "recall 0.7" in repr(found)


def test_a_drift_of_the_stage_is_no_motion():
    assert arrested_recall(frame(0), frame(1) + np.array([0, 2.5, 1.5]), 8).first.value == pytest.approx(
        RECALL, abs=0.03
    )


def test_voxels_may_be_taller_than_wide():
    tall = [table / [2, 1, 1] for table in (frame(0), frame(1))]
    found = arrested_recall(*tall, 8, voxel_size=(0.2, 0.1, 0.1))
    assert found == arrested_recall(frame(0), frame(1), 8)


def test_particles_at_the_border_do_not_count_where_the_shape_is_known():
    inner = arrested_recall(frame(0), frame(1), 8, shape=(101, 101, 101))
    assert inner.particles.number.value == pytest.approx(9**3, rel=0.05)
    assert inner.first.value == pytest.approx(RECALL, abs=0.05)


def test_particles_that_move_are_refused():
    with pytest.raises(nc.ColloidsError, match="not arrested"):
        arrested_recall(frame(0, moved=1.6), frame(1, moved=1.6), 8)
    fluid = np.random.default_rng(0).uniform(0, 110, (2, 1300, 3))
    with pytest.raises(nc.ColloidsError, match="not arrested"):
        arrested_recall(*fluid, 8)


def test_frames_without_common_particles_are_refused():
    with pytest.raises(nc.ColloidsError, match="Only 0 particles"):
        arrested_recall(frame(0), frame(1) + 1000, 8)
