"""``napari-colloids simulate``: files of the challenge's layouts, with their truth."""

import re
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from napari_colloids.io import list_series, read_stack, read_truth
from napari_colloids.simulation import simulate


def test_simulate_writes_the_challenge_layout(run, folder, capsys):
    arguments = ["--volume-fraction", 0.2, "--radius", 4, "--snr", 6, "--cnr", 4, "--polydispersity", 0.05]
    size = ["--shape", 20, 24, 28, "--psf-sigma", 2, 1, 1]
    assert run("simulate", "out.h5", "--count", 2, "--seed", 5, *arguments, *size) == 0
    assert re.search(r"2 volumes, volume fraction 0\.(19|20)\d.*, polydispersity 0\.0[345]", capsys.readouterr().err)
    with h5py.File("out.h5") as file:
        volumes = [name for name in file if name.isdigit()]
        assert len(volumes) == 2
        for name in volumes:
            assert file[name].shape == (20, 24, 28)
            assert file[name].dtype == np.uint8
            assert file[f"{name}_labels"].shape == (20, 24, 28)
            assert file[f"{name}_positions"].shape == (len(file[f"{name}_diameters"]), 3)
            assert np.std(file[f"{name}_diameters"]) > 0
        assert not np.array_equal(*(file[name][...] for name in volumes))
    assert len(list_series("out.h5")) == 2
    truth = read_truth("out.h5", index=1)
    again = simulate(
        shape=(20, 24, 28),
        volume_fraction=0.2,
        radius=4,
        snr=6,
        cnr=4,
        polydispersity=0.05,
        psf_sigma=(2, 1, 1),
        seed=6,
    )
    np.testing.assert_array_equal(read_stack("out.h5", index=1).data, again.stack.data)
    np.testing.assert_allclose(truth[["z", "y", "x"]], again.particles[["z", "y", "x"]], atol=1e-4)


def test_simulate_writes_the_website_layout(run, folder):
    assert run("simulate", "site", "--layout", "website", "--shape", 16, 16, 16, "--radius", 4, "--count", 2) == 0
    images = list(folder.rglob("x_*.hdf5"))
    assert len(images) == 1
    with h5py.File(images[0]) as file:
        assert sorted(file) == ["0", "1"]
    assert len(list(folder.rglob("y_*.csv"))) == 1


@pytest.mark.parametrize("kind", ["random", "crystal", "gel", "strings"])
def test_simulate_offers_every_arrangement(run, kind, folder):
    assert run("simulate", "out.h5", "--arrangement", kind, "--volume-fraction", 0.1, "--shape", 20, 20, 20) == 0
    assert Path("out.h5").exists()


def test_simulate_preset_gives_different_volumes(run, folder):
    assert run("simulate", "out.h5", "--preset", "dilute", "--shape", 16, 24, 24, "--count", 2) == 0
    first, second = (read_stack("out.h5", index=index).data for index in (0, 1))
    assert first.shape == (16, 24, 24)
    assert not np.array_equal(first, second)


def test_simulate_refuses_flat_voxels_without_a_size(run, folder, capsys):
    assert run("simulate", "out.h5", "--voxel-aspect", 3) == 2
    assert "voxel_size" in capsys.readouterr().err
    assert not any(folder.iterdir())


def test_simulate_rows_of_a_metadata_table(run, folder):
    table = pd.DataFrame(
        {"volfrac": [0.3, 0.2], "r": [4, 5], "particle_size": [0.2, 0.3], "snr": [4, 6], "cnr": [3, 5], "type": "train"}
    )
    table.to_csv("rows.csv")
    assert run("simulate", "out.h5", "--metadata", "rows.csv", "--shape", 20, 20, 20, "--count", 3) == 0
    assert len(list_series("out.h5")) == 3
    with h5py.File("out.h5") as file:
        diameters = [file[name][:].mean() for name in sorted(file) if name.endswith("_diameters")]
        np.testing.assert_allclose(diameters, [8, 10, 8])
        numbers = sorted(name for name in file if name.isdigit())
        assert not np.array_equal(file[numbers[0]][...], file[numbers[2]][...])


def test_simulate_refuses(fails, folder):
    fails("simulate", "out.h5", "--volume-fraction", 0.9)
    fails("simulate", "out.h5", "--shape", 0, 10, 10)
    fails("simulate", "out.h5", "--count", 0)
    assert "nano, low light" in fails("simulate", "out.h5", "--preset", "thick")
    assert "not both" in fails("simulate", "out.h5", "--preset", "dense", "--metadata", "rows.csv")
    assert "rows.csv" in fails("simulate", "out.h5", "--metadata", "rows.csv")
    assert "nowhere" in fails("simulate", "nowhere/out.h5", "--shape", 8, 8, 8)
    assert "out.png" in fails("simulate", "out.png", "--shape", 8, 8, 8)
