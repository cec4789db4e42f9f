"""Small checks on files that every reader needs."""

from __future__ import annotations

import errno
import importlib
import json
import logging
import threading
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_colloids.errors import ColloidsError
from napari_colloids.jsonable import jsonable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: What a path may be given as.
AnyPath = str | PathLike[str]


def existing_file(path: AnyPath) -> Path:
    """Return the path if it is a file that can be read and is not empty.

    Raises
    ------
    ColloidsError
        If it is missing, a folder, empty or not readable.
    """
    file = Path(path)
    try:
        if file.is_dir():
            raise ColloidsError(f"'{file}' is a folder; give one file in it.")
        if file.exists() and not file.is_file():
            raise ColloidsError(f"'{file}' is no file, but a device or a pipe.")
        with file.open("rb") as handle:
            if not handle.read(1):
                raise ColloidsError(f"'{file}' is empty (0 bytes); was it copied completely?")
    except FileNotFoundError as error:
        raise ColloidsError(f"There is no file '{file}'.") from error
    except OSError as error:
        raise ColloidsError(f"'{file}' cannot be opened: {error.strerror or error}.") from error
    return file


def existing_folder(path: AnyPath) -> Path:
    """Return the path if it is a folder.

    Raises
    ------
    ColloidsError
        If it is missing or a file.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise ColloidsError(
            f"'{folder}' is a file; a folder is expected." if folder.exists() else f"There is no folder '{folder}'."
        )
    return folder


def ending(path: AnyPath) -> str:
    """Return the last ending of a file name in lower case, e.g. ``".tif"``."""
    return Path(path).suffix.lower()


def one_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its class where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def library(name: str, path: AnyPath) -> Any:
    """Import a package that only some formats need.

    Raises
    ------
    ColloidsError
        If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ColloidsError(
            f"To read '{path}' one more package is needed ({name}): pip install \"napari-colloids[formats]\"."
        ) from error


@contextmanager
def reading(path: AnyPath, kind: str) -> Iterator[None]:
    """Turn whatever a library raises about a file into one `ColloidsError`.

    Parameters
    ----------
    path
        The file.
    kind
        What it should be, e.g. ``"a Zeiss CZI file"``.
    """
    try:
        yield
    except ColloidsError:
        raise
    except Exception as error:  # parsers raise nearly anything on damaged bytes
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:  # as a memory map says it
            message = f"'{path}' does not fit into memory; read it with lazy=True, or crop it."
        elif "plugin" in str(error):  # which is what HDF5 looks for
            message = (
                f"'{path}' is compressed by a filter of HDF5 that is not installed; save it with gzip, or uncompressed."
            )
        else:
            message = f"'{path}' is not {kind}, or it is damaged or cut short ({one_line(error)}); copy it again."
        raise ColloidsError(message) from error


@contextmanager
def quiet(logger: str, heard: Callable[[logging.LogRecord], None] = lambda record: None) -> Iterator[None]:
    """Keep what a library logs in this thread off the terminal; `heard` gets it instead."""
    thread = threading.get_ident()

    def mine(record: logging.LogRecord) -> bool:
        if record.thread != thread:
            return True
        heard(record)
        return False

    log = logging.getLogger(logger)
    log.addFilter(mine)
    try:
        yield
    finally:
        log.removeFilter(mine)


def to_json(value: Any) -> str:
    """Return JSON text of a `jsonable` value."""
    return json.dumps(jsonable(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
