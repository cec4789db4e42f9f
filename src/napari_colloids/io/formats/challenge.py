"""Writing of simulated volumes in the two file layouts of the challenge "Colloids: how low can we go?"."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import h5py
import numpy as np
import pandas as pd

from napari_colloids.errors import ColloidsError, shown
from napari_colloids.io.atomic import replace_on_success, translating_write_errors
from napari_colloids.io.files import HDF5_ENDINGS, AnyPath, ending, to_json
from napari_colloids.io.formats.challenge_metadata import ELEMENT_SIZE, metadata_table
from napari_colloids.io.formats.challenge_truth import IMAGE_INDEX, WEBSITE_POSITION, website_truth
from napari_colloids.io.tables.hdf5_disk import DeferredErrorFile, delayed_interrupt
from napari_colloids.particles import positions_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sized
    from typing import Any, ClassVar

    from numpy.typing import NDArray

    from napari_colloids.stack import Stack

#: Rows per volume in the website's truth; those without a particle are empty.
WEBSITE_ROWS = 2000
#: Columns of the website's truth, in order.
_WEBSITE_COLUMNS = [IMAGE_INDEX, "Z", "X", "Y"]


class SimulatedParameters(Protocol):
    """The parameters of a simulation that the challenge's tables hold; a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def volume_fraction(self) -> float:
        """Requested volume fraction."""

    @property
    def radius(self) -> float:
        """Radius of the particles in lateral voxels."""

    @property
    def cnr(self) -> float:
        """Contrast-to-noise ratio."""

    @property
    def brightness(self) -> float:
        """Brightness of the particles."""

    @property
    def snr(self) -> float:
        """Signal-to-noise ratio."""


class SimulatedVolume(Protocol):
    """A simulated volume, such as a `napari_colloids.simulation.Simulation`."""

    @property
    def stack(self) -> Stack:
        """The image."""

    @property
    def particles(self) -> pd.DataFrame:
        """The true particles."""

    @property
    def parameters(self) -> SimulatedParameters:
        """The parameters of the simulation."""

    @property
    def volume_fraction(self) -> float:
        """Volume fraction that was reached."""

    @property
    def polydispersity(self) -> float:
        """Polydispersity that was reached."""

    def labels(self) -> NDArray[np.generic]:
        """Return the label image: the number of the particle at each voxel."""


def write_challenge(path: AnyPath, volumes: Iterable[SimulatedVolume]) -> None:
    """Write simulated volumes with their true particles as one HDF5 file, and their parameters as JSON beside it.

    Parameters
    ----------
    path
        File to write, ``.h5`` or ``.hdf5``; the parameters get the same name with ``.json``.
    volumes
        Simulations, consumed one by one, so that a generator needs the memory of one.

    Raises
    ------
    ColloidsError
        If there are no volumes, or the files cannot be written.

    See Also
    --------
    write_challenge_website : Writes the layout of the challenge's website.
    read_truth : Reads the true particles.

    Examples
    --------
    >>> from napari_colloids import read_truth, simulate
    >>> from napari_colloids.io import write_challenge
    >>> volume = simulate(shape=(16, 24, 24), radius=4, volume_fraction=0.2, seed=0)
    >>> write_challenge("volumes.h5", [volume])
    >>> len(read_truth("volumes.h5")) == len(volume.particles)
    True
    """
    target = _hdf5_target(path)
    parameters = target.with_suffix(".json")
    rows: dict[str, dict[str, object]] = {}
    with replace_on_success(target) as temporary, replace_on_success(parameters) as beside:
        with _VolumesFile.created(target, temporary) as file:
            for number, volume in enumerate(volumes):
                labels = volume.labels().astype(np.float32)
                with file.writing() as written:
                    _write_volume(written, number, volume)
                    written.create_dataset(f"{number}_labels", data=labels, compression=1)
                    written[f"{number}_positions"] = positions_of(volume.particles)
                    written[f"{number}_diameters"] = 2 * volume.particles["radius"].to_numpy(dtype=float)
                rows[str(number)] = {
                    **_challenge_row(target.stem, number, volume),
                    "parameters": dataclasses.asdict(volume.parameters),
                }
        _check_not_empty(rows)
        with translating_write_errors(parameters):
            beside.write_text(to_json(rows), encoding="utf-8")


def write_challenge_website(path: AnyPath, volumes: Iterable[SimulatedVolume], *, split: str = "train") -> None:
    """Write simulated volumes with their true particles in the layout of the challenge's website.

    Parameters
    ----------
    path
        An existing folder, where ``x_SPLIT.hdf5``, ``y_SPLIT.csv`` and ``x_SPLIT_metadata.csv`` are written; or the
        HDF5 file itself, whose name must begin with ``x_``.
    volumes
        Simulations, consumed one by one.
    split
        ``"train"`` or ``"test"``; only used for a folder.

    Raises
    ------
    ColloidsError
        If there are no volumes, one has more than `WEBSITE_ROWS` particles, or the files cannot be written.

    See Also
    --------
    write_challenge : Writes everything to one HDF5 file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from napari_colloids import simulate
    >>> from napari_colloids.io import write_challenge_website
    >>> volume = simulate(shape=(16, 24, 24), radius=4, volume_fraction=0.2, seed=0)
    >>> write_challenge_website(".", [volume], split="test")
    >>> sorted(path.name for path in Path().iterdir())
    ['x_test.hdf5', 'x_test_metadata.csv', 'y_test.csv']
    """
    target = _hdf5_target(path) if ending(path) in HDF5_ENDINGS else Path(path) / f"x_{split}.hdf5"
    truth = website_truth(target)
    if truth is None:
        raise ColloidsError(f"The name of '{target}' must begin with 'x_' in the layout of the website.")
    metadata = metadata_table(target)
    rows: dict[int, dict[str, object]] = {}
    with ExitStack() as stack:
        temporary, positions, table = (
            stack.enter_context(replace_on_success(file)) for file in (target, truth, metadata)
        )
        with _VolumesFile.created(target, temporary) as file:
            for number, volume in enumerate(volumes):
                with file.writing() as written:
                    _write_volume(written, number, volume)
                padded = _padded_positions(number, volume)
                with translating_write_errors(truth), positions.open("a", encoding="utf-8", newline="") as text:
                    padded.to_csv(text, header=number == 0, lineterminator="\n")
                rows[number] = _challenge_row(target.stem, number, volume)
        _check_not_empty(rows)
        with translating_write_errors(metadata):
            pd.DataFrame.from_dict(rows, orient="index").to_csv(table, lineterminator="\n")


def _hdf5_target(path: AnyPath) -> Path:
    if ending(path) not in HDF5_ENDINGS:
        raise ColloidsError(f"Volumes are written to HDF5: '{path}' must end in .h5 or .hdf5.")
    return Path(path)


def _check_not_empty(rows: Sized) -> None:
    if not rows:
        raise ColloidsError("There are no volumes to write.")


class _VolumesFile:
    """A new HDF5 file that is written volume by volume, also where the disk gets full."""

    def __init__(self, target: Path, storage: DeferredErrorFile, file: h5py.File) -> None:
        self._target = target
        self._storage = storage
        self._file = file

    @classmethod
    @contextmanager
    def created(cls, target: Path, temporary: Path) -> Iterator[_VolumesFile]:
        """Create the file under a temporary name; errors of writing name its `target`."""
        with translating_write_errors(target):
            storage = DeferredErrorFile(temporary)
        with storage:
            file = None
            try:
                with delayed_interrupt():  # which may raise at its end, when the file is open
                    file = h5py.File(storage, "w")
                yield cls(target, storage, file)
            finally:
                if file is not None:
                    with delayed_interrupt():
                        file.close()
            with translating_write_errors(target):
                storage.check()

    @contextmanager
    def writing(self) -> Iterator[h5py.File]:
        """Yield the file for one volume, and say at once where it could not be stored."""
        with delayed_interrupt():
            yield self._file
        with translating_write_errors(self._target):
            self._storage.check()


def _write_volume(file: h5py.File, number: int, volume: SimulatedVolume) -> None:
    file[str(number)] = np.asarray(volume.stack.data)
    if volume.stack.voxel_size is not None:
        file[str(number)].attrs[ELEMENT_SIZE] = volume.stack.voxel_size


def _padded_positions(number: int, volume: SimulatedVolume) -> pd.DataFrame:
    """Return the rows of one volume, numbered consecutively over the volumes."""
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


def _challenge_row(dataset: str, number: int, volume: SimulatedVolume) -> dict[str, object]:
    """Return the parameters of a volume under their names in the challenge's tables."""
    parameters, dataset = volume.parameters, shown(dataset)
    row: dict[str, object] = {
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
