"""The command line is a contract: other programs call it."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import tifffile

from napari_colloids import cli
from napari_colloids.io import list_series, read_particles, read_stack, read_truth
from napari_colloids.scoring import match
from napari_colloids.simulation import simulate

SHAPE = (32, 40, 44)


@pytest.fixture(scope="module")
def simulated():
    return simulate(shape=SHAPE, volume_fraction=0.3, radius=5, psf_sigma=(1.5, 1, 1), snr=10, cnr=10, seed=3)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def stack_file(folder, simulated):
    tifffile.imwrite(folder / "stack.tif", simulated.stack.data, imagej=True, metadata={"axes": "ZYX"})
    return "stack.tif"


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


def test_own_weights(stack_file, blind_weights, capsys):
    asked = ("detect", stack_file, "-o", "found.csv", "--diameter", 10, "--weights")
    assert run(*asked, blind_weights) == 0
    assert len(read_particles("found.csv")) == 0
    capsys.readouterr()
    os.remove("found.csv")
    assert "nowhere" in fails(capsys, *asked, "nowhere")


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def fails(capsys, *arguments):
    """Run what must fail as the contract says; return its one line."""
    before = files(Path.cwd())
    assert run(*arguments) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert len(lines) == 1, shown.err
    assert lines[0].startswith("Error: ")
    assert files(Path.cwd()) == before  # nothing half-written
    return lines[0]


# --- the program ---


def test_nothing_at_all_asks_for_help(capsys):
    assert run() == 0
    assert "Commands" in capsys.readouterr().out


def test_help_answers_without_loading_the_library():
    code = (
        "import sys; from napari_colloids import cli; status = cli.main(['--help'])\n"
        "print(status, *sorted({'torch', 'numpy', 'h5py', 'napari', 'qtpy'} & set(sys.modules)))"
    )
    shown = subprocess.check_output([sys.executable, "-c", code], text=True)
    assert shown.splitlines()[-1] == "0"
    for command in ("demo", "simulate", "detect", "score", "train", "benchmark"):
        assert f"  {command} " in shown


def test_installed_command_fails_without_traceback(folder):
    command = Path(sys.executable).with_name("napari-colloids")
    process = subprocess.run(
        [command, "detect", "none.tif", "-o", "a.csv"], capture_output=True, text=True, check=False
    )
    assert process.returncode == 2
    assert process.stderr.startswith("Error: ")
    assert "none.tif" in process.stderr
    assert len(process.stderr.splitlines()) == 1


def test_version(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out.startswith("napari-colloids ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["detekt"],
        ["detect", "a.tif"],
        ["detect", "a.tif", "-o", "a.csv", "--method", "magic"],
        ["detect", "a.tif", "-o", "a.csv", "--voxel-size", "1", "1"],
        ["score", "a.csv", "b.csv", "--diameter", "ten", "--shape", "1", "1", "1"],
    ],
)
def test_wrong_usage_is_one_line(arguments, folder, capsys):
    fails(capsys, *arguments)


# --- detect ---


@pytest.mark.parametrize("method", ["network", "log", "trackpy"])
def test_detect_finds_the_particles(method, stack_file, simulated, folder, capsys):
    assert run("detect", stack_file, "--output", "found.csv", "--method", method, "--diameter", 10) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    (summary,) = shown.err.splitlines()
    found = pd.read_csv("found.csv")
    assert summary.startswith(f"found.csv: {len(found)} particles, diameter 10.0 px (given), voxels taken for cubes")
    assert " s, " in summary
    assert " Mvoxel/s, cpu" in summary
    assert {"z", "y", "x", "radius", "confidence"} <= set(found.columns)
    assert "frame" not in found
    simulated.particles.to_csv("truth.csv", index=False)
    assert run("score", "truth.csv", "found.csv", "--diameter", 10, "--shape", *SHAPE, "--json") == 0
    assert json.loads(capsys.readouterr().out)["f1"] > 0.8


@pytest.mark.parametrize("name", ["found.xyz", "found.h5", "found.parquet"])
def test_detect_writes_by_the_ending(name, stack_file, folder):
    pytest.importorskip("pyarrow")
    assert run("detect", stack_file, "-o", "found.csv", "--method", "log", "--diameter", 10) == 0
    assert run("detect", stack_file, "-o", name, "--method", "log", "--diameter", 10) == 0
    found, expected = read_particles(name), read_particles("found.csv")
    np.testing.assert_allclose(found[["z", "y", "x"]], expected[["z", "y", "x"]], atol=1e-4)


def test_detect_options_reach_the_detector(stack_file, folder):
    assert run("detect", stack_file, "-o", "all.csv", "--method", "log", "--diameter", 10) == 0
    arguments = ["--method", "log", "--diameter-um", 1, "--voxel-size", *[0.1] * 3, "--border", 6, "--z-range", 4, 28]
    assert run("detect", stack_file, "-o", "some.csv", *arguments) == 0
    every, some = pd.read_csv("all.csv"), pd.read_csv("some.csv")
    assert 0 < len(some) < len(every)
    assert some["y"].between(5.5, SHAPE[1] - 6.5).all()  # the edge lies at -0.5
    assert some["z"].between(4, 28).all()
    np.testing.assert_allclose(some["x_um"], some["x"] * 0.1, rtol=1e-3)


def test_detect_several_inputs_into_a_folder(stack_file, folder, capsys):
    shutil.copy(stack_file, "other.ome.tif")
    Path("broken.tif").write_bytes(b"II*\0 not a picture")
    arguments = ["--output", "tables", "--method", "log", "--diameter", 10]
    assert run("detect", stack_file, "broken.tif", "other.ome.tif", *arguments) == 2
    assert {"stack.csv", "other.csv"} <= set(files(folder / "tables"))
    assert "broken.csv" not in files(folder / "tables")
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("Error")]
    assert len(errors) == 1
    assert "broken.tif" in errors[0]


def test_detect_a_time_series(folder, simulated, capsys):
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
    for frames in ("2:9", "3:1", "a:b", "-1:2"):
        assert "--frames" in fails(capsys, "detect", "series.tif", "-o", "bad.csv", f"--frames={frames}", *arguments)


def test_detect_says_so_when_it_is_unsure_of_the_diameter(folder, capsys):
    noise = np.random.default_rng(0).normal(100, 10, SHAPE).astype(np.uint8)
    tifffile.imwrite("noise.tif", noise, imagej=True, metadata={"axes": "ZYX"})
    assert run("detect", "noise.tif", "-o", "noise.csv") == 0
    assert "--diameter" in capsys.readouterr().err


def test_detect_keeps_where_a_table_comes_from(stack_file, folder):
    run("detect", stack_file, "-o", "found.csv", "--method", "log", "--diameter", 10, "--threshold", 0.3)
    provenance = json.loads(Path("found.csv.json").read_text())
    assert "stack.tif" in json.dumps(provenance)
    assert provenance["options"]["threshold"] == 0.3
    assert provenance["options"]["diameter"] == 10


def test_detect_refuses_bad_input(stack_file, folder, capsys):
    tifffile.imwrite("flat.tif", np.zeros((40, 44), np.uint8))
    Path("empty.tif").write_bytes(b"")
    Path("notes.txt").write_text("no stack")
    Path("cut.tif").write_bytes(Path(stack_file).read_bytes()[:3000])
    (folder / "sub").mkdir()
    for name in ("missing.tif", "flat.tif", "empty.tif", "notes.txt", "cut.tif", "sub"):
        assert name in fails(capsys, "detect", name, "-o", "found.csv")
    fails(capsys, "detect", stack_file, "-o", "found.csv", "--diameter", -3)
    fails(capsys, "detect", stack_file, "-o", "found.csv", "--voxel-size", 0, 1, 1)
    fails(capsys, "detect", stack_file, "-o", "found.csv", "--channel", 3)


def test_detect_looks_at_the_output_first(stack_file, folder, capsys):
    # The input is no stack either, but that would be found only by opening it.
    Path("broken.tif").write_bytes(b"II*\0 not a picture")
    assert "nowhere" in fails(capsys, "detect", "broken.tif", "-o", "nowhere/found.csv")
    assert "'found.doc'" in fails(capsys, "detect", "broken.tif", "-o", "found.doc")
    assert "also an input" in fails(capsys, "detect", stack_file, "-o", stack_file)
    assert "must be a folder" in fails(capsys, "detect", stack_file, "broken.tif", "-o", "found.csv")
    shutil.copy(stack_file, Path(stack_file).with_suffix(".npy"))
    assert "same name" in fails(capsys, "detect", stack_file, Path(stack_file).with_suffix(".npy"), "-o", "sub")
    assert not Path("sub").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_detect_into_a_read_only_folder(stack_file, folder, capsys):
    (folder / "closed").mkdir(mode=0o500)
    assert "closed" in fails(capsys, "detect", stack_file, "-o", "closed/found.csv")


# --- simulate ---


def test_simulate_writes_the_challenge_layout(folder, capsys):
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


def test_simulate_writes_the_website_layout(folder):
    assert run("simulate", "site", "--layout", "website", "--shape", 16, 16, 16, "--radius", 4, "--count", 2) == 0
    images = list(folder.rglob("x_*.hdf5"))
    assert len(images) == 1
    with h5py.File(images[0]) as file:
        assert sorted(file) == ["0", "1"]
    assert len(list(folder.rglob("y_*.csv"))) == 1


@pytest.mark.parametrize("kind", ["random", "crystal", "gel", "strings"])
def test_simulate_offers_every_arrangement(kind, folder):
    assert run("simulate", "out.h5", "--arrangement", kind, "--volume-fraction", 0.1, "--shape", 20, 20, 20) == 0
    assert Path("out.h5").exists()


def test_simulate_preset_gives_different_volumes(folder):
    assert run("simulate", "out.h5", "--preset", "dilute", "--shape", 16, 24, 24, "--count", 2) == 0
    first, second = (read_stack("out.h5", index=index).data for index in (0, 1))
    assert first.shape == (16, 24, 24)
    assert not np.array_equal(first, second)


def test_simulate_refuses_flat_voxels_without_a_size(folder, capsys):
    assert run("simulate", "out.h5", "--voxel-aspect", 3) == 2
    assert "voxel_size" in capsys.readouterr().err
    assert not any(folder.iterdir())


def test_simulate_rows_of_a_metadata_table(folder):
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


def test_simulate_refuses(folder, capsys):
    fails(capsys, "simulate", "out.h5", "--volume-fraction", 0.9)
    fails(capsys, "simulate", "out.h5", "--shape", 0, 10, 10)
    fails(capsys, "simulate", "out.h5", "--count", 0)
    assert "nano, low light" in fails(capsys, "simulate", "out.h5", "--preset", "thick")
    assert "not both" in fails(capsys, "simulate", "out.h5", "--preset", "dense", "--metadata", "rows.csv")
    assert "rows.csv" in fails(capsys, "simulate", "out.h5", "--metadata", "rows.csv")
    assert "nowhere" in fails(capsys, "simulate", "nowhere/out.h5", "--shape", 8, 8, 8)
    assert "out.png" in fails(capsys, "simulate", "out.png", "--shape", 8, 8, 8)


# --- score ---


@pytest.fixture
def tables(folder):
    truth = pd.DataFrame({"z": [10.0, 20, 30], "y": 20.0, "x": 20.0})
    found = truth.assign(x=truth["x"] + 0.5, confidence=0.9).iloc[:2]
    found = pd.concat([found, pd.DataFrame({"z": [20.0], "y": [35.0], "x": [35.0], "confidence": [0.2]})])
    truth.to_csv("truth.csv", index=False)
    found.to_csv("found.csv", index=False)
    return ["truth.csv", "found.csv", "--diameter", 8, "--shape", 41, 41, 41]


def test_score_json(tables, capsys):
    assert run("score", *tables, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["true_positives"], figures["false_positives"], figures["false_negatives"]) == (2, 1, 1)
    assert figures["precision"] == pytest.approx(2 / 3)
    assert figures["recall"] == pytest.approx(2 / 3)
    assert figures["f1"] == pytest.approx(2 / 3)
    assert figures["rmse"] == pytest.approx({"z": 0, "y": 0, "x": 0.5})
    assert 0 < figures["challenge_ap"] < 1
    assert figures["ap"] == pytest.approx(2 / 3)


def test_score_for_people(tables, capsys):
    assert run("score", *tables) == 0
    shown = capsys.readouterr().out
    assert "recall" in shown
    assert "0.6667" in shown


def test_score_refuses(tables, folder, capsys):
    Path("bad.csv").write_text("a,b\n1,2\n")
    fails(capsys, "score", "bad.csv", *tables[1:])
    assert "missing.csv" in fails(capsys, "score", "missing.csv", *tables[1:])
    fails(capsys, "score", "truth.csv", "found.csv", "--diameter", 0, "--shape", 41, 41, 41)


# --- train ---


def test_train_refuses(folder, capsys):
    assert "missing.toml" in fails(capsys, "train", "missing.toml")
    Path("bad.toml").write_text("steps = [")
    assert "bad.toml" in fails(capsys, "train", "bad.toml")


# --- demo ---


@pytest.mark.skipif(sys.platform != "linux", reason="there is always a display")
def test_demo_without_a_display(folder, monkeypatch, capsys):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert run("demo") == 0
    shown = capsys.readouterr()
    assert "No display" in shown.err
    assert "recall" in shown.out
    assert {"points.csv", "scores.json", "stack.h5"} <= set(files(folder / "demo"))
    figures = json.loads(Path("demo/scores.json").read_text())
    assert figures["precision"] > 0.9
    assert figures["recall"] > 0.9
    # The table belongs to the stack, up to its edge: spheres cut by it are found, those centred outside are not listed.
    truth, found = read_truth("demo/stack.h5"), read_particles("demo/points.csv")
    matched = len(match(truth, found, 6))
    assert matched > 0.98 * len(truth)
    assert matched > 0.98 * len(found)
    assert "no display" in fails(capsys, "demo", "--gui")
