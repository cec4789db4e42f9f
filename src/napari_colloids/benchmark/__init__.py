"""How good is the network, beside tuned rivals? Suites of simulated volumes that no training has seen.

`napari_colloids.benchmark.refinement` measures positions against the Cramer-Rao bound.
"""

from napari_colloids.benchmark.run import run
from napari_colloids.benchmark.suites import SUITES

__all__ = ["SUITES", "run"]
