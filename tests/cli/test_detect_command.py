"""``napari-colloids detect``: stacks in, tables out; a contract, as other programs call it."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from napari_colloids import Record, detect
from napari_colloids.batch import Job, Outcome, StackFile, write_summary
from napari_colloids.cli.output import summary
from napari_colloids.io import read_particles


@pytest.mark.parametrize("method", ["network", "log", "trackpy"])
def test_detect_finds_the_particles(run, method, stack_file, simulated, folder, capsys):
    assert run("detect", stack_file, "--output", "found.csv", "--method", method, "--diameter", 10) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    (line,) = shown.err.splitlines()
    found = pd.read_csv("found.csv")
    voxels = "voxel size unknown: cubic voxels assumed (--voxel-size)"
    assert line.startswith(f"found.csv: {len(found)} particles, diameter 10.0 px (given), {voxels}, ")
    assert " s, " in line
    assert " Mvoxel/s, cpu" in line
    assert {"z", "y", "x", "radius", "confidence"} <= set(found.columns)
    assert "frame" not in found
    simulated.particles.to_csv("truth.csv", index=False)
    assert run("score", "truth.csv", "found.csv", "--diameter", 10, "--shape", *simulated.stack.shape, "--json") == 0
    assert json.loads(capsys.readouterr().out)["f1"] > 0.8


@pytest.mark.parametrize("name", ["found.xyz", "found.h5", "found.parquet"])
def test_detect_writes_by_the_ending(run, name, stack_file, folder):
    pytest.importorskip("pyarrow")
    assert run("detect", stack_file, "-o", "found.csv", "--method", "log", "--diameter", 10) == 0
    assert run("detect", stack_file, "-o", name, "--method", "log", "--diameter", 10) == 0
    found, expected = read_particles(name), read_particles("found.csv")
    np.testing.assert_allclose(found[["z", "y", "x"]], expected[["z", "y", "x"]], atol=1e-4)


def test_detect_options_reach_the_detector(run, stack_file, folder, simulated):
    assert run("detect", stack_file, "-o", "all.csv", "--method", "log", "--diameter", 10) == 0
    arguments = ["--method", "log", "--diameter-um", 1, "--voxel-size", *[0.1] * 3, "--border", 6, "--z-range", 4, 28]
    assert run("detect", stack_file, "-o", "some.csv", *arguments) == 0
    every, some = pd.read_csv("all.csv"), pd.read_csv("some.csv")
    assert 0 < len(some) < len(every)
    assert some["y"].between(5.5, simulated.stack.shape[1] - 6.5).all()  # the edge lies at -0.5
    assert some["z"].between(4, 28).all()
    np.testing.assert_allclose(some["x_um"], some["x"] * 0.1, rtol=1e-3)


def test_detect_several_inputs_into_a_folder(run, stack_file, folder, capsys):
    shutil.copy(stack_file, "other.ome.tif")
    Path("broken.tif").write_bytes(b"II*\0 not an image")
    arguments = ["--output", "tables", "--method", "log", "--diameter", 10]
    assert run("detect", stack_file, "broken.tif", "other.ome.tif", *arguments) == 2
    assert {path.name for path in Path("tables").glob("*.csv")} == {"stack.csv", "other.csv", "summary.csv"}
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error")]
    assert len(errors) == 1
    assert "broken.tif" in errors[0]


def test_the_series_and_channels_that_were_read_are_written_down(run, folder, simulated):
    """Also where the first 3D stack was taken because nothing else was said."""
    image = simulated.stack.data
    with tifffile.TiffWriter("several.ome.tif") as file:
        file.write(image[0])
        file.write(image, metadata={"axes": "ZYX"})
    np.save("single.npy", image)
    Path("broken.npy").write_bytes(b"no array")
    meta = {"axes": "ZCYX"}
    tifffile.imwrite("channels.tif", np.stack([image, image], axis=1), imagej=True, metadata=meta)
    how = ["-o", "out", "--method", "log", "--diameter", 10]
    for _ in ("searched", "skipped"):
        assert run("detect", "several.ome.tif", "single.npy", "broken.npy", *how) == 2
        assert run("detect", "channels.tif", "--channel", 1, "--channel", 0, *how) == 0
        rows = pd.read_csv("out/summary.csv", dtype=str, keep_default_na=False).set_index("input")
        found = rows.loc[["several.ome.tif", "single.npy", "channels.tif"], ["index", "channels"]]
        assert found.to_numpy().tolist() == [["1", "0"], ["0", "0"], ["0", "1 0"]]
        written = [json.loads(Path(f"out/{name}.csv.json").read_text())["options"] for name in ("several", "channels")]
        assert [(one["index"], one["channels"]) for one in written] == [(1, [0]), (0, [1, 0])]


def test_detect_a_time_series(run, fails, folder, simulated, capsys):
    series = np.stack([simulated.stack.data] * 4)
    tifffile.imwrite("series.tif", series, imagej=True, metadata={"axes": "TZYX"})
    arguments = ["--method", "log", "--diameter", 10]
    assert run("detect", "series.tif", "-o", "all.csv", *arguments) == 0
    assert run("detect", "series.tif", "-o", "part.csv", "--frames", "1:3", *arguments) == 0
    every, part = pd.read_csv("all.csv"), pd.read_csv("part.csv")
    assert every.columns[0] == "frame"
    assert every["frame"].value_counts().nunique() == 1
    assert sorted(every["frame"].unique()) == [0, 1, 2, 3]
    pd.testing.assert_frame_equal(part, every[every["frame"].between(1, 2)].reset_index(drop=True))
    capsys.readouterr()
    for frames in ("2:9", "3:1", "a:b", "-1:2", "0:2,", "0:2:0", "0:1:2:3", "1,9", ""):
        assert "--frames" in fails("detect", "series.tif", "-o", "bad.csv", f"--frames={frames}", *arguments)


@pytest.mark.parametrize("method", ["network", "log", "trackpy"])
def test_detect_always_says_the_voxel_size(run, method, folder, simulated, capsys):
    metadata = {"axes": "ZYX", "unit": "um", "spacing": 0.2}
    tifffile.imwrite("known.tif", simulated.stack.data, imagej=True, metadata=metadata, resolution=(10, 10))
    np.save("unknown.npy", simulated.stack.data)
    assert run("detect", "known.tif", "unknown.npy", "-o", "out", "--method", method, "--diameter", 10) == 0
    known, unknown = capsys.readouterr().err.splitlines()
    for line, name, words in (
        (known, "known", "voxels 0.2 x 0.1 x 0.1 µm"),
        (unknown, "unknown", "voxel size unknown: cubic voxels assumed"),
    ):
        assert f"diameter 10.0 px (given), {words}" in line
        assert words in Path("out", f"{name}.log").read_text(encoding="utf-8")
    rows = pd.read_csv("out/summary.csv", keep_default_na=False)[["voxel_size", "assumed"]]
    assert rows.to_numpy().tolist() == [["0.2 x 0.1 x 0.1 µm", ""], ["unknown", "cubic"]]
    assert run("detect", "known.tif", "-o", "a.csv", "--method", method, "--voxel-size", 0.3, 0.1, 0.1) == 0
    assert "voxels 0.3 x 0.1 x 0.1 µm," in capsys.readouterr().err


@pytest.mark.parametrize("method", ["network", "log", "trackpy"])
def test_what_of_the_voxel_size_is_assumed_is_said(method, simulated, folder):
    stack = replace(simulated.stack, voxel_size=(0.1, 0.1, 0.1), assumed="z")
    record = Record.from_attrs(detect(stack, diameter=10, method=method).attrs)
    assert ", voxels 0.1 x 0.1 x 0.1 µm (z assumed), " in summary(3, record)
    job = Job(StackFile("stack.tif"), folder / "found.csv")
    rows = pd.read_csv(write_summary(folder, [Outcome(job, "done", 3, 1, record)]))
    assert rows[["voxel_size", "assumed"]].to_numpy().tolist() == [["0.1 x 0.1 x 0.1 µm", "z"]]


def test_detect_says_so_when_it_is_unsure_of_the_diameter(run, folder, capsys):
    noise = np.random.default_rng(0).normal(100, 10, (32, 40, 44)).astype(np.uint8)
    tifffile.imwrite("noise.tif", noise, imagej=True, metadata={"axes": "ZYX"})
    assert run("detect", "noise.tif", "-o", "noise.csv") == 0
    assert "--diameter" in capsys.readouterr().err


def test_detect_keeps_where_a_table_comes_from(run, stack_file, folder):
    run("detect", stack_file, "-o", "found.csv", "--method", "log", "--diameter", 10, "--threshold", 0.3)
    provenance = json.loads(Path("found.csv.json").read_text())
    assert "stack.tif" in json.dumps(provenance)
    assert provenance["options"]["threshold"] == 0.3
    assert provenance["options"]["diameter"] == 10


def test_detect_refuses_bad_input(fails, stack_file, folder):
    tifffile.imwrite("flat.tif", np.zeros((40, 44), np.uint8))
    Path("empty.tif").write_bytes(b"")
    Path("notes.txt").write_text("no stack")
    Path("cut.tif").write_bytes(Path(stack_file).read_bytes()[:3000])
    (folder / "sub").mkdir()
    for name in ("missing.tif", "flat.tif", "empty.tif", "notes.txt", "cut.tif", "sub"):
        assert name in fails("detect", name, "-o", "found.csv")
    fails("detect", stack_file, "-o", "found.csv", "--diameter", -3)
    fails("detect", stack_file, "-o", "found.csv", "--voxel-size", 0, 1, 1)
    fails("detect", stack_file, "-o", "found.csv", "--channel", 3)


def test_detect_looks_at_the_output_first(fails, stack_file, folder):
    # The input is no stack either, but that would be found only by opening it.
    Path("broken.tif").write_bytes(b"II*\0 not an image")
    assert "nowhere" in fails("detect", "broken.tif", "-o", "nowhere/found.csv")
    assert "'found.doc'" in fails("detect", "broken.tif", "-o", "found.doc")
    assert "also an input" in fails("detect", stack_file, "-o", stack_file)
    assert "must be a folder" in fails("detect", stack_file, "broken.tif", "-o", "found.csv")
    shutil.copy(stack_file, Path(stack_file).with_suffix(".npy"))
    assert "same name" in fails("detect", stack_file, Path(stack_file).with_suffix(".npy"), "-o", "sub")
    assert not Path("sub").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_detect_into_a_read_only_folder(fails, stack_file, folder):
    (folder / "closed").mkdir(mode=0o500)
    assert "closed" in fails("detect", stack_file, "-o", "closed/found.csv")


def test_own_weights(run, fails, stack_file, blind_weights, capsys):
    asked = ("detect", stack_file, "-o", "found.csv", "--diameter", 10, "--weights")
    assert run(*asked, blind_weights) == 0
    assert len(read_particles("found.csv")) == 0
    capsys.readouterr()
    os.remove("found.csv")
    assert "nowhere" in fails(*asked, "nowhere")
