"""Metadata of the challenge's volumes, in either layout."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_colloids.table_limits import csv_names

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


#: Attribute with the voxel size in micrometres (z, y, x), as the HDF5 plugins of Fiji write it.
ELEMENT_SIZE = "element_size_um"


def volume_metadata(path: Path, key: str, attributes: Mapping[str, object]) -> dict[str, Any]:
    """Collect the metadata of one numbered volume: JSON or CSV beside the file, then its own attributes.

    Files that are missing or not understood count as no metadata: the volume can be read without them.

    Parameters
    ----------
    path
        The HDF5 file.
    key
        Number of the volume, as text.
    attributes
        Attributes of its dataset.

    Returns
    -------
    dict
        E.g. ``volfrac``, ``r`` (radius in voxels), ``particle_size``, ``snr``, ``cnr``.
    """
    own = {name: np.asarray(value).tolist() for name, value in attributes.items() if name != ELEMENT_SIZE}
    return {**_from_csv(path, key), **_from_json(path, key), **own}


def metadata_table(path: Path) -> Path:
    """Return the path of the metadata of ``x_NAME.hdf5`` in the website layout."""
    return path.with_name(f"{path.stem}_metadata.csv")


def _from_json(path: Path, key: str) -> dict[str, Any]:
    try:
        beside = path.with_suffix(".json")
        if not beside.is_file():  # a pipe would never answer
            return {}
        content = json.loads(beside.read_text(encoding="utf-8"))
        row = content[key] if isinstance(content, dict) else content[int(key)]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return {}
    return row if isinstance(row, dict) else {}


def _from_csv(path: Path, key: str) -> dict[str, Any]:
    import pandas as pd  # here, as a process that reads pixels alone needs no tables

    try:
        if not metadata_table(path).is_file():
            return {}
        csv_names(metadata_table(path))
        table = pd.read_csv(metadata_table(path), index_col=0)
        row = table.loc[int(key)]
    except (OSError, ValueError, KeyError):
        return {}
    return {} if isinstance(row, pd.DataFrame) else {str(name): value for name, value in row.dropna().to_dict().items()}
