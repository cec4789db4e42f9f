"""What the commands share: progress bars on a terminal, and a look at the output before the long work."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from napari_colloids.errors import ColloidsError
from napari_colloids.formatting import refinement_words

if TYPE_CHECKING:
    from napari_colloids.detection import Record
    from napari_colloids.stack import VoxelSize


@contextmanager
def progress_bar(label: str, unit: str) -> Iterator[Callable[..., None]]:
    """Yield a function ``(done, total, message="")`` that draws a bar on stderr if that is a terminal."""
    from tqdm import tqdm

    with tqdm(desc=label, unit=unit, disable=None, leave=False) as bar:

        def show(done: int, total: int, message: str = "") -> None:
            bar.total = total
            bar.set_postfix_str(message, refresh=False)
            bar.update(done - bar.n)

        yield show


class _OnlyTrying(Exception):
    """Ends a write that was never meant to be finished."""


def check_table_can_be_written(path: Path) -> None:
    """Raise now what writing a particle table to `path` would raise after minutes of work.

    An empty table is written beside the output and removed: this finds a missing optional library, and a folder that
    is missing or read-only.
    """
    from napari_colloids.io import PARTICLE_ENDINGS, atomic_write, write_particles
    from napari_colloids.particles import particle_table

    if path.suffix.lower() not in PARTICLE_ENDINGS:
        raise ColloidsError(f"'{path}' has no known ending; tables are written to {', '.join(PARTICLE_ENDINGS)} files.")
    with suppress(_OnlyTrying), atomic_write(path) as temporary:
        write_particles(temporary, particle_table([]))
        raise _OnlyTrying


def made_folder(folder: Path) -> Path:
    """Return `folder`, made if it was not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ColloidsError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    return folder


def summary(count: int, record: "Record", refined: int | None = None, voxel_size: "VoxelSize | None" = None) -> str:
    """Return how particles were found in one line."""
    origin = "estimated" if record.diameter_estimated else "given"
    parts = [f"{count} particle{'s' * (count != 1)}", f"diameter {record.diameter:.1f} px ({origin})"]
    if voxel_size is None:
        parts.append("voxels taken for cubes (--voxel-size)")
    if refined is not None:
        parts.append(refinement_words(refined, record.optics, voxel_size))
    parts += [f"{record.seconds:.1f} s", f"{record.mvoxel_per_s:.2f} Mvoxel/s", record.device]
    return ", ".join(parts)
