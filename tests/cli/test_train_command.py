"""``napari-colloids train``: refusal of configurations that cannot be used."""

from pathlib import Path


def test_train_refuses(fails, folder):
    assert "missing.toml" in fails("train", "missing.toml")
    Path("bad.toml").write_text("steps = [")
    assert "bad.toml" in fails("train", "bad.toml")
