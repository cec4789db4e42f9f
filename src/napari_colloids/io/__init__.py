"""Reading of image stacks, reading and writing of particle tables, and the file layouts of the challenge.

The names are imported where they are first used: a process that reads nothing but pixels needs no tables.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
