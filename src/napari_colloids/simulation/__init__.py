"""Simulated stacks with exact truth: arrangement -> optics -> exposure -> `Simulation`."""

from napari_colloids.simulation.arrangement import ARRANGEMENTS
from napari_colloids.simulation.brownian import BrownianSimulation, simulate_brownian
from napari_colloids.simulation.challenge import challenge_parameters
from napari_colloids.simulation.presets import PRESETS
from napari_colloids.simulation.scene import Parameters, Simulation, simulate

__all__ = [
    "ARRANGEMENTS",
    "PRESETS",
    "BrownianSimulation",
    "Parameters",
    "Simulation",
    "challenge_parameters",
    "simulate",
    "simulate_brownian",
]
