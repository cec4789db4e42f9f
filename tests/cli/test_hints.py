"""Messages of the library, which knows of no options, are shown with those that help."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

import napari_colloids
from napari_colloids.cli.hints import HINTS, with_hint

PACKAGE = Path(napari_colloids.__file__).parent
DETECT = ["detect", "stack.npy", "-o", "found.csv"]


@pytest.fixture
def files(folder):
    noise = np.random.default_rng(0).normal(100, 10, (16, 18, 20)).astype(np.uint8)
    np.save("stack.npy", noise)
    np.save("other.npy", noise)
    tifffile.imwrite("labels.tif", np.zeros((5, 8, 9, 10), np.uint8), metadata={"axes": "QZYX"})
    z, y, x = np.mgrid[:3, :3, :3].reshape(3, -1).astype(float)
    pd.concat([pd.DataFrame({"frame": frame, "z": z, "y": y, "x": x}) for frame in range(3)]).to_csv("series.csv")


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["detect", "labels.tif", "-o", "found.csv"], "--axes"),
        ([*DETECT, "--diameter-um", 1], "--voxel-size"),
        ([*DETECT, "--z-scale", 0.9], "--voxel-size"),
        ([*DETECT, "--voxel-size", 1, 0.001, 0.001], "--voxel-size"),
        ([*DETECT, "--diameter-um", 1, "--voxel-size", 1, 1, 1], "--diameter-um, --voxel-size"),
        ([*DETECT, "--diameter", 8, "--diameter-um", 1], "--diameter, --diameter-um"),
        ([*DETECT, "--frames", "one"], "--frames"),
        ([*DETECT, "--frames", "4:9"], "--frames"),
        ([*DETECT, "other.npy"], "--output"),
        ([*DETECT, "--workers", 2, "--scheduler", "tcp://127.0.0.1:1"], "--workers, --scheduler"),
        (["simulate", "out.h5", "--voxel-aspect", 3], "--voxel-size"),
        (["link", "series.csv", "-o", "tracks.csv", "--search-range", 500], "--search-range"),
    ],
)
def test_a_message_names_the_options_that_help(files, fails, arguments, options):
    line = fails(*arguments)
    assert line.endswith(f"({options}).")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*DETECT, "--diameter-um", -1], "--diameter-um must lie between 0.001 and 1000 µm, not -1."),
        ([*DETECT, "--z-scale", "nan"], "--z-scale must be finite, not nan."),
        ([*DETECT, "--workers", 0], "--workers must be at least 1, not 0."),
        (["simulate", "out.h5", "--psf-tilt", 9, 0], "--psf-tilt must lie between -5 and 5, not (9.0, 0.0)."),
        (
            ["train", "wrong.toml"],
            "In wrong.toml: seed must lie between 0 and 9223372036854775807, not -1.",
        ),  # which is no option here
    ],
)
def test_a_refused_setting_is_named_as_its_option(files, fails, arguments, message):
    Path("wrong.toml").write_text("seed = -1")
    assert fails(*arguments).startswith(f"Error: {message}")


def test_a_hint_is_given_for_each_of_several_inputs(files, run, capsys):
    assert run("detect", "stack.npy", "other.npy", "-o", "tables", "--diameter-um", 1) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(line.endswith("(--voxel-size).") for line in lines)


def test_other_messages_stay_as_they_are():
    assert with_hint("There is no file 'a.tif'.") == "There is no file 'a.tif'."


@pytest.mark.parametrize("words", HINTS)
def test_the_library_says_so(words):
    """A message that was reworded must not lose its hint."""
    library = (path for path in PACKAGE.rglob("*.py") if path.parent.name not in ("cli", "widgets"))
    assert any(words in path.read_text(encoding="utf-8") for path in library)


@pytest.mark.parametrize("path", sorted((PACKAGE / "batch").glob("*.py")), ids=lambda path: path.name)
def test_batches_know_of_no_options(path):
    assert not re.findall(r"--[a-z]+", path.read_text(encoding="utf-8"))
