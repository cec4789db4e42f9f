"""Training of the network on simulated scenes: makes the bundled weights reproducibly."""

from napari_colloids.training.config import Config
from napari_colloids.training.loop import train

__all__ = ["Config", "train"]
