"""A run of a user's own TCC program, which can be cancelled and does not go on for ever."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from napari_colloids.errors import ColloidsError, brief

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Time between two looks at the program, in seconds.
_LOOK_S = 0.05
#: What the program prints, in its folder, and how much of the end is looked at for the reason of a failure.
_PRINTED = "printed.txt"
_END_BYTES = 2000


def checked_program(program: str | os.PathLike[str]) -> Path:
    """Return the path of a program, given by its path or by a name that the system finds.

    Raises
    ------
    ColloidsError
        If there is none, or it cannot be run.
    """
    if not isinstance(program, str | os.PathLike):
        raise ColloidsError(f"The program TCC is given by its path, not {brief(program)}.")
    found = shutil.which(os.fspath(program))
    if found is not None:
        return Path(found).absolute()  # it is run in another folder
    if Path(program).exists():
        raise ColloidsError(f"'{program}' is not a program that can be run: give the path of your TCC program.")
    raise ColloidsError(f"There is no program '{program}': give the path of your TCC program.")


def run_tcc(program: Path, folder: Path, time_limit: float) -> Iterator[None]:
    """Run the program in a folder with its input, and yield while it works; closing the iterator ends it.

    Parameters
    ----------
    program
        As `checked_program` returns it.
    folder
        With the input files.
    time_limit
        In seconds.

    Raises
    ------
    ColloidsError
        If it cannot be started, fails, or takes longer.
    """
    printed = folder / _PRINTED
    try:
        with printed.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 (the user's own, without a shell)
                [str(program)], cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
    except OSError as error:
        raise ColloidsError(f"'{program}' could not be started: {error.strerror or error}.") from error
    try:
        end = time.monotonic() + time_limit
        while process.poll() is None:
            if time.monotonic() > end:
                raise ColloidsError(
                    f"'{program}' was ended after {time_limit:g} s: raise the time limit, or take fewer particles."
                )
            yield
            with suppress(subprocess.TimeoutExpired):
                process.wait(_LOOK_S)
    finally:
        _end(process)
    if process.returncode:
        said = _last_line(printed)
        status = f"status {process.returncode}" if process.returncode > 0 else f"signal {-process.returncode}"
        raise ColloidsError(f"'{program}' failed ({status}){f': {said}' if said else '.'}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a program that is still at work, with those that it has started."""
    if process.poll() is not None:
        return
    with suppress(psutil.Error):
        for started in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.Error):
                started.kill()
    process.kill()
    process.wait()


def _last_line(printed: Path) -> str:
    """Return the last line that was printed, which says why it failed."""
    text = printed.read_bytes()[-_END_BYTES:].decode("utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""
