"""Small checks on files that every reader needs."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from napari_colloids.errors import ColloidsError

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
        with file.open("rb") as handle:
            if not handle.read(1):
                raise ColloidsError(f"'{file}' is empty (0 bytes); was it copied completely?")
    except FileNotFoundError as error:
        raise ColloidsError(f"There is no file '{file}'.") from error
    except OSError as error:
        raise ColloidsError(f"'{file}' cannot be opened: {error.strerror or error}.") from error
    return file


def ending(path: AnyPath) -> str:
    """Return the last ending of a file name in lower case, e.g. ``".tif"``."""
    return Path(path).suffix.lower()


def one_line(error: BaseException) -> str:
    """Return the first line of what an error says, or its class where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def to_json(value: Any) -> str:
    """Return JSON text; NumPy values, paths and dataclasses are converted, NaN and infinity become null."""
    return json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int) else str(value)
