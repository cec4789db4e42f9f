"""Partial pair correlation functions: their sum, classes of a mixture, and g(r) by direction."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_colloids import ColloidsError
from napari_colloids.particles import particle_table
from napari_colloids.simulation.arrangement import Composition, arrange
from napari_colloids.structure import (
    directional_pair_correlation,
    pair_correlation,
    partial_pair_correlation,
)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), kinds=st.integers(1, 4), frames=st.integers(1, 3))
def test_partial_functions_add_up_to_that_of_all(gas, seed, kinds, frames):
    rng = np.random.default_rng(seed)
    table = gas(200 * frames, (30, 30, 40), seed).assign(
        frame=np.repeat(np.arange(frames), 200), kind=rng.integers(0, kinds, 200 * frames)
    )
    table = table.sample(frac=1, random_state=seed)
    whole = pair_correlation(table, shape=(30, 30, 40), cutoff=12, bins=6)
    parts = partial_pair_correlation(table, "kind", shape=(30, 30, 40), cutoff=12, bins=6)
    counts = table.groupby(["frame", "kind"]).size()
    total, possible = 0.0, 0.0
    for name, part in parts.parts.items():
        a, b = (int(word.split()[1]) for word in name.split(" - "))
        pairs = sum(
            counts.get((f, a), 0) * (counts.get((f, a), 0) - 1) / 2
            if a == b
            else counts.get((f, a), 0) * counts.get((f, b), 0)
            for f in range(frames)
        )
        total, possible = total + pairs * np.nan_to_num(part.g), possible + pairs
    np.testing.assert_allclose(total / possible, whole.g, atol=1e-9)


def test_sizes_of_a_mixture_touch_at_the_sum_of_their_radii():
    mixture = arrange("random", (60.0,) * 3, Composition(0.4, 3.0, size_ratio=1.5), np.random.default_rng(1))
    table = particle_table(mixture.positions - 0.5, radius=mixture.radii)
    small, large = np.unique(mixture.radii.round(6))
    middle = (small + large) / 2
    found = partial_pair_correlation(table, "radius", boundaries=[middle], shape=(60, 60, 60), cutoff=12, bins=120)
    assert list(found.parts) == [
        f"radius < {middle:.4g} - radius < {middle:.4g}",
        f"radius < {middle:.4g} - radius >= {middle:.4g}",
        f"radius >= {middle:.4g} - radius >= {middle:.4g}",
    ]
    for part, contact in zip(found.parts.values(), (2 * small, small + large, 2 * large), strict=True):
        first = part.r[np.flatnonzero(part.g)[0]]
        assert first == pytest.approx(contact, abs=0.2)
        assert part.r[np.argmax(part.g)] == pytest.approx(contact, abs=0.3)


def test_many_values_are_cut_at_their_median(gas):
    table = gas(300, (30, 30, 30), 3)
    table["radius"] = np.random.default_rng(0).uniform(3, 5, 300)
    table.loc[0, "radius"] = np.nan  # belongs to no class
    found = partial_pair_correlation(table, "radius", shape=(30, 30, 30))
    assert list(found.to_frame().columns[1::2]) == [f"g {name}" for name in found.parts]
    assert len(found.parts) == 3
    assert f"{table['radius'].median():.4g}" in next(iter(found.parts))


def test_channels_lie_in_the_same_sample(gas):
    table = gas(600, (30, 30, 30), 4).assign(channel=np.repeat([0, 1], 300))
    found = partial_pair_correlation(table, "channel", shape=(30, 30, 30), cutoff=14, bins=3)
    assert len(found.parts) == 3
    np.testing.assert_allclose(found["channel 0 - channel 1"].g[1:], 1, atol=0.1)


@pytest.mark.parametrize(
    ("by", "boundaries", "words"),
    [
        ("species", None, "no column 'species'"),
        ("radius", (5, 4), "ascending"),
        ("radius", ("small", "large"), "ascending"),
        ("radius", (), "ascending"),
        ("name", (1,), "only numbers"),
        ("empty", None, "no values"),
    ],
)
def test_classes_that_make_no_sense_are_refused(gas, by, boundaries, words):
    table = gas(20, (30, 30, 30)).assign(radius=4.0, name=[f"p{n}" for n in range(20)], empty=np.nan)
    with pytest.raises(ColloidsError, match=words):
        partial_pair_correlation(table, by, boundaries=boundaries, shape=(30, 30, 30))


def test_directions_of_an_isotropic_sample_are_the_same_and_average_to_the_whole(gas):
    table = gas(2000, (40, 50, 60), 5)
    whole = pair_correlation(table, shape=(40, 50, 60), cutoff=20, bins=5)
    found = directional_pair_correlation(table, directions=4, shape=(40, 50, 60), cutoff=20, bins=5)
    np.testing.assert_allclose(np.mean([part.g for part in found.parts.values()], axis=0), whole.g)
    for part in found.parts.values():
        np.testing.assert_allclose(part.g[1:], 1, atol=0.08)


def test_a_string_along_z_stands_along_z():
    string = np.column_stack([np.arange(0, 60, 6.0), np.full(10, 30.0), np.full(10, 30.0)])
    found = directional_pair_correlation(string, directions=3, shape=(60, 60, 60), cutoff=20, bins=20)
    across, between, along = found.parts.values()
    assert along.g.any()
    assert not across.g.any()
    assert not between.g.any()
    assert list(found.parts) == ["|cos| < 0.333", "0.333 <= |cos| < 0.667", "|cos| >= 0.667"]
    assert len(found.plot().lines) == 4
