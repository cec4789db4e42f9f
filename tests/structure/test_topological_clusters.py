"""Topological clusters: what TCC is given, what it writes, and a program in its place that is run through all of it."""

from __future__ import annotations

import configparser
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from napari_colloids import ColloidsError
from napari_colloids.particles import TCC_CLUSTERS, particle_table
from napari_colloids.structure import (
    iter_topological_clusters,
    local_structure,
    read_tcc_clusters,
    topological_clusters,
    write_tcc_input,
)

runs_scripts = pytest.mark.skipif(sys.platform == "win32", reason="a script is no program there")


def cubic(edge=6, spacing=10.0):
    """A simple cubic crystal of which no particle lies on a face."""
    return spacing * np.indices((edge,) * 3).reshape(3, -1).T + spacing / 2 - 0.5


def program(folder, text):
    """A script that can be run."""
    path = Path(folder) / "tcc"
    path.write_text(text if text.startswith("#!") else f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return path


def parameters(folder):
    ini = configparser.ConfigParser()
    ini.read_string((folder / "inputparameters.ini").read_text())
    return {key: value for section in ini.sections() for key, value in ini[section].items()}


def coordinates(folder):
    """Frames of the coordinates, each an array of shape (N, 3)."""
    lines, frames = (folder / "particles.xyz").read_text().splitlines(), []
    while lines:
        count = int(lines[0])
        rows = [line.split(" ") for line in lines[2 : 2 + count]]
        assert all(row[0] == "A" and len(row) == 4 for row in rows)
        frames.append(np.array([row[1:] for row in rows], float))
        lines = lines[2 + count :]
    return frames


def test_coordinates_are_x_y_z_in_diameters_from_the_corner_of_the_window(tmp_path):
    table = particle_table([[0, 0, 0], [4.5, 9.5, 19.5], [9, 3, 7]], radius=4.0, voxel_size=(0.2, 0.1, 0.1))
    write_tcc_input(tmp_path / "new" / "folder", table, shape=(20, 40, 50))
    (frame,) = coordinates(tmp_path / "new" / "folder")
    expected = [[0.05, 0.05, 0.1], [2.0, 1.0, 1.0], [0.75, 0.35, 1.9]]
    np.testing.assert_allclose(frame, np.array(expected) / 0.8, atol=1e-8)
    assert (tmp_path / "new" / "folder" / "box.txt").read_text() == "#iter Lx Ly Lz\n0 6.250000 5.000000 5.000000\n"
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == [
        *("box.txt", "inputparameters.ini", "particles.xyz"),
    ]


def test_parameters_are_those_of_an_open_box(tmp_path):
    write_tcc_input(tmp_path, cubic(), shape=(60, 60, 60), diameter=8)
    told = parameters(tmp_path)
    assert told["pbcs"] == "0"
    assert float(told["voronoi_parameter"]) == 0.82
    assert (told["bond_type"], told["analyse_all_clusters"], told["raw"], told["box_type"]) == ("1",) * 4
    assert (told["xyzfilename"], told["box_name"], told["frames"]) == ("particles.xyz", "box.txt", "1")
    longest = [float(told[f"rcut{pair}"]) for pair in ("aa", "ab", "bb")]
    assert longest == pytest.approx([1.8 * 10 / 8] * 3, rel=0.02), "1.8 distances of neighbours, whatever the diameter"
    assert told["cell_list"] == "1"
    assert int(told["num_bonds"]) == 50


def test_settings_and_a_box_of_few_cells(tmp_path):
    write_tcc_input(tmp_path, cubic(), shape=(60, 60, 60), diameter=10, bond_cutoff=2.9, voronoi_parameter=1)
    told = parameters(tmp_path)
    assert (float(told["rcutaa"]), float(told["voronoi_parameter"]), told["cell_list"]) == (2.9, 1, "0")
    assert int(told["num_bonds"]) == 92, "as many as are so near: without room for them the program ends"
    for setting in ({"bond_cutoff": 0}, {"voronoi_parameter": 1.2}, {"cutoff": 2}, {"diameter": 0}):
        with pytest.raises(ColloidsError, match=next(iter(setting))):
            write_tcc_input(tmp_path, cubic(), **setting)


def test_frames_and_channels_are_each_on_their_own(tmp_path):
    table = pd.concat(
        [
            particle_table(cubic(3), frame=frame, channel=channel).iloc[: 27 - frame]
            for frame in (0, 2)
            for channel in (0, 1)
        ],
        ignore_index=True,
    )
    write_tcc_input(tmp_path, table, shape=(30, 30, 30), diameter=10)
    assert [len(frame) for frame in coordinates(tmp_path)] == [27, 27, 25, 25]
    assert parameters(tmp_path)["frames"] == "4"
    long = particle_table(np.tile([[1, 1, 1], [9, 9, 9]], (1001, 1)), frame=np.repeat(np.arange(1001), 2))
    with pytest.raises(ColloidsError, match="1000 frames at most"):
        write_tcc_input(tmp_path, long, diameter=5)
    assert parameters(tmp_path)["frames"] == "4", "what was there stays"


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ColloidsError, match="cannot be written to"):
        write_tcc_input(tmp_path / "file", cubic())
    with pytest.raises(ColloidsError, match="two particles"):
        write_tcc_input(tmp_path, [[1, 1, 1]])


def results(folder, **files):
    """Results as TCC lays them out: a file for each cluster, in a folder of their own."""
    (folder / "raw_output").mkdir(exist_ok=True)
    for name, text in files.items():
        stem = "particles.xyz.rcAA1.8.rcAB1.8.rcBB1.8.Vor1.fc0.82.PBCs0"
        (folder / "raw_output" / f"{stem}.raw_{name.removeprefix('_')}").write_text(text)


SERIES = particle_table(
    [[1, 1, 1], [2, 2, 2], [3, 3, 3], [4, 4, 4], [5, 5, 5]], frame=[7, 4, 7, 4, 4], radius=2.0, confidence=0.5
)


def test_clusters_are_read_as_columns_of_the_right_particles(tmp_path):
    (tmp_path / "particles.xyz.rcAA1.8.rcAB1.8.rcBB1.8.Vor1.fc0.82.PBCs0.static_clust").write_text("")
    results(
        tmp_path,
        _13A="2\nframe 1\nA\nC\n3\nframe 2\nC\nA\nA\n",
        BCC_9="2\nframe 1\nA\nA\n3\nframe 2\nA\nA\nA\n",
        _7T_a="2\r\nframe 1\r\nC\r\nB\r\n3\r\nframe 2\r\nD\r\nC\r\nA\r\n",
        new="2\nframe 1\nC\nC\n3\nframe 2\nC\nC\nC\n",
    )
    found = read_tcc_clusters(tmp_path, SERIES)
    assert list(found.columns[len(SERIES.columns) :]) == ["tcc_7T_a", "tcc_13A", "tcc_BCC_9", "tcc_new"]
    assert found["tcc_13A"].tolist() == [0, 1, 1, 0, 0]
    assert found["tcc_7T_a"].tolist() == [1, 1, 0, 1, 0]
    assert not found["tcc_BCC_9"].any()
    pd.testing.assert_frame_equal(found[SERIES.columns], SERIES)
    pd.testing.assert_frame_equal(read_tcc_clusters(tmp_path / "raw_output", SERIES), found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2\nframe 1\nA\nC\n", "has 1 frames, but the table has 2"),
        ("2\nframe 1\nA\nC\n4\nframe 2\nC\nA\nA\nA\n", "4 particles in frame 2, but the table has 3"),
        ("2\nframe 1\nA\nC\n3\nframe 2\nC\nA\nA\n1\nframe 3\nA\n", "more frames than the table, 2"),
        ("2\nframe 1\nA\nC\n3\nframe 2\nC\nA\n", "damaged in frame 2"),
        ("2\nframe 1\nA\nX\n3\nframe 2\nC\nA\nA\n", "damaged in frame 1"),
        ("\x80\x81", "particles in frame 1, but"),
        ("", "has 0 frames"),
    ],
)
def test_results_of_others_or_damaged_ones_are_refused(tmp_path, text, said):
    results(tmp_path, FCC=text)
    with pytest.raises(ColloidsError, match=said):
        read_tcc_clusters(tmp_path, SERIES)


def test_no_results_and_those_of_two_runs_are_refused(tmp_path):
    with pytest.raises(ColloidsError, match="no results of TCC"):
        read_tcc_clusters(tmp_path, SERIES)
    with pytest.raises(ColloidsError, match="no results of TCC"):
        read_tcc_clusters(tmp_path / "nowhere", SERIES)
    results(tmp_path, FCC="")
    (tmp_path / "raw_output" / "particles.xyz.rcAA1.4.raw_FCC").write_text("")
    with pytest.raises(ColloidsError, match="several runs"):
        read_tcc_clusters(tmp_path, SERIES)


@runs_scripts
def test_a_program_finds_clusters_and_only_particles_inside_count(tcc_stand_in):
    table = particle_table(cubic(9), radius=5.0, errors=[(0.1, 0.05, 0.05, 0.1)] * 9**3)
    middle = len(table) // 2
    table = pd.concat([table.assign(frame=0), table.assign(frame=1).drop(index=middle)], ignore_index=True)
    calls = []
    found = topological_clusters(
        table, tcc_stand_in, shape=(90,) * 3, bond_cutoff=1.5, recall=0.99, progress=lambda *step: calls.append(step)
    )
    depth = (np.minimum(table[["z", "y", "x"]] + 0.5, 89.5 - table[["z", "y", "x"]]).min(axis=1)).to_numpy()
    from_middle = np.linalg.norm(table[["z", "y", "x"]] - table.loc[middle, ["z", "y", "x"]], axis=1)
    lacks_it = (table["frame"] == 1) & (from_middle < 15)
    assert (found.particles["tcc_FCC"] == ((depth > 6) & ~lacks_it)).all()
    assert not found.particles[["tcc_sp3c", "tcc_13A"]].to_numpy().any()
    assert found.inside == 2 * 27 - 1
    assert found.populations == {"sp3c": 0, "13A": 0, "FCC": pytest.approx((53 - 18) / 53)}
    assert (found.particles["interior"] == local_structure(table, shape=(90,) * 3)["interior"]).all()
    assert found.notices == ()
    assert found.bond_cutoff == 1.5
    assert {(0, 2), (1, 2)} == set(calls)
    assert json.loads(found.to_json())["populations"]["FCC"] == pytest.approx(35 / 53)
    assert found.line() == "In topological clusters, of 53 particles inside: 13A 0.0 %, FCC 66.0 %"


@runs_scripts
@pytest.mark.parametrize(
    ("errors", "recall", "said"),
    [
        (0.1, 0.98, []),
        (0.1, 0.88, ["The recall is 88 %, but topological clusters need 98 %"]),
        (0.1, None, ["The recall is not known"]),
        (0.25, 0.99, ["localisation errors are 0.025 diameters along z and 0.025 across: good for g"]),
        (0.8, 0.9, ["topological clusters are not to be trusted", "The recall is 90 %"]),
        (None, 1, ["No localisation errors are in the table"]),
    ],
)
def test_where_clusters_are_not_to_be_trusted_is_said(tcc_stand_in, errors, recall, said):
    table = particle_table(cubic(7), radius=5.0, errors=None if errors is None else [(errors,) * 4] * 7**3)
    notices = topological_clusters(table, tcc_stand_in, shape=(70,) * 3, bond_cutoff=1.1, recall=recall).notices
    notices = [notice for notice in notices if "the window is small" not in notice]
    assert len(notices) == len(said)
    assert all(words in notice for words, notice in zip(said, notices, strict=True))


@runs_scripts
def test_too_small_a_window_has_no_populations(tcc_stand_in):
    found = topological_clusters(cubic(3), tcc_stand_in, shape=(30,) * 3, diameter=10)
    assert found.inside == 0
    assert np.isnan(list(found.populations.values())).all()
    assert json.loads(found.to_json())["populations"] == {"sp3c": None, "13A": None, "FCC": None}
    assert "no particle is far enough inside" in repr(found)


def refused(given, *, match, **settings):
    """What is refused leaves nothing running."""
    before = set(psutil.Process().children(recursive=True))
    with pytest.raises(ColloidsError, match=match) as error:
        topological_clusters(cubic(3), given, shape=(30,) * 3, diameter=10, **settings)
    assert set(psutil.Process().children(recursive=True)) == before
    return str(error.value)


@runs_scripts
def test_programs_that_cannot_be_run_or_fail_are_told_of(tmp_path):
    refused(tmp_path / "nowhere", match="There is no program")
    refused(3, match="given by its path, not 3")
    refused(tmp_path, match="no results of TCC")
    (tmp_path / "text").write_text("words")
    refused(tmp_path / "text", match="not a program that can be run")
    refused(program(tmp_path, "#!/no/such/interpreter\n"), match="could not be started")
    said = refused(program(tmp_path, "print('Scalar index out of range\\n'); raise SystemExit(1)"), match="status 1")
    assert said.endswith("failed (status 1): Scalar index out of range")
    refused(program(tmp_path, "import os; os.kill(os.getpid(), 11)"), match=r"failed \(signal 11\)\.")
    refused(program(tmp_path, "print('hello')"), match="is it TCC\\? There are no results")
    wrong = "import os; os.mkdir('raw_output'); open('raw_output/a.raw_FCC', 'w').write('3\\nframe 1\\nA\\nA\\nA\\n')"
    refused(program(tmp_path, wrong), match="3 particles in frame 1, but the table has 27")


@runs_scripts
def test_a_program_that_hangs_is_ended_with_what_it_has_started(tmp_path):
    hanging = "import subprocess, sys, time\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)'])\n"
    started = time.monotonic()
    refused(program(tmp_path, hanging + "time.sleep(99)"), match="was ended after 2 s", time_limit=2)
    assert time.monotonic() - started < 20


@runs_scripts
def test_closing_the_steps_or_an_error_of_the_progress_ends_the_program(tmp_path):
    given = program(tmp_path, "import time; time.sleep(99)")
    steps = iter_topological_clusters(cubic(3), given, shape=(30,) * 3, diameter=10)
    before = set(psutil.Process().children())
    assert next(steps)[:2] == (0, 1)
    next(steps)
    (running,) = set(psutil.Process().children()) - before
    steps.close()
    assert not running.is_running()

    class Stopped(KeyboardInterrupt):
        """As Ctrl-C."""

    calls = threading.Event()

    def stop(_done, _total):
        if calls.is_set():
            raise Stopped
        calls.set()

    with pytest.raises(Stopped) as stopped:
        topological_clusters(cubic(3), given, shape=(30,) * 3, diameter=10, progress=stop)
    assert stopped.value
    assert set(psutil.Process().children()) == before


def test_names_of_clusters_are_columns_of_tables():
    assert len(set(TCC_CLUSTERS)) == 41
    table = particle_table([[1, 1, 1]], tcc_8B=1, tcc_FCC=0)
    assert table["tcc_8B"].dtype == np.int64


@runs_scripts
def test_a_run_elsewhere_gives_what_a_run_here_gives(tmp_path, tcc_stand_in):
    table = pd.concat([particle_table(cubic() + shift, frame=frame) for frame, shift in enumerate((0.0, 0.3))])
    window = {"shape": (60, 60, 60), "diameter": 8.0}
    here = topological_clusters(table, tcc_stand_in, bond_cutoff=1.8, **window)
    write_tcc_input(tmp_path, table, bond_cutoff=1.8, **window)
    subprocess.run([tcc_stand_in], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    for folder in (tmp_path, tmp_path / "raw_output"):
        elsewhere = topological_clusters(table, folder, **window)
        pd.testing.assert_frame_equal(elsewhere.particles, here.particles)
        assert elsewhere.populations == here.populations
        assert (elsewhere.bond_cutoff, elsewhere.voronoi_parameter) == (1.8, 0.82)
    with pytest.raises(ColloidsError, match="run of TCC that is over: bond_cutoff"):
        topological_clusters(table, tmp_path, bond_cutoff=2.0, **window)
    (tmp_path / "inputparameters.ini").unlink()
    assert topological_clusters(table, tmp_path, **window).as_dict()["bond_cutoff"] is None


def test_a_folder_without_a_run_is_refused(tmp_path):
    write_tcc_input(tmp_path, cubic(), shape=(60, 60, 60), diameter=8)
    with pytest.raises(ColloidsError, match="no results of TCC"):
        topological_clusters(cubic(), tmp_path, shape=(60, 60, 60), diameter=8)
