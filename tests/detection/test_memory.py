"""Tile sizes to try."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from napari_colloids.detection.memory import attempts
from napari_colloids.detection.scale import Scale
from napari_colloids.detection.tiles import cut


def test_a_small_stack_is_one_tile():
    scale = Scale.for_diameter(10, (60, 70, 80))
    device, core = next(attempts(scale, 56, "cpu", None))
    assert device == "cpu"
    assert all(edge >= n for edge, n in zip(core, scale.canonical_shape, strict=True))


def test_large_stacks_are_cut_and_wide_particles_more_so():
    small = next(attempts(Scale.for_diameter(10, (5000,) * 3), 56, "cpu", None))[1]
    wide = next(attempts(Scale.for_diameter(80, (5000,) * 3), 56, "cpu", None))[1]
    assert 8 <= max(wide) < max(small) < 400


def test_ever_smaller_and_at_last_the_cpu():
    scale = Scale.for_diameter(10, (300,) * 3)
    tries = list(attempts(scale, 56, "cuda", 200))
    assert tries[0] == ("cuda", (200, 200, 200))
    places = [place for place, _ in tries]
    assert places == sorted(places, reverse=True)
    for place in ("cuda", "cpu"):
        cores = [core for where, core in tries if where == place]
        tiles = [next(cut(scale.padded_shape, core, 56, 8)) for core in cores]
        voxels = [np.prod(np.subtract(tile.high, tile.low)) for tile in tiles]
        assert len(voxels) > 3
        assert all(later <= before / 2 for before, later in pairwise(voxels))


def test_where_the_halo_fills_the_stack_smaller_cores_are_not_tried():
    scale = Scale.for_diameter(10, (60, 120, 120))
    assert len(list(attempts(scale, 56, "cpu", None))) == 1
