"""What the commands share: progress bars on a terminal, and a look at the output before the long work."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_colloids.errors import ColloidsError


@contextmanager
def progress_bar(label: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Yield a function ``(done, total)`` that draws a bar on stderr if that is a terminal."""
    from tqdm import tqdm

    with tqdm(desc=label, unit=unit, disable=None, leave=False) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


@contextmanager
def _scratch_folder(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        raise ColloidsError(f"The folder {folder} does not exist; make it first or choose another --output.")
    try:
        scratch = tempfile.TemporaryDirectory(dir=folder, prefix=".napari-colloids-")
    except OSError as error:
        raise ColloidsError(f"Cannot write to the folder {folder}: {error.strerror}.") from error
    with scratch as name:
        yield Path(name)


def check_table_can_be_written(path: Path) -> None:
    """Raise now what writing a particle table to `path` would raise after minutes of work.

    An empty table is written beside the output and removed: this finds an unknown ending, a missing optional
    library, and a folder that is missing or read-only.
    """
    from napari_colloids.io import write_particles
    from napari_colloids.particles import particle_table

    if path.is_dir():
        raise ColloidsError(f"{path} is a folder, not a file.")
    with _scratch_folder(path.parent) as scratch:
        write_particles(scratch / path.name, particle_table([]))


def check_folder_can_be_written(folder: Path) -> None:
    """Raise a `ColloidsError` if nothing can be written to `folder`."""
    with _scratch_folder(folder):
        pass


def made_folder(folder: Path) -> Path:
    """Return `folder`, made if it was not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ColloidsError(f"Cannot make the folder {folder}: {error.strerror}.") from error
    check_folder_can_be_written(folder)
    return folder
