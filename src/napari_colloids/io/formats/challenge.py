"""Writers of both file layouts of the challenge "Colloids: how low can we go?"."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import h5py
import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError
from napari_colloids.io.atomic import atomic_write
from napari_colloids.io.files import AnyPath, ending, to_json
from napari_colloids.io.formats.challenge_metadata import ELEMENT_SIZE, metadata_table
from napari_colloids.io.formats.challenge_truth import HDF5, IMAGE_INDEX, WEBSITE_POSITION, website_truth
from napari_colloids.particles import positions_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from napari_colloids.stack import Stack

#: The website's truth has so many rows for every volume; those without a particle are empty.
WEBSITE_ROWS = 2000
#: Order of its columns.
_WEBSITE_COLUMNS = [IMAGE_INDEX, "Z", "X", "Y"]


class Simulated(Protocol):
    """What is written: a `napari_colloids.simulation.Simulation`."""

    @property
    def stack(self) -> Stack:
        """The image."""

    @property
    def particles(self) -> pd.DataFrame:
        """The true particles."""

    @property
    def parameters(self) -> Any:
        """A dataclass that says how it was made."""

    @property
    def volume_fraction(self) -> float:
        """What the one of the parameters came to."""

    @property
    def polydispersity(self) -> float:
        """What the one of the parameters came to."""

    def labels(self) -> NDArray[Any]:
        """Return an image of the particles' numbers."""


def write_challenge(path: AnyPath, volumes: Iterable[Simulated]) -> None:
    """Write volumes with their truth in the layout of one HDF5 file, and their metadata as JSON beside it.

    Parameters
    ----------
    path
        File to write, ``.h5`` or ``.hdf5``; the metadata get the same name with ``.json``.
    volumes
        Simulations, taken one by one, so that a generator needs the memory of one.

    Raises
    ------
    ColloidsError
        If there are no volumes, or the files cannot be written.
    """
    target = _hdf5_target(path)
    rows: dict[str, dict[str, Any]] = {}
    with atomic_write(target) as temporary, atomic_write(target.with_suffix(".json")) as beside:
        with h5py.File(temporary, "w") as file:
            for number, volume in enumerate(volumes):
                _write_volume(file, number, volume)
                file.create_dataset(f"{number}_labels", data=volume.labels().astype(np.float32), compression=1)
                file[f"{number}_positions"] = positions_of(volume.particles)
                file[f"{number}_diameters"] = 2 * volume.particles["radius"].to_numpy(dtype=float)
                rows[str(number)] = {
                    **_challenge_row(target.stem, number, volume),
                    "parameters": dataclasses.asdict(volume.parameters),
                }
        _check_some(rows)
        beside.write_text(to_json(rows), encoding="utf-8")


def write_challenge_website(path: AnyPath, volumes: Iterable[Simulated], *, split: str = "train") -> None:
    """Write volumes with their truth in the layout of the challenge's website.

    Parameters
    ----------
    path
        An existing folder, where ``x_SPLIT.hdf5``, ``y_SPLIT.csv`` and ``x_SPLIT_metadata.csv`` are written; or the
        HDF5 file itself, whose name must begin with ``x_``.
    volumes
        Simulations, taken one by one.
    split
        ``"train"`` or ``"test"``; only used for a folder.

    Raises
    ------
    ColloidsError
        If there are no volumes, one has more than `WEBSITE_ROWS` particles, or the files cannot be written.
    """
    target = _hdf5_target(path) if ending(path) in HDF5 else Path(path) / f"x_{split}.hdf5"
    truth = website_truth(target)
    if truth is None:
        raise ColloidsError(f"The name of '{target}' must begin with 'x_' in the layout of the website.")
    rows: dict[int, dict[str, Any]] = {}
    with ExitStack() as stack:
        temporary, positions, table = (
            stack.enter_context(atomic_write(file)) for file in (target, truth, metadata_table(target))
        )
        with h5py.File(temporary, "w") as file, positions.open("w", encoding="utf-8", newline="") as text:
            for number, volume in enumerate(volumes):
                _write_volume(file, number, volume)
                _padded_positions(number, volume).to_csv(text, header=number == 0, lineterminator="\n")
                rows[number] = _challenge_row(target.stem, number, volume)
        _check_some(rows)
        pd.DataFrame.from_dict(rows, orient="index").to_csv(table, lineterminator="\n")


def _hdf5_target(path: AnyPath) -> Path:
    if ending(path) not in HDF5:
        raise ColloidsError(f"Volumes are written to HDF5: '{path}' must end in .h5 or .hdf5.")
    return Path(path)


def _check_some(rows: dict[Any, Any]) -> None:
    if not rows:
        raise ColloidsError("There are no volumes to write.")


def _write_volume(file: h5py.File, number: int, volume: Simulated) -> None:
    file[str(number)] = np.asarray(volume.stack.data)
    if volume.stack.voxel_size is not None:
        file[str(number)].attrs[ELEMENT_SIZE] = volume.stack.voxel_size


def _padded_positions(number: int, volume: Simulated) -> pd.DataFrame:
    """Return the rows of one volume, numbered on from those of the volumes before."""
    positions = positions_of(volume.particles)
    if len(positions) > WEBSITE_ROWS:
        raise ColloidsError(
            f"Volume {number} has {len(positions)} particles; the layout of the website holds {WEBSITE_ROWS}. "
            "Use the layout of one file, or a smaller volume."
        )
    padded = np.full((WEBSITE_ROWS, 3), np.nan)
    padded[: len(positions)] = positions
    table = pd.DataFrame(padded, columns=WEBSITE_POSITION, index=np.arange(WEBSITE_ROWS) + number * WEBSITE_ROWS)
    return table.assign(**{IMAGE_INDEX: number})[_WEBSITE_COLUMNS]


def _challenge_row(dataset: str, number: int, volume: Simulated) -> dict[str, Any]:
    """Describe a volume by the names of the challenge's tables."""
    parameters = volume.parameters
    row = {
        "dataset": dataset,
        "n": number,
        "type": dataset.removeprefix("x_") if dataset.startswith("x_") else "simulated",
        "volfrac": parameters.volume_fraction,
        "r": parameters.radius,
        "cnr": parameters.cnr,
        "brightness": parameters.brightness,
        "snr": parameters.snr,
        "n_particles": len(volume.particles),
        "achieved_volfrac": volume.volume_fraction,
        "achieved_polydispersity": volume.polydispersity,
    }
    if volume.stack.voxel_size is not None:  # the radius in micrometres
        row["particle_size"] = parameters.radius * volume.stack.voxel_size[2]
    return row
