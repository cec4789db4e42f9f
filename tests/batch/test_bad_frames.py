"""Frames that cannot be searched: rows in the log and in the summary, on one machine and on several."""

from __future__ import annotations

import json
import os
import pickle
from contextlib import closing
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import tifffile

from napari_colloids import ColloidsError, Record, cli, read_stack
from napari_colloids.batch import Job, Selection, StackFile, run_job, tasks
from napari_colloids.batch.cluster import run_jobs
from napari_colloids.batch.outcome import Log
from napari_colloids.batch.store import PartStore
from napari_colloids.detection import Options, Part, detect_series
from napari_colloids.errors import UnusableVolumeError
from napari_colloids.io import read_particles

FRAMES = 4
HOW = ["--method", "log", "--diameter", "8"]


@pytest.fixture(scope="module")
def series(make_series):
    return make_series((12, 24, 26), 0.3, FRAMES)


def ignore(*_):
    """Progress that nobody looks at."""


def overwritten(name, start, length):
    content = bytearray(Path(name).read_bytes())
    content[start : start + length] = b"\xff" * length
    Path(name).write_bytes(content)


def constant(series):
    bad = series.copy()
    bad[2] = 7
    tifffile.imwrite("bad.tif", bad, imagej=True, metadata={"axes": "TZYX"})
    return "bad.tif"


def without_values(series):
    bad = series.astype(np.float32)
    bad[2] = np.nan
    tifffile.imwrite("bad.tif", bad, imagej=True, metadata={"axes": "TZYX"})
    return "bad.tif"


def damaged_page(series):
    tifffile.imwrite("bad.ome.tif", series, ome=True, metadata={"axes": "TZYX"}, compression="zlib")
    with tifffile.TiffFile("bad.ome.tif") as file:
        page = file.pages[2 * series.shape[1] + 5]
        place = page.dataoffsets[0], page.databytecounts[0]
    overwritten("bad.ome.tif", *place)
    return "bad.ome.tif"


def damaged_chunk(series):
    with h5py.File("bad.h5", "w") as file:
        data = file.create_dataset("data", data=series, chunks=(1, *series.shape[1:]), compression="gzip")
        chunk = data.id.get_chunk_info(2)
    overwritten("bad.h5", chunk.byte_offset, chunk.size)
    return "bad.h5"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (constant, "constant"),
        (without_values, "no finite values"),
        (damaged_page, "not recorded"),
        (damaged_chunk, "not recorded"),
    ],
)
def test_a_bad_frame_is_a_row_in_the_log_and_not_the_end(folder, series, spoil, reason, capsys):
    name = spoil(series)
    stem = name.partition(".")[0]
    more = ["--axes", "tzyx"] if name.endswith(".h5") else []
    assert cli.main(["detect", name, "-o", "out", *HOW, *more]) == 0
    shown = capsys.readouterr().err
    assert f"{name}: frame 2: {reason}, not searched\n" in shown
    assert "1 of 4 volumes not searched" in shown
    found = read_particles(f"out/{stem}.csv")
    expected = detect_series(series, diameter=8, method="log")
    expected = expected[expected["frame"] != 2].reset_index(drop=True)
    positions = ["frame", "z", "y", "x", "confidence"]
    pd.testing.assert_frame_equal(found[positions], expected[positions], check_dtype=False)
    assert Record.from_attrs(found.attrs).unusable == ((2, 0, reason),)
    row = pd.read_csv("out/summary.csv").iloc[0]
    assert (row["state"], row["volumes"], row["unusable"]) == ("done", 4, f"frame 2: {reason}, not searched")
    assert f"frame 2, channel 0: {reason}, not searched" in (folder / "out" / f"{stem}.log").read_text()
    assert cli.main(["detect", name, "-o", "out", *HOW, *more]) == 0
    assert "there already" in capsys.readouterr().err


@pytest.mark.parametrize("spoil", [damaged_page, damaged_chunk])
def test_a_damaged_series_is_read_without_its_damaged_volumes(folder, series, spoil):
    name = spoil(series)
    axes = "tzyx" if name.endswith(".h5") else None
    stack = read_stack(name, axes=axes)
    assert stack.recorded.all(axis=1).tolist() == [True, True, False, True]
    np.testing.assert_array_equal(stack.data[3], series[3])
    (notice,) = stack.notices
    assert "is damaged: 1 of 4 volumes cannot be read (the first is frame 2)" in notice
    with pytest.raises(ColloidsError, match="damaged"):  # when it is left in the file
        detect_series(read_stack(name, axes=axes, lazy=True), frames=[2], diameter=8, method="log")


def test_left_in_the_file_it_is_the_frame_that_cannot_be_read(folder, series):
    found = detect_series(read_stack(damaged_page(series), lazy=True), diameter=8, method="log")
    ((frame, channel, reason),) = Record.from_attrs(found.attrs).unusable
    assert (frame, channel) == (2, 0)
    assert reason.startswith("unreadable ('")
    assert "damaged" in reason
    assert set(found["frame"]) == {0, 1, 3}


def test_without_any_good_frame_it_is_one_clear_error_and_nothing_is_left(folder, series, capsys):
    tifffile.imwrite("black.tif", np.zeros_like(series), imagej=True, metadata={"axes": "TZYX"})
    for more in ([], ["--frames", "2"]):
        assert cli.main(["detect", "black.tif", "-o", "found.csv", *HOW, *more]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "constant" in line
        assert not list(folder.glob("found.csv*"))


def test_a_wrong_setting_still_ends_the_run(folder, series, capsys):
    name = constant(series)
    assert cli.main(["detect", name, "-o", "x.csv", "--diameter", "8", "--voxel-size", "100", "0.1", "0.1"]) == 2
    assert "is the voxel size" in capsys.readouterr().err


def test_a_bad_frame_is_not_tried_again_until_the_file_is_another(folder, series):
    class Stop(Exception):
        pass

    def stop(done, total, _message):
        if done >= 3 * total / FRAMES:
            raise Stop

    job = Job(StackFile(constant(series)), folder / "found.csv", Options(diameter=8.0, method="log"))
    with pytest.raises(Stop):
        run_job(job, stop)
    run_job(job, ignore, Log(folder / "log"))
    log = (folder / "log").read_text()
    assert "3 of them done before" in log
    assert "frame 2, channel 0" not in log
    assert "frame 2: constant, not searched" in log
    assert set(read_particles("found.csv")["frame"]) == {0, 1, 3}
    tifffile.imwrite("bad.tif", series, imagej=True, metadata={"axes": "TZYX"})
    assert run_job(job, ignore).record.unusable == ()


def test_a_file_that_is_gone_has_no_bad_frames(folder, series):
    """As of a network that fails for a while."""
    tifffile.imwrite("series.tif", series, imagej=True, metadata={"axes": "TZYX"}, compression="zlib")
    job = Job(StackFile("series.tif"), folder / "found.csv", Options(diameter=8.0, method="log"))
    stack = read_stack("series.tif", lazy=True)

    def gone(done, total, _message):
        if done >= 2 * total / FRAMES and os.path.exists("series.tif"):
            os.rename("series.tif", "elsewhere.tif")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StackFile, "open", lambda _self: stack)
        with pytest.raises(ColloidsError, match="no file"):
            run_job(job, gone)
    os.rename("elsewhere.tif", "series.tif")
    with closing(PartStore(job.target, job.fingerprint())) as store:
        assert store.done() == [Part(0, 0), Part(1, 0)]
    assert run_job(job, ignore).record.unusable == ()


def test_workers_say_that_a_volume_cannot_be_searched(folder, series):
    job = Job(StackFile(constant(series)), folder / "found.csv", Options(diameter=8.0, method="log"))
    failure = tasks.start_volume(job, Part(2, 0), None)
    assert failure.reason == "constant"
    wrong = Job(job.source, job.target, Options(diameter_um=900.0, method="log"))
    assert tasks.start_volume(wrong, Part(2, 0), None).reason == "constant"
    assert tasks.start_volume(wrong, Part(1, 0), None).reason == ""
    error = pickle.loads(pickle.dumps(UnusableVolumeError("The stack is constant.", "constant")))
    assert (str(error), error.reason) == ("The stack is constant.", "constant")


def test_workers_leave_out_the_same_frames(folder, series, client, monkeypatch):
    monkeypatch.setattr(tasks, "_MAX_BOX_VOXELS", 24**3)  # several boxes a volume
    bad = np.stack([series, series], axis=1)
    bad[0, 1] = bad[2, 0] = 7
    tifffile.imwrite("bad.ome.tif", bad, ome=True, metadata={"axes": "TCZYX"})
    tifffile.imwrite("black.tif", np.zeros_like(series), imagej=True, metadata={"axes": "TZYX"})
    selection = Selection(channels=(0, 1))
    here, there = (Job(StackFile("bad.ome.tif"), folder / f"{name}.csv", Options(), selection) for name in ("a", "b"))
    black = Job(StackFile("black.tif"), folder / "black.csv", Options(diameter=8.0))
    alone = run_job(here, ignore)
    outcomes = run_jobs([there, black], client, ignore, lambda _job: Log(None))
    done, failed = sorted(outcomes, key=lambda outcome: outcome.state)
    assert alone.record.unusable == done.record.unusable == ((0, 1, "constant"), (2, 0, "constant"))
    assert (folder / "a.csv").read_bytes() == (folder / "b.csv").read_bytes()
    notes = [json.loads((folder / f"{name}.csv.json").read_text()) for name in "ab"]
    assert notes[0]["estimates"] == notes[1]["estimates"]
    assert notes[0]["estimates"]["1"]["frame"] == 1
    assert failed.state == "failed"
    assert "None of 4 volumes" in failed.message
    assert not list(folder.glob("*.parts"))
