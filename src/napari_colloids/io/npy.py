"""NumPy's own files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.axes import arrange
from napari_colloids.io.files import one_line
from napari_colloids.stack import Stack

if TYPE_CHECKING:
    from pathlib import Path


def read_npy(path: Path, *, axes: str | None = None) -> Stack:
    """Map a ``.npy`` file into memory.

    Parameters
    ----------
    path
        An existing file.
    axes
        What the dimensions are; needed where there are more than three.

    Raises
    ------
    ColloidsError
        If the file is damaged, not a NumPy file, holds Python objects, or is not a 3D array.
    """
    try:
        data = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ColloidsError(f"'{path}' is not a NumPy array file, or it is damaged ({one_line(error)}).") from error
    if axes is None and data.ndim > 3:
        raise ColloidsError(
            f"'{path}' has {data.ndim} dimensions {data.shape}: say what they are, as in read_stack(path, axes='tzyx')."
        )
    data, axes = arrange(data, axes or "zyx"[-data.ndim :] if data.ndim else "", path.name)
    return Stack(data, axes=axes, name=path.stem)
