"""Find every colloid in dense 3D microscope stacks.

The public names stand in ``__init__.pyi``. They are imported where they are first used, so that ``import
napari_colloids`` costs nothing and pulls in neither torch nor Qt nor napari.
"""

from importlib.metadata import PackageNotFoundError, version

import lazy_loader

try:
    __version__ = version("napari-colloids")
except PackageNotFoundError:  # run from a source tree that was never installed
    __version__ = "0+unknown"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
