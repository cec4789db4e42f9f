"""What may happen to a run and its kept volumes: other runs, power cuts, inputs that change, disks that are full."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import numpy as np
import pandas as pd
import psutil
import pytest
import tifffile

from napari_colloids import ColloidsError, cli
from napari_colloids.batch import Job, Selection, StackFile, lock, run_job
from napari_colloids.batch.cluster import run_jobs
from napari_colloids.batch.lock import Holder
from napari_colloids.batch.outcome import Log
from napari_colloids.batch.store import PartStore
from napari_colloids.detection import Options, Part

FRAMES = 3
COMMAND = ["detect", "series.tif", "-o", "found.csv", "--diameter", "8"]


@pytest.fixture(scope="module")
def series(make_series):
    return make_series((12, 24, 26), 0.3, FRAMES)


def ignore(*_):
    """Progress that nobody looks at."""


def job(folder, diameter=8.0, **changes):
    return Job(
        StackFile(str(folder / "series.tif")), folder / "found.csv", Options(diameter=diameter), Selection(**changes)
    )


class Stop(Exception):
    """What a user does in the middle."""


def stop_after_two(done, total, _message):
    if done > 2.5 * total / FRAMES:
        raise Stop


def left_by_a_stopped_run(folder):
    """Stop a run and return the files of the volumes that it has kept."""
    with pytest.raises(Stop):
        run_job(job(folder), stop_after_two)
    return sorted((folder / "found.csv.parts").glob("frame*.npz"))


@pytest.fixture
def whole(folder):
    """Return the table of a run that nothing happened to."""
    run_job(job(folder), ignore)
    content = (folder / "found.csv").read_bytes()
    (folder / "found.csv").unlink()
    return content


@pytest.mark.parametrize("share", [0, 0.5, 0.9])
def test_what_a_power_cut_has_cut_short_is_searched_again(folder, whole, share):
    first, second = left_by_a_stopped_run(folder)
    content = first.read_bytes()
    first.write_bytes(content[: int(share * len(content))])
    log = folder / "log"
    assert run_job(job(folder), ignore, Log(log)).state == "done"
    assert "1 of them done before" in log.read_text()
    assert (folder / "found.csv").read_bytes() == whole
    assert not second.exists()


def test_a_part_that_is_damaged_later_is_one_clear_line(folder, whole, monkeypatch, capsys):
    first, _ = left_by_a_stopped_run(folder)
    damaged = first.read_bytes()[:100]
    parts = [Part(frame, 0) for frame in range(FRAMES)]
    with monkeypatch.context() as patch, closing(PartStore(folder / "found.csv", job(folder).fingerprint())) as store:
        assert store.done() == parts[:2]
        first.write_bytes(damaged)
        with pytest.raises(ColloidsError, match="damaged or gone"):
            store.join(parts, {})
        patch.setattr(PartStore, "done", lambda self: parts[:2])
        store.close()
        assert cli.main(COMMAND) == 2
    assert "damaged or gone: run again" in capsys.readouterr().err
    assert cli.main(COMMAND) == 0
    assert (folder / "found.csv").read_bytes() == whole


def test_volumes_of_other_settings_are_told_by_themselves(folder, whole):
    """As of a run that wrote on after its lock was taken away."""
    first, _ = left_by_a_stopped_run(folder)
    with np.load(first) as arrays:
        other = dict(arrays) | {"fingerprint": np.array("another")}
    np.savez(first, **other)
    with closing(PartStore(folder / "found.csv", job(folder).fingerprint())) as store:
        with pytest.raises(ColloidsError, match="other settings"):
            store.load(Part(0, 0))
        assert store.done() == [Part(1, 0)]
    run_job(job(folder), ignore)
    assert (folder / "found.csv").read_bytes() == whole


@pytest.mark.parametrize("diameter", [8.0, 12.0])
def test_a_second_run_on_one_output_is_refused_and_the_first_one_goes_on(folder, whole, diameter):
    refused = []

    def second(done, total, _message):
        if done > 1.5 * total / FRAMES and not refused:
            with pytest.raises(ColloidsError, match=rf"process {os.getpid()} on .*delete '.*lock\.json'") as caught:
                run_job(job(folder, diameter), ignore)
            refused.append(caught)

    run_job(job(folder), second)
    assert len(refused) == 1
    assert (folder / "found.csv").read_bytes() == whole
    assert not (folder / "found.csv.parts").exists()


def test_a_run_that_stops_or_fails_leaves_no_lock(folder):
    kept = left_by_a_stopped_run(folder)
    assert sorted((folder / "found.csv.parts").iterdir()) == [folder / "found.csv.parts" / "about.json", *kept]
    with pytest.raises(KeyboardInterrupt):
        run_job(job(folder, diameter=9.0), lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    assert not (folder / "found.csv.parts").exists()


def test_a_full_disk_leaves_nothing_where_nothing_was_kept(folder, monkeypatch):
    def full(*_arguments, **_arrays):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(ColloidsError, match="No space left"):
        run_job(job(folder), ignore)
    assert not (folder / "found.csv.parts").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is of Unix")
def test_a_killed_run_does_not_block_the_next_one(folder, whole):
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from napari_colloids.batch.store import PartStore\n"
        "PartStore(Path('found.csv'), 'x')\n"
        "time.sleep(90)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    locked = folder / "found.csv.parts" / "lock.json"
    until = time.monotonic() + 60
    while not (locked.exists() and locked.read_text()) and time.monotonic() < until:
        time.sleep(0.01)
    assert Holder(**json.loads(locked.read_text())).pid == process.pid
    with pytest.raises(ColloidsError, match=f"process {process.pid}"):
        run_job(job(folder), ignore)
    process.send_signal(signal.SIGKILL)
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE and time.monotonic() < until:
        time.sleep(0.01)
    run_job(job(folder), ignore)  # nobody has waited for the process yet, which in a container may stay so for ever
    process.wait()
    assert (folder / "found.csv").read_bytes() == whole


@pytest.mark.parametrize(
    ("changes", "blocks"),
    [
        ({}, True),
        ({"pid": 2**22 + 1}, False),  # there is no such process
        ({"started": 0.0}, False),  # it was another process of this number
        ({"pid": 2**22 + 1, "host": "elsewhere"}, True),
    ],
)
def test_only_a_lock_of_a_process_of_this_machine_that_has_ended_is_taken_over(folder, changes, blocks):
    parts = folder / "found.csv.parts"
    parts.mkdir()
    (parts / "lock.json").write_text(json.dumps(Holder.this()._replace(**changes)._asdict()))
    if blocks:
        with pytest.raises(ColloidsError, match="is being written by another run"):
            PartStore(folder / "found.csv", "x")
        assert (parts / "lock.json").exists()
    else:
        with closing(PartStore(folder / "found.csv", "x")):
            assert Holder(**json.loads((parts / "lock.json").read_text())).pid == os.getpid()
        assert not parts.exists()


def test_a_lock_that_a_power_cut_has_emptied_does_not_block(folder, monkeypatch):
    monkeypatch.setattr(lock, "_WRITE_SECONDS", 0.01)
    (folder / "found.csv.parts").mkdir()
    (folder / "found.csv.parts" / "lock.json").touch()
    with closing(PartStore(folder / "found.csv", "x")):
        pass
    assert not (folder / "found.csv.parts").exists()


def test_of_two_that_find_a_dead_lock_the_later_one_gets_it(folder, monkeypatch):
    parts = folder / "found.csv.parts"
    parts.mkdir()
    (parts / "lock.json").write_text(json.dumps(Holder.this()._replace(started=0.0)._asdict()))
    other = json.dumps(Holder.this()._asdict())
    monkeypatch.setattr(lock.time, "sleep", lambda _seconds: (parts / "lock.json").write_text(other))
    with pytest.raises(ColloidsError, match="is being written by another run"):
        PartStore(folder / "found.csv", "x")
    assert (parts / "lock.json").read_text() == other


@pytest.mark.parametrize("spread", [False, True])
def test_an_input_that_changes_during_the_search_is_an_error_and_not_taken_for_done(folder, series, spread, request):
    changed = []

    def change(*_):
        if not changed:
            meta = {"axes": "TZYX", "spacing": 0.2, "unit": "um"}
            tifffile.imwrite("series.tif", series[:, :, ::-1].copy(), imagej=True, metadata=meta, resolution=(5, 5))
            changed.append(True)

    if spread:
        client = request.getfixturevalue("client")
        (outcome,) = run_jobs([job(folder)], client, change, lambda _job: Log(None))
        assert (outcome.state, "were changed during the search" in outcome.message) == ("failed", True)
    else:
        with pytest.raises(
            ColloidsError, match=r"'series\.tif', its mask or the weights were changed during the search"
        ):
            run_job(job(folder), change)
    assert not (folder / "found.csv").exists()
    assert not (folder / "found.csv.parts").exists()
    assert run_job(job(folder), ignore, skip_done=True).state == "done"
    assert run_job(job(folder), ignore, skip_done=True).state == "skipped"


def test_an_output_that_cannot_be_written_fails_alone_on_a_cluster(folder, series, client, monkeypatch):
    names = ("full", "gone", "good")
    for name in names:
        np.save(f"{name}.npy", series[0])
    jobs = [Job(StackFile(f"{name}.npy"), folder / f"{name}.csv", Options(diameter=8.0)) for name in names]
    keep, join = PartStore.keep, PartStore.join

    def full(store, *given):
        if store.target.stem == "full":
            raise ColloidsError("No space left on device.")
        keep(store, *given)

    def gone(store, *given):
        if store.target.stem == "gone":
            raise OSError(5, "Input/output error")
        return join(store, *given)

    monkeypatch.setattr(PartStore, "keep", full)
    monkeypatch.setattr(PartStore, "join", gone)

    def key(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run_jobs(jobs, client, key, lambda _job: Log(None)))
    assert list(folder.glob("*.parts/lock.json")) == []
    outcomes = {outcome.job.name: outcome for outcome in run_jobs(jobs, client, ignore, lambda _job: Log(None))}
    states = {name: outcome.state for name, outcome in outcomes.items()}
    assert states == {"full.npy": "failed", "gone.npy": "failed", "good.npy": "done"}
    assert outcomes["full.npy"].message == "No space left on device."
    assert "Input/output error" in outcomes["gone.npy"].message
    assert list(folder.glob("*.parts/lock.json")) == []


def test_a_mask_of_several_frames_or_channels_is_refused(folder, series, capsys):
    for axes, shape in (("TZYX", (2,)), ("CZYX", (3,))):
        mask = np.zeros((*shape, *series.shape[1:]), np.uint8)
        tifffile.imwrite("mask.ome.tif", mask, metadata={"axes": axes}, ome=True)
        assert cli.main([*COMMAND, "--mask", "mask.ome.tif"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "must be one volume" in line
    tifffile.imwrite("mask.ome.tif", np.ones(series.shape[1:], np.uint8), metadata={"axes": "ZYX"}, ome=True)
    assert cli.main([*COMMAND, "--mask", "mask.ome.tif"]) == 0
    assert pd.read_csv("found.csv")["frame"].nunique() == FRAMES


def test_workers_of_this_machine_and_a_cluster_are_refused_together(folder, capsys):
    assert cli.main([*COMMAND, "--workers", "2", "--scheduler", "tcp://127.0.0.1:1"]) == 2
    assert "give one of them" in capsys.readouterr().err
