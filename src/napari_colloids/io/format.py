"""A file format: its endings, and the module that reads it, imported when a file is opened."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar, TypeVar

from napari_colloids.io.files import AnyPath, ending, missing_package

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType


@dataclass(frozen=True)
class FileFormat:
    """A file format.

    Attributes
    ----------
    label
        Name of the format or of its maker, as a file dialog shows it.
    endings
        Endings of its files in lower case, each with its dot; the first one is the usual.
    module
        Name of the module in `package` that reads the files. It is imported for the first file, so that it may import
        optional packages at its top.
    """

    label: str
    endings: tuple[str, ...]
    module: str

    #: Full name of the package that the module is in.
    package: ClassVar[str]

    def load(self) -> ModuleType:
        """Import the module.

        Raises
        ------
        ColloidsError
            If a package that it needs is not installed.
        """
        try:
            return import_module(f"{self.package}.{self.module}")
        except ImportError as error:
            raise missing_package(f"{self.label} files need", error.name or str(error)) from error


_Format = TypeVar("_Format", bound=FileFormat)


def endings_of(formats: Iterable[FileFormat]) -> tuple[str, ...]:
    """Return the endings of all formats."""
    return tuple(suffix for one in formats for suffix in one.endings)


def format_of(path: AnyPath, formats: Iterable[_Format]) -> _Format | None:
    """Return the format that the ending of a path names, or None for an unknown one."""
    return next((one for one in formats if ending(path) in one.endings), None)


def dialog_filter(formats: Iterable[FileFormat]) -> str:
    """Return the formats as the filter of a file dialog: ``"TIFF (*.tif *.tiff);;NumPy (*.npy)"``."""
    return ";;".join(f"{one.label} ({' '.join(f'*{suffix}' for suffix in one.endings)})" for one in formats)
