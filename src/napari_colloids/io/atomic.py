"""Atomic writing: an output file is either complete or absent."""

from __future__ import annotations

import os
import re
import shutil
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import AnyPath, one_line
from napari_colloids.io.holder import Holder

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Name of a temporary file, which says who writes it.
_TEMPORARY_NAME = ".napari-colloids-{host}-{pid}-{started:.0f}-{word}{suffix}"
_TEMPORARY = re.compile(r"\.napari-colloids-(.+)-(\d+)-(\d+)-([0-9a-f]+)(\.[^.]*)?")


@contextmanager
def atomic_write(path: AnyPath) -> Iterator[Path]:
    """Write a file under a temporary name in the same folder and rename it on success.

    If the ``with`` block fails, a file that was there before stays as it was, and no half-written file is left.

    Parameters
    ----------
    path
        The file to write. A link is followed, so that it stays a link.

    Yields
    ------
    pathlib.Path
        An empty file in the same folder, with the same ending, to be written instead.

    Raises
    ------
    ColloidsError
        If the folder does not exist, nothing can be written there, the path is a folder, or the disk is full.

    See Also
    --------
    particle_writer : Writes a particle table in the same way.

    Examples
    --------
    >>> from pathlib import Path
    >>> from napari_colloids.io import atomic_write
    >>> with atomic_write("notes.txt") as temporary:
    ...     characters = temporary.write_text("complete")
    >>> Path("notes.txt").read_text()
    'complete'
    """
    with translating_write_errors(path), replace_on_success(path) as temporary:
        yield temporary


@contextmanager
def translating_write_errors(path: AnyPath) -> Iterator[None]:
    """Convert an `OSError` of the ``with`` block to a `ColloidsError` that names the file.

    Parameters
    ----------
    path
        The file that is written.

    Raises
    ------
    ColloidsError
        If the ``with`` block raised an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise ColloidsError(f"'{path}' could not be written: {error.strerror or one_line(error)}.") from error


@contextmanager
def replace_on_success(path: AnyPath) -> Iterator[Path]:
    """Write as `atomic_write`, but pass errors of the ``with`` block on unchanged.

    For blocks in which other files are read and written too.
    """
    target = Path(os.path.realpath(path))
    try:
        if target.is_dir():
            raise ColloidsError(f"'{path}' is a folder; give the name of a file to write.")
        if target.exists() and not target.is_file():
            raise ColloidsError(f"'{path}' is no file, but a device or a pipe; choose another name.")
        if not target.parent.is_dir():
            raise ColloidsError(f"There is no folder '{target.parent}'; create it first.")
        if target.exists() and not os.access(target, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            raise ColloidsError(f"'{path}' is write-protected; choose another name.")
        _remove_left_behind(target.parent)
        temporary = target.parent / _TEMPORARY_NAME.format(**Holder.this()._asdict(), suffix=target.suffix)
    except OSError as error:
        raise _nothing_to_write_in(target.parent, error) from error
    # A signal may end the process between any two lines from here on, too.
    try:
        try:
            # Not tempfile: its files are private to the user, and the result should get the usual permissions.
            temporary.touch(exist_ok=False)
        except OSError as error:
            raise _nothing_to_write_in(target.parent, error) from error
        yield temporary
        with translating_write_errors(path):
            # Without this a power cut may leave the new name on an empty file, and nothing of the old one.
            with temporary.open("rb+") as written:
                os.fsync(written.fileno())
            if target.exists():
                shutil.copymode(target, temporary)
            os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _nothing_to_write_in(folder: Path, error: OSError) -> ColloidsError:
    """Return the error of a folder that no file can be made in."""
    return ColloidsError(
        f"Nothing can be written in the folder '{folder}' ({error.strerror or error}); choose another one."
    )


@cache  # once a folder: it may hold many files
def _remove_left_behind(folder: Path) -> None:
    """Remove temporary files of processes that were killed."""
    with suppress(OSError):
        for file in folder.iterdir():
            found = _TEMPORARY.fullmatch(file.name)
            if found and Holder(found[1], int(found[2]), float(found[3]), found[4]).is_gone():
                file.unlink(missing_ok=True)
