"""Output of the commands: progress bars, a check of the files to write before the long work, a summary line."""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from napari_colloids.cli.stopping import stop_if_asked
from napari_colloids.errors import ColloidsError
from napari_colloids.formatting import refinement_words, voxel_words

if TYPE_CHECKING:
    from napari_colloids.detection import Record


class ShowProgress(Protocol):
    """What is called with the progress of a computation."""

    def __call__(self, done: int, total: int, message: str = "") -> None:
        """Show the steps that are done, their total, and what is being done."""


@contextmanager
def progress_bar(label: str, unit: str) -> Iterator[ShowProgress]:
    """Yield a function ``(done, total, message="")`` that draws a bar on stderr if that is a terminal."""
    from tqdm import tqdm

    with tqdm(desc=label, unit=unit, disable=None, leave=False) as bar:

        def show(done: int, total: int, message: str = "") -> None:
            stop_if_asked()
            bar.total = total
            bar.set_postfix_str(message, refresh=False)
            bar.update(done - bar.n)

        yield show


class _TrialEnded(Exception):
    """Ends a trial write, so that its file is removed."""


def check_table_can_be_written(path: Path) -> None:
    """Check that a particle table can be written, before minutes of work.

    An empty table is written beside the output and removed: this finds a missing optional library, and a folder that
    is missing or read-only.

    Raises
    ------
    ColloidsError
        If it cannot be written.
    """
    from napari_colloids.io.atomic import replace_on_success
    from napari_colloids.io.tables.registry import PARTICLE_ENDINGS, table_format
    from napari_colloids.io.tables.writer import translating_table_errors
    from napari_colloids.particles import particle_table

    form = table_format(path)
    if form is None:
        raise ColloidsError(f"'{path}' has no known ending; tables are written to {', '.join(PARTICLE_ENDINGS)} files.")
    # The note beside the table, too.
    with suppress(_TrialEnded), replace_on_success(f"{path}.json"), replace_on_success(path) as temporary:
        with translating_table_errors(path), closing(form.writer(temporary, {})) as file:
            file.append(particle_table([]))
        raise _TrialEnded


def made_folder(folder: Path) -> Path:
    """Return a folder, which is created if it does not exist.

    Raises
    ------
    ColloidsError
        If it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ColloidsError(f"The folder {folder} cannot be made: {error.strerror}.") from error
    return folder


def summary(count: int, record: "Record", refined: int | None = None, volumes: int = 1) -> str:
    """Return a line that says how many particles were found, in how many volumes, and how."""
    origin = "estimated" if record.diameter_estimated else "given"
    parts = [f"{count} particle{'s' * (count != 1)}", f"diameter {record.diameter:.1f} px ({origin})"]
    parts.append(voxel_words(record.voxel_size, record.assumed, remedy="--voxel-size"))
    if record.unusable:
        parts.append(f"{len(record.unusable)} of {volumes} volumes not searched")
    if refined is not None:
        parts.append(refinement_words(refined, record.optics, record.voxel_size))
    parts += [f"{record.seconds:.1f} s", f"{record.mvoxel_per_s:.2f} Mvoxel/s", record.device]
    return ", ".join(parts)
