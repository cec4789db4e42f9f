"""Shared by the tests of the training."""

from functools import cache

import pytest

from napari_colloids.training import loop
from napari_colloids.training.domain import Domain


@pytest.fixture(scope="session")
def packed_once():
    """Domains by seed and number of packings, which take most of the time of a short run."""
    return cache(Domain)


@pytest.fixture(autouse=True)
def domains_of_runs(packed_once, monkeypatch):
    """Let all runs of one seed take their scenes from one domain: it says itself that they are the same."""
    monkeypatch.setattr(loop, "Domain", packed_once)
