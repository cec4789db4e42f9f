"""Simulated stacks with exact truth: arrangement -> optics -> exposure -> `Simulation`.

The names are imported where they are first used: the parameters alone need neither NumPy nor SciPy.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
