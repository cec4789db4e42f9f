"""Weights from a file instead of the bundled ones."""

from __future__ import annotations

import shutil
from importlib.resources import files

import pandas as pd
import pytest

from napari_colloids import ColloidsError
from napari_colloids.detection import Options, detect
from napari_colloids.detection.weights import FILE, weights_digest
from napari_colloids.simulation import simulate


@pytest.fixture(scope="module")
def stack():
    return simulate(shape=(40, 42, 44), volume_fraction=0.4, radius=5, snr=8, cnr=8, seed=2).stack


def test_a_copy_of_the_bundled_ones_finds_the_same(stack, tmp_path):
    copy = tmp_path / "mine.safetensors"
    copy.write_bytes(files("napari_colloids.detection").joinpath("weights", FILE).read_bytes())
    pd.testing.assert_frame_equal(detect(stack, weights=str(copy)), detect(stack))
    assert weights_digest(str(copy)) == weights_digest()


def test_other_weights_see_something_else_even_under_the_same_name(stack, blind_weights, tmp_path):
    path = tmp_path / "mine.safetensors"
    path.write_bytes(files("napari_colloids.detection").joinpath("weights", FILE).read_bytes())
    assert len(detect(stack, diameter=10, weights=str(path))) > 20
    shutil.copy(blind_weights, path)
    assert len(detect(stack, diameter=10, weights=str(path))) == 0
    estimated = detect(stack, weights=str(path))
    assert not estimated.attrs["diameter_certain"]


def test_what_are_no_weights_is_refused_by_name(stack, tmp_path):
    (tmp_path / "notes.txt").write_text("not weights")
    for name, said in (("nowhere.safetensors", "cannot be read"), ("notes.txt", "does not hold"), (".", "cannot be")):
        path = str(tmp_path / name)
        with pytest.raises(ColloidsError, match=said) as raised:
            detect(stack, diameter=10, weights=path)
        assert path in str(raised.value)


def test_the_reference_methods_have_none():
    with pytest.raises(ColloidsError, match="network only"):
        Options(method="log", weights="mine.safetensors")
