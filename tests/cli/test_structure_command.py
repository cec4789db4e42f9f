"""``napari-colloids structure``: g(r), S(q), volume fraction and a table of the order of each particle."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.spatial import cKDTree

from napari_colloids.io import read_particles, write_particles
from napari_colloids.particles import particle_table
from napari_colloids.simulation.arrangement import Composition, arrange


@pytest.fixture(scope="module")
def sample():
    """A fluid of spheres of diameter 8 voxels in a stack of 88 voxels."""
    made = arrange("random", (11.0,) * 3, Composition(0.4, 0.5), np.random.default_rng(8))
    return particle_table(8 * made.positions - 0.5, radius=8 * made.radii, voxel_size=(0.1, 0.1, 0.1))


def test_json_has_what_other_programs_read_and_the_table_its_columns(run, folder, sample, capsys):
    write_particles("found.csv", sample)
    assert run("structure", "found.csv", "--shape", 88, 88, 88, "--output", "order.csv", "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["unit"] == "um"
    assert figures["volume_fraction"]["value"] == pytest.approx(0.4, abs=0.02)
    assert figures["volume_fraction"]["low"] < 0.4 < figures["volume_fraction"]["high"]
    r, g = (np.array(figures["g"][name]) for name in "rg")
    assert not g[r < 0.75].any()
    assert 0.78 < r[g.argmax()] < 0.86
    q, s = (np.array(figures["s"][name]) for name in "qs")
    assert 0.8 * 6.9 < 0.8 * q[(q > 5) & (q < 14)][s[(q > 5) & (q < 14)].argmax()] < 0.8 * 9.5
    table = read_particles("order.csv")
    columns = {"neighbours", "q4", "q6", "w6", "q6_averaged", "voronoi_volume", "local_volume_fraction", "interior"}
    assert columns <= set(table)
    assert figures["interior"] == table["interior"].sum() > 20
    inside = table[table["interior"] == 1]
    depth = np.minimum(inside[["z", "y", "x"]] + 0.5, 87.5 - inside[["z", "y", "x"]]).to_numpy().min()
    assert depth >= 2.5 * 8
    assert inside["voronoi_volume"].mean() == pytest.approx(0.8**3 * np.pi / 6 / 0.4, rel=0.1)
    assert json.loads(Path("order.csv.json").read_text())["structure"]["interior"] == figures["interior"]


def test_words_and_notices(run, folder, sample, capsys):
    write_particles("found.csv", sample)
    assert run("structure", "found.csv", "--diameter", 8) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith(f"{len(sample)} particles of diameter 0.8 µm, ")
    assert "Volume fraction: 0." in shown.out
    assert shown.out.endswith("voxels 0.1 x 0.1 x 0.1 µm\n")
    assert "The shape of the stack is unknown: the box that the particles fill was taken (--shape)." in shown.err
    assert "No localisation errors are in the table" in shown.err


def test_the_shape_is_that_of_the_stack_that_was_searched_whole(run, folder, sample, capsys):
    searched = {"shape": [2, 88, 88, 88], "settings": {"border": 0}, "region": {}}
    write_particles("whole.csv", sample, metadata=searched)
    write_particles("part.csv", sample, metadata={**searched, "region": {"z_range": [0, 40]}})
    for name, known in (("whole.csv", True), ("part.csv", False)):
        assert run("structure", name) == 0
        assert ("shape of the stack is unknown" in capsys.readouterr().err) is not known


def test_what_cannot_be_used_is_refused(fails, folder, sample):
    write_particles("found.csv", sample)
    write_particles("one.csv", sample.iloc[:1])
    assert "two particles" in fails("structure", "one.csv")
    assert "also the input" in fails("structure", "found.csv", "--output", "found.csv")
    small = ["--shape", 20, 20, 20]
    assert "cannot hold: give the shape of the stack (--shape)." in fails("structure", "found.csv", *small)
    pd.DataFrame({"a": [1, 2]}).to_csv("other.csv", index=False)
    assert "other.csv" in fails("structure", "other.csv")


def test_g_of_classes_and_directions(run, folder, sample, capsys):
    write_particles("found.csv", sample.assign(channel=np.arange(len(sample)) % 2))
    window = ["--shape", 88, 88, 88, "--diameter", 8]
    assert run("structure", "found.csv", *window, "--partial", "channel", "--directions", 2, "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert list(figures["partials"]) == ["channel 0 - channel 0", "channel 0 - channel 1", "channel 1 - channel 1"]
    assert list(figures["directions"]) == ["|cos| < 0.5", "|cos| >= 0.5"]
    r, g = (np.array(figures["directions"]["|cos| < 0.5"][name]) for name in "rg")
    assert 0.78 < r[g.argmax()] < 0.9


def test_a_simulation_gets_the_errors_of_the_sample(run, folder, sample, capsys):
    rng = np.random.default_rng(0)
    sigma = np.array([0.6, 0.3, 0.3])
    measured = sample.assign(z_err=sigma[0], y_err=sigma[1], x_err=sigma[2])
    measured[["z", "y", "x"]] += sigma * rng.standard_normal((len(sample), 3))
    write_particles("found.csv", measured.drop(columns=["z_um", "y_um", "x_um"]))
    window = ["--shape", 88, 88, 88, "--voxel-size", 0.1, 0.1, 0.1, "--no-bands"]
    assert run("structure", "found.csv", *window, "--degrade", "fluid", "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    simulation = figures["simulation"]
    curves = figures["g"], simulation["exact"]["g"], simulation["degraded"]["g"]
    peak, exact, degraded = (max(curve["g"]) for curve in curves)
    assert degraded == pytest.approx(peak, rel=0.12)
    assert exact > 1.25 * degraded
    write_particles("simulated.csv", sample.drop(columns=["z_um", "y_um", "x_um"]))
    assert run("structure", "found.csv", *window, "--degrade", "simulated.csv") == 0
    assert "simulation with these errors: g(r) highest" in capsys.readouterr().out


def test_simulations_and_classes_that_cannot_be_had_are_refused(fails, folder, sample):
    write_particles("found.csv", sample)
    assert "needs the shape of the window" in fails("structure", "found.csv", "--degrade", "fluid")
    window = ["--shape", 88, 88, 88]
    assert "errors of the sample are not known" in fails("structure", "found.csv", *window, "--degrade", "fluid")
    assert "missing.csv" in fails("structure", "found.csv", *window, "--degrade", "missing.csv")
    assert "no column 'species'" in fails("structure", "found.csv", "--partial", "species")
    assert "takes a column and cuts" in fails("structure", "found.csv", "--partial", "radius:large")


@pytest.mark.skipif(sys.platform == "win32", reason="a script is no program there")
def test_topological_clusters_of_a_program_of_the_user(run, folder, sample, capsys, tcc_stand_in):
    write_particles("found.csv", sample)
    window = ["--shape", 88, 88, 88]
    how = ["--bond-cutoff", 1.8, "--recall", 0.9]
    assert run("structure", "found.csv", *window, "--tcc", tcc_stand_in, *how, "--output", "out.xyz", "--json") == 0
    shown = capsys.readouterr()
    assert shown.err.count("\n") == len(set(shown.err.splitlines())), "each notice once"
    assert "The recall is 90 %, but topological clusters need 98 %" in shown.err
    figures = json.loads(shown.out)
    table = read_particles("out.xyz")
    places = table[["z", "y", "x"]].to_numpy()
    near = cKDTree(places).query_ball_point(places, 1.8 * 8, return_length=True) - 1
    assert table["tcc_FCC"].tolist() == (near == 18).astype(int).tolist()
    assert table["tcc_13A"].tolist() == (near > 18).astype(int).tolist()
    inside = table[table["interior"] == 1]
    assert figures["tcc"]["interior"] == figures["interior"] == len(inside)
    assert figures["tcc"]["bond_cutoff"] == 1.8
    for name in ("sp3c", "FCC", "13A"):
        assert figures["tcc"]["populations"][name] == pytest.approx(inside[f"tcc_{name}"].mean())
    assert figures["tcc"]["populations"]["FCC"] > 0
    assert figures["unit"] == "um"
    written = json.loads(Path("out.xyz.json").read_text())
    assert written["tcc"] == figures["tcc"]
    assert run("structure", "found.csv", *window, "--tcc", tcc_stand_in) == 0
    shown = capsys.readouterr()
    assert f"In topological clusters, of {len(inside)} particles inside: 13A " in shown.out
    assert "topological clusters need 98 % (--recall)." in shown.err
    assert run("structure", "found.csv", *window, "--tcc-input", "folder") == 0
    subprocess.run([tcc_stand_in], cwd="folder", check=True, stdout=subprocess.DEVNULL)
    capsys.readouterr()
    assert run("structure", "found.csv", *window, "--tcc", "folder") == 0
    assert capsys.readouterr().out == shown.out


def test_the_input_of_tcc_alone(run, folder, sample, capsys):
    write_particles("found.csv", sample)
    assert run("structure", "found.csv", "--shape", 88, 88, 88, "--tcc-input", "tcc", "--bond-cutoff", 2) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == f"tcc: input of TCC, {len(sample)} particles; run TCC there\n"
    assert sorted(path.name for path in Path("tcc").iterdir()) == ["box.txt", "inputparameters.ini", "particles.xyz"]
    count, _, first = Path("tcc/particles.xyz").read_text().splitlines()[:3]
    assert int(count) == len(sample)
    placed = (sample[["x", "y", "z"]].iloc[0] + 0.5) / 8
    assert [float(number) for number in first.split(" ")[1:]] == pytest.approx(placed.tolist())
    assert "rcutAA = 2\n" in Path("tcc/inputparameters.ini").read_text()


def test_options_of_clusters_that_make_no_sense_are_refused(fails, folder, sample):
    write_particles("found.csv", sample)
    assert "--bond-cutoff is of use with --tcc or --tcc-input only" in fails(
        "structure", "found.csv", "--bond-cutoff", 1
    )
    assert "--voronoi-parameter must lie between 0.1 and 1" in fails(
        *("structure", "found.csv", "--tcc-input", "tcc", "--voronoi-parameter", 2)
    )
    for other in (["--json"], ["--output", "out.csv"], ["--tcc", "tcc"]):
        assert "leave out" in fails("structure", "found.csv", "--tcc-input", "tcc", *other)
    assert "There is no program 'nowhere'" in fails("structure", "found.csv", "--tcc", "nowhere", "--output", "out.csv")
