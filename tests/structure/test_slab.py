"""The structure of a slab is that of the sample, and that of each frame its own."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from napari_colloids import ColloidsError
from napari_colloids.particles import particle_table
from napari_colloids.simulation.arrangement import Composition, arrange
from napari_colloids.simulation.hard_spheres import HardSpheres
from napari_colloids.structure import LOCAL_COLUMNS, measure_structure, structure_by_frame

EDGE = 120


@pytest.fixture(scope="module", autouse=True)
def few_waves():
    """Few wave vectors: the direct S(q) takes most of the time."""
    from importlib import import_module

    with pytest.MonkeyPatch.context() as patch:
        for name in ("_MIN_VECTORS", "_MAX_VECTORS"):
            patch.setattr(import_module("napari_colloids.structure.structure_factor"), name, 5)
        yield


@pytest.fixture(scope="module")
def fluid():
    """An equilibrium fluid of spheres of diameter 10 voxels, in a window of 12 diameters."""
    rng = np.random.default_rng(1)
    spheres = HardSpheres(arrange("random", (14.0,) * 3, Composition(0.4, 0.5), rng))
    spheres.move(0.5, rng)
    places = spheres.arrangement().positions
    inside = np.all(places < 12, axis=1)
    return particle_table(10 * places[inside] - 0.5, radius=5.0, voxel_size=(0.2, 0.1, 0.1))


def test_a_slab_of_a_crystal_is_that_crystal():
    crystal = 10.0 * np.indices((12, 12, 12)).reshape(3, -1).T + 4.5
    whole = measure_structure(crystal, shape=(EDGE,) * 3, diameter=10)
    slab = measure_structure(crystal, shape=(EDGE,) * 3, diameter=10, slab=(19.5, 99.5))
    assert len(slab.particles) == 8 * 144
    assert (slab.particles["z"].min(), slab.particles["z"].max()) == (24.5, 94.5), "where they were"
    assert slab.density == pytest.approx(whole.density) == 1e-3
    assert slab.volume_fraction.value == pytest.approx(np.pi / 6, abs=1e-5)
    each, pairs = (found.g.g * (1 - 1 / len(found.particles)) for found in (slab, whole))  # of N (N - 1) / N^2
    np.testing.assert_allclose(each, pairs, atol=1e-9)
    expected = whole.particles.loc[slab.particles.index]
    inside = slab.particles["interior"] == 1
    assert 0 < inside.sum() < expected["interior"].sum(), "its own faces count"
    # Tetrahedrality takes any four of six neighbours.
    columns = [name for name in LOCAL_COLUMNS if name not in ("interior", "tetrahedrality")]
    pd.testing.assert_frame_equal(slab.particles[inside][columns], expected[inside][columns], atol=1e-5)


@pytest.mark.parametrize("shape", [(EDGE,) * 3, None])
def test_a_slab_of_a_fluid_has_the_structure_of_the_whole(fluid, shape):
    whole = measure_structure(fluid, shape=shape)
    slab = measure_structure(fluid, shape=shape, slab=(20, 75))
    assert slab.unit == "um"
    assert slab.particles["z"].between(20, 75).all()
    assert len(slab.particles) == fluid["z"].between(20, 75).sum()
    np.testing.assert_array_equal(slab.particles["z_um"], 0.2 * slab.particles["z"])
    assert slab.density == pytest.approx(whole.density, rel=0.03)
    off = (slab.g.g - whole.g.g) / np.hypot(slab.g.error, whole.g.error).clip(1e-9)
    assert np.abs(np.median(off)) < 0.5
    assert (np.abs(off) < 3).mean() > 0.97
    far = slab.g.r > 2.5
    assert slab.g.g[far].mean() == pytest.approx(1, abs=0.03), "counted with the volume of the slab"


def test_all_of_the_stack_is_no_slab(fluid):
    whole, slab = (measure_structure(fluid, shape=(EDGE,) * 3, slab=ends) for ends in (None, (-1e6, 1e6)))
    np.testing.assert_allclose(slab.g.g, whole.g.g)
    pd.testing.assert_frame_equal(slab.particles, whole.particles)


@pytest.mark.parametrize(
    ("slab", "said"),
    [((50, 20), "must end above"), ((300, 400), "Fewer than two particles"), ((-np.inf, 20), "slab must be finite")],
)
def test_a_slab_that_is_none_is_refused(fluid, slab, said):
    with pytest.raises(ColloidsError, match=said):
        measure_structure(fluid, shape=(EDGE,) * 3, slab=slab)


def test_each_frame_has_its_own_values():
    crystal = 10.0 * np.indices((9, 9, 9)).reshape(3, -1).T + 4.5
    gas = np.random.default_rng(2).random((500, 3)) * 90 - 0.5
    series = particle_table(np.concatenate([crystal, gas]), frame=[3] * len(crystal) + [7] * len(gas), radius=4.0)
    found = measure_structure(series, shape=(90,) * 3)
    table = found.by_frame
    assert table["frame"].tolist() == [3, 7]
    assert table["particles"].tolist() == [729, 500]
    assert table["interior"].sum() == len(found.inside)
    volume = 4 / 3 * np.pi * 4**3
    np.testing.assert_allclose(table["volume_fraction"], [volume / 1000, 500 * volume / 90**3], rtol=0.1)
    assert table["volume_fraction"][0] == pytest.approx(volume / 1000, rel=1e-5)
    for frame, row in table.set_index("frame").iterrows():
        inside = found.inside[found.inside["frame"] == frame]
        assert row["q6_averaged"] == pytest.approx(inside["q6_averaged"].mean())
        assert row["crystalline"] == pytest.approx(inside["crystalline"].mean())
        means = inside.groupby([inside[axis] >= 44.5 for axis in "zyx"])["q6_averaged"].mean()
        assert row["q6_averaged_err"] == pytest.approx(means.std() / len(means) ** 0.5)
    assert table["q6_averaged"][0] == pytest.approx(0.354, abs=1e-3)
    assert table["crystalline"].tolist()[0] == 1
    assert found.as_dict()["by_frame"]["frame"] == [3, 7]
    assert measure_structure(crystal, shape=(90,) * 3, diameter=8).by_frame is None
    with pytest.raises(ColloidsError, match="column 'frame'"):
        structure_by_frame(found.particles.drop(columns="frame"))
