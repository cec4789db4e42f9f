"""Training: makes the bundled weights reproducibly from the simulation."""

from napari_colloids.training.loop import Config, train

__all__ = ["Config", "train"]
