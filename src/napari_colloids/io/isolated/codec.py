"""Messages as JSON text and arrays: data alone, so that none can make the process that receives it do anything.

A file may take over the process that reads it. What that one sends is therefore never unpickled: it consists of plain
values, arrays of numbers, and instances of the classes in `ANSWERED`, none of which does anything when it is made.
"""

from __future__ import annotations

import base64
import builtins
import json
import math
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

#: Classes of this program that an answer may hold, by module and name.
ANSWERED = frozenset(
    {
        "napari_colloids.io.isolated.child:Answer",
        "napari_colloids.io.isolated.array:IsolatedArray",
        "napari_colloids.io.isolated.array:Opener",
        "napari_colloids.io.series:SeriesReader",
        "napari_colloids.io.formats.hdf5:StoredMetadata",
        "napari_colloids.io.formats.challenge_stored:StoredVolume",
    }
)
#: Kinds of numbers that are sent as they lie in memory.
_NUMBERS = "biufc"
_PACKAGE = __name__.partition(".")[0]


class CodecError(ValueError):
    """Error about what cannot be sent, or is no message."""


def encoded(message: object) -> tuple[bytes, list[NDArray[np.generic]]]:
    """Return a message as text, and the arrays that belong to it.

    Raises
    ------
    CodecError
        If something in it is neither data nor of this program.
    """
    arrays: list[NDArray[np.generic]] = []
    return json.dumps(_packed(message, arrays)).encode(), arrays


def decoded(text: bytes, arrays: Sequence[memoryview], *, trusted: bool) -> Any:
    """Return the message of a text and its arrays.

    Parameters
    ----------
    text, arrays
        As `encoded` returned them; of arrays the bytes.
    trusted
        Whether the sender may name functions, and any class of this program.

    Raises
    ------
    CodecError
        If it is no such message.
    """
    try:
        return _unpacked(json.loads(text), arrays, trusted)
    except CodecError:
        raise
    except Exception as error:
        raise CodecError(f"this is no message ({error})") from error


def _packed(value: object, arrays: list[NDArray[np.generic]]) -> object:
    if value is None or type(value) in (bool, int, float, str):
        return value

    def packed(items: object) -> list[object]:
        return [_packed(item, arrays) for item in cast("Sequence[object]", items)]

    if type(value) in (list, tuple):
        return ["list" if type(value) is list else "tuple", packed(value)]
    if isinstance(value, dict):
        return ["dict", packed(list(value)), packed(list(value.values()))]
    if isinstance(value, bytes):
        return ["bytes", base64.b64encode(value).decode()]
    if isinstance(value, slice):
        return ["slice", packed([value.start, value.stop, value.step])]
    if isinstance(value, Path):
        return ["path", str(value)]
    if isinstance(value, np.dtype) and value.names is None:
        return ["dtype", value.str]
    if isinstance(value, np.ndarray | np.generic):
        return _packed_array(value, arrays)
    if isinstance(value, BaseException):
        return _packed_error(value, arrays)
    kept = _kept(value)
    if kept is not None:
        return ["object", _name_of(type(value)), _packed(kept, arrays)]
    if callable(value) and hasattr(value, "__qualname__"):
        return ["function", _name_of(value)]
    raise CodecError(f"a {type(value).__name__} cannot be sent to another process")


def _packed_array(value: NDArray[np.generic] | np.generic, arrays: list[NDArray[np.generic]]) -> object:
    array = np.ascontiguousarray(value)
    if array.dtype.kind not in _NUMBERS:
        items = [item.decode("latin1") if isinstance(item, bytes) else str(item) for item in array.ravel().tolist()]
        return ["texts", items, list(np.shape(value))]
    arrays.append(array)
    kind = "array" if isinstance(value, np.ndarray) else "number"
    return [kind, len(arrays) - 1, array.dtype.str, list(np.shape(value))]


def _packed_error(error: BaseException, arrays: list[NDArray[np.generic]]) -> object:
    """Pack an error of Python or of this program; of a library, the class of Python that it is one of, and its text."""
    kind = type(error)
    if kind.__module__ in (builtins.__name__, f"{_PACKAGE}.errors"):
        arguments = error.args
        if isinstance(error, OSError) and error.filename is not None:  # which is not among them
            arguments = (*arguments, error.filename)
        return ["error", _name_of(kind), [_packed(one, arrays) for one in arguments], _packed(vars(error), arrays)]
    known = next(one for one in kind.__mro__ if one.__module__ == builtins.__name__)
    if known is Exception:
        return ["error", "builtins:RuntimeError", [f"{kind.__name__}: {error}"], ["dict", [], []]]
    return ["error", _name_of(known), [str(error)], ["dict", [], []]]


def _kept(value: object) -> dict[str, object] | None:
    """Return the fields of a dataclass or named tuple that are not as by default; None of anything else."""
    if is_dataclass(value) and not isinstance(value, type):
        kept = {one.name: getattr(value, one.name) for one in fields(value) if one.init}
        return {one.name: kept[one.name] for one in fields(value) if one.init and kept[one.name] is not one.default}
    return value._asdict() if isinstance(value, tuple) and hasattr(value, "_asdict") else None


def _name_of(thing: Any) -> str:
    return f"{thing.__module__}:{thing.__qualname__}"


def _unpacked(value: object, arrays: Sequence[memoryview], trusted: bool) -> Any:
    if not isinstance(value, list):
        return value
    kind, *rest = value

    def all_of(items: object) -> list[Any]:
        return [_unpacked(item, arrays, trusted) for item in cast("list[object]", items)]

    simple: dict[str, Callable[..., object]] = {
        "list": all_of,
        "tuple": lambda items: tuple(all_of(items)),
        "dict": lambda keys, values: dict(zip(all_of(keys), all_of(values), strict=True)),
        "bytes": base64.b64decode,
        "slice": lambda ends: slice(*all_of(ends)),
        "path": Path,
        "dtype": np.dtype,
        "array": lambda number, dtype, shape: _array(arrays[number], dtype, shape),
        "number": lambda number, dtype, shape: _array(arrays[number], dtype, shape)[()],
        "texts": lambda items, shape: np.array(items, dtype=object).reshape(shape),
    }
    if kind in simple:
        return simple[kind](*rest)
    name = rest[0]
    if kind == "error":
        return _error(name, all_of(rest[1]), _unpacked(rest[2], arrays, trusted))
    if kind == "object" and (name in ANSWERED or (trusted and name.startswith(f"{_PACKAGE}."))):
        return _found(name)(**_unpacked(rest[1], arrays, trusted))
    if kind == "function" and trusted:
        return _found(name)
    raise CodecError(f"{kind} {name} is not accepted")


def _array(content: memoryview, dtype: str, shape: list[int]) -> NDArray[np.generic]:
    if np.dtype(dtype).kind not in _NUMBERS or math.prod(shape) * np.dtype(dtype).itemsize != content.nbytes:
        raise CodecError("an array has another size than its bytes")
    return np.frombuffer(content, dtype).reshape(shape)


def _error(name: str, arguments: list[Any], attributes: dict[str, object]) -> Exception:
    """Return an error of Python or of this program."""
    module = name.partition(":")[0]
    kind = _found(name) if module in (builtins.__name__, f"{_PACKAGE}.errors") else None
    if not (isinstance(kind, type) and issubclass(kind, Exception)):
        raise CodecError(f"error {name} is not accepted")
    error = kind.__new__(kind, *arguments)
    if not issubclass(kind, ColloidsError):  # whose message is ready to be shown, and whose others are attributes
        error.__init__(*arguments)  # type: ignore[misc]
    for key, one in attributes.items():
        setattr(error, key, one)
    return error


def _found(name: str) -> Any:
    """Return a class or function of a module."""
    module, _, path = name.partition(":")
    thing: Any = import_module(module)
    for part in path.split("."):
        thing = getattr(thing, part)
    return thing
