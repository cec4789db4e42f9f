"""What particle tables tell: pair correlation, trajectories and how far particles move."""

from napari_colloids.structure.linking import iter_link, link
from napari_colloids.structure.motion import Diffusion, diffusion_coefficient, mean_squared_displacement
from napari_colloids.structure.pair_correlation import (
    PairCorrelation,
    first_minimum,
    neighbour_distance,
    pair_correlation,
    suggest_search_range,
)

__all__ = [
    "Diffusion",
    "PairCorrelation",
    "diffusion_coefficient",
    "first_minimum",
    "iter_link",
    "link",
    "mean_squared_displacement",
    "neighbour_distance",
    "pair_correlation",
    "suggest_search_range",
]
