"""Volumes from the challenge's tables."""

from __future__ import annotations

import pandas as pd
import pytest

from napari_colloids import ColloidsError
from napari_colloids.simulation import challenge_parameters, simulate


def test_rows_become_volumes():
    table = pd.DataFrame(
        {
            "type": ["test", "large"],
            "volfrac": [0.5, 0.3],
            "r": [6, 9],
            "particle_size": [0.25, 0.3],
            "snr": 3,
            "cnr": 3,
        }
    )
    first, second = challenge_parameters(table, seed=5)
    assert first.shape == (128, 128, 128)
    assert second.shape == (64, 64, 64)
    assert (first.radius, first.volume_fraction, first.seed, second.seed) == (6, 0.5, 5, 6)
    small = challenge_parameters(table, size=32)[0]
    assert simulate(small).stack.shape == (32, 32, 32)


def test_smaller_particles_are_blurred_more():
    table = pd.DataFrame({"volfrac": 0.5, "r": [6, 6], "particle_size": [0.2, 0.3], "snr": 3, "cnr": 3})
    small, large = challenge_parameters(table)
    assert small.psf_sigma[0] > large.psf_sigma[0] > large.psf_sigma[1]


def test_a_table_without_the_columns_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ColloidsError, match="volfrac"):
        challenge_parameters(path)
    with pytest.raises(ColloidsError, match="cannot be read"):
        challenge_parameters(tmp_path / "none.csv")
