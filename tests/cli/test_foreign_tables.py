"""Commands read tables of other programs, say how, and write label images."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from napari_colloids.io import read_stack, write_particles
from napari_colloids.particles import particle_table

SHAPE = ("--shape", 41, 41, 41)


@pytest.fixture
def truth(folder):
    table = particle_table([[10, 20, 30], [20, 30, 10], [30, 10, 20.5]], radius=4, frame=0)
    write_particles("truth.csv", table, metadata={"shape": (41, 41, 41)})
    return table[["z", "y", "x"]]


@pytest.mark.parametrize(
    ("name", "write", "options"),
    [
        ("a.csv", lambda zyx: zyx.to_csv("a.csv", sep=";", decimal=",", index=False), ()),
        ("a.txt", lambda zyx: zyx.to_csv("a.txt", sep="\t", index=False, encoding="utf-16"), ()),
        ("a.npy", lambda zyx: np.save("a.npy", zyx.to_numpy()), ()),
        (
            "a.csv",
            lambda zyx: (zyx * [0.3, 0.1, 0.1]).add_suffix("_um").to_csv("a.csv", index=False),
            ("--voxel-size", 0.3, 0.1, 0.1),
        ),
        (
            "a.csv",
            lambda zyx: zyx.rename(columns=lambda a: f"POSITION_{a.upper()}").to_csv("a.csv", index=False),
            ("--columns", "z=POSITION_Z,y=POSITION_Y,x=POSITION_X"),
        ),
    ],
)
def test_score_reads_what_others_write(run, truth, capsys, name, write, options):
    write(truth)
    assert run("score", "truth.csv", name, "--diameter", 8, *SHAPE, "--json", *options) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["f1"] == 1
    assert shown.err == "" or shown.err.startswith(f"{name}: ")


def test_score_says_how_a_table_was_read(run, truth, capsys):
    truth.rename(columns=str.upper).to_csv("a.csv", sep=";", index=False)
    assert run("score", "a.csv", "truth.csv", "--diameter", 8, *SHAPE) == 0
    assert "';' between values; Z, Y, X are read as z, y, x in voxels" in capsys.readouterr().err


def test_columns_of_the_truth_are_its_own(run, truth, capsys):
    truth.set_axis(["a", "b", "c"], axis=1).to_csv("a.csv", index=False)
    truth.set_axis(["c", "b", "a"], axis=1).to_csv("b.csv", index=False)
    maps = ("--truth-columns", "z=a,y=b,x=c", "--columns", "z=c,y=b,x=a")
    assert run("score", "a.csv", "b.csv", "--diameter", 8, *SHAPE, "--json", *maps) == 0
    assert json.loads(capsys.readouterr().out)["f1"] == 1


def test_what_is_not_told_is_asked_for(fails, truth):
    truth.set_axis(["depth", "row", "col"], axis=1).to_csv("a.csv", index=False)
    score = ("score", "truth.csv", "a.csv", "--diameter", 8, *SHAPE)
    assert "--columns z=NAME" in fails(*score)
    assert "z=POSITION_Z" in fails(*score, "--columns", "depth")
    assert "depth, row, col" in fails(*score, "--columns", "z=deep,y=row,x=col")
    (truth * 0.1).add_suffix(" [um]").to_csv("a.csv", index=False)
    assert "--voxel-size" in fails(*score)


def test_link_reads_what_others_write(run, truth, capsys):
    um = (truth * 0.1).set_axis(["Z (µm)", "Y (µm)", "X (µm)"], axis=1)
    pd.concat([um.assign(Frame=frame) for frame in range(4)]).to_csv("a.csv", sep=";", decimal=",", index=False)
    assert run("link", "a.csv", "-o", "tracks.csv", "--voxel-size", 0.1, 0.1, 0.1) == 0
    assert "micrometres" in capsys.readouterr().err
    tracks = pd.read_csv("tracks.csv")
    assert tracks["particle"].nunique() == 3
    np.testing.assert_allclose(tracks.loc[tracks["frame"] == 3, ["z", "y", "x"]].sort_values("z"), truth)


def test_labels(run, truth):
    assert run("labels", "truth.csv", "-o", "labels.tif") == 0
    image = np.asarray(read_stack("labels.tif").data)
    assert image.shape == (41, 41, 41)
    centres = truth.round().to_numpy(int)
    assert image[tuple(centres.T)].tolist() == [1, 2, 3]
    assert run("labels", "truth.csv", "-o", "small.tif", "--shape", 21, 31, 31, "--frame", 0) == 0
    assert np.unique(np.asarray(read_stack("small.tif").data)).tolist() == [0, 1, 2]


def test_labels_of_points_without_a_radius(run, fails, truth):
    truth.to_csv("a.csv", index=False)
    assert "--shape" in fails("labels", "a.csv", "-o", "labels.tif")
    assert "diameter" in fails("labels", "a.csv", "-o", "labels.tif", *SHAPE)
    assert "frame" in fails("labels", "a.csv", "-o", "labels.tif", *SHAPE, "--frame", 1)
    assert run("labels", "a.csv", "-o", "labels.tif", *SHAPE, "--diameter", 8) == 0
    assert Path("labels.tif").is_file()
