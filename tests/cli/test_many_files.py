"""``napari-colloids detect`` on stacks of many files: a folder, a pattern, the names as a shell writes them."""

import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from napari_colloids.cli.inputs import stack_files

HOW = ("--method", "log", "--diameter", 10)


@pytest.fixture
def slices(folder, simulated):
    """A folder of 32 slices."""
    (folder / "run 1.5").mkdir()
    for z, plane in enumerate(np.asarray(simulated.stack.data)):
        tifffile.imwrite(folder / "run 1.5" / f"stack_z{z}.tif", plane)
    return Path("run 1.5")


@pytest.fixture
def expected(run, stack_file):
    assert run("detect", stack_file, "-o", "expected.csv", *HOW, "--voxel-size", 0.2, 0.1, 0.1) == 0
    return pd.read_csv("expected.csv")


@pytest.mark.parametrize("way", ["folder", "pattern", "names"])
def test_slices_are_one_stack(run, slices, expected, capsys, way):
    given = {"folder": [slices], "pattern": [slices / "stack_z*.tif"], "names": sorted(slices.iterdir())}[way]
    capsys.readouterr()
    assert run("detect", *given, "-o", "out.csv", *HOW, "--voxel-size", 0.2, 0.1, 0.1) == 0
    notice, summary = capsys.readouterr().err.splitlines()
    assert notice.endswith(": 32 files 'stack_z*.tif': z from 0 to 31.")
    assert summary.startswith("out.csv: ")
    pd.testing.assert_frame_equal(pd.read_csv("out.csv"), expected)


def test_tables_are_named_after_folders_and_names(run, slices, stack_file, folder, simulated):
    (folder / "sets").mkdir()
    for r in "12":
        for z in range(12):
            tifffile.imwrite(folder / "sets" / f"run{r}_z{z:02}.tif", np.asarray(simulated.stack.data)[z])
    tifffile.imwrite(folder / "sets" / "alone.ome.tif", simulated.stack.data, metadata={"axes": "ZYX"})
    assert run("detect", slices, stack_file, "sets", "-o", "tables", *HOW) == 0
    names = {path.name for path in Path("tables").glob("*.csv")}
    assert names == {"run 1.5.csv", "stack.csv", "run1.csv", "run2.csv", "alone.csv", "summary.csv"}


def test_volumes_are_searched_one_by_one_unless_a_folder_counts_frames(run, folder, simulated):
    (folder / "series").mkdir()
    for t in range(3):
        tifffile.imwrite(folder / "series" / f"beads_t{t}.tif", simulated.stack.data, metadata={"axes": "ZYX"})
    assert run("detect", "series/*.tif", "-o", "tables", *HOW) == 0
    assert {path.name for path in Path("tables").glob("beads*.csv")} == {f"beads_t{t}.csv" for t in range(3)}
    assert run("detect", "series", "-o", "all.csv", *HOW) == 0
    assert sorted(pd.read_csv("all.csv")["frame"].unique()) == [0, 1, 2]


def test_missing_slices_are_refused_unless_they_are_allowed(run, fails, slices, capsys):
    for z in range(10, 14):
        (slices / f"stack_z{z}.tif").unlink()
    assert "stack_z10.tif" in fails("detect", slices, "-o", "out.csv", *HOW)
    assert run("detect", slices, "-o", "out.csv", *HOW, "--allow-missing") == 0
    assert "lacks 4 of 32 slices" in capsys.readouterr().err
    assert not pd.read_csv("out.csv")["z"].between(9.5, 13.5).any()


def test_a_table_is_kept_until_a_slice_changes(run, slices, capsys):
    assert run("detect", slices, "-o", "tables", *HOW) == 0
    assert run("detect", slices, "-o", "tables", *HOW) == 0
    assert "is there already" in capsys.readouterr().err
    tifffile.imwrite(slices / "stack_z3.tif", np.asarray(tifffile.imread(slices / "stack_z3.tif"))[::-1])
    assert run("detect", slices, "-o", "tables", *HOW) == 0
    assert "is there already" not in capsys.readouterr().err


def test_a_table_in_the_folder_of_its_slices_is_no_input(run, slices, capsys):
    for _ in range(2):
        assert run("detect", slices, "-o", slices / "found.h5", *HOW) == 0
    assert json.loads((slices / "found.h5.json").read_text())["input"] == "run 1.5"


def test_a_folder_without_a_stack_is_refused(fails, folder):
    (folder / "empty").mkdir()
    assert "without a stack in it" in fails("detect", "empty", "-o", "out.csv", *HOW)


def test_workers_in_another_folder_open_the_files_themselves(slices, simulated, monkeypatch):
    (file,) = stack_files([str(path) for path in sorted(slices.iterdir())], "0", {})
    (of_folder,) = stack_files([str(slices)], "0", {})
    sent = [pickle.dumps(one.absolute()) for one in (file, of_folder)]
    monkeypatch.chdir("/")
    for one in map(pickle.loads, sent):
        np.testing.assert_array_equal(one.open().data, simulated.stack.data)
        assert one.state()["files"] == [f"stack_z{z}.tif" for z in range(32)]
