"""Public functions answer arguments of a wrong type with one clear line."""

import numpy as np
import pandas as pd
import pytest

import napari_colloids as nc

VOLUME = np.zeros((16, 16, 16), np.uint8)
POSITIONS = [[2, 2, 2], [9, 9, 9], [4, 9, 2]]
TRACKS = nc.particle_table(POSITIONS, frame=[0, 1, 2], particle=[0, 0, 0])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: nc.detect(VOLUME, "log"), "given by name"),
        (lambda: nc.detect(VOLUME, diameter=np.zeros((9, 9))), "diameter must be a number, not an array of shape"),
        (lambda: nc.detect(VOLUME, voxel_size=VOLUME), "voxel size must be three .* not an array of shape"),
        (lambda: nc.detect(VOLUME, region=[(0, 1)]), r"what Region\(...\) returns, not \[\(0, 1\)\]"),
        (lambda: nc.detect(VOLUME, dark="yes"), "dark must be False or True, not 'yes'"),
        (lambda: nc.detect_series(VOLUME, frames=3), r"frames must be several numbers, as in \[3\]"),
        (lambda: next(nc.iter_detect(VOLUME, {"diameter": 8})), "given by name"),
        (lambda: nc.refine(VOLUME, POSITIONS, diameter="8"), "diameter must be a number"),
        (lambda: nc.refine(VOLUME, POSITIONS, diameter=8, psf=(2, 1)), r"PSF\(...\)"),
        (lambda: nc.PSF(1), "sigma must be 2 numbers"),
        (lambda: nc.simulate({"radius": 5}), "given by name"),
        (lambda: nc.simulate(shape=np.array(16)), "shape must be 3 whole numbers, not 16"),
        (lambda: nc.simulate_brownian(frames="two"), "frames must be a whole number"),
        (lambda: nc.simulate_brownian(step=None), "step must be a number"),
        (lambda: nc.particle_table("abc"), "Positions must be numbers"),
        (lambda: nc.particle_table(POSITIONS, errors=[1, 2]), r"Errors must have shape \(N, 4\)"),
        (lambda: nc.particle_table(POSITIONS, radius="wide"), "'radius' must hold numbers"),
        (lambda: nc.write_particles("table.csv", POSITIONS), "must be a pandas.DataFrame"),
        (lambda: nc.write_particles("table.csv", TRACKS, metadata="me"), "Metadata are a dictionary"),
        (lambda: nc.read_particles(None), "given by its name"),
        (lambda: nc.read_stack(3), "given by its name"),
        (lambda: nc.list_series([3]), "given by its name"),
        (lambda: nc.read_stack("stack.tif", index="0"), "index must be a whole number"),
        (lambda: nc.read_stack("stack.tif", axes=3), "Axes are letters"),
        (lambda: nc.Stack(VOLUME, axes=3), "Axes 3 are not understood"),
        (lambda: nc.link(TRACKS, memory="2"), "memory must be a whole number"),
        (lambda: nc.link(TRACKS, range=2), "There is no link setting range"),
        (lambda: nc.mean_squared_displacement(TRACKS, max_lag=1.5), "max_lag must be a whole number"),
        (lambda: nc.diffusion_coefficient(nc.mean_squared_displacement(TRACKS), lags="all"), "lags must be a whole"),
        (lambda: nc.relaxation(POSITIONS, q=1.0), "not list"),
        (lambda: nc.relaxation(TRACKS, q="long"), "q must be a number"),
        (lambda: nc.relaxation(TRACKS, q=1.0, axes=2), "axes must be a text"),
        (lambda: nc.relaxation(TRACKS, q=1.0, errors=VOLUME), "errors must be 3 numbers"),
        (lambda: nc.pair_correlation(POSITIONS, shape=16), "shape must be 3 numbers"),
        (lambda: nc.pair_correlation(POSITIONS, diameter=-1), "positive diameter"),
        (lambda: nc.first_minimum(pd.DataFrame({"r": [1]}), [1, 2]), "two arrays of as many numbers"),
        (lambda: nc.score(POSITIONS, POSITIONS, diameter=8, shape=TRACKS), "not a DataFrame of shape"),
    ],
)
def test_an_argument_of_a_wrong_type_is_refused_in_one_line(call, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(nc.ColloidsError, match=words) as refused:
        call()
    assert len(str(refused.value)) < 200
    assert "\n" not in str(refused.value)
