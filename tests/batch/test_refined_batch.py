"""Jobs that refine: gone on with, spread over processes, and never mixed up with those that do not."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from napari_colloids import cli
from napari_colloids.batch import Job, Selection, StackFile, run_job, tasks
from napari_colloids.batch.cluster import run_jobs
from napari_colloids.batch.outcome import Log
from napari_colloids.batch.store import PartStore
from napari_colloids.detection import Options, Part, detect
from napari_colloids.io import read_particles
from napari_colloids.particles import ERRORS

FRAMES = 3
REFINED = [*ERRORS, "refined", "misfit"]


@pytest.fixture(scope="module")
def series(make_series):
    return make_series((16, 28, 30), 0.25, FRAMES)


def job(folder):
    return Job(StackFile(str(folder / "series.tif")), folder / "found.csv", Options(diameter=8.0, refine=True))


def done(job):
    """Return what a stopped run has left of a job."""
    with closing(PartStore(job.target, job.fingerprint())) as store:
        return store.done()


class Stop(Exception):
    """What a user does in the middle."""


def stop(done, total, message):
    if "frame 2" in message and "refining" in message:
        raise Stop


def test_stopped_while_refining_and_gone_on_with(folder, series):
    with pytest.raises(Stop):
        run_job(job(folder), stop)
    assert done(job(folder)) == [Part(0, 0)]
    log = folder / "log"
    outcome = run_job(job(folder), lambda *_: None, Log(log))
    table = read_particles("found.csv")
    expected = [detect(frame, diameter=8, refine=True).assign(frame=number) for number, frame in enumerate(series)]
    columns = ["frame", "z", "y", "x", "radius", "confidence", *REFINED]
    pd.testing.assert_frame_equal(table[columns], pd.concat(expected, ignore_index=True)[columns])
    assert outcome.refined == table.attrs["refined"] == table["refined"].sum() > 10
    assert f"{table['refined'].sum()} refined, PSF sigma " in log.read_text()
    assert table.attrs["options"]["refine"] is True
    assert len(table.attrs["psf_sigma"]) == 2


def test_what_was_found_without_refining_is_not_taken_for_refined(folder):
    plain = job(folder)
    plain = replace(plain, options=replace(plain.options, refine=False))
    assert plain.fingerprint() != job(folder).fingerprint()
    with pytest.raises(Stop):
        run_job(plain, lambda done, total, _: stop(done, total, "frame 2, refining" if done > total / 2 else ""))
    assert done(plain) == [Part(0, 0)]
    assert done(job(folder)) == []

    arguments = ["detect", "series.tif", "-o", "results", "--diameter", "8", "--frames", "0"]
    written = folder / "results" / "series.csv"
    for given, has in (([], False), (["--refine"], True), (["--no-refine"], False)):
        assert cli.main([*arguments, *given]) == 0
        table = read_particles(written)
        assert (set(REFINED) <= set(table.columns)) is has
        assert (pd.read_csv("results/summary.csv")["refined"].fillna(0) > 0).tolist() == [has]


def test_workers_refine_to_the_same_table(folder, client, capsys):
    arguments = ["detect", "series.tif", "--frames", "0:2", "--diameter", "8", "--refine", "-o"]
    assert cli.main([*arguments, "plain.csv"]) == 0
    spread = replace(job(folder), target=folder / "spread.csv", selection=Selection(frames="0:2"))
    (outcome,) = run_jobs([spread], client, lambda *_: None, lambda _job: Log(None))
    assert outcome.refined > 10
    assert (folder / "spread.csv").read_bytes() == (folder / "plain.csv").read_bytes()
    assert read_particles("plain.csv")["refined"].sum() > 10
    for line in capsys.readouterr().err.splitlines():
        assert " refined, PSF sigma " in line
        assert line.index("µm") > 0


def test_a_volume_searched_box_by_box_is_refined_as_one(folder, monkeypatch):
    monkeypatch.setattr(tasks, "_MAX_BOX_VOXELS", 24**3)
    here = job(folder)
    planned = tasks.plan_volume(here, Part(1, 0), None)
    assert len(planned.boxes) > 1
    found = [tasks.search_box(here, planned, box) for box in planned.boxes]
    table = tasks.finish_volume(here, Part(1, 0), planned, found)
    expected = detect(here.source.open(), here.options, frame=1)
    pd.testing.assert_frame_equal(table.drop(columns="frame"), expected)


def test_refined_tables_are_linked(folder):
    shifted = []
    for frame in range(3):
        table = pd.DataFrame({"frame": frame, "z": [5.0, 5, 15], "y": [5.0, 20, 20], "x": 5.0 + 0.2 * frame})
        table[ERRORS] = [[0.01] * 4, [np.nan] * 4, [0.02] * 4]
        shifted.append(table.assign(radius=4.0, confidence=0.9, refined=[1, 0, 1]))
    pd.concat(shifted).to_csv("found.csv", index=False)
    for given in ([], ["--subtract-drift"]):
        assert cli.main(["link", "found.csv", "-o", "tracks.csv", "--search-range", "2", *given]) == 0
        tracks = read_particles("tracks.csv")
        assert tracks.groupby("particle")["frame"].size().tolist() == [3, 3, 3]
        assert tracks["refined"].tolist() == [1, 0, 1] * 3
        assert tracks["z_err"].isna().sum() == 3
