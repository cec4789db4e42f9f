"""Refinement: detections -> optics of the stack -> all particles fitted together -> exact positions with errors."""

from napari_colloids.refinement.psf import PSF
from napari_colloids.refinement.refine import Refinement, Residual, iter_refine, iter_residual, refine

__all__ = ["PSF", "Refinement", "Residual", "iter_refine", "iter_residual", "refine"]
