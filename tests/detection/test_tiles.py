"""Cutting into tiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
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


def test_tiles_by_hand():
    # Of 20 voxels in cores of 8 with a halo of 2, the middle tile is the longest; the last ends with the volume.
    assert list(cut((5, 5, 20), (5, 5, 8), 2, 1)) == [
        Tile((0, 0, 0), (5, 5, 12), (0, 0, 0), (5, 5, 8)),
        Tile((0, 0, 6), (5, 5, 18), (0, 0, 8), (5, 5, 16)),
        Tile((0, 0, 8), (5, 5, 20), (0, 0, 16), (5, 5, 20)),
    ]
    # Of a box the cores begin and end with it, and the halos reach beyond.
    assert list(cut((30, 5, 5), (8, 5, 5), 2, 1, Box((10, 0, 0), (21, 5, 5)))) == [
        Tile((8, 0, 0), (20, 5, 5), (10, 0, 0), (18, 5, 5)),
        Tile((16, 0, 0), (28, 5, 5), (18, 0, 0), (21, 5, 5)),
    ]


@pytest.mark.parametrize(
    ("length", "core", "halo", "multiple", "low", "high", "expected"),
    [
        (20, 8, 2, 1, 0, 20, 12),  # a core with both of its halos
        (20, 12, 2, 1, 0, 20, 14),  # never more than one halo: 0 to 14, 10 to 20
        (20, 20, 2, 1, 0, 20, 20),  # no halo beyond the volume
        (23, 8, 2, 4, 0, 23, 15),  # 11 voxels are left, 8 of them in whole fours
        (24, 8, 2, 4, 0, 24, 12),
        (40, 8, 2, 1, 1, 9, 11),  # a halo cut off at the beginning
        (40, 8, 2, 1, 31, 39, 11),  # and at the end
    ],
)
def test_length_of_tiles_by_hand(length, core, halo, multiple, low, high, expected):
    assert tile_length(length, core, halo, multiple, low, high) == expected


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


@settings(max_examples=60)
@given(st.data(), boxes(), st.integers(0, 12), st.sampled_from([1, 4]))
def test_no_cores_are_cheaper(data, volume_and_box, halo, multiple):
    shape, box = volume_and_box
    lengths = np.subtract(box.high, box.low).tolist()
    cores = [range(multiple, -(-n // multiple) * multiple + 1, multiple) for n in lengths]
    sides = list(zip(shape, box.low, box.high, strict=True))
    tiles = [
        [tile_length(n, c, halo, multiple, a, b) for c in along] for along, (n, a, b) in zip(cores, sides, strict=True)
    ]
    numbers = [[-(-n // c) for c in along] for along, n in zip(cores, lengths, strict=True)]
    size, number = (np.einsum("i,j,k->ijk", *map(np.array, by_axis)) for by_axis in (tiles, numbers))
    # Some limits are just large enough for a tile, or just too small.
    voxels = data.draw(st.sampled_from(sorted(set(size.ravel().tolist())))) - data.draw(st.sampled_from([0, 1]))
    best = cheapest_core(shape, halo, voxels, multiple, box)
    if best is None:
        assert (size > voxels).all()
    else:
        place = tuple(along.index(core) for along, core in zip(cores, best, strict=True))
        assert size[place] <= voxels
        assert (size * number)[place] == (size * number)[size <= voxels].min()


def test_cheapest_cores_by_hand():
    # One voxel at the end of a box: cores of 5 and 1 need tiles of 8 voxels, cores of 3 such of 9.
    assert cheapest_core((1, 1, 9), 3, 8, 1, Box((0, 0, 0), (1, 1, 6))) == (1, 1, 4)
    # Five tiles of 5 voxels hold fewer than three of 9.
    assert cheapest_core((1, 1, 17), 0, 9, 4) == (4, 4, 4)
    # The fewest are in one tile of 17, for which there must be room.
    assert cheapest_core((1, 1, 17), 0, 17, 4) == (4, 4, 20)
    assert cheapest_core((1, 1, 17), 0, 4, 4) is None


def test_halves_by_hand():
    box = Box((1, 2, 3), (5, 8, 23))
    assert halved(box, 480, 4) == [box]
    # The first half, the larger one where fours do not go up evenly, is halved again.
    assert halved(box, 240, 4) == [
        Box((1, 2, 3), (5, 8, 11)),
        Box((1, 2, 11), (5, 8, 15)),
        Box((1, 2, 15), (5, 8, 23)),
    ]
    assert halved(Box((0, 0, 0), (4, 6, 24)), 288, 4) == [Box((0, 0, 0), (4, 6, 12)), Box((0, 0, 12), (4, 6, 24))]
    # As small as they can be, whatever the limit.
    assert halved(Box((0, 0, 0), (4, 4, 8)), 1, 4) == [Box((0, 0, 0), (4, 4, 4)), Box((0, 0, 4), (4, 4, 8))]


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
