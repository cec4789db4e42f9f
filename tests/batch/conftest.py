"""Shared by the tests of batches, each of which has a series of its own."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from napari_colloids.simulation import simulate


@pytest.fixture(scope="session")
def make_series():
    """Simulate so many frames of a shape and volume fraction, which know nothing of each other."""

    def make(shape, volume_fraction, count):
        some = {"shape": shape, "volume_fraction": volume_fraction, "radius": 4, "snr": 8, "cnr": 8}
        return np.array([simulate(**some, seed=seed).stack.data for seed in range(count)])

    return make


@pytest.fixture
def folder(tmp_path, series, monkeypatch):
    monkeypatch.chdir(tmp_path)
    meta = {"axes": "TZYX", "spacing": 0.2, "unit": "um"}
    tifffile.imwrite("series.tif", series, imagej=True, metadata=meta, resolution=(5, 5))
    return tmp_path


@pytest.fixture
def client():
    """Connect to a worker in this process, which takes less time to start than one in another."""
    distributed = pytest.importorskip("distributed")
    local = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**local) as cluster, distributed.Client(cluster) as connected:
        yield connected
