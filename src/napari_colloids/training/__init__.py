"""Training of the network on simulated scenes: makes the bundled weights reproducibly, and fine-tunes them for a stack.

The names are imported where they are first used: the settings alone need no torch.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
