"""Dynamics from the particle tables of time series: linking, diffusion, relaxation, motion relative to the cage."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
