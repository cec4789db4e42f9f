"""Structure and dynamics from particle tables: pair correlation function, linking, mean squared displacement."""

from napari_colloids.structure.diffusion import Diffusion, diffusion_coefficient
from napari_colloids.structure.displacement import mean_squared_displacement, plot_mean_squared_displacement
from napari_colloids.structure.linking import iter_link, link
from napari_colloids.structure.neighbours import first_minimum, neighbour_distance, suggest_search_range
from napari_colloids.structure.pair_correlation import PairCorrelation, pair_correlation

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
    "plot_mean_squared_displacement",
    "suggest_search_range",
]
