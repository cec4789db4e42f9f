"""Searching a part of a stack only."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_colloids import ColloidsError
from napari_colloids.detection import Options, Region, detect, iter_detect
from napari_colloids.particles import positions_of
from napari_colloids.simulation import simulate

RECTANGLE = np.array([[100.0, 150.0], [100.0, 220.0], [160.0, 220.0], [160.0, 150.0]])
#: What tiles that begin elsewhere change, in voxels: the network computes in 32 bits.
ROUNDING = 1e-5
TRIANGLE = np.array([[-5.0, -5.0], [-5.0, 95.0], [95.0, -5.0]])


@pytest.fixture(scope="module")
def wide():
    """A flat stack that is several receptive fields wide."""
    return simulate(shape=(32, 170, 230), volume_fraction=0.45, radius=5, snr=6, cnr=6, seed=31).stack


@pytest.fixture(scope="module")
def everything(wide):
    return detect(wide, diameter=10)


def in_triangle(positions):
    return positions[:, 1] + positions[:, 2] < 90


def in_rectangle(positions):
    return ((positions[:, 1:] > [100, 150]) & (positions[:, 1:] < [160, 220])).all(axis=1)


@pytest.mark.parametrize(
    ("region", "wanted", "tile"),
    [
        (Region(z_range=(12, 25)), lambda p: (p[:, 0] >= 11.5) & (p[:, 0] < 24.5), None),
        (Region(outlines=[RECTANGLE]), in_rectangle, None),
        (
            Region((3, 30), [RECTANGLE, TRIANGLE]),
            lambda p: (p[:, 0] < 29.5) & (p[:, 0] >= 2.5) & (in_rectangle(p) | in_triangle(p)),
            96,
        ),
    ],
)
def test_a_region_gives_what_the_whole_stack_gives_there(wide, everything, region, wanted, tile):
    expected = everything[wanted(positions_of(everything))].reset_index(drop=True)
    found = detect(wide, diameter=10, region=region, tile=tile)
    assert len(expected) > 20
    np.testing.assert_allclose(found, expected, atol=ROUNDING)


@pytest.mark.parametrize("lazy", [False, True])
def test_a_mask_is_looked_up_at_the_centre(wide, everything, lazy):
    mask = np.zeros(wide.shape, np.uint16)
    mask[10:30, 20:90, 30:120] = 7
    z, y, x = np.rint(positions_of(everything)).astype(int).T
    expected = everything[mask[z, y, x] > 0].reset_index(drop=True)
    tile = 96 if lazy else None
    found = detect(wide, diameter=10, region=Region(mask=da.from_array(mask, chunks=64) if lazy else mask), tile=tile)
    assert len(expected) > 50
    np.testing.assert_allclose(found, expected, atol=ROUNDING)


def test_only_the_tiles_that_matter_are_searched(wide):
    def tiles(region):
        # The first step of the search tells how many there will be; the search itself is left out.
        steps = iter_detect(wide, Options(diameter=10, tile=32), region)
        total = next(step.total for step in steps if step.message == "detecting")
        steps.close()
        return total

    corner = np.zeros(wide.shape, bool)
    corner[:10, :10, :10] = True
    assert tiles(Region(outlines=[RECTANGLE])) < tiles(None) / 2
    assert tiles(Region(mask=corner)) < tiles(None) / 8


@pytest.mark.parametrize("method", ["trackpy", "log"])
def test_the_reference_methods_know_regions(wide, method):
    found = detect(wide, diameter=10, method=method, region=Region((10, 30), [RECTANGLE]))
    assert in_rectangle(positions_of(found)).all()
    assert found["z"].between(9.5, 29.5).all()
    assert len(found) > 20


def test_a_region_is_narrowed_to_a_range_of_slices():
    assert Region(z_range=(5, 25)).between((12, 40)).z_range == (12, 25)
    assert Region().between((12, 40)).z_range == (12, 40)
    with pytest.raises(ColloidsError, match="no slice in common"):
        Region(z_range=(0, 8)).between((20, 30))


def test_outlines_may_be_one_array(wide):
    several = np.stack([RECTANGLE, RECTANGLE + 5])
    of_list, of_array = (detect(wide, diameter=10, region=Region(outlines=o)) for o in (list(several), several))
    np.testing.assert_array_equal(positions_of(of_array), positions_of(of_list))


def test_nothing_is_found_where_the_mask_is_empty(wide):
    assert len(detect(wide, diameter=10, region=Region(mask=np.zeros(wide.shape, bool)))) == 0


@pytest.mark.parametrize(
    "region",
    [
        Region(z_range=(5, 99)),
        Region(outlines=[np.array([[1.0, 2.0], [3.0, 4.0]])]),
        Region(outlines=[RECTANGLE + 1000]),
        Region(outlines=[np.full((4, 2), 5.0)]),
        Region(outlines=[RECTANGLE * np.nan]),
        Region(mask=np.ones((3, 3, 3))),
    ],
)
def test_a_region_that_does_not_fit_is_one_clear_error(wide, region):
    with pytest.raises(ColloidsError):
        detect(wide, diameter=10, region=region)


def test_a_repr_is_short():
    region = Region((3, 30), [RECTANGLE, TRIANGLE], np.zeros((40, 50, 60), bool))
    assert repr(region) == "Region(z_range=(3, 30), 2 outlines, mask of shape (40, 50, 60))"
    assert repr(Region()) == "Region()"
