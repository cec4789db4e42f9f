"""Checks and error messages that all readers share."""

from __future__ import annotations

import errno
import json
import logging
import os
import threading
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from napari_colloids.errors import ColloidsError, brief
from napari_colloids.jsonable import jsonable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Types that a path may have.
AnyPath = str | PathLike[str]
#: What the HDF5 library says of a file that is being written.
_OPEN_ELSEWHERE = ("unable to lock file", "already open for write")
#: Endings of HDF5 files.
HDF5_ENDINGS = (".h5", ".hdf5")
#: Largest file of JSON that is read, in bytes.
_MAX_JSON_BYTES = 1 << 26


def checked_path(path: AnyPath) -> Path:
    """Return the path that a name stands for.

    Raises
    ------
    ColloidsError
        If it is neither a text nor a path.
    """
    if not isinstance(path, str | PathLike):
        raise ColloidsError(f"A file is given by its name, a text or a path, not by {brief(path)}.")
    return Path(path)


def existing_file(path: AnyPath) -> Path:
    """Return the path of a file that can be read and is not empty.

    Raises
    ------
    ColloidsError
        If it is missing, a folder, empty or not readable.
    """
    file = checked_path(path)
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
    """Return the path of an existing folder.

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


def plain_file_beside(folder: Path, name: str) -> Path | None:
    """Return the file that another file refers to by its name.

    Parameters
    ----------
    folder
        The folder of the file that refers to it.
    name
        Path relative to the folder, with either kind of slash.

    Returns
    -------
    Path or None
        None unless it is a plain file in the folder or in one below: a reference to elsewhere may name anything that
        the user can read, and to open a pipe or a device may take for ever.
    """
    try:
        file = (folder / name.replace("\\", "/")).absolute()
        inside = Path(os.path.normpath(file)).is_relative_to(os.path.normpath(folder.absolute()))
        return file if inside and file.is_file() else None
    except (OSError, ValueError):  # no name that a file can have
        return None


def ending(path: AnyPath) -> str:
    """Return the last ending of a file name in lower case, e.g. ``".tif"``."""
    return checked_path(path).suffix.lower()


def one_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its class where that is empty."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def missing_package(what: str, name: str) -> ColloidsError:
    """Return the error that a package is not installed.

    Parameters
    ----------
    what
        What needs it, with its verb: ``"Nikon files need"``.
    name
        The package.
    """
    return ColloidsError(f'{what} one more package ({name}): pip install "napari-colloids[formats]".')


@contextmanager
def reading(path: AnyPath, kind: str) -> Iterator[None]:
    """Convert any error of a library that reads a file to a `ColloidsError` of one line.

    Parameters
    ----------
    path
        The file.
    kind
        What it should be, e.g. ``"a Zeiss CZI file"``.

    Raises
    ------
    ColloidsError
        If the ``with`` block raised an error.
    """
    try:
        yield
    except ColloidsError:
        raise
    except Exception as error:  # parsers raise nearly anything on damaged bytes
        if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:  # of memory maps
            message = f"'{path}' does not fit into memory; read it with lazy=True, or crop it."
        elif any(phrase in str(error) for phrase in _OPEN_ELSEWHERE):
            message = f"'{path}' is open for writing, here or in another program; close it there, then read it."
        elif "plugin" in str(error):  # HDF5 names the directory of its filters
            message = (
                f"'{path}' is compressed by a filter of HDF5 that is not installed; save it with gzip, or uncompressed."
            )
        else:
            message = f"'{path}' is not {kind}, or it is damaged or cut short ({one_line(error)}); copy it again."
        raise ColloidsError(message) from error


@contextmanager
def quiet(logger: str, handler: Callable[[logging.LogRecord], None] = lambda record: None) -> Iterator[None]:
    """Suppress the log messages of a library in this thread; `handler` gets them instead."""
    thread = threading.get_ident()

    def suppress(record: logging.LogRecord) -> bool:
        if record.thread != thread:
            return True
        handler(record)
        return False

    log = logging.getLogger(logger)
    log.addFilter(suppress)
    try:
        yield
    finally:
        log.removeFilter(suppress)


def json_object(path: Path) -> dict[str, object] | None:
    """Return the JSON object in a file, such as the note beside a table.

    Returns
    -------
    dict or None
        None where there is no such file, or no plain one: a pipe would never answer.

    Raises
    ------
    ColloidsError
        If the file cannot be read, or holds anything else.
    """
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise ColloidsError(f"'{path}' is too large.")
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:  # the last where it is nested very deep
        raise ColloidsError(f"'{path}' cannot be read, or is damaged ({one_line(error)}).") from error
    if not isinstance(content, dict):
        raise ColloidsError(f"'{path}' is damaged: it is no JSON object.")
    return content


def to_json(value: object) -> str:
    """Return JSON text of a value; NumPy values and paths are converted, NaN becomes null."""
    text = json.dumps(jsonable(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # Bytes of a file name that are not UTF-8 become the escapes of JSON, and come back from there as they were.
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
