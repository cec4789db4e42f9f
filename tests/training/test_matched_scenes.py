"""Scenes in the image of a stack: like its twin, of few voxels, with general ones among them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_colloids.detection.inference import prepare
from napari_colloids.detection.normalise import GreyLevels
from napari_colloids.detection.scale import Scale
from napari_colloids.simulation import Parameters
from napari_colloids.simulation.arrangement import Arrangement
from napari_colloids.simulation.scene import image_arrangement
from napari_colloids.training.matched import MatchedScenes, MixedScenes, coarsened
from napari_colloids.training.sample import SIZE
from napari_colloids.training.stage import Stage

TWIN = Parameters(volume_fraction=0.3, radius=4, psf_sigma=(1.5, 1, 1), snr=6, cnr=5, brightness_spread=0.1)


@pytest.fixture(scope="module")
def scenes():
    return MatchedScenes(TWIN, 8.0, seed=1, packings=3)


def counts(source, numbers):
    return [int((source.sample(n, Stage()).targets.heat == 1).sum()) for n in numbers]


def test_scenes_are_reproducible_and_as_dense_as_the_twin(scenes):
    again = MatchedScenes(TWIN, 8.0, seed=1, packings=3)
    first, same = (source.sample(3, Stage()) for source in (scenes, again))
    np.testing.assert_array_equal(first.image, same.image)
    assert first.image.shape == (1, SIZE, SIZE, SIZE)
    expected = 0.3 * SIZE**3 / (4 / 3 * np.pi * 5**3)
    assert np.median(counts(scenes, range(6))) == pytest.approx(expected, rel=0.35)
    dilute = MatchedScenes(replace(TWIN, volume_fraction=0.03), 8.0, packings=3)
    assert np.median(counts(dilute, range(6))) < 0.3 * expected


def test_some_scenes_are_noise_of_the_same_grey_levels(scenes):
    made = [scenes.sample(n, Stage()) for n in range(30)]
    noise = [not (sample.targets.heat == 1).any() for sample in made]
    assert 1 <= sum(noise) <= 8
    spread = [
        np.median([s.image.std() for s, is_noise in zip(made, noise, strict=True) if is_noise == k]) for k in (0, 1)
    ]
    assert spread[1] == pytest.approx(spread[0], rel=0.3)
    assert all(not sample.targets.near.any() for sample, is_noise in zip(made, noise, strict=True) if is_noise)


def test_particles_are_searched_at_the_size_that_was_given(scenes):
    """Half the diameter that is searched for makes them twice as large on the canonical scale."""
    radii = []
    for source in (scenes, MatchedScenes(TWIN, 4.0, seed=1, packings=3)):
        targets = source.sample(0, Stage()).targets
        radii.append(np.exp(targets.log_radius[targets.near > 0]).mean())
    assert radii[1] / radii[0] == pytest.approx(2, rel=0.1)


def test_scenes_have_the_blur_of_the_twin():
    roughness = []
    for sigma in (1.0, 5.0):
        source = MatchedScenes(replace(TWIN, psf_sigma=(sigma, 1, 1), snr=100, cnr=100), 8.0, packings=2)
        image = source.sample(0, Stage()).image[0]
        roughness.append(np.diff(image, axis=0).std() / np.diff(image, axis=2).std())
    assert roughness[1] < 0.75 * roughness[0]


def test_fewer_voxels_give_the_same_canonical_image():
    steps = (1.5, 3.0, 3.0)
    fine = replace(TWIN, radius=15, voxel_aspect=2, psf_sigma=(3, 4, 4), cnr=3.0)
    coarse, few = coarsened(fine, steps)
    assert max(few) <= 1.4
    seen = {}
    for snr in (6.0, 200.0):  # with noise, and the sphere alone
        for name, parameters, step in (("fine", fine, steps), ("coarse", coarse, few)):
            scale = snr / fine.snr
            shape = tuple(round(24 * n) for n in step)
            shown = replace(
                parameters, shape=shape, bits=16, snr=parameters.snr * scale, cnr=parameters.cnr * scale, photon_noise=0
            )
            centre = np.array([[12, 12, 12]]) * step[2]
            box = (100.0, 100.0, 100.0)
            made = image_arrangement(
                Arrangement(centre, np.array([shown.radius]), box, periodic=False), shown, np.random.default_rng(0)
            )
            levels, on = GreyLevels(0, 65535), Scale(step, shape)
            seen[snr, name] = prepare(made.stack.data, (0, 0, 0), (24, 24, 24), on, levels).numpy()
    np.testing.assert_allclose(seen[200, "coarse"], seen[200, "fine"], atol=0.05)
    noise = [float((seen[6, name] - seen[200, name])[2:-2, 2:-2, 2:-2].std()) for name in ("fine", "coarse")]
    assert noise[1] == pytest.approx(noise[0], rel=0.1)


def test_general_scenes_are_among_them_as_often_as_asked_for(scenes):
    class General:
        def pack(self):
            pass

        def sample(self, number, stage):
            return f"{number} with {stage.nano} nano"

    assert MixedScenes(scenes, General(), 1.0).sample(5, Stage(nano=0.5)) == "5 with 0.5 nano"
    mixed = MixedScenes(General(), scenes, 0.0)
    assert mixed.sample(5, Stage(nano=0.5)) == "5 with 0.5 nano"

    class Matched(General):
        def sample(self, number, stage):
            return "matched"

    drawn = [MixedScenes(Matched(), General(), 0.2).sample(n, Stage()) == "matched" for n in range(1000)]
    assert np.mean(drawn) == pytest.approx(0.8, abs=0.05)
