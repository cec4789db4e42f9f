"""Tiles on their way through the network."""

from __future__ import annotations

from threading import Event

import numpy as np
import pytest
import torch
from scipy import ndimage

from napari_colloids import Options, detect
from napari_colloids.detection.inference import _maxima, _prefetched, decode
from napari_colloids.detection.network import Output
from napari_colloids.detection.tiles import Tile, cut
from napari_colloids.scoring import match
from napari_colloids.simulation import PRESETS, simulate

TILES = list(cut((48, 48, 48), (16, 48, 48), 8, 8))


def test_the_next_tile_is_read_while_one_is_computed():
    begun = {tile: Event() for tile in TILES}

    def read(tile):
        begun[tile].set()
        return torch.tensor(tile.core_low)

    arrived = []
    for tile, image in _prefetched(TILES, read):
        assert image.tolist() == list(tile.core_low)
        arrived.append(tile)
        if len(arrived) < len(TILES):
            assert begun[TILES[len(arrived)]].wait(10)
        assert not any(begun[later].is_set() for later in TILES[len(arrived) + 1 :])
    assert arrived == TILES


def test_what_fails_in_reading_a_tile_ends_the_search():
    def read(tile):
        if tile == TILES[1]:
            raise MemoryError("Memory ran out.")
        return torch.zeros(1)

    tiles = _prefetched(TILES, read)
    assert next(tiles)[0] == TILES[0]
    with pytest.raises(MemoryError):
        next(tiles)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 2, 5), (9, 8, 7)])
def test_maxima_are_the_cells_with_none_higher_around_them(shape):
    logit = torch.randn(shape, generator=torch.Generator().manual_seed(3)).round(decimals=1) - 3  # some are equal
    around = ndimage.maximum_filter(logit.numpy(), 3, mode="constant", cval=-np.inf)
    cells = torch.nonzero(logit > -3)
    expected = [cell for cell in cells.tolist() if logit[tuple(cell)] == around[tuple(cell)]]
    assert _maxima(logit, cells).tolist() == expected


def test_of_neighbouring_cells_with_a_confidence_of_one_the_more_certain_is_the_particle():
    centre = torch.full((1, 8, 8, 8), -20.0)
    centre[0, 4, 4, 3], centre[0, 4, 4, 4] = 40.0, 41.0
    output = Output(centre, torch.zeros(1, 3, 8, 8, 8), torch.zeros(1, 8, 8, 8))
    corner = (0, 0, 0), (16, 16, 16)
    confidence = torch.sigmoid(centre)
    assert confidence[0, 4, 4, 3] == confidence[0, 4, 4, 4] == 1
    found = decode(output, confidence, Tile(*corner, *corner), 0.5)
    np.testing.assert_array_equal(found.positions, [[8.5, 8.5, 8.5]])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no NVIDIA GPU")
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, ">u2", np.float32])
@pytest.mark.parametrize("tile", [None, 48])
def test_a_gpu_finds_what_a_cpu_finds(kind, tile):
    stack = simulate(PRESETS["dense"], shape=(64, 80, 80), seed=5).stack.data.astype(kind)
    on_cpu, on_gpu = (detect(stack, Options(diameter=12, device=device, tile=tile)) for device in ("cpu", "cuda"))
    assert on_gpu.attrs["device"] == "cuda"
    distance = match(on_cpu, on_gpu, max_distance=6).distance
    # Half precision may move one whose confidence is that of the threshold to the other side of it.
    assert len(distance) >= 0.99 * max(len(on_cpu), len(on_gpu))
    assert np.median(distance) < 0.02
