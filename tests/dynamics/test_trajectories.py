"""The whole path: spheres in Brownian motion are imaged, detected, linked, and move as fast as they did."""

import pandas as pd
import pytest

from napari_colloids import (
    detect,
    diffusion_coefficient,
    link,
    mean_squared_displacement,
    simulate_brownian,
    suggest_search_range,
)

DIAMETER = 10.0
FRAMES = 10


def slope(tracks):
    return diffusion_coefficient(mean_squared_displacement(tracks)).slope


@pytest.mark.slow
def test_slope_of_the_msd_is_within_a_tenth_of_the_truth():
    truth = simulate_brownian(
        shape=(32, 56, 56), radius=DIAMETER / 2, volume_fraction=0.3, frames=FRAMES, step=1.5, snr=8, cnr=6, seed=5
    )
    tables = [
        detect(truth.stack, frame=frame, diameter=DIAMETER, device="cpu").assign(frame=frame) for frame in range(FRAMES)
    ]
    found = pd.concat([table[["frame", "z", "y", "x", "confidence"]] for table in tables], ignore_index=True)
    assert len(found) == pytest.approx(len(truth.particles), rel=0.03)
    tracks = link(found)
    assert tracks.attrs["search_range"] == suggest_search_range(found)
    assert slope(tracks) == pytest.approx(slope(truth.particles), rel=0.1)
    # Those in the stack are some of those in the box, and not exactly as quick.
    assert slope(tracks) == pytest.approx(slope(truth.trajectories), rel=0.2)
