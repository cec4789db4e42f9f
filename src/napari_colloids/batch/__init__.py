"""Detection in files: many, large, interrupted, on one machine or on a cluster; always with the same result.

The names are imported where they are first used: the settings alone need neither NumPy nor torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
