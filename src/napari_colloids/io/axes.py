"""From the axes of a file to the axes of a `Stack`."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.stack import AXES


def checked_axes(axes: str | None) -> str | None:
    """Return the axes that a user gave in lower case.

    Raises
    ------
    ColloidsError
        If they are not letters of ``"tczyx"``, each at most once, with z, y and x.
    """
    letters = axes.lower() if axes else None
    if letters and not (set("zyx") <= set(letters) <= set(AXES) and len(set(letters)) == len(letters)):
        raise ColloidsError(f"Axes '{axes}' are not understood: use 'zyx', and 't' and 'c' where there are any.")
    return letters


def arrange(data: Any, axes: str, name: str) -> tuple[Any, str]:
    """Bring an array into the axis order of `Stack` without copying it.

    Axes of unknown meaning (``q`` and ``i`` in TIFF) are dropped where their length is 1; a single one is taken
    as z where there is no z.

    Parameters
    ----------
    data
        The array.
    axes
        One letter a dimension, in any order and case.
    name
        What to call the stack in messages.

    Returns
    -------
    tuple
        The (transposed view of the) array and its axes, letters of ``"tczyx"`` in that order.

    Raises
    ------
    ColloidsError
        If the axes do not fit the array, one is not understood, or there is no z.
    """
    letters = axes.lower()
    shape = tuple(int(n) for n in data.shape)
    if len(letters) != len(shape):
        raise ColloidsError(f"'{name}' has {len(shape)} dimensions {shape}; the axes '{axes}' do not fit them.")
    keep = [k for k, letter in enumerate(letters) if letter in AXES or shape[k] != 1]
    if len(keep) < len(shape):
        data = data[tuple(slice(None) if k in keep else 0 for k in range(len(shape)))]
        letters = "".join(letters[k] for k in keep)
    unknown = [letter for letter in letters if letter not in AXES]
    if len(unknown) == 1 and "z" not in letters:
        letters = letters.replace(unknown[0], "z")
    elif unknown or len(set(letters)) < len(letters):
        raise ColloidsError(
            f"The dimensions {shape} of '{name}' are labelled '{axes}', which is not clear; save it with axes "
            "out of T, C, Z, Y, X or give them, as in read_stack(path, axes='tzyx')."
        )
    if "z" not in letters:
        raise ColloidsError(_not_3d(letters, shape, name))
    order = sorted(range(len(letters)), key=lambda k: AXES.index(letters[k]))
    if order != list(range(len(letters))):
        data = np.transpose(data, order)
    return data, "".join(letters[k] for k in order)


def _not_3d(letters: str, shape: tuple[int, ...], name: str) -> str:
    if len(shape) < 3:
        what = "a single 2D image" if len(shape) == 2 else f"an array of {len(shape)} dimensions"
        return f"'{name}' is {what} of shape {shape}; a 3D stack (z, y, x) is needed."
    series = {"t": "a time series of 2D images", "c": "2D channels"}
    what = " and ".join(series[letter] for letter in letters if letter in series)
    return (
        f"'{name}' is {what or 'not 3D'}: shape {shape}, axes '{letters.upper()}'. If these are z slices, relabel them "
        "(Fiji: Image > Properties) or use read_stack(path, axes=...)."
    )
