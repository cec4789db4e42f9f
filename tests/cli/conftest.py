"""Shared by the tests of commands: the program as it is called, in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import tifffile

from napari_colloids import cli
from napari_colloids.simulation import simulate


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def simulated():
    return simulate(shape=(32, 40, 44), volume_fraction=0.3, radius=5, psf_sigma=(1.5, 1, 1), snr=10, cnr=10, seed=3)


@pytest.fixture
def stack_file(folder, simulated):
    tifffile.imwrite(folder / "stack.tif", simulated.stack.data, imagej=True, metadata={"axes": "ZYX"})
    return "stack.tif"


@pytest.fixture(scope="session")
def run():
    """Run the program with these words and return its exit status."""

    def run(*arguments):
        return cli.main([str(argument) for argument in arguments])

    return run


@pytest.fixture
def fails(run, capsys):
    """Run what must fail as the contract says: one line, status 2, nothing half-written; return the line."""

    def fails(*arguments):
        before = sorted(path.name for path in Path.cwd().iterdir())
        capsys.readouterr()
        assert run(*arguments) == 2
        shown = capsys.readouterr()
        assert shown.out == ""
        (line,) = shown.err.splitlines()
        assert line.startswith("Error: ")
        assert sorted(path.name for path in Path.cwd().iterdir()) == before
        return line

    return fails
