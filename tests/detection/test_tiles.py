"""Cutting into tiles."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_colloids.detection.inference import decode
from napari_colloids.detection.network import Output
from napari_colloids.detection.tiles import Box, Tile, cheapest_core, cut, halved, tile_length

shapes = st.tuples(*[st.integers(1, 40)] * 3)


@given(shapes, st.tuples(*[st.integers(4, 50)] * 3), st.integers(0, 20), st.sampled_from([1, 4, 8]))
def test_cores_fill_the_volume_once_and_boxes_reach_a_halo_further(shape, core, halo, multiple):
    core, halo = tuple(-(-n // multiple) * multiple for n in core), halo // multiple * multiple
    owned = np.zeros(shape, int)
    boxes = set()
    for tile in cut(shape, core, halo, multiple):
        owned[tuple(slice(a, b) for a, b in zip(tile.core_low, tile.core_high, strict=True))] += 1
        boxes.add(tuple(np.subtract(tile.high, tile.low)))
        for axis in range(3):
            assert 0 <= tile.low[axis] <= max(0, tile.core_low[axis] - halo)
            assert min(shape[axis], tile.core_high[axis] + halo) <= tile.high[axis] <= shape[axis]
            assert tile.low[axis] % multiple == (shape[axis] - tile.high[axis]) % multiple == 0
    assert (owned == 1).all()
    assert len(boxes) == 1


@given(shapes, st.integers(0, 12), st.floats(10, 60_000))
def test_the_cheapest_cores_fit_and_no_cube_is_cheaper(shape, halo, voxels):
    def cost(core):
        tiles = list(cut(shape, core, halo, 4))
        return len(tiles) * np.prod(np.subtract(tiles[0].high, tiles[0].low))

    def box(core):
        return np.prod([tile_length(n, c, halo, 4, 0, n) for n, c in zip(shape, core, strict=True)])

    best = cheapest_core(shape, halo, voxels, 4)
    cubes = [(edge,) * 3 for edge in range(4, 44, 4) if box((edge,) * 3) <= voxels]
    if best is None:
        assert not cubes
    else:
        assert box(best) <= voxels
        assert all(cost(best) <= cost(cube) for cube in cubes)


@st.composite
def boxes(draw):
    shape = draw(shapes)
    low = tuple(draw(st.integers(0, n - 1)) for n in shape)
    return shape, Box(low, tuple(draw(st.integers(a + 1, n)) for a, n in zip(low, shape, strict=True)))


@given(boxes(), st.tuples(*[st.integers(4, 50)] * 3), st.integers(0, 20))
def test_the_cores_of_a_box_fill_it_and_see_what_lies_around_it(volume_and_box, core, halo):
    shape, box = volume_and_box
    owned = np.zeros(shape, int)
    for tile in cut(shape, core, halo, 1, box):
        owned[tuple(slice(a, b) for a, b in zip(tile.core_low, tile.core_high, strict=True))] += 1
        for axis in range(3):
            assert 0 <= tile.low[axis] <= max(0, tile.core_low[axis] - halo)
            assert min(shape[axis], tile.core_high[axis] + halo) <= tile.high[axis] <= shape[axis]
    inside = owned[tuple(slice(a, b) for a, b in zip(*box, strict=True))]
    assert (inside == 1).all()
    assert owned.sum() == inside.size


@given(boxes(), st.integers(1, 4000), st.integers(1, 9))
def test_halves_fill_the_box_once(volume_and_box, voxels, multiple):
    shape, box = volume_and_box
    owned = np.zeros(shape, int)
    for part in halved(box, voxels, multiple):
        size = np.subtract(part.high, part.low)
        assert np.prod(size) <= voxels or max(size) <= multiple
        assert not (np.subtract(part.low, box.low) % multiple).any()
        owned[tuple(slice(a, b) for a, b in zip(*part, strict=True))] += 1
    inside = owned[tuple(slice(a, b) for a, b in zip(*box, strict=True))]
    assert (inside == 1).all()
    assert owned.sum() == inside.size


def test_the_last_digit_of_a_position_does_not_depend_on_where_the_tile_begins():
    confidence = torch.zeros(1, 200, 4, 4)
    confidence[0, 190, 2, 2] = 0.9
    shift = torch.full((1, 3, 200, 4, 4), 0.1)
    output = Output(torch.zeros_like(confidence), shift, torch.zeros_like(confidence))
    shape = (400, 8, 8)
    found = decode(output, confidence, Tile((0, 0, 0), shape, (0, 0, 0), shape), 0.5)
    offset = float(np.float32(0.1))
    np.testing.assert_array_equal(
        found.positions, [[(190 + offset) * 2 + 0.5, (2 + offset) * 2 + 0.5, (2 + offset) * 2 + 0.5]]
    )
