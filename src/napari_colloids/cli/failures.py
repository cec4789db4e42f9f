"""What a command says of an error: one line, and how to see where it comes from."""

import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path

import typer

from napari_colloids.cli.hints import with_hint
from napari_colloids.errors import ColloidsError, is_out_of_memory, shown

#: Exit status of errors that the user can correct.
BAD_INPUT = 2
#: Exit status of all others.
UNEXPECTED = 1
#: Option and variable that show where an error comes from.
TRACEBACK_OPTION, TRACEBACK_VARIABLE = "--traceback", "NAPARI_COLLOIDS_TRACEBACK"
#: Fraction of the address space that a process may have, above which an odd failure is one of memory.
_NEARLY_ALL = 0.7
#: Errors of libraries that are loaded, or call each other, with too little memory.
_ODD_WITHOUT_MEMORY = (ImportError, SystemError, AttributeError)


def wants_traceback(words: list[str]) -> bool:
    """Return whether the words of a command, or the environment, ask to see where errors come from.

    The option is taken out of the words, among which it may stand anywhere.
    """
    wanted = os.environ.get(TRACEBACK_VARIABLE, "") not in ("", "0")
    while TRACEBACK_OPTION in words[: words.index("--") if "--" in words else None]:
        words.remove(TRACEBACK_OPTION)
        wanted = True
    return wanted


def message_of(error: Exception) -> str:
    """Return what to say of an error, in one line."""
    if isinstance(error, ColloidsError):
        return with_hint(str(error))
    if isinstance(error, typer.TyperException):  # unknown options, missing arguments, ...
        return shown(" ".join(error.format_message().split()))
    if _is_of_memory(error):
        return "There is too little memory: end other programs, raise the limit, or search a part of the stack."
    words = shown(" ".join(str(error).split()))
    if isinstance(error, OSError):
        return shown(f"{error.filename}: {error.strerror}.") if error.filename and error.strerror else words
    what = f"{type(error).__name__}: {words}" if words else type(error).__name__
    return f"{what} (unexpected; run again with {TRACEBACK_OPTION} or {TRACEBACK_VARIABLE}=1 to see where)."


def is_expected(error: Exception) -> bool:
    """Return whether the user can do something about an error."""
    return isinstance(error, ColloidsError | typer.TyperException | OSError) or _is_of_memory(error)


def tell(error: Exception, *, with_traceback: bool) -> int:
    """Say on stderr what went wrong, and return the exit status."""
    with suppress(OSError):  # nobody is there to hear it
        if with_traceback:
            traceback.print_exception(error)
        typer.echo(f"Error: {message_of(error)}", err=True)
    return BAD_INPUT if is_expected(error) else UNEXPECTED


def _is_of_memory(error: Exception) -> bool:
    return is_out_of_memory(error) or (isinstance(error, _ODD_WITHOUT_MEMORY) and _memory_is_short())


def _memory_is_short() -> bool:
    """Return whether this process has nearly all the address space that it may have (Unix)."""
    if sys.platform == "win32":
        return False
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:
        return limit != resource.RLIM_INFINITY
    return limit != resource.RLIM_INFINITY and pages * resource.getpagesize() > _NEARLY_ALL * limit
