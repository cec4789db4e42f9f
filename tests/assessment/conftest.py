"""A simulated sample in which particles are missed, what is found in it, and its model."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import napari_colloids as nc
from napari_colloids.assessment.measurement import Measurement
from napari_colloids.assessment.sample import Sample
from napari_colloids.assessment.sample_model import fitted_model
from napari_colloids.assessment.twin import iter_search
from napari_colloids.detection import Options, Part
from napari_colloids.progress import result_of
from napari_colloids.simulation.exposure import background_level

DIAMETER = 8.0


def measurement_of(parameters):
    """What would be measured of a simulation, if that were exact."""
    foreground, noise = parameters.brightness, parameters.brightness / parameters.snr
    return Measurement(
        radius=parameters.radius,
        polydispersity=0.01,
        shell=0.0,
        psf_sigma=parameters.psf_sigma[:2],
        psf_tail=0.0,
        psf_tilt=(0.0, 0.0),
        foreground=foreground,
        background=foreground * background_level(parameters.snr, parameters.cnr, parameters.photon_noise),
        gain=parameters.photon_noise * noise**2 / foreground,
        floor=noise * (1 - parameters.photon_noise) ** 0.5,
        brightness_spread=parameters.brightness_spread,
        decay=0.0,
        density=0.0,
    )


@pytest.fixture(scope="session")
def dim():
    """Simulation, sample, search, particles above the threshold, measurement and model."""
    simulation = nc.simulate(
        shape=(26, 42, 42),
        volume_fraction=0.45,
        radius=DIAMETER / 2,
        psf_sigma=(5.0, 1.2, 1.2),
        snr=3,
        cnr=2.2,
        brightness=110,
        brightness_spread=0.5,
        seed=6,
    )
    options = Options(diameter=DIAMETER, device="cpu")
    sample = Sample.of(simulation.stack, Part(), DIAMETER, dark=False)
    found = result_of(iter_search(sample.stack, options, DIAMETER))
    likely = found[found["confidence"] >= options.effective_threshold].reset_index(drop=True)
    target = measurement_of(simulation.parameters)
    return SimpleNamespace(
        simulation=simulation,
        options=options,
        sample=sample,
        likely=likely,
        target=target,
        model=fitted_model(sample, likely, target, DIAMETER),
        truth=nc.score(simulation.particles, likely, diameter=DIAMETER, shape=sample.stack.shape),
    )
