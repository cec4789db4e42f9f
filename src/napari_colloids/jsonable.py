"""Conversion of results to values that JSON can hold."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping

import numpy as np


def jsonable(value: object) -> object:
    """Return numbers, texts, lists and dicts for NumPy values, paths, dataclasses and collections of them.

    NaN and infinity become None.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int) else str(value)
