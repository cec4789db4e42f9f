"""Libraries of the extra ``structure``, which are imported where they are needed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from types import ModuleType


def freud() -> ModuleType:
    """Return the library freud; raises a `ColloidsError` if it is not installed."""
    advice = 'Voronoi cells and bond order need one more package: pip install "napari-colloids[structure]".'
    return _imported("freud", advice)


def multivoro() -> ModuleType:
    """Return the library multivoro; raises a `ColloidsError` if it is not installed."""
    advice = 'Laguerre cells need one more package, which is not there for Windows: pip install "multivoro>=0.1.3".'
    return _imported("multivoro", advice)


def _imported(name: str, advice: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise ColloidsError(advice) from error
