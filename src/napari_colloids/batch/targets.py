"""The table that each input is written to."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from napari_colloids.batch.job import SUMMARY, Job
from napari_colloids.batch.selection import Selection
from napari_colloids.detection.options import Options
from napari_colloids.errors import ColloidsError
from napari_colloids.io.formats.registry import is_stack_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_colloids.batch.stack_file import StackFile

#: Names of so many of an input's folders, from the last one, may be put before the name of its table.
_MAX_FOLDER_DEPTH = 9


def jobs_of(
    sources: Sequence[StackFile],
    output: Path,
    *,
    into_folder: bool,
    options: Options | None = None,
    selection: Selection | None = None,
    quality: bool = False,
) -> list[Job]:
    """Pair each input with the table to write.

    Parameters
    ----------
    sources
        The inputs.
    output
        A table, for one input; or a folder.
    into_folder
        Whether it is a folder. Inputs of one name that lie in several folders have the names of these before theirs.
    options
        How to search all of them.
    selection
        Which volumes of each, and which part of them.
    quality
        Whether to measure the quality of the images, too.

    Raises
    ------
    ColloidsError
        If several inputs would write the same table, or an input or the summary would be overwritten.
    """
    if into_folder:
        stems = [_table_stem(source, sources) for source in sources]
        prefixes = _folder_prefixes([Path(os.path.abspath(source.path)).parent for source in sources], stems)
        targets = [output / f"{prefix}{stem}.csv" for prefix, stem in zip(prefixes, stems, strict=True)]
        if any(target.name.casefold() == SUMMARY for target in targets):
            raise ColloidsError(
                f"{output / SUMMARY} tells how all inputs ended: let the output of the input of that name be a file."
            )
    elif len(sources) == 1:
        targets = [output]
    else:
        raise ColloidsError(f"There are {len(sources)} inputs, so the output must be a folder, not the file {output}.")
    if len(set(targets)) < len(targets):
        raise ColloidsError("Two inputs have the same name and would write the same table; detect them one by one.")
    read = {os.path.realpath(source.path) for source in sources}
    for target in targets:
        if os.path.realpath(target) in read:
            raise ColloidsError(f"The output {target} is also an input; choose another name.")
    return [
        Job(source, target, options or Options(), selection or Selection(), quality)
        for source, target in zip(sources, targets, strict=True)
    ]


def _table_stem(source: StackFile, sources: Sequence[StackFile]) -> str:
    """Return the name of an input without its ending, followed by its series where the file holds several."""
    path = Path(source.path)
    named = bool(source.files) and not path.is_file()
    ending = "" if named or (path.is_dir() and not is_stack_folder(path)) else path.suffix
    parts = [path.name.removesuffix(ending).removesuffix(".ome")]
    if source.dataset is not None:
        parts.append(source.dataset.strip("/").replace("/", "_"))
    if (source.index or 0) > 0 or sum(other.path == source.path for other in sources) > 1:
        parts.append(str(source.index or 0))
    return "_".join(parts)


def _folder_prefixes(folders: Sequence[Path], stems: Sequence[str]) -> list[str]:
    """Return what to put before each stem: names of its folders where the same stem occurs in several, else nothing."""
    prefixes = [""] * len(stems)
    for stem in {stem for stem in stems if stems.count(stem) > 1}:
        alike = [number for number, other in enumerate(stems) if other == stem]
        apart = {folders[number] for number in alike}
        depths = range(1, _MAX_FOLDER_DEPTH + 1)
        depth = next((n for n in depths if len({folder.parts[-n:] for folder in apart}) == len(apart)), 0)
        if len(apart) > 1 and depth:
            for number in alike:
                prefixes[number] = "".join(f"{part}_" for part in folders[number].parts[-depth:])
    return prefixes
