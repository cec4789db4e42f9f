"""What a training goes on from: its own recipe and a log that may be torn."""

from __future__ import annotations

import json

import pytest
from matplotlib.image import imread
from safetensors import safe_open

from napari_colloids import ColloidsError, cli
from napari_colloids.training import train
from napari_colloids.training.config import Config
from napari_colloids.training.curves import draw_curves
from napari_colloids.training.stage import Stage

RECIPE = """
output = "run"
seed = 1
packings = 2
batch = 1
channels = [4, 4, 4]
workers = 0
warmup = 1
weight_decay = 1e-3
clip = 2.0
average = 0.999
calibration_scenes = 2
device = "cpu"
[[stages]]
steps = 1
learning_rate = 2e-3
nano = 0.25
[[stages]]
steps = 1
learning_rate = 1e-3
shells = 0.2
"""


@pytest.fixture
def recipe(tmp_path):
    """Return a function that writes the recipe with some of its lines changed."""

    def write(*changes):
        text = RECIPE
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        path = tmp_path / "recipe.toml"
        path.write_text(text)
        return path

    return write


def test_a_changed_recipe_is_not_gone_on_with(recipe, capsys):
    train(recipe())
    changes = {
        "seed = 1": ("seed = 77", "seed = 1, which is now 77"),
        "packings = 2": ("packings = 3", "packings = 2"),
        "batch = 1": ("batch = 2", "batch = 1"),
        "warmup = 1": ("warmup = 2", "warmup = 1"),
        "weight_decay = 1e-3": ("weight_decay = 0", "weight_decay = 0.001"),
        "clip = 2.0": ("clip = 1.0", "clip = 2.0"),
        "average = 0.999": ("average = 0.9", "average = 0.999"),
        "learning_rate = 2e-3": ("learning_rate = 3e-3", "learning_rate of stage 1 = 0.002, which is now 0.003"),
        "nano = 0.25": ("nano = 0.5", "nano of stage 1"),
        "shells = 0.2": ("shells = 0.3", "shells of stage 2"),
        "steps = 1\nlearning_rate = 1e-3": ("steps = 2\nlearning_rate = 1e-3", "steps of stage 2 = 1, which is now 2"),
    }
    for before, (after, words) in changes.items():
        capsys.readouterr()
        assert cli.main(["train", str(recipe((before, after))), "--resume"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert words in line
        assert "start anew" in line


def test_later_stages_and_what_does_not_decide_may_change(recipe):
    train(recipe())
    weights = train(
        recipe(
            ("workers = 0", "workers = 1\ncheckpoint_seconds = 0.0\nthreads = 2\naveraged_stages = 2"),
            ("calibration_scenes = 2", "calibration_scenes = 3"),
            ("shells = 0.2", "shells = 0.2\n[[stages]]\nsteps = 2\nnano = 1.0"),
        ),
        resume=True,
    )
    with safe_open(weights, "pt") as file:
        assert file.metadata()["step"] == "4"
        assert len(json.loads(file.metadata()["config"])["stages"]) == 3


def test_only_stages_that_had_begun_must_be_the_same():
    then = {
        "seed": 0,
        "stages": [{"steps": 10, "learning_rate": 0.002}, {"steps": 10, "nano": 0.25}],
    }  # an old version's
    longer = Config(stages=(Stage(10), Stage(20, nano=0.5), Stage(5)))
    longer.check_resumes(then, 10)
    with pytest.raises(ColloidsError, match="steps of stage 2 = 10, which is now 20"):
        longer.check_resumes(then, 11)
    Config(stages=(Stage(10), Stage(10))).check_resumes(then, 20)


def test_a_torn_log_is_gone_on_with_on_a_new_line(recipe):
    log = train(recipe()).with_name("log.jsonl")
    log.write_text(log.read_text() + '{"step": 2, "sec')
    train(recipe(("shells = 0.2", "shells = 0.2\n[[stages]]\nsteps = 1")), resume=True)
    lines = log.read_text().splitlines()
    assert lines[1] == '{"step": 2, "sec'
    assert [json.loads(line)["step"] for line in (lines[0], lines[2])] == [2, 3]
    assert len(lines) == 3
    assert imread(log.with_name("curves.png")).ndim == 3


def test_a_log_without_a_whole_line_has_no_picture(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text('\0\0\n17\n{"st')
    draw_curves(log, Config(), tmp_path / "curves.png")
    assert list(tmp_path.iterdir()) == [log]
