"""The napari side: docks, readers, writer, sample data. Nothing outside this folder imports Qt or napari.

A dock is a file here, a line in ``__init__.pyi`` and an entry in ``napari.yaml``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
