"""Cutting into tiles."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from napari_colloids.detection.tiles import cut


@given(st.tuples(*[st.integers(1, 40)] * 3), st.integers(4, 50), st.integers(0, 20))
def test_cores_fill_the_volume_once_and_boxes_reach_a_halo_further(shape, core, halo):
    owned = np.zeros(shape, int)
    for tile in cut(shape, core, halo):
        owned[tuple(slice(a, b) for a, b in zip(tile.core_low, tile.core_high, strict=True))] += 1
        for axis in range(3):
            assert tile.low[axis] == max(0, tile.core_low[axis] - halo)
            assert tile.high[axis] == min(shape[axis], tile.core_high[axis] + halo)
        assert tile.shape == tuple(b - a for a, b in zip(tile.low, tile.high, strict=True))
    assert (owned == 1).all()
