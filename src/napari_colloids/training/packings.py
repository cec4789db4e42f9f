"""Random arrangements of spheres of about unit radius, made in advance for all training scenes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_colloids.simulation.arrangement import Arrangement, Composition, arrange, species_radii
from napari_colloids.training.draws import log_uniform

if TYPE_CHECKING:
    from numpy.random import Generator

#: Edge of the boxes, in particle radii.
_BOX_RADII = 17.0


def unit_arrangement(kind: str, rng: Generator) -> Arrangement:
    """Draw an arrangement of mean radius 1: ``random``, ``crystal``, ``gel``, ``strings`` or ``dilute``."""
    polydispersity = [0.0, rng.uniform(0.0, 0.04), rng.uniform(0.04, 0.15), rng.uniform(0.15, 0.28)]
    spread = float(rng.choice(polydispersity, p=[0.25, 0.25, 0.35, 0.15]))
    ratio = float(rng.uniform(1.2, 3.0)) if rng.random() < 0.12 else 1.0  # binary mixtures, as glass-formers are
    if ratio > 1:
        spread = min(spread, 0.05)
    ranges = {
        "random": (0.05, 0.60),
        "crystal": (0.45, 0.72),
        "gel": (0.05, 0.30),
        "strings": (0.02, 0.20),
        "dilute": (0.003, 0.05),
    }
    low, high = ranges[kind]
    # Dense samples are the hard ones, and those of interest: they are drawn more often than dilute ones.
    fraction = low + (high - low) * float(rng.beta(1.6, 0.9) if kind == "random" else rng.random())
    name = "random" if kind == "dilute" else kind
    box = 2 * _BOX_RADII if kind == "crystal" else _BOX_RADII  # crystals are not periodic
    return arrange(name, (box, box, box), Composition(fraction, 1.0, spread, ratio), rng)


def unit_mixture(rng: Generator) -> Arrangement:
    """Draw a mixture of large and small spheres; radius 1 is their mean or that of the small ones, in three of ten.

    Who has measured the small particles will give their diameter.
    """
    ratio, share = float(rng.uniform(1.4, 3.0)), log_uniform(rng, 0.03, 0.5)
    fraction = 0.1 + 0.45 * float(rng.beta(1.6, 0.9))
    spread = float(rng.uniform(0, 0.05))
    composition = Composition(fraction, 1.0, spread, ratio, share)
    made = arrange("random", (_BOX_RADII, _BOX_RADII, _BOX_RADII), composition, rng)
    unit = float(species_radii(ratio, share)[0]) if rng.random() < 0.3 else 1.0
    box = _BOX_RADII / unit
    return Arrangement(made.positions / unit, made.radii / unit, (box, box, box), periodic=True)
