"""Refinement of detected particles: a model of the image, fitted to positions, radii, brightness and optics at once."""

from napari_colloids.refinement.psf import PSF
from napari_colloids.refinement.refine import iter_refine, iter_residual, refine
from napari_colloids.refinement.results import Refinement, Residual

__all__ = ["PSF", "Refinement", "Residual", "iter_refine", "iter_residual", "refine"]
