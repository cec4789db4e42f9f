"""Sample data: simulated stacks with their true particles beside them (File > Open Sample > Colloids)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_colloids.simulation import PRESETS
from napari_colloids.widgets.layers.reader import layers_of

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari_colloids.progress import Progress
    from napari_colloids.simulation import Parameters, Simulation
    from napari_colloids.widgets.layers.layers import LayerData


def iter_sample(parameters: Parameters, name: str) -> Generator[Progress, None, Simulation]:
    """Simulate a stack in steps, of which the first is to load what that needs."""
    from napari_colloids.simulation.scene import iter_simulate

    return (yield from iter_simulate(parameters, name))


def _sample(preset: str) -> list[LayerData]:
    from napari_colloids.widgets.layers.spheres import watch_all
    from napari_colloids.widgets.parts.waiting import wait_for

    made = wait_for(iter_sample(PRESETS[preset], preset), "Simulating")
    watch_all()
    return layers_of(made.stack, made.particles)


def dense() -> list[LayerData]:
    """Dense suspension of equal spheres."""
    return _sample("dense")


def dilute() -> list[LayerData]:
    """Few spheres, far apart."""
    return _sample("dilute")


def polydisperse() -> list[LayerData]:
    """Dense suspension of spheres of many sizes."""
    return _sample("polydisperse")


def nano() -> list[LayerData]:
    """Nano-colloids with little light and a long point spread function."""
    return _sample("nano, low light")
