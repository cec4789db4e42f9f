"""Choices of frames: how they are written, and that no frame is searched twice where only the choice changes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from napari_colloids import ColloidsError, cli
from napari_colloids.batch import Job, Selection, StackFile, chosen_frames
from napari_colloids.batch.cluster import run_jobs
from napari_colloids.batch.outcome import Log
from napari_colloids.batch.run import keep_volume
from napari_colloids.batch.selection import ranges_of
from napari_colloids.detection import Options
from napari_colloids.io import read_particles

FRAMES = 6
HOW = ["--method", "log", "--diameter", "8"]


@pytest.fixture(scope="module")
def series(make_series):
    return make_series((12, 24, 26), 0.3, FRAMES)


@pytest.mark.parametrize(
    ("text", "frames", "ranges"),
    [
        (None, range(10), [[0, 10]]),
        ("0:3,4:6", [0, 1, 2, 4, 5], [[0, 3], [4, 6]]),
        ("5,0:3, 2:4", [0, 1, 2, 3, 5], [[0, 4], [5, 6]]),
        ("0:10:2", [0, 2, 4, 6, 8], [[0, 9, 2]]),
        ("::4", [0, 4, 8], [[0, 9, 4]]),
        ("3", [3], [[3, 4]]),
        ("0,2", [0, 2], [[0, 1], [2, 3]]),
        ("8:", [8, 9], [[8, 10]]),
    ],
)
def test_a_choice_of_frames_is_merged_and_sorted(text, frames, ranges):
    assert chosen_frames(text, 10) == list(frames)
    assert ranges_of(chosen_frames(text, 10)) == ranges
    assert sorted({frame for one in ranges for frame in range(*one)}) == list(frames)


@pytest.mark.parametrize("text", ["", ",", "0:3,", "a", "1:b", "1:2:3:4", "0:3:0", "0:3:-1", "1.5", "0-3", "0;3"])
def test_nonsense_is_one_clear_line(text):
    with pytest.raises(ColloidsError, match=r"Frames are given as A:B .*, not '"):
        chosen_frames(text, 10)


@pytest.mark.parametrize("text", ["10", "0:11", "3:3", "4:2", "-1:2", "0:3,12"])
def test_frames_that_are_not_there_are_named(text):
    with pytest.raises(ColloidsError, match=f"There are no frames {text.rpartition(',')[2]}: the stack has 10 frames"):
        chosen_frames(text, 10)


def detect(frames, *more, output="out/", how=HOW):
    """Run the command, and return the frames that it has searched, by its log."""
    log = Path("out/series.log")
    before = len(log.read_text()) if log.exists() else 0
    asked = [] if frames is None else [f"--frames={frames}"]
    assert cli.main(["detect", "series.tif", "-o", output, *how, *asked, *more]) == 0
    return [int(number) for number in re.findall(r"frame (\d+), channel \d+: \d+ particles", log.read_text()[before:])]


def fresh(frames, name="fresh.csv", how=HOW):
    asked = [] if frames is None else [f"--frames={frames}"]
    assert cli.main(["detect", "series.tif", "-o", name, *how, *asked]) == 0
    return Path(name).read_bytes()


def test_no_frame_is_searched_twice_where_only_the_choice_changes(folder):
    table = Path("out/series.csv")
    assert detect("0:3") == [0, 1, 2]
    assert json.loads(Path("out/series.csv.json").read_text())["options"]["frames"] == [0, 3]
    assert detect("0:3,4:6") == [4, 5]
    assert json.loads(Path("out/series.csv.json").read_text())["options"]["frames"] == [[0, 3], [4, 6]]
    assert table.read_bytes() == fresh("0:3,4:6")
    assert detect("1:3") == []
    assert table.read_bytes() == fresh("1:3")
    assert "3 finished volumes of other frames are kept in series.csv.parts" in Path("out/series.log").read_text()
    assert detect(None) == [3]
    assert table.read_bytes() == fresh(None)
    assert not Path("out/series.csv.parts").exists()
    assert pd.read_csv("out/summary.csv")["volumes"].tolist() == [FRAMES]
    assert detect(None) == []
    assert pd.read_csv("out/summary.csv")[["state", "volumes"]].to_numpy().tolist() == [["skipped", FRAMES]]


@pytest.mark.parametrize("name", ["t.csv", "t.xyz", "t.h5", "t.parquet"])
def test_a_table_of_any_format_is_gone_on_with(folder, name):
    pytest.importorskip("pyarrow")
    refine = name.endswith(".csv")
    how = [*HOW, *(["--refine"] * refine)]
    fresh("0:1", name, how)
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_colloids.batch.run.keep_volume", _seeing(seen))
        fresh("0:2", name, how)
    assert [part.frame for part in seen] == [1]
    assert not Path(f"{name}.parts").exists()
    Path("whole").mkdir()
    fresh("0:2", f"whole/{name}", how)
    found, expected = read_particles(name), read_particles(f"whole/{name}")
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    if name.endswith((".csv", ".xyz")):  # the other formats hold times
        assert Path(name).read_bytes() == Path("whole", name).read_bytes()
    for key in ("diameter", "notices", "psf_sigma", "noise_gain", "refined", "particles", "unusable"):
        assert found.attrs.get(key) == expected.attrs.get(key)
    volumes = [json.loads(Path(where, f"{name}.json").read_text())["volumes"] for where in ("", "whole")]
    for volume in (*volumes[0], *volumes[1]):
        for time in ("seconds", "mvoxel_per_s"):
            volume["record"].pop(time)
    assert volumes[0] == volumes[1]
    assert ("optics" in volumes[0][1]["record"]) == refine


def _seeing(seen):
    def keep(job, store, log, part, table):
        seen.append(part)
        keep_volume(job, store, log, part, table)

    return keep


def test_another_input_or_setting_and_redo_search_all_again(folder, series):
    assert detect("0:2") == [0, 1]
    assert detect("0:3", "--redo") == [0, 1, 2]
    assert detect("0:4", how=["--method", "log", "--diameter", "9"]) == [0, 1, 2, 3]
    meta = {"axes": "TZYX", "spacing": 0.2, "unit": "um"}
    tifffile.imwrite("series.tif", series[::-1].copy(), imagej=True, metadata=meta, resolution=(5, 5))
    assert detect("0:2", how=["--method", "log", "--diameter", "9"]) == [0, 1]


def test_a_frame_that_was_edited_in_the_table_is_searched_again(folder):
    detect("0:3")
    table = pd.read_csv("out/series.csv")
    first = table.index[table["frame"] == 1][0]
    table.loc[first, "x"] += 1
    table.to_csv("out/series.csv", index=False, lineterminator="\n")
    assert detect("0:4") == [1, 3]
    assert Path("out/series.csv").read_bytes() == fresh("0:4")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda note: note.update(volumes=[{"frame": "../x"}]),
        lambda note: note.update(volumes=3),
        lambda note: note.update(estimates={"0": {"size": 3}}),
        lambda note: note["volumes"][0].update(record={"optics": 3}),
        lambda note: note["volumes"][0].update(record=None),
        lambda note: note.pop("diameter"),
    ],
)
def test_a_damaged_note_beside_the_table_makes_no_harm(folder, spoil):
    detect("0:2")
    sidecar = Path("out/series.csv.json")
    note = json.loads(sidecar.read_text())
    spoil(note)
    sidecar.write_text(json.dumps(note))
    assert detect("0:3") == [0, 1, 2]
    assert Path("out/series.csv").read_bytes() == fresh("0:3")


def test_an_interrupted_run_leaves_its_frames_to_one_with_another_choice(folder, monkeypatch):
    def stop(job, store, log, part, table):
        if part.frame == 2:
            raise KeyboardInterrupt
        keep_volume(job, store, log, part, table)

    with monkeypatch.context() as patch:
        patch.setattr("napari_colloids.batch.run.keep_volume", stop)
        assert cli.main(["detect", "series.tif", "-o", "out/", *HOW]) == 130
    assert detect("1:4") == [2, 3]
    assert Path("out/series.csv").read_bytes() == fresh("1:4")
    assert detect(None) == [4, 5]
    # What is redone is redone altogether, also where that was interrupted.
    with monkeypatch.context() as patch:
        patch.setattr("napari_colloids.batch.run.keep_volume", stop)
        assert cli.main(["detect", "series.tif", "-o", "out/", *HOW, "--redo"]) == 130
    assert detect(None, "--redo") == [2, 3, 4, 5]
    assert detect("0:2", "--redo") == [0, 1]


def test_an_estimated_diameter_is_kept_and_that_is_said(folder, capsys):
    how = ["--method", "log"]
    detect("0:2", how=how)
    estimate = json.loads(Path("out/series.csv.json").read_text())["estimates"]["0"]
    assert estimate["frame"] == 0
    assert "earlier run" not in capsys.readouterr().err
    assert detect("3:5", how=how) == [3, 4]
    words = f"The diameter, {estimate['diameter']:.1f} px, is that of an earlier run, estimated in frame 0"
    assert f"{words}: search all again to have it estimated anew (--redo)." in capsys.readouterr().err
    assert json.loads(Path("out/series.csv.json").read_text())["diameter"] == estimate["diameter"]
    assert detect("0,3", how=how) == []
    assert "earlier run" not in capsys.readouterr().err


def test_workers_go_on_with_a_table_too(folder, client):
    assert detect("0:2") == [0, 1]
    options = Options(diameter=8.0, method="log")
    job = Job(StackFile("series.tif"), Path("out/series.csv"), options, Selection(frames="1:4"))
    log = Log(folder / "spread.log")
    (outcome,) = run_jobs([job], client, lambda *_: None, lambda _job: log)
    assert (outcome.state, outcome.volumes) == ("done", 3)
    assert "3 volumes, 1 of them done before" in (folder / "spread.log").read_text()
    assert "frame 1, channel" not in (folder / "spread.log").read_text()
    assert Path("out/series.csv").read_bytes() == fresh("1:4")


def test_workers_check_a_given_diameter_in_the_first_volume_alone_as_one_process_does(folder, client):
    job = Job(StackFile("series.tif"), Path("spread.csv"), Options(diameter=8.0, method="log"), Selection(frames="1:4"))
    list(run_jobs([job], client, lambda *_: None, lambda _job: Log(None)))
    assert Path("spread.csv").read_bytes() == fresh("1:4")
    spread, alone = (json.loads(Path(f"{name}.csv.json").read_text())["estimates"] for name in ("spread", "fresh"))
    assert spread == alone
    assert spread["0"]["frame"] == 1


def test_a_channel_is_gone_on_with_by_itself(folder, series):
    both = np.stack([series[:3], series[3:]], axis=1)
    tifffile.imwrite("two.ome.tif", both, ome=True, metadata={"axes": "TCZYX"})
    for channels in (["1"], ["0", "1"]):
        asked = [word for channel in channels for word in ("--channel", channel)]
        for frames in ("0:1", "0:3"):
            assert cli.main(["detect", "two.ome.tif", "-o", "a.csv", *HOW, *asked, "--frames", frames]) == 0
        assert cli.main(["detect", "two.ome.tif", "-o", "b.csv", *HOW, *asked]) == 0
        assert Path("a.csv").read_bytes() == Path("b.csv").read_bytes()
        assert len(json.loads(Path("a.csv.json").read_text())["volumes"]) == 3 * len(channels)
