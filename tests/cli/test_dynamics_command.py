"""``napari-colloids dynamics``: one object for programs, words for people, a table with one row a lag."""

import json

import numpy as np
import pandas as pd
import pytest

from napari_colloids import particle_table, read_particles, relaxation, write_particles
from napari_colloids.dynamics import coherent_scattering

COUNT, FRAMES, STEP, ERRORS = 1000, 12, 0.4, (0.5, 0.2, 0.2)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    start = np.indices((10, 10, 10)).reshape(3, -1).T * 10.0
    paths = start + np.cumsum(rng.normal(0, STEP, (FRAMES, COUNT, 3)), axis=0)
    return particle_table(
        (paths + rng.normal(0, ERRORS, paths.shape)).reshape(-1, 3),
        frame=np.repeat(range(FRAMES), COUNT),
        particle=np.tile(range(COUNT), FRAMES),
        errors=np.tile([*ERRORS, 0.1], (COUNT * FRAMES, 1)),
        voxel_size=(0.1, 0.1, 0.1),
    )


@pytest.fixture
def tracks(folder, table):
    write_particles("tracks.csv", table, metadata={"frame_interval": 0.5, "voxel_size": (0.1, 0.1, 0.1)})
    return "tracks.csv"


def test_json_is_one_object_with_corrected_curves_and_those_as_measured(tracks, run, capsys):
    assert run("dynamics", tracks, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    names = ["msd", "fs", "overlap", "chi4", "alpha2"]
    for name in ["lag_s", "survivors", *names, *(f"{name}_raw" for name in names)]:
        assert len(found[name]) == len(found["lag"]) == 5
    lag = np.array(found["lag"])
    np.testing.assert_allclose(found["lag_s"], 0.5 * lag)
    np.testing.assert_allclose(found["msd"], 3 * 0.04**2 * lag, rtol=0.05)
    assert found["msd_raw"][0] > 2 * found["msd"][0]
    np.testing.assert_allclose(found["fs"], np.exp(-(found["q"] ** 2) * 0.04**2 * lag / 2), rtol=0.01)
    assert found["q"] == pytest.approx(2 * np.pi, rel=0.05)
    assert found["unit"] == "um"
    assert found["tau_alpha"] is None
    assert found["notices"] == []


def test_wave_number_is_given_per_voxel_or_per_micrometre(tracks, run, capsys):
    objects = []
    for option in (["--q", 2], ["--q-um", 20], ["--diameter", np.pi]):
        assert run("dynamics", tracks, "--json", *option) == 0
        objects.append(json.loads(capsys.readouterr().out))
    assert [one["q"] for one in objects] == pytest.approx([20, 20, 20])
    assert objects[0]["fs"] == pytest.approx(objects[2]["fs"])
    assert objects[0]["tau_alpha"] == pytest.approx(2 / (2 * STEP) ** 2, rel=0.05)
    assert objects[0]["tau_alpha_s"] == pytest.approx(0.5 * objects[0]["tau_alpha"])


def test_output_has_a_row_a_lag_and_words_say_the_same(tracks, run, capsys):
    assert run("dynamics", tracks, "--output", "curves.csv", "--max-lag", 3, "--q", 2) == 0
    shown = capsys.readouterr()
    written = pd.read_csv("curves.csv")
    expected = relaxation(read_particles(tracks), q=2.0, max_lag=3, frame_interval=0.5)
    assert written["lag"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(written["fs"], expected.fs)
    np.testing.assert_allclose(written["alpha2_raw"], expected.alpha2_raw)
    first = shown.out.splitlines()[1].split()
    assert float(first[0]) == 0.5
    assert float(first[2]) == pytest.approx(expected.fs[0], rel=1e-3)
    assert "tau_alpha" in shown.out
    assert "voxels 0.1 x 0.1 x 0.1 µm" in shown.out
    assert shown.err == ""


def test_coherent_function_stands_beside_that_of_single_particles(tracks, run, capsys):
    words = ["--q", 2, "--max-lag", 3, "--axes", "yx", "--coherent"]
    assert run("dynamics", tracks, *words, "--output", "curves.csv", "--json") == 0
    found, written = json.loads(capsys.readouterr().out), pd.read_csv("curves.csv")
    expected = coherent_scattering(read_particles(tracks), q=2.0, max_lag=3, axes="yx")
    for name in ("f_coherent", "f_coherent_raw", "f_coherent_err"):
        assert found[name] == pytest.approx(getattr(expected, name).tolist())
        np.testing.assert_allclose(written[name], getattr(expected, name))
    assert found["structure_factor"] == pytest.approx(expected.structure_factor)
    np.testing.assert_allclose(written["lag"], [1, 2, 3])
    assert run("dynamics", tracks, *words) == 0
    heading, first = capsys.readouterr().out.splitlines()[:2]
    assert heading.split()[-1] == "F/S"
    assert float(first.split()[-1]) == pytest.approx(expected.f_coherent[0], rel=1e-3)


def test_options_reach_the_computation(tracks, run, capsys):
    expected = relaxation(
        read_particles(tracks), q=2.0, axes="yx", errors=(1, 0.1, 0.1), subtract_drift=True, cage_relative=True
    )
    words = ["--q", 2, "--axes", "yx", "--errors", 1, 0.1, 0.1, "--subtract-drift", "--cage-relative"]
    assert run("dynamics", tracks, "--json", *words, "--frame-interval", 2) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["msd"] == pytest.approx(expected.msd.tolist())
    assert found["lag_s"] == [2, 4, 6, 8, 10]
    assert found["axes"] == "yx"


def test_table_without_errors_or_voxel_size_is_evaluated_and_told(folder, table, run, capsys):
    write_particles("bare.csv", table[["frame", "z", "y", "x", "particle"]])
    assert run("dynamics", "bare.csv") == 0
    shown = capsys.readouterr()
    assert "nothing is corrected for localisation errors" in shown.err
    assert "cubic voxels assumed (--voxel-size)" in shown.out
    assert run("dynamics", "bare.csv", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["fs"] == found["fs_raw"]
    assert "lag_s" not in found
    assert found["unit"] == "px"
    assert "nothing is corrected" in found["notices"][0]


def test_bad_input_ends_in_one_line_and_leaves_nothing(tracks, table, fails):
    write_particles("found.csv", table.drop(columns="particle"))
    bare = table[["frame", "z", "y", "x", "particle"]]
    write_particles("bare.csv", bare)
    for words, message in (
        (["found.csv"], "link"),
        (["missing.csv"], "missing.csv"),
        ([tracks, "--output", "curves.txt"], ".csv"),
        ([tracks, "--output", tracks], "also the input"),
        ([tracks, "--output", "no/curves.csv"], "folder"),
        ([tracks, "--output", "curves.csv", "--q", -1], "--q must lie between"),
        ([tracks, "--q", 1, "--q-um", 1], "not both"),
        (["bare.csv", "--q-um", 1], "voxel size"),
        ([tracks, "--axes", "t"], "axes"),
        ([tracks, "--frame-interval", 0], "--frame-interval must lie between"),
        ([tracks, "--output", "curves.csv", "--max-lag", 0], "--max-lag must lie between"),
    ):
        assert message in fails("dynamics", *words)
