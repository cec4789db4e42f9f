"""``napari-colloids train``: refusal of configurations and stacks that cannot be used."""

from pathlib import Path

import numpy as np
import tifffile


def test_train_refuses(fails, folder):
    assert "missing.toml" in fails("train", "missing.toml")
    Path("bad.toml").write_text("steps = [")
    assert "bad.toml" in fails("train", "bad.toml")


def test_either_a_configuration_or_a_stack(fails, folder):
    assert "Give a configuration file, or --match" in fails("train")
    assert "not both" in fails("train", "recipe.toml", "--match", "stack.tif")
    assert "--learning-rate is for --match only" in fails("train", "recipe.toml", "--learning-rate", "1e-3")
    assert "--output is for --match only" in fails("train", "recipe.toml", "--output", "run")
    assert "missing.tif" in fails("train", "--match", "missing.tif")


def test_a_stack_without_a_twin_leaves_nothing(fails, folder):
    noise = np.random.default_rng(0).normal(100, 20, (24, 40, 40)).astype(np.uint8)
    tifffile.imwrite("noise.tif", noise)
    assert "only 0 particles" in fails("train", "--match", "noise.tif", "--diameter", 8)
    assert "--steps must" in fails("train", "--match", "noise.tif", "--steps", 0)
