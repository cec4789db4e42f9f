"""Sample data: simulated stacks with their true particles beside them (File > Open Sample > Colloids)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_colloids.widgets.layers.reader import layers_of

if TYPE_CHECKING:
    from napari_colloids.widgets.layers.layers import LayerData


def _sample(preset: str) -> list[LayerData]:
    from dataclasses import replace

    from napari_colloids.simulation import PRESETS, simulate
    from napari_colloids.widgets.layers.spheres import watch_all

    made = simulate(PRESETS[preset])
    watch_all()
    return layers_of(replace(made.stack, name=preset), made.particles)


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
