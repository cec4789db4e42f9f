"""Dark particles in a solvent that is dyed: found as bright ones are, whatever the type of the grey levels."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from napari_colloids import cli
from napari_colloids.batch import Job, StackFile
from napari_colloids.batch.tasks import start_volume
from napari_colloids.detection import Options, Part, detect, iter_detect_series
from napari_colloids.io import read_particles
from napari_colloids.particles import positions_of
from napari_colloids.refinement import refine
from napari_colloids.scoring import match, score
from napari_colloids.simulation import simulate
from napari_colloids.stack import Stack


@pytest.fixture(scope="module")
def simulated():
    return simulate(shape=(36, 40, 42), volume_fraction=0.5, radius=5, psf_sigma=(2.2, 1.2, 1.2), snr=6, cnr=6, seed=8)


def dyed_solvent(simulated, kind):
    """Return the stack as it is where the solvent shines: as bright as the particles were, which are dark."""
    image = np.asarray(simulated.stack.data, float)
    return (image.max() + image.min() - image).round().astype(kind)


@pytest.fixture(scope="module", params=["network", "trackpy", "log"])
def method_and_bright(request, simulated):
    """Return a method, and what it finds in the same image but for the sign of the grey levels and where they start."""
    image = dyed_solvent(simulated, float)
    return request.param, detect(image.max() - image, diameter=10, method=request.param)


@pytest.mark.parametrize("kind", [np.uint8, ">u2", np.int16, np.uint32, np.uint64, np.float32])
def test_they_are_found_as_bright_ones_are(simulated, kind, method_and_bright):
    method, bright = method_and_bright
    found = detect(dyed_solvent(simulated, kind), diameter=10, dark=True, method=method)
    assert len(found) > 40
    np.testing.assert_allclose(positions_of(found), positions_of(bright), atol=1e-3)
    np.testing.assert_allclose(found["confidence"], bright["confidence"], atol=1e-3)


def test_the_diameter_is_measured_and_the_truth_is_found(simulated):
    image = dyed_solvent(simulated, np.uint8)
    found = detect(image, dark=True)
    assert found.attrs["dark"]
    assert found.attrs["diameter"] == pytest.approx(10, rel=0.15)
    assert score(simulated.particles, found, diameter=10, shape=image.shape).f1 > 0.99
    assert score(simulated.particles, detect(image), diameter=10, shape=image.shape).f1 < 0.2


def test_who_asks_for_the_other_kind_is_told(simulated):
    shining, dark = simulated.stack.data, dyed_solvent(simulated, np.uint8)
    for image, asked, hint in ((dark, False, "yours are dark"), (shining, True, "yours are bright")):
        wrong, right = (detect(image, dark=way).attrs for way in (asked, not asked))
        assert any(hint in notice for notice in wrong["notices"])
        assert not wrong["diameter_certain"]
        assert right["notices"] == []


def test_every_volume_of_a_series_tells_it(simulated):
    dark = dyed_solvent(simulated, np.uint8)
    series = Stack(np.stack([dark, dark]), "tzyx")
    tables = {}
    for _ in iter_detect_series(series, Options(), [Part(0, 0), Part(1, 0)], tables.__setitem__):
        pass
    first, second = (table.attrs["notices"] for table in tables.values())
    assert any("yours are dark" in notice for notice in first)
    assert first == second


#: Stacks in which the gaps between the particles, or the space around them, look like particles of the other polarity.
ALIKE = {
    "dense": {"volume_fraction": 0.55, "psf_sigma": (2, 1.3, 1.3), "snr": 8, "cnr": 8},
    "crystal": {"volume_fraction": 0.55, "arrangement": "crystal", "psf_sigma": (2.5, 1.2, 1.2)},
    "strings of shells": {"volume_fraction": 0.12, "arrangement": "strings", "shell": 0.5, "psf_sigma": (2.5, 1, 1)},
    "dilute": {"volume_fraction": 0.08, "psf_sigma": (3, 1.2, 1.2)},
}


@pytest.mark.parametrize("kind", ALIKE)
def test_the_polarity_that_explains_more_light_is_proposed_at_a_given_diameter(kind):
    image = np.asarray(simulate(shape=(32, 40, 40), radius=5, seed=31, **ALIKE[kind]).stack.data, float)
    light = 0.6 + 0.4 * np.linspace(0, 1, 32)[:, None, None] * (1 + 0.3 * np.sin(np.linspace(0, 3, 40)))
    for shown, dark in ((image, False), ((image.max() - image) * light, True)):
        right, wrong = (detect(shown, diameter=10, dark=way).attrs for way in (dark, not dark))
        assert not right["negative_certain"]
        assert not any("inverted" in notice for notice in right["notices"])
        assert wrong["negative_certain"]
        assert any(f"yours are {'dark' if dark else 'bright'}" in notice for notice in wrong["notices"])


def test_dark_spheres_under_uneven_light_are_told_without_a_diameter():
    # Sparse dark spheres in front of a light that grows along z, as in a dyed solvent above a coverslip.
    made = simulate(shape=(36, 48, 48), radius=5, volume_fraction=0.2, psf_sigma=(3, 1.3, 1.3), snr=8, cnr=8, seed=33)
    image = np.asarray(made.stack.data, float)
    light = np.linspace(0.5, 1, 36)[:, None, None]
    dyed = (image.max() + 40 - image) * light
    assert detect(dyed).attrs["negative_certain"]
    assert not detect(dyed, dark=True).attrs["negative_certain"]


def test_every_volume_of_a_series_tells_it_at_a_given_diameter(simulated):
    dark = dyed_solvent(simulated, np.uint8)
    tables = {}
    steps = iter_detect_series(
        Stack(np.stack([dark, dark]), "tzyx"), Options(diameter=10), [Part(0, 0), Part(1, 0)], tables.__setitem__
    )
    for _ in steps:
        pass
    assert all(table.attrs["negative_certain"] for table in tables.values())


def test_they_are_refined_and_voxels_without_a_value_stay_so(simulated):
    image = dyed_solvent(simulated, np.float32)
    image[:2] = np.nan
    plain, refined = (detect(image, diameter=10, dark=True, refine=wanted) for wanted in (False, True))
    assert refined["refined"].mean() > 0.9
    off, fitted = (match(simulated.particles, table, max_distance=5).distance for table in (plain, refined))
    assert np.median(fitted) < 0.7 * np.median(off)
    assert refined.attrs["noise_gain"] < 10
    again = refine(image, plain, diameter=10, dark=True)
    assert again["refined"].mean() > 0.9


def test_the_command_line_and_the_workers_of_a_cluster_find_the_same(simulated, tmp_path):
    image = dyed_solvent(simulated, np.uint8)
    np.save(tmp_path / "stack.npy", image)
    expected = detect(image, diameter=10, dark=True, refine=True)
    target = tmp_path / "found.csv"
    asked = ["detect", f"{tmp_path}/stack.npy", "-o", str(target), "--diameter", "10", "--dark", "--refine"]
    assert cli.main(asked) == 0
    pd.testing.assert_frame_equal(read_particles(target), expected, rtol=1e-4, check_dtype=False)
    job, other = (
        Job(StackFile(f"{tmp_path}/stack.npy"), target, Options(diameter=10, dark=dark, refine=True))
        for dark in (True, False)
    )
    pd.testing.assert_frame_equal(start_volume(job, Part(0, 0), None), expected, rtol=1e-6)
    assert job.fingerprint() != other.fingerprint()
