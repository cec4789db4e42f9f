"""Find every colloid in dense 3D microscope stacks.

The names below are the public API. They are imported where they are first used, so that
``import napari_colloids`` costs nothing and pulls in neither torch nor Qt nor napari.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_colloids.detection import Options, Region, detect, detect_series, iter_detect
    from napari_colloids.errors import ColloidsError
    from napari_colloids.io import (
        list_series,
        particle_writer,
        read_particles,
        read_stack,
        read_truth,
        write_particles,
    )
    from napari_colloids.particles import particle_table
    from napari_colloids.scoring import challenge_ap, match, score
    from napari_colloids.simulation import PRESETS, Parameters, simulate, simulate_brownian
    from napari_colloids.stack import Stack
    from napari_colloids.structure import (
        diffusion_coefficient,
        link,
        mean_squared_displacement,
        pair_correlation,
        suggest_search_range,
    )

try:
    __version__ = version("napari-colloids")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"

_HOMES = {
    "ColloidsError": "errors",
    "Options": "detection",
    "PRESETS": "simulation",
    "Parameters": "simulation",
    "Region": "detection",
    "Stack": "stack",
    "challenge_ap": "scoring",
    "detect": "detection",
    "detect_series": "detection",
    "diffusion_coefficient": "structure",
    "iter_detect": "detection",
    "link": "structure",
    "list_series": "io",
    "match": "scoring",
    "mean_squared_displacement": "structure",
    "pair_correlation": "structure",
    "particle_table": "particles",
    "particle_writer": "io",
    "read_particles": "io",
    "read_stack": "io",
    "read_truth": "io",
    "score": "scoring",
    "simulate": "simulation",
    "simulate_brownian": "simulation",
    "suggest_search_range": "structure",
    "write_particles": "io",
}

__all__ = [
    "PRESETS",
    "ColloidsError",
    "Options",
    "Parameters",
    "Region",
    "Stack",
    "__version__",
    "challenge_ap",
    "detect",
    "detect_series",
    "diffusion_coefficient",
    "iter_detect",
    "link",
    "list_series",
    "match",
    "mean_squared_displacement",
    "pair_correlation",
    "particle_table",
    "particle_writer",
    "read_particles",
    "read_stack",
    "read_truth",
    "score",
    "simulate",
    "simulate_brownian",
    "suggest_search_range",
    "write_particles",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
