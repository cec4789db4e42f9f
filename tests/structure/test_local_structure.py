"""Bond order, Voronoi cells, volume fraction: of crystals as in the literature, of a window as of the whole."""

from __future__ import annotations

import re
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from napari_colloids import ColloidsError
from napari_colloids.particles import particle_table, positions_of
from napari_colloids.simulation.arrangement import Composition, arrange
from napari_colloids.structure import (
    bond_order,
    local_structure,
    measure_structure,
    nearest_bonds,
    tetrahedrality,
    volume_fraction,
    voronoi_cells,
)
from napari_colloids.structure.window import Window

ROOT = 0.5**0.5
#: Basis, edges of the cell, and literature values (Mickel et al., J. Chem. Phys. 138, 044501 (2013)): neighbours, q4,
#: q6, w6; nearest distance 1.
CRYSTALS: dict = {
    "fcc": ([[0, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1]], (2 * ROOT,) * 3, 12, 0.19094, 0.57452, -0.01316),
    "hcp": (
        [[0, 0, 0], [0, 1, 1], [1, 1 / 3, 1], [1, 4 / 3, 0]],
        ((8 / 3) ** 0.5, 3**0.5, 1.0),
        *(12, 0.09722, 0.48476, -0.01244),
    ),
    "bcc": ([[0, 0, 0], [1, 1, 1]], (2 / 3**0.5,) * 3, 14, 0.03637, 0.51069, 0.01316),
    "simple cubic": ([[0, 0, 0]], (1.0,) * 3, 6, 0.76376, 0.35355, 0.01316),
}


def crystal(name, cells=7, spacing=10.0):
    """Positions, the edges of the window, and the volume of a cell; basis in half edges."""
    basis, edges, *_ = CRYSTALS[name]
    corners = np.indices((cells,) * 3).reshape(3, -1).T[:, None]
    places = ((corners + np.array(basis) / 2) * edges).reshape(-1, 3) * spacing
    return places, np.array(edges) * cells * spacing, np.prod(edges) * spacing**3 / len(basis)


@pytest.mark.parametrize("name", CRYSTALS)
@pytest.mark.parametrize("rotated", [False, True])
def test_crystals_have_the_order_of_the_literature_however_they_lie(name, rotated):
    places, edges, volume = crystal(name, cells=9 if name == "simple cubic" else 7)
    _, _, neighbours, q4, q6, w6 = CRYSTALS[name]
    middle = edges / 2
    if rotated:
        places = Rotation.from_rotvec([0.3, -0.9, 0.4]).apply(places - middle) + middle
    table = local_structure(places, diameter=10)
    inside = table.iloc[np.argsort(np.linalg.norm(places - middle, axis=1))[:20]]
    assert (inside["neighbours"] == neighbours).all()
    for column, value in {"q4": q4, "q6": q6, "w6": w6, "q4_averaged": q4, "q6_averaged": q6}.items():
        np.testing.assert_allclose(inside[column], value, atol=1e-4)
    np.testing.assert_allclose(inside["voronoi_volume"], volume, rtol=1e-4)
    np.testing.assert_allclose(inside["local_volume_fraction"], np.pi / 6 * 1000 / volume, rtol=1e-4)
    assert inside["crystalline"].all()


def test_the_centre_of_an_icosahedron_and_of_a_tetrahedron():
    golden = (1 + 5**0.5) / 2
    corners = [np.roll([0, a, b * golden], k) for k in range(3) for a in (-1, 1) for b in (-1, 1)]
    places = np.concatenate([[[0, 0, 0]], corners])
    order = bond_order(places, voronoi_cells(places, Window(np.full(3, -3.0), np.full(3, 3.0))).bonds)
    assert order["neighbours"][0] == 12
    assert [order[name][0] for name in ("q4", "q6", "w6")] == pytest.approx([0, 0.66332, -0.16975], abs=1e-4)
    tetrahedron = np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], float)
    assert tetrahedrality(tetrahedron)[0] == pytest.approx(1)


@pytest.fixture(scope="module")
def fluid():
    """A periodic fluid of hard spheres of diameter 1, and the same surrounded by its images."""
    made = arrange("random", (11.0,) * 3, Composition(0.4, 0.5), np.random.default_rng(3))
    places = made.positions
    shifts = 11.0 * (np.indices((3, 3, 3)).reshape(3, -1).T - 1)
    images = (places[None] + shifts[:, None]).reshape(-1, 3)
    return places, images[np.all((images > -4) & (images < 15), axis=1)]


def test_a_window_has_inside_what_the_periodic_box_has(fluid):
    places, surrounded = fluid
    cut = local_structure(10 * places - 0.5, shape=(110,) * 3, diameter=10)
    whole = local_structure(10 * surrounded - 0.5, diameter=10)
    _, nearest = cKDTree(positions_of(whole)).query(positions_of(cut))
    both = cut.join(whole.iloc[nearest].reset_index(drop=True), rsuffix="_whole")
    inside = both[both["interior"] == 1]
    assert len(inside) > 20
    for name in ("q6", "q6_averaged", "voronoi_volume", "w6", "tetrahedrality"):
        np.testing.assert_allclose(inside[name], inside[f"{name}_whole"], rtol=1e-3, atol=1e-5)
    outside = both[both["interior"] == 0]
    assert (np.abs(outside["voronoi_volume"] / outside["voronoi_volume_whole"] - 1) > 0.1).mean() > 0.3


def test_volume_fraction_of_a_window_is_that_of_the_sample():
    made = arrange("random", (24.0,) * 3, Composition(0.45, 0.5, 0.05), np.random.default_rng(5))
    inside = np.all((made.positions >= 6) & (made.positions < 18), axis=1)
    table = particle_table(10 * (made.positions[inside] - 6) - 0.5, radius=10 * made.radii[inside])
    found = volume_fraction(local_structure(table, shape=(120,) * 3), shape=(120,) * 3)
    assert found.value == pytest.approx(made.volume_fraction, abs=0.005)
    assert found.low < made.volume_fraction < found.high
    without = table.drop(columns="radius")
    assert volume_fraction(local_structure(without, shape=(120,) * 3), shape=(120,) * 3) is None


def test_units_voxels_and_frames_change_nothing(fluid):
    places, _ = fluid
    plain = local_structure(10 * places - 0.5, shape=(110,) * 3, diameter=10)
    flat = (10 * places) / [2.5, 1, 1] - 0.5
    frames = pd.concat([particle_table(flat, frame=frame) for frame in (3, 7)], ignore_index=True)
    other = local_structure(frames, shape=(44, 110, 110), voxel_size=(0.25, 0.1, 0.1), diameter=10)
    assert (plain.attrs["unit"], other.attrs["unit"]) == ("px", "um")
    for _, frame in other.groupby("frame"):
        np.testing.assert_allclose(frame["q6_averaged"], plain["q6_averaged"], atol=1e-5)
        np.testing.assert_allclose(frame["voronoi_volume"], plain["voronoi_volume"] / 1000, rtol=1e-4)
        assert (frame["interior"].to_numpy() == plain["interior"]).all()


def test_nearest_neighbours_are_as_many_as_asked_for_and_not_the_particle_itself(fluid):
    places, _ = fluid
    bonds = nearest_bonds(places, 12)
    assert (np.bincount(bonds[:, 0]) == 12).all()
    assert (bonds[:, 0] != bonds[:, 1]).all()
    assert (local_structure(places, diameter=1, neighbours=12)["neighbours"] == 12).all()
    twice = nearest_bonds(np.concatenate([places, places[:1], places[:1]]), 3)
    assert (twice[:, 0] != twice[:, 1]).all()


def test_crystal_and_fluid_are_told_apart(fluid):
    solid, edges, _ = crystal("fcc")
    noise = np.random.default_rng(0).normal(0, 0.5, solid.shape)
    order = [
        measured[measured["interior"] == 1]
        for measured in (
            local_structure(solid + noise, shape=edges, diameter=10),
            local_structure(10 * fluid[0] - 0.5, shape=(110,) * 3, diameter=10),
        )
    ]
    assert order[0]["q6_averaged"].min() > 0.35 > order[1]["q6_averaged"].max()
    assert order[0]["crystalline"].mean() > 0.95
    assert order[1]["crystalline"].mean() < 0.1


@settings(max_examples=15)
@given(count=st.integers(2, 40), copies=st.integers(0, 3), seed=st.integers(0, 99), nearest=st.sampled_from([None, 4]))
def test_order_of_the_rows_and_copies_change_nothing(count, copies, seed, nearest):
    """Two particles at one place would end the process: Voro++ has no cell for them."""
    rng = np.random.default_rng(seed)
    places = rng.uniform(0, [30, 60, 50], (count, 3))
    some = np.concatenate([places, places[:copies]])
    order = rng.permutation(len(some))
    plain = local_structure(places, shape=(30, 60, 50), diameter=5, neighbours=nearest)
    mixed = local_structure(some[order], shape=(30, 60, 50), diameter=5, neighbours=nearest)
    assert len(mixed) == len(some)
    back = mixed.iloc[np.argsort(order)]
    assert back["voronoi_volume"].isna().sum() == min(copies, count)
    cells = back.groupby(list("zyx"), sort=False)["voronoi_volume"].max()
    np.testing.assert_allclose(cells, plain["voronoi_volume"], rtol=1e-3)
    if nearest is not None and copies == 0:
        np.testing.assert_allclose(back["q6"], plain["q6"], atol=1e-4)


def test_what_cannot_be_used_is_refused(monkeypatch):
    with pytest.raises(ColloidsError, match="two particles"):
        local_structure([[1, 1, 1]])
    with pytest.raises(ColloidsError, match="diameter must lie"):
        local_structure(np.random.default_rng(0).random((9, 3)), diameter=0)
    with pytest.raises(ColloidsError, match="neighbours"):
        local_structure(np.random.default_rng(0).random((9, 3)), neighbours=0)
    monkeypatch.setitem(sys.modules, "freud", None)
    with pytest.raises(ColloidsError, match=r"napari-colloids\[structure\]"):
        local_structure(np.random.default_rng(0).random((9, 3)))


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        (None, "No localisation errors"),
        ((1.0, 0.4, 0.4), "0.1 diameters along z and 0.04 across: g\\(r\\) at contact"),
        ((0.3, 0.2, 0.2), "topological clusters need 0.02"),
        ((0.1, 0.1, 0.1), None),
    ],
)
def test_what_localisation_errors_do_is_said(errors, said):
    places, edges, _ = crystal("simple cubic", cells=5)
    table = particle_table(places + 4.5, radius=5.0, errors=None if errors is None else [(*errors, 0.1)] * len(places))
    notices = " ".join(measure_structure(table, shape=edges).notices)
    if said is None:
        assert "localisation" not in notices
    else:
        assert re.search(said, notices)


def test_volume_fraction_of_few_particles_is_that_of_all():
    made = arrange("random", (8.0,) * 3, Composition(0.3, 0.5), np.random.default_rng(2))
    table = particle_table(10 * made.positions - 0.5, radius=10 * made.radii)
    found = volume_fraction(local_structure(table, shape=(80,) * 3), shape=(80,) * 3)
    assert found.value == pytest.approx(0.3, abs=0.002)
    assert found.high - found.low > 0.03


def test_many_particles_in_blocks_have_the_order_of_all_together(monkeypatch, gas):
    table = gas(800, (60, 60, 60), 11)
    whole = local_structure(table, shape=(60, 60, 60))
    monkeypatch.setattr(sys.modules[bond_order.__module__], "_BLOCK_PARTICLES", 77)
    in_blocks = local_structure(table.sample(frac=1, random_state=1), shape=(60, 60, 60)).loc[whole.index]
    for name in ("q4", "q6", "w6", "q4_averaged", "q6_averaged", "solid_bonds", "voronoi_volume"):
        np.testing.assert_allclose(in_blocks[name], whole[name], atol=1e-4, err_msg=name)
