"""Training: makes the bundled weights reproducibly from the simulation."""

from napari_colloids.training.config import Config
from napari_colloids.training.loop import train

__all__ = ["Config", "train"]
