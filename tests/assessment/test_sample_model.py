"""Model image of a sample: its noise, its contrast, and what it leaves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_colloids.assessment.sample_model import fitted_model

DIAMETER = 8.0


def noise_at(model, level):
    return float(model.noise(np.float32([level]))[0])


def test_image_is_light_and_noise(dim):
    model, foreground = dim.model, dim.target.foreground
    assert noise_at(model, foreground) == pytest.approx(foreground / 3, rel=0.06)
    residual = (dim.sample.image - model.light) / model.noise(model.light)
    assert residual.std() == pytest.approx(1, abs=0.06)
    light = model.light - model.light.mean()
    assert (light * dim.sample.image).sum() / (light**2).sum() == pytest.approx(1, abs=0.05)


def test_noise_and_contrast_that_were_measured_wrongly_are_put_right(dim):
    wrong = replace(dim.target, gain=2 * dim.target.gain, floor=2**0.5 * dim.target.floor, foreground=70.0)
    model = fitted_model(dim.sample, dim.likely, wrong, DIAMETER)
    assert noise_at(model, 110) == pytest.approx(noise_at(dim.model, 110), rel=0.06)
    assert np.median(model.model.spheres.brightness) == pytest.approx(
        np.median(dim.model.model.spheres.brightness), rel=0.1
    )


def test_spheres_are_those_found_or_shown_by_the_residual_alone(dim):
    model = dim.model
    found = model.found >= 0
    assert sorted(model.found[found]) == list(range(len(dim.likely)))
    apart = model.model.spheres.positions[found] - dim.likely[["z", "y", "x"]].to_numpy()[model.found[found]]
    assert np.abs(np.median(apart, axis=0)).max() < 0.3


def test_levels_that_were_cut_off_are_drawn_beyond_and_recorded_as_they_were(dim):
    model, image = dim.model, dim.sample.image
    black, white = image == 0, image == 255
    assert model.limits == (0, 255)
    levels = model.uncut(np.random.default_rng(0))
    assert (levels[black] <= 0).all()
    assert levels[black].min() < -5
    assert (levels[white] >= 255).all()
    assert levels[white].max() > 265
    free = ~(black | white)
    assert (levels[free] == image[free]).all()
    assert (model.recorded(levels, image) == image).all()


def test_the_same_spheres_make_the_same_light(dim):
    spheres = dim.model.model.spheres
    assert np.allclose(dim.model.with_spheres(spheres), dim.model.light, atol=1e-3)
    dark = replace(spheres, brightness=np.zeros(len(spheres)))
    assert dim.model.with_spheres(dark).mean() < dim.model.light.mean() - 10
