"""Motion relative to the neighbours: what a flow or a uniform deformation explains is gone."""

import numpy as np
import pytest

from napari_colloids import ColloidsError, particle_table
from napari_colloids.dynamics import cage_relative_displacements, nonaffine_displacement


@pytest.fixture(scope="module")
def crystal(fcc):
    """Positions, nearest neighbours 10 apart."""
    return fcc(10 * 2**0.5, 5)[0]


def moved(*positions, errors=None, **columns):
    """Table of the same particles at several times."""
    count = len(positions[0])
    return particle_table(
        np.concatenate(positions),
        frame=np.repeat(np.arange(len(positions)), count),
        particle=np.tile(np.arange(count), len(positions)) + 7,
        errors=None if errors is None else np.tile([*errors, 0], (count * len(positions), 1)),
        **columns,
    )


def test_uniform_and_slowly_varying_flows_are_subtracted(crystal):
    steps = np.random.default_rng(0).normal(0, 0.3, crystal.shape)
    flow = np.array([4.0, -3.0, 2.0]) + 0.01 * crystal[:, [1, 2, 0]]
    still = cage_relative_displacements(moved(crystal, crystal + steps), cutoff=12)
    flowing = cage_relative_displacements(moved(crystal, crystal + steps + flow), cutoff=12)
    moves = ["dz", "dy", "dx"]
    inside = (still["neighbours"] == 12).to_numpy()
    assert 100 < inside.sum() < len(inside)
    # A linear flow is the same as the mean over neighbours that lie all around.
    np.testing.assert_allclose(flowing.loc[inside, moves], still.loc[inside, moves], atol=1e-9)
    np.testing.assert_allclose(flowing[moves], still[moves], atol=0.2)
    assert np.mean(still.loc[inside, moves].to_numpy() ** 2) == pytest.approx(0.09 * (1 + 1 / 12), rel=0.1)
    assert still["particle"].min() == 7


def test_neighbours_are_those_of_the_first_frame_that_are_tracked(crystal):
    table = moved(crystal, crystal[::-1])
    lost = table[~((table["frame"] == 1) & (table["particle"] == 7 + 250))]
    whole, part = (cage_relative_displacements(one, cutoff=12).set_index("particle") for one in (table, lost))
    assert len(part) == len(whole) - 1
    near = np.flatnonzero(np.isclose(np.linalg.norm(crystal - crystal[250], axis=1), 10)) + 7
    np.testing.assert_array_equal(part.loc[near, "neighbours"], whole.loc[near, "neighbours"] - 1)
    alone = cage_relative_displacements(table, cutoff=5)
    assert len(alone) == 0
    assert list(alone.columns) == ["frame", "particle", "dz", "dy", "dx", "neighbours"]


def test_first_shell_is_found_without_a_cutoff(crystal):
    jiggled = crystal + np.random.default_rng(1).normal(0, 0.2, crystal.shape)
    found = cage_relative_displacements(moved(crystal, jiggled, voxel_size=(0.1, 0.1, 0.1)))
    assert found["neighbours"].max() == 12
    assert found.attrs["unit"] == "um"
    assert 1.0 < found.attrs["cutoff"] < 2**0.5


@pytest.mark.parametrize("seed", [0, 1])
def test_affine_deformations_have_no_nonaffine_displacement(crystal, seed):
    rng = np.random.default_rng(seed)
    deformed = crystal @ (np.eye(3) + rng.normal(0, 0.1, (3, 3))) + rng.normal(0, 5, 3)
    found = nonaffine_displacement(moved(crystal, deformed), 0, 1, cutoff=12)
    inside = found["neighbours"] == 12
    assert inside.sum() > 100
    np.testing.assert_allclose(found.loc[inside, "d2min"], 0, atol=1e-9)
    assert (found.loc[inside, "strain"] > 0.01).all()


def test_shear_strain_is_half_the_shear(crystal):
    sheared = crystal + [0, 0, 0.02] * crystal[:, :1]
    found = nonaffine_displacement(moved(crystal, sheared), 0, 1, cutoff=12)
    assert found["strain"].median() == pytest.approx(0.01, rel=0.01)
    turn = np.array([[1, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]])
    turned = nonaffine_displacement(moved(crystal, crystal @ turn), 0, 1, cutoff=12)
    np.testing.assert_allclose(turned["strain"].dropna(), 0, atol=1e-9)
    swollen = nonaffine_displacement(moved(crystal, 1.05 * crystal), 0, 1, cutoff=12)
    np.testing.assert_allclose(swollen["strain"].dropna(), 0, atol=1e-9)


def test_expected_part_of_the_errors_is_what_they_make(crystal):
    errors = (0.5, 0.1, 0.2)
    rng = np.random.default_rng(2)
    seen = [crystal + rng.normal(0, errors, crystal.shape) for _ in range(2)]
    found = nonaffine_displacement(moved(*seen, errors=errors), 0, 1, cutoff=12)
    assert found["d2min"].mean() == pytest.approx(found["d2min_errors"].mean(), rel=0.05)
    given = nonaffine_displacement(moved(*seen), 0, 1, cutoff=12, errors=errors)
    np.testing.assert_allclose(given["d2min_errors"], found["d2min_errors"])
    assert "d2min_errors" not in nonaffine_displacement(moved(*seen), 0, 1, cutoff=12)


def test_a_particle_that_jumps_has_the_misfit_of_all_its_bonds(crystal):
    middle = int(np.argmin(np.linalg.norm(crystal - crystal.mean(axis=0), axis=1)))
    after = crystal.copy()
    after[middle] += [0, 3, 0]
    found = nonaffine_displacement(moved(crystal, after), 0, 1, cutoff=12)
    assert found.loc[middle, "neighbours"] == 12
    # Twelve neighbours all around: no deformation explains that they all move by the same against it.
    assert found.loc[middle, "d2min"] == pytest.approx(12 * 3**2)
    assert found["d2min"].idxmax() == middle
    assert found.loc[middle, "particle"] == middle + 7


def test_too_few_neighbours_or_such_in_a_plane_have_no_value(crystal):
    few = nonaffine_displacement(moved(crystal, crystal), 0, 1, cutoff=5)
    assert few[["d2min", "strain"]].isna().all().all()
    plane = 10.0 * np.array([[0, y, x] for y in range(5) for x in range(5)])
    assert nonaffine_displacement(moved(plane, plane), 0, 1, cutoff=15)["d2min"].isna().all()


def test_arguments_that_make_no_sense_are_refused(crystal):
    table = moved(crystal, crystal)
    for call, words in (
        (lambda: nonaffine_displacement(table, 0, 5), "Frame 5 has no particles"),
        (lambda: nonaffine_displacement(table, 0, "1"), "second must be a whole number"),
        (lambda: nonaffine_displacement(table, 0, 1, cutoff=-1), "cutoff"),
        (lambda: cage_relative_displacements(table, 0), "lag must"),
        (lambda: cage_relative_displacements(table.drop(columns="particle")), "link the particles"),
    ):
        with pytest.raises(ColloidsError, match=words):
            call()
