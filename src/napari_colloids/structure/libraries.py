"""Libraries of the extra ``structure``, which are imported where they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from types import ModuleType


def freud() -> ModuleType:
    """Return the library freud.

    Raises
    ------
    ColloidsError
        If it is not installed.
    """
    try:
        import freud as library
    except ImportError as error:
        raise ColloidsError(
            'Voronoi cells and bond order need one more package: pip install "napari-colloids[structure]".'
        ) from error
    return library


def multivoro() -> ModuleType:
    """Return the library multivoro.

    Raises
    ------
    ColloidsError
        If it is not installed.
    """
    try:
        import multivoro as library
    except ImportError as error:
        raise ColloidsError(
            'Laguerre cells need one more package, which is not there for Windows: pip install "multivoro>=0.1.3".'
        ) from error
    return library
