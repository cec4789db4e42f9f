"""Jobs from file to file: interrupted, killed, gone on with, spread over processes - always the same table."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import tifffile

from napari_colloids import ColloidsError, cli
from napari_colloids.batch import Job, Selection, StackFile, connection, jobs_of, run_job, tasks
from napari_colloids.batch.outcome import Log
from napari_colloids.batch.store import PartStore
from napari_colloids.detection import Options, Part, detect
from napari_colloids.detection.weights import FILE
from napari_colloids.io import read_particles

FRAMES = 5


@pytest.fixture(scope="module")
def series(make_series):
    return make_series((16, 32, 36), 0.35, FRAMES)


def ignore(*_):
    """Progress that nobody looks at."""


def job(folder, **changes):
    return Job(StackFile(str(folder / "series.tif")), folder / "found.csv", Options(diameter=8.0), Selection(**changes))


def test_a_series_in_one_go(folder, series):
    outcome = run_job(job(folder), ignore)
    table = read_particles("found.csv")
    assert outcome.state == "done"
    assert outcome.particles == len(table)
    assert outcome.volumes == FRAMES
    expected = [detect(frame, diameter=8).assign(frame=number) for number, frame in enumerate(series)]
    pd.testing.assert_frame_equal(
        table[["frame", "z", "y", "x", "radius", "confidence"]],
        pd.concat(expected, ignore_index=True)[["frame", "z", "y", "x", "radius", "confidence"]],
    )
    assert sorted(p.name for p in folder.iterdir()) == ["found.csv", "found.csv.json", "series.tif"]
    assert len(table.attrs["weights_sha256"]) == 64
    assert table.attrs["input"] == "series.tif"
    assert table.attrs["options"]["diameter"] == 8


def test_stopped_at_a_frame_and_gone_on_with(folder):
    run_job(job(folder), ignore)
    whole = (folder / "found.csv").read_bytes()
    (folder / "found.csv").unlink()

    class Stop(Exception):
        pass

    def stop(done, total, message):
        if done > 2.5 * total / FRAMES:
            raise Stop

    with pytest.raises(Stop):
        run_job(job(folder), stop)
    assert not (folder / "found.csv").exists()
    kept = {file: file.stat().st_mtime_ns for file in (folder / "found.csv.parts").glob("frame*.npz")}
    assert len(kept) == 2
    seen = []
    log = folder / "log"
    run_job(job(folder), lambda done, total, message: seen.append(message), Log(log))
    assert "frame 1 of" not in " ".join(seen)
    assert "2 of them done before" in log.read_text()
    assert (folder / "found.csv").read_bytes() == whole
    assert not (folder / "found.csv.parts").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is of Unix")
def test_killed_in_the_middle_only_the_frame_in_work_is_lost(folder):
    run_job(job(folder), ignore)
    whole = (folder / "found.csv").read_bytes()
    arguments = ["detect", "series.tif", "-o", "found2.csv", "--diameter", "8"]
    # So slow that it is killed before the last frame, also on a busy machine.
    code = (
        "import time\n"
        "from napari_colloids.batch.store import PartStore\n"
        "from napari_colloids.cli import main\n"
        "keep = PartStore.keep\n"
        "PartStore.keep = lambda *given: (time.sleep(0.3), keep(*given))\n"
        f"main({arguments})\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)
    parts = folder / "found2.csv.parts"
    while len(list(parts.glob("frame*.npz"))) < 2 and process.poll() is None:
        time.sleep(0.005)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = {file: file.stat().st_mtime_ns for file in parts.glob("frame*.npz")}
    assert 2 <= len(done) < FRAMES

    with closing(PartStore(folder / "found2.csv", job(folder).fingerprint())) as store:
        assert len(store.done()) == len(done)
    assert {file: file.stat().st_mtime_ns for file in done} == done
    assert cli.main(arguments) == 0
    assert (folder / "found2.csv").read_bytes() == whole
    assert not parts.exists()


def test_what_other_settings_left_is_not_used(folder):
    with closing(PartStore(folder / "found.csv", "another")) as store:
        store.keep(Part(0, 0), detect(np.eye(16)[None] + np.zeros((16, 1, 1)), diameter=8))
        assert store.done() == [Part(0, 0)]
    with closing(PartStore(folder / "found.csv", job(folder).fingerprint())) as store:
        assert store.done() == []


def test_what_is_not_ours_stays_in_the_folder(folder):
    parts = folder / "found.csv.parts"
    parts.mkdir()
    (parts / "thesis.txt").write_text("all of it")
    run_job(job(folder), ignore)
    assert [file.name for file in parts.iterdir()] == ["thesis.txt"]


def test_the_fingerprint_is_of_what_decides_the_result(folder):
    same = job(folder).fingerprint()
    assert job(folder).fingerprint() == same
    changed = Job(StackFile("series.tif"), folder / "other.h5", Options(diameter=8.0, device="cpu", tile=64))
    assert changed.fingerprint() == same
    assert job(folder, frames="0:2").fingerprint() == same  # of a volume, whichever others are searched
    assert job(folder, rectangle=(0, 0, 9, 9)).fingerprint() != same
    os.utime(folder / "series.tif", (1, 1))
    assert job(folder).fingerprint() != same


def test_the_weights_count_by_their_content(folder, blind_weights):
    bundled = files("napari_colloids.detection").joinpath("weights", FILE).read_bytes()
    for name, content in (("a", bundled), ("b", bundled), ("c", Path(blind_weights).read_bytes())):
        Path(name).write_bytes(content)
    usual, one, other, blind = (
        Job(StackFile("series.tif"), folder / "found.csv", Options(diameter=8, weights=name)) for name in (None, *"abc")
    )
    assert usual.fingerprint() == one.fingerprint() == other.fingerprint() != blind.fingerprint()
    assert one.absolute().options.weights == str(folder / "a")
    run_job(blind, ignore)
    assert len(read_particles(folder / "found.csv")) == 0
    facts = json.loads((folder / "found.csv.json").read_text())
    assert facts["weights_sha256"] == hashlib.sha256(Path("c").read_bytes()).hexdigest()


def test_two_workers_give_the_same_table_and_bad_input_fails_alone(folder):
    pytest.importorskip("distributed")
    asked = ["--diameter", "8", "--frames", "0:3"]
    assert cli.main(["detect", "series.tif", "-o", "plain.csv", *asked]) == 0
    (folder / "bad.tif").write_bytes(b"II*\0nothing")
    assert cli.main(["detect", "*.tif", "-o", "spread", "--workers", "2", *asked]) == 2
    assert (folder / "spread" / "series.csv").read_bytes() == (folder / "plain.csv").read_bytes()
    summary = pd.read_csv("spread/summary.csv").set_index("input")
    assert summary["state"].to_dict() == {"bad.tif": "failed", "series.tif": "done"}


def test_a_volume_searched_box_by_box_gives_the_same_table(folder, monkeypatch):
    monkeypatch.setattr(tasks, "_MAX_BOX_VOXELS", 24**3)
    here = job(folder, rectangle=(4, 2, 30, 33))
    planned = tasks.plan_volume(here, Part(1, 0), None)
    assert len(planned.boxes) > 2
    # As a cluster sends them around, and in any order.
    found = [tasks.search_box(*pickle.loads(pickle.dumps((here, planned, box)))) for box in planned.boxes[::-1]]
    table = tasks.finish_volume(here, Part(1, 0), planned, found)
    stack = here.source.open()
    expected = detect(stack, here.options, frame=1, region=here.region())
    assert len(expected) > 5
    pd.testing.assert_frame_equal(table.drop(columns="frame"), expected)


def test_workers_say_what_the_user_has_to_mend(folder):
    failure = tasks.plan_volume(Job(StackFile("nothing.tif"), folder / "x.csv"), Part(0, 0), None)
    assert isinstance(failure, tasks.Failure)
    assert "no file" in failure.message
    assert tasks.finish_volume(job(folder), Part(0, 0), None, [failure]) == failure


def test_a_folder_of_inputs_keeps_logs_and_a_summary_and_is_not_done_twice(folder, capsys):
    tifffile.imwrite("single.tif", tifffile.imread("series.tif")[0], imagej=True, metadata={"axes": "ZYX"})
    (folder / "bad.tif").write_bytes(b"II*\0nothing")
    assert cli.main(["detect", "*.tif", "-o", "results", "--diameter", "8"]) == 2
    assert "Error: bad.tif" in capsys.readouterr().err
    summary = pd.read_csv("results/summary.csv").set_index("input")
    assert summary["state"].to_dict() == {"bad.tif": "failed", "series.tif": "done", "single.tif": "done"}
    assert summary.loc["series.tif", "particles"] == len(read_particles("results/series.csv"))
    assert "frame 4" in (folder / "results" / "series.log").read_text()
    before = (folder / "results" / "series.csv").stat().st_mtime_ns
    assert cli.main(["detect", "s*.tif", "-o", "results", "--diameter", "8"]) == 0
    assert "there already" in capsys.readouterr().err
    again = pd.read_csv("results/summary.csv").set_index("input")
    assert (again["state"] == "skipped").all()
    told = ["particles", "volumes", "diameter", "seconds"]
    pd.testing.assert_frame_equal(again[told], summary.loc[["series.tif", "single.tif"], told])
    assert (folder / "results" / "series.csv").stat().st_mtime_ns == before
    assert cli.main(["detect", "series.tif", "-o", "results", "--diameter", "8", "--redo"]) == 0
    assert (folder / "results" / "series.csv").stat().st_mtime_ns > before


def test_a_rectangle_a_mask_and_a_correction_along_z(folder, series):
    assert cli.main(["detect", "series.tif", "-o", "all.csv", "--frames", "0", "--diameter", "8"]) == 0
    everything = read_particles("all.csv")
    rectangle = ["--rectangle", "5", "8", "20", "30"]
    assert cli.main(["detect", "series.tif", "-o", "some.csv", "--frames=0", "--diameter=8", *rectangle]) == 0
    inside = everything["y"].between(5, 20) & everything["x"].between(8, 30)
    pd.testing.assert_frame_equal(read_particles("some.csv"), everything[inside].reset_index(drop=True))

    np.save("mask.npy", np.arange(16)[:, None, None] * np.ones(series.shape[1:], int) // 8)
    assert cli.main(["detect", "series.tif", "-o", "some.csv", "--frames=0", "--diameter=8", "--mask=mask.npy"]) == 0
    pd.testing.assert_frame_equal(
        read_particles("some.csv"), everything[everything["z"].round() >= 8].reset_index(drop=True)
    )

    size = ["--voxel-size", "0.2", "0.1", "0.1", "--z-scale", "0.5"]
    assert cli.main(["detect", "series.tif", "-o", "thin.csv", "--frames=0", "--diameter=8", *size]) == 0
    thin = read_particles("thin.csv")
    np.testing.assert_allclose(thin["z_um"], 0.1 * thin["z"])
    np.testing.assert_array_equal(thin["x"], everything["x"])


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing*.tif"],
        ["series.tif", "--frames", "9"],
        ["series.tif", "--index", "one"],
        ["series.tif", "--mask", "other.npy"],
        ["series.tif", "--z-scale", "-1"],
        ["series.tif", "--rectangle", "900", "900", "999", "999"],
        ["series.tif", "--channel", "3"],
        ["series.tif", "--diameter", "8", "--voxel-size", "100", "0.1", "0.1"],
        ["series.tif", "--diameter", "8", "--voxel-size", "0.1", "2", "0.1"],
        ["series.tif", "--voxel-size", "100", "0.1", "0.1"],
        ["loop.tif"],
        ["pipe.tif"],
        ["folder"],
        ["series.tif", "--scheduler", "tcp://127.0.0.1:1"],
        ["series.tif", "--scheduler", "tcp://127.0.0.1:1", "--workers", "2"],
    ],
)
def test_bad_input_is_one_clear_line(folder, arguments, capsys, monkeypatch):
    monkeypatch.setattr(connection, "_MAX_SECONDS_TO_ANSWER", 1)
    np.save("other.npy", np.ones((3, 4, 5)))
    os.symlink("loop.tif", "loop.tif")
    if hasattr(os, "mkfifo"):
        os.mkfifo("pipe.tif")
    os.mkdir("folder")
    assert cli.main(["detect", *arguments, "-o", "x.csv"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("Error: ")
    assert not list(folder.glob("x.csv*"))


def test_a_summary_keeps_the_rows_of_other_tables(folder, series):
    for name in ("one", "two"):
        np.save(f"{name}.npy", series[0])
        assert cli.main(["detect", f"{name}.npy", "-o", "results", "--diameter", "8"]) == 0
    rows = pd.read_csv("results/summary.csv")
    assert rows["input"].tolist() == ["one.npy", "two.npy"]
    assert (rows["particles"] == len(read_particles("results/one.csv"))).all()
    os.remove("results/one.csv")
    assert cli.main(["detect", "two.npy", "-o", "results", "--diameter", "8"]) == 0
    assert pd.read_csv("results/summary.csv")["input"].tolist() == ["two.npy"]


def test_a_table_does_not_take_the_place_of_the_summary(folder, series, capsys):
    np.save("Summary.npy", series[0])
    assert cli.main(["detect", "Summary.npy", "-o", "results", "--diameter", "8"]) == 2
    assert "tells how all inputs ended" in capsys.readouterr().err
    assert cli.main(["detect", "Summary.npy", "-o", "other.csv", "--diameter", "8"]) == 0


def test_what_is_left_out_of_all_series_is_said_and_axes_make_more_of_them_usable(folder, series, capsys):
    with h5py.File("multi.h5", "w") as file:
        file["a"], file["b"], file["c"] = series[:2], series[:2, :8], series[None]
    asked = ["detect", "multi.h5", "--index", "all", "--diameter", "8", "--output"]
    assert cli.main([*asked, "in_time", "--axes", "tzyx"]) == 0
    assert sorted(path.name for path in Path("in_time").glob("multi_*.csv")) == ["multi_0.csv", "multi_1.csv"]
    assert "series 2 is left out" in capsys.readouterr().err


def test_series_of_a_file_searched_one_by_one_have_tables_of_their_own(folder, series):
    with h5py.File("multi.h5", "w") as file:
        file["a"], file["b"] = series[0], series[0, :8]
    for asked in (["--index", "0"], ["--index", "1"], ["--dataset", "a"]):
        assert cli.main(["detect", "multi.h5", "-o", "results", "--diameter", "8", *asked]) == 0
    tables = ["multi.csv", "multi_1.csv", "multi_a.csv"]
    assert sorted(path.name for path in Path("results").glob("multi*.csv")) == tables
    assert sorted(pd.read_csv("results/summary.csv")["table"]) == tables


def test_a_mask_that_is_not_there_is_one_clear_error(folder, series, capsys):
    np.save("one.npy", series[0])
    assert cli.main(["detect", "one.npy", "-o", "one.csv", "--diameter", "8", "--mask", "gone.tif"]) == 2
    assert capsys.readouterr().err.splitlines() == ["Error: There is no file 'gone.tif'."]


@pytest.mark.parametrize("more", [[], ["--index", "all"]])
def test_what_cannot_be_read_does_not_stop_the_others(folder, series, more, capsys):
    os.symlink("nowhere.npy", "a_gone.npy")
    tifffile.imwrite("b_flat.tif", series[0, 0])
    np.save("c_good.npy", series[0])
    (folder / "results").mkdir()
    (folder / "results" / "a_gone.log").mkdir()  # nor does a log that cannot be written
    assert cli.main(["detect", "[abc]_*", "-o", "results", "--diameter", "8", *more]) == 2
    states = pd.read_csv("results/summary.csv").set_index("input")["state"]
    assert states.to_dict() == {"a_gone.npy": "failed", "b_flat.tif": "failed", "c_good.npy": "done"}
    assert len(capsys.readouterr().err.splitlines()) == 3


def test_inputs_of_one_name_get_the_names_of_their_folders(folder):
    inputs = ["a/1/x.tif", "a/2/x.tif", "b/2/x.ome.tif", "y.tif"]
    targets = [job.target.name for job in jobs_of([StackFile(name) for name in inputs], folder, into_folder=True)]
    assert targets == ["a_1_x.csv", "a_2_x.csv", "b_2_x.csv", "y.csv"]
    with pytest.raises(ColloidsError, match="same name"):
        jobs_of([StackFile("a/x.tif"), StackFile("a/x.npy")], folder, into_folder=True)


def test_an_input_that_is_named_twice_is_searched_once(folder, series):
    os.mkdir("sub")
    for name in ("stack.npy", "sub/stack.npy"):
        np.save(name, series[0])
    inputs = ["stack.npy", "./stack.npy", str(folder / "stack.npy"), "sub/stack.npy"]
    assert cli.main(["detect", *inputs, "-o", "of 2026.11.27/", "--diameter", "8"]) == 0
    tables = {path.name for path in (folder / "of 2026.11.27").glob("*stack.csv")}
    assert tables == {f"{folder.name}_stack.csv", "sub_stack.csv"}


def test_no_folder_is_left_where_the_inputs_are_refused(folder):
    assert cli.main(["detect", "series.tif", "series.tif", "--index", "one", "-o", "results"]) == 2
    np.save("series.npy", np.ones((3, 4, 5)))
    assert cli.main(["detect", "series.tif", "series.npy", "-o", "results"]) == 2
    assert not (folder / "results").exists()
