"""Shared by the tests of batches, each of which has a series of its own."""

from __future__ import annotations

import pytest
import tifffile


@pytest.fixture
def folder(tmp_path, series, monkeypatch):
    monkeypatch.chdir(tmp_path)
    meta = {"axes": "TZYX", "spacing": 0.2, "unit": "um"}
    tifffile.imwrite("series.tif", series, imagej=True, metadata=meta, resolution=(5, 5))
    return tmp_path
