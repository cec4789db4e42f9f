"""Laguerre cells: of equal spheres the Voronoi cells, of a salt as geometry has them, and they fill space."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_colloids import ColloidsError
from napari_colloids.particles import particle_table
from napari_colloids.structure import laguerre_cells, local_structure, measure_structure, voronoi_cells
from napari_colloids.structure.polyhedra import face_areas, polyhedron_volume
from napari_colloids.structure.window import Window

EDGE = 60.0


def window(edge=EDGE):
    return Window(np.zeros(3), np.full(3, edge))


def scattered(seed, count):
    return np.random.default_rng(seed).uniform(0, EDGE, (count, 3))


def salt(cells, spacing):
    """Positions on a cubic lattice, and which of the two species sits there."""
    corners = np.indices((cells,) * 3).reshape(3, -1).T
    return spacing * (corners + 0.5), corners.sum(axis=1) % 2 == 1


def test_box_has_the_areas_and_the_volume_of_a_box():
    corners = np.array([[z, y, x] for z in (0, 2.0) for y in (0, 3.0) for x in (0, 5.0)])
    faces = [[0, 1, 3, 2], [4, 5, 7, 6], [0, 1, 5, 4], [2, 3, 7, 6], [0, 2, 6, 4], [1, 3, 7, 5]]
    flat = np.concatenate([[len(face), *face] for face in faces]).astype(np.intp)
    np.testing.assert_allclose(face_areas(corners, flat, 6), [15, 15, 10, 10, 6, 6])
    assert polyhedron_volume(corners + 100, flat) == pytest.approx(30)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 50))
@settings(max_examples=4, deadline=None)
def test_cells_of_equal_spheres_are_voronoi_cells(seed, radius):
    positions = scattered(seed, 300)
    one = laguerre_cells(positions, np.full(300, radius), window())
    other = voronoi_cells(positions, window())
    inside = window().depths(positions) > 15
    np.testing.assert_allclose(one.volumes[inside], other.volumes[inside], rtol=1e-4)
    bonds = [{tuple(bond) for bond in cells.bonds[inside[cells.bonds[:, 0]]]} for cells in (one, other)]
    # Faces of about one percent may be on either side of the bound.
    assert len(bonds[0] ^ bonds[1]) <= 0.01 * len(bonds[1])


@pytest.mark.parametrize(("small", "large"), [(2.0, 8.0), (4.0, 6.0)])
def test_face_between_touching_ions_lies_where_they_touch(small, large):
    spacing = small + large
    positions, is_large = salt(7, spacing)
    cells = laguerre_cells(positions, np.where(is_large, large, small), window(7 * spacing))
    inside = window(7 * spacing).depths(positions) > 2.4 * spacing
    np.testing.assert_allclose(cells.volumes[inside & ~is_large], (2 * small) ** 3)
    np.testing.assert_allclose(cells.volumes[inside & is_large], 2 * spacing**3 - (2 * small) ** 3)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=4, deadline=None)
def test_every_point_belongs_to_the_sphere_with_the_least_power(seed):
    rng = np.random.default_rng(seed)
    positions, radii = scattered(seed, 200), rng.uniform(0.5, 12, 200)
    cells = laguerre_cells(positions, radii, window())
    low, high = positions.min(axis=0), positions.max(axis=0)
    beyond = 2 * (EDGE**3 / 200) ** (1 / 3)
    points = rng.uniform(low - beyond, high + beyond, (20_000, 3))
    power = ((points[:, None] - positions) ** 2).sum(axis=2) - radii**2
    share = np.bincount(power.argmin(axis=1), minlength=200) / len(points)
    whole = np.prod(high - low + 2 * beyond)
    volumes = np.nan_to_num(cells.volumes)
    assert volumes.sum() == pytest.approx(whole, rel=1e-9)
    np.testing.assert_allclose(volumes / whole, share, atol=6 * (0.05 / 20_000) ** 0.5)


def test_bonds_are_there_both_ways_and_a_sphere_within_another_has_none():
    positions = np.concatenate([scattered(3, 200), [[30.0, 30.0, 30.0], [30.0, 30.0, 31.0]]])
    radii = np.concatenate([np.full(200, 2.0), [9.0, 1.0]])
    cells = laguerre_cells(positions, radii, window())
    pairs = {tuple(bond) for bond in cells.bonds}
    assert pairs == {bond[::-1] for bond in pairs}
    assert np.isnan(cells.volumes[201])
    assert not any(201 in bond for bond in pairs)
    assert np.isfinite(np.delete(cells.volumes, 201)).all()


def test_local_volume_fraction_of_a_salt_is_that_of_its_ions_in_their_cells():
    positions, is_large = salt(9, 10.0)
    table = particle_table(positions, radius=np.where(is_large, 7.0, 3.0))
    weighted = local_structure(table, shape=(90, 90, 90), laguerre=True)
    inside = weighted["interior"] == 1
    small = weighted[inside & ~is_large]
    np.testing.assert_allclose(small["local_volume_fraction"], np.pi / 6, rtol=1e-6)
    # Voronoi cells do not know of the sizes: those of both ions are cubes of the lattice.
    plain = local_structure(table, shape=(90, 90, 90))
    np.testing.assert_allclose(plain.loc[inside, "voronoi_volume"], 1000, rtol=1e-4)


def test_structure_has_the_laguerre_cells_when_asked(monkeypatch):
    positions, is_large = salt(8, 10.0)
    table = particle_table(positions, radius=np.where(is_large, 7.0, 3.0))
    measured = measure_structure(table, shape=(80, 80, 80), laguerre=True)
    assert measured.particles["voronoi_volume"].round(3).isin([216.0]).any()
    monkeypatch.setitem(sys.modules, "multivoro", None)
    with pytest.raises(ColloidsError, match="pip install"):
        measure_structure(table, shape=(80, 80, 80), laguerre=True)


def test_cells_without_radii_are_refused_with_what_to_do():
    with pytest.raises(ColloidsError, match="radius of every particle"):
        local_structure(scattered(1, 50), shape=(60, 60, 60), laguerre=True)
