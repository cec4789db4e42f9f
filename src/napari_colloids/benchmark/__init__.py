"""Benchmark of the network beside tuned reference methods, on suites of simulated volumes that no training has seen.

`napari_colloids.benchmark.refinement` measures localisation errors against the Cramer-Rao bound.
"""

from napari_colloids.benchmark.methods import METHODS
from napari_colloids.benchmark.run import run
from napari_colloids.benchmark.suites import SUITES

__all__ = ["METHODS", "SUITES", "run"]
