"""``napari-colloids detect --refine``: exact positions, their errors and one line about them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from napari_colloids import cli
from napari_colloids.io import read_particles, write_particles
from napari_colloids.particles import ERRORS, particle_table
from napari_colloids.scoring import score
from napari_colloids.simulation import simulate

REFINED = [*ERRORS, "refined"]


@pytest.fixture(scope="module")
def simulated():
    return simulate(shape=(24, 40, 40), volume_fraction=0.25, radius=5, psf_sigma=(2, 1, 1), snr=8, cnr=8, seed=3)


@pytest.fixture(autouse=True)
def folder(tmp_path, simulated, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite("stack.tif", simulated.stack.data, imagej=True, metadata={"axes": "ZYX"})
    return tmp_path


def run(*arguments):
    return cli.main(["detect", "stack.tif", "--diameter", "10", *map(str, arguments)])


def test_refined_positions_are_more_exact_and_the_line_says_how_many(simulated, capsys):
    assert run("-o", "plain.csv", "--no-refine") == 0
    assert "refined" not in capsys.readouterr().err
    assert run("-o", "found.csv", "--refine") == 0
    (line,) = capsys.readouterr().err.splitlines()
    plain, found = pd.read_csv("plain.csv"), pd.read_csv("found.csv")
    assert not set(REFINED) & set(plain.columns)
    assert set(REFINED) <= set(found.columns)
    count = int(found["refined"].sum())
    assert 0.7 * len(found) < count <= len(found)
    assert f", {count} refined, PSF sigma " in line
    assert "px (axial/lateral), " in line
    shape = simulated.stack.shape
    before, after = (score(simulated.particles, table, diameter=10, shape=shape) for table in (plain, found))
    assert after.rmse["z"] < 0.7 * before.rmse["z"]
    assert after.f1 >= before.f1
    assert (found.loc[found["refined"] == 1, ERRORS] > 0).all(axis=None)
    about = json.loads(Path("found.csv.json").read_text())
    assert about["refined"] == count
    assert about["options"]["refine"] is True
    axial, lateral = about["psf_sigma"]
    assert 1.5 < axial < 2.6
    assert 0.8 < lateral < 1.4


@pytest.mark.parametrize("ending", [".csv", ".xyz", ".h5", ".parquet"])
def test_every_kind_of_table_keeps_the_errors(ending):
    pytest.importorskip("pyarrow")
    errors = [[0.1, 0.2, 0.3, 0.01], [np.nan] * 4]
    table = particle_table([[1, 2, 3], [4, 5, 6]], radius=4, errors=errors, refined=[1, 0], voxel_size=(0.2, 0.1, 0.1))
    write_particles(f"found{ending}", table)
    pd.testing.assert_frame_equal(read_particles(f"found{ending}"), table)


def test_with_too_few_particles_the_positions_stay_and_it_is_said(capsys):
    distance = np.linalg.norm(np.indices((24, 32, 32)) - np.array([12, 16, 16])[:, None, None, None], axis=0)
    light = 20 + 100 / (1 + np.exp(2 * (distance - 5)))
    lonely = np.random.default_rng(0).normal(light, 5).astype(np.uint8)
    tifffile.imwrite("stack.tif", lonely, imagej=True, metadata={"axes": "ZYX"})
    assert run("-o", "found.csv", "--refine") == 0
    notice, line = capsys.readouterr().err.splitlines()
    assert notice.startswith("stack.tif: Not refined: ")
    assert ", 0 refined, " in line
    found = pd.read_csv("found.csv")
    assert found["refined"].tolist() == [0]
    assert found[ERRORS].isna().all(axis=None)


def test_a_measured_psf(folder, capsys):
    z, y, x = np.meshgrid(*[np.arange(-20.0, 21)] * 3, indexing="ij")
    light = 200 * np.exp(-(z**2) / 2 / 2.2**2 - (y**2 + x**2) / 2 / 1.1**2)
    tifffile.imwrite("bead.tif", light.astype(np.float32))
    assert run("-o", "told.csv", "--refine", "--psf", "bead.tif") == 0
    assert run("-o", "free.csv", "--refine") == 0
    told, free = (json.loads(Path(f"{name}.csv.json").read_text())["psf_sigma"] for name in ("told", "free"))
    assert told == pytest.approx([2.2, 1.1], rel=0.01)
    assert told != free
    capsys.readouterr()
    assert run("-o", "not.csv", "--psf", "bead.tif") == 2
    assert "ask for that, too" in capsys.readouterr().err
    assert run("-o", "not.csv", "--refine", "--psf", "nowhere.tif") == 2
    assert not Path("not.csv").exists()
