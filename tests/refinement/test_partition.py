"""Cells of a limited number of particles, of which each owns its own."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_colloids.refinement.partition import partition_by_count


@settings(max_examples=30, deadline=None)
@given(count=st.integers(0, 200), most=st.integers(1, 50), seed=st.integers(0, 5))
def test_every_particle_belongs_to_one_block_of_at_most_so_many(count, most, seed):
    rng = np.random.default_rng(seed)
    positions = rng.uniform(0, [30, 10, 100], (count, 3))
    cells = partition_by_count(positions, most, np.ones(3))
    owners = np.array([cell.contains(positions) for cell in cells])
    assert (owners.sum(axis=0) == 1).all()
    assert owners.sum(axis=1).max() <= most
    # So does every place, also those beyond the particles.
    anywhere = rng.uniform(-200, 200, (100, 3))
    assert (np.array([cell.contains(anywhere) for cell in cells]).sum(axis=0) == 1).all()
    assert len(cells) <= max(4 * count / most, 1)


def test_blocks_of_particles_in_one_place():
    same = np.zeros((20, 3))
    assert len(partition_by_count(same, 5, np.ones(3))) == 1
    some = np.concatenate([same, [[0.0, 0.0, 1.0]]])
    owners = np.array([cell.contains(some) for cell in partition_by_count(some, 5, np.ones(3))])
    assert (owners.sum(axis=0) == 1).all()


def test_blocks_are_cut_across_the_longest_side():
    positions = np.random.default_rng(0).uniform(0, [30, 20, 20], (100, 3))
    first, second = partition_by_count(positions, 60, np.ones(3))
    assert first.high[0] == second.low[0] < np.inf
    first, second = partition_by_count(positions, 60, np.array([0.1, 1, 2]))
    assert first.high[2] == second.low[2] < np.inf
