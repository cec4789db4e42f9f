"""``napari-colloids link``: one table in, one with trajectories out, and one line on stderr."""

import json

import numpy as np
import pandas as pd
import pytest
import typer
from typer.testing import CliRunner

from napari_colloids import ColloidsError, read_particles, write_particles
from napari_colloids.cli.link import link
from napari_colloids.particles import particle_table

app = typer.Typer()
app.command()(link)


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if isinstance(result.exception, ColloidsError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def found(tmp_path):
    rng = np.random.default_rng(0)
    start = rng.permutation(np.indices((4, 4, 4)).reshape(3, -1).T)[:50] * 10.0
    paths = start + np.cumsum(rng.normal(0, 0.4, (8, 50, 3)), axis=0)
    table = particle_table(
        paths.reshape(-1, 3), radius=4, confidence=0.9, frame=np.repeat(range(8), 50), voxel_size=(0.1, 0.1, 0.1)
    )
    path = tmp_path / "found.csv"
    write_particles(path, table, metadata={"shape": (40, 40, 40), "voxel_size": (0.1, 0.1, 0.1), "frame_interval": 0.5})
    return path


@pytest.mark.parametrize("ending", [".csv", ".xyz", ".h5", ".parquet"])
def test_tracks_are_written_and_summed_up(found, tmp_path, ending):
    tracks = tmp_path / f"tracks{ending}"
    result = run(found, "--output", tracks)
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    for part in (
        str(tracks),
        "50 trajectories",
        "mean length 8.0",
        "search range",
        "um^2/s",
        "voxels 0.1 x 0.1 x 0.1 µm",
    ):
        assert part in line
    written = read_particles(tracks)
    assert written["particle"].nunique() == 50
    assert len(written) == 400
    diffusion = float(line.partition("D = ")[2].split()[0])
    assert diffusion == pytest.approx(0.04**2 / 2 / 0.5, rel=0.2)


def test_the_note_says_where_it_comes_from(found, tmp_path):
    run(found, "-o", tmp_path / "tracks.csv", "--search-range", 4, "--memory", 1, "--min-length", 3, "--subtract-drift")
    note = json.loads((tmp_path / "tracks.csv.json").read_text())
    assert note["input"] == "found.csv"
    assert note["shape"] == [40, 40, 40]
    assert note["frame_interval"] == 0.5
    assert note["options"] == {
        "memory": 1,
        "subtract_drift": True,
        "min_length": 3,
        "predict_motion": True,
        "search_range": 4.0,
    }
    assert note["common_motion"] == note["notices"] == []
    means = pd.read_csv(tmp_path / "tracks.csv", comment="#").groupby("frame")["x"].mean()
    assert np.ptp(means) < 0.1


def test_flow_is_predicted_and_told(found, tmp_path):
    table = read_particles(found)
    table["x"] += 7 * table["frame"]
    write_particles(tmp_path / "flow.csv", table.drop(columns=["z_um", "y_um", "x_um"]))
    result = run(tmp_path / "flow.csv", "-o", tmp_path / "tracks.csv")
    notice, line = result.stderr.splitlines()
    assert notice.startswith("flow.csv: A common motion of 6.9 px from frame to frame")
    assert "50 trajectories" in line
    note = json.loads((tmp_path / "tracks.csv.json").read_text())
    assert note["notices"] == [notice.removeprefix("flow.csv: ")]
    assert [motion["x"] for motion in note["common_motion"]] == pytest.approx([7] * 7, abs=0.3)
    result = run(tmp_path / "flow.csv", "-o", tmp_path / "tracks.csv", "--no-predict-motion")
    assert "find no partner in the next frame" in result.stderr
    assert "50 trajectories" not in result.stderr


def test_options_come_before_what_the_table_says(found, tmp_path):
    result = run(found, "-o", tmp_path / "t.csv", "--voxel-size", 0.2, 0.2, 0.2, "--frame-interval", 1)
    diffusion = float(result.stderr.partition("D = ")[2].split()[0])
    assert diffusion == pytest.approx(0.08**2 / 2, rel=0.2)
    np.testing.assert_allclose(read_particles(tmp_path / "t.csv")["x_um"], read_particles(found)["x"] * 0.2)
    # And are kept for whoever links the trajectories again.
    again = run(tmp_path / "t.csv", "-o", tmp_path / "again.csv")
    assert again.stderr.partition("D = ")[2] == result.stderr.partition("D = ")[2]


def test_two_frames_have_trajectories_but_no_diffusion(found, tmp_path):
    table = read_particles(found)
    write_particles(tmp_path / "two.csv", table[table["frame"] < 2])
    result = run(tmp_path / "two.csv", "-o", tmp_path / "t.csv")
    assert "50 trajectories" in result.stderr
    assert "D =" not in result.stderr
    write_particles(tmp_path / "two.csv", table[["frame", "z", "y", "x"]])
    assert (
        "voxel size unknown: cubic voxels assumed (--voxel-size)"
        in run(tmp_path / "two.csv", "-o", tmp_path / "t.csv").stderr
    )
    write_particles(tmp_path / "two.csv", table, metadata={"assumed": "z"})
    assert "µm (z assumed)" in run(tmp_path / "two.csv", "-o", tmp_path / "t.csv").stderr


def test_refusals_leave_nothing_behind(found, tmp_path):
    single = tmp_path / "single.csv"
    write_particles(single, read_particles(found).drop(columns="frame"))
    before = set(tmp_path.iterdir())
    for arguments, message in (
        ((single, "-o", tmp_path / "t.csv"), "frame"),
        ((found, "-o", tmp_path / "t.csv", "--search-range", 80), "lower the search range"),
        ((found, "-o", tmp_path / "t.csv", "--frame-interval", 0), "--frame-interval must lie between"),
        ((found, "-o", found), "also the input"),
        ((found, "-o", tmp_path / "t.doc"), "ending"),
    ):
        with pytest.raises(ColloidsError, match=message):
            run(*arguments)
    assert set(tmp_path.iterdir()) == before
