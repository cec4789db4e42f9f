"""The program itself: help, version, wrong usage."""

import subprocess
import sys
from pathlib import Path

import pytest


def test_nothing_at_all_asks_for_help(run, capsys):
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


def test_version(run, capsys):
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
def test_wrong_usage_is_one_line(fails, arguments, folder):
    fails(*arguments)
