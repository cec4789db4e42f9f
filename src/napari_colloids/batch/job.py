"""What is to be done: a stack in a file, how to search it, and the table to write."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_colloids import __version__
from napari_colloids.batch.selection import frame_range
from napari_colloids.detection import Options, Part, Region, parts_of
from napari_colloids.errors import ColloidsError
from napari_colloids.io.files import existing_file, to_json
from napari_colloids.io.formats.registry import companion_files, is_stack_folder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_colloids.stack import Stack, VoxelSize

#: File name of the table of all jobs in a folder.
SUMMARY = "summary.csv"


@dataclass(frozen=True)
class Source:
    """A stack in a file; small, so that it can be sent to another machine, which opens the file itself.

    Attributes
    ----------
    path
        The file.
    index, dataset, axes, voxel_size
        As in `napari_colloids.read_stack`.
    z_scale
        The voxel size along z is multiplied by this: the correction for a mismatch of refractive indices.
    """

    path: str
    index: int = 0
    dataset: str | None = None
    axes: str | None = None
    voxel_size: VoxelSize | None = None
    z_scale: float = 1.0

    def open(self) -> Stack:
        """Open the file; its pixels stay there where they are many. A stack and its mask are kept open.

        Raises
        ------
        ColloidsError
            If it cannot be read.
        """
        path = Path(self.path).absolute()
        # Of a folder its own time has to do: to look at the files of a large one takes too long for every volume.
        times = tuple(file.stat().st_mtime_ns for file in ([path] if path.is_dir() else _files_of(path)))
        return _opened(self, str(path), times)

    def absolute(self) -> Source:
        """Return the same source for a process in another folder."""
        return replace(self, path=str(Path(self.path).absolute()))

    def state(self) -> dict[str, Any]:
        """Return what would change if the file were another one: its name, sizes and times of its files."""
        path = Path(self.path)
        of_folder = is_stack_folder(path)  # others may be a whole disk, and are refused at once
        files = sorted(p for p in path.rglob("*") if p.is_file()) if of_folder else _files_of(existing_file(path))
        stats = [file.stat() for file in files]
        return {
            **asdict(self),
            "path": path.name,
            "bytes": [stat.st_size for stat in stats],
            "modified": [stat.st_mtime_ns for stat in stats],
        }


def _files_of(path: Path) -> list[Path]:
    """Return a file, if it is there, and those beside it that hold its pixels."""
    if not path.exists():
        return []
    return [path, *companion_files(path)]


@lru_cache(maxsize=2)
def _opened(source: Source, _absolute: str, _modified: tuple[int, ...]) -> Stack:
    from napari_colloids.io import read_stack

    stack = read_stack(
        source.path, index=source.index, dataset=source.dataset, axes=source.axes, voxel_size=source.voxel_size
    )
    return stack if source.z_scale == 1 else stack.scaled_along_z(source.z_scale)


@dataclass(frozen=True)
class Job:
    """A detection from file to file.

    Attributes
    ----------
    source
        Where the stack is.
    target
        The table to write.
    options
        How to search.
    frames
        ``A:B`` or None for all.
    channels
        One or several.
    z_range
        First slice to search and the one after the last; None for all.
    rectangles
        Corners ``(y0, x0, y1, x1)`` in voxels of what to search; none means everywhere.
    mask
        A file whose stack is not 0 where particles are wanted.
    """

    source: Source
    target: Path
    options: Options = field(default_factory=Options)
    frames: str | None = None
    channels: tuple[int, ...] = (0,)
    z_range: tuple[int, int] | None = None
    rectangles: tuple[tuple[float, float, float, float], ...] = ()
    mask: str | None = None

    @property
    def name(self) -> str:
        """What messages call the input."""
        return Path(self.source.path).name

    def absolute(self) -> Job:
        """Return the same job for a process in another folder."""
        mask, weights = (
            None if path is None else str(Path(path).absolute()) for path in (self.mask, self.options.weights)
        )
        options = replace(self.options, weights=weights)
        return replace(self, source=self.source.absolute(), mask=mask, options=options)

    def parts(self, stack: Stack) -> list[Part]:
        """Return the volumes to search.

        Raises
        ------
        ColloidsError
            If the stack has no such frames or channels.
        """
        for channel in self.channels:
            stack.volume(0, channel)
        return parts_of(frame_range(self.frames, stack.n_frames), self.channels)

    def region(self) -> Region:
        """Return where particles are wanted.

        Raises
        ------
        ColloidsError
            If the mask cannot be read, or is more than one volume.
        """
        outlines = [rectangle_outline(*rectangle) for rectangle in self.rectangles]
        if self.mask is None:
            return Region(self.z_range, outlines)
        mask = Source(self.mask).open()
        if mask.n_frames > 1 or mask.n_channels > 1:
            raise ColloidsError(
                f"The mask '{self.mask}' has {mask.n_frames} frames and {mask.n_channels} channels; it must be one "
                "volume, which holds for all frames and channels."
            )
        return Region(self.z_range, outlines, mask.volume())

    def fingerprint(self) -> str:
        """Return a digest of all that decides the result: the input, the settings, the weights and the version.

        Where it runs and in what tiles changes nothing.
        """
        # Of the weights the digest counts, not where they lie.
        settings = asdict(self.options) | dict.fromkeys(("device", "tile", "weights"))
        mask = None if self.mask is None else Source(self.mask).state()
        content = {
            "source": self.source.state(),
            "options": settings,
            "frames": self.frames,
            "channels": self.channels,
            "z_range": self.z_range,
            "rectangles": self.rectangles,
            "mask": mask,
            "program": program(self.options.weights),
        }
        return hashlib.sha256(to_json(content).encode()).hexdigest()

    def provenance(self, stack: Stack, parts: Sequence[Part], fingerprint: str) -> dict[str, Any]:
        """Return where the table comes from, for the file beside it; `fingerprint` is of what was searched."""
        return {
            **program(self.options.weights),
            "input": self.name,
            "shape": stack.shape,
            "voxel_size": stack.voxel_size,
            "frame_interval": stack.frame_interval,
            "options": {
                **asdict(self.options),
                "index": self.source.index,
                "dataset": self.source.dataset,
                "axes": stack.axes,
                "z_scale": self.source.z_scale,
                "frames": [parts[0].frame, parts[-1].frame + 1],
                "channels": self.channels,
                "z_range": self.z_range,
                "rectangles": self.rectangles,
                "mask": self.mask,
            },
            "fingerprint": fingerprint,
        }


def program(weights: str | None) -> dict[str, str]:
    """Return what found the particles: the program's version and the digest of its weights, or of those in a file."""
    from napari_colloids.detection.weights import weights_digest

    return {"program": f"napari-colloids {__version__}", "weights_sha256": weights_digest(weights)}


def rectangle_outline(y0: float, x0: float, y1: float, x1: float) -> NDArray[np.float64]:
    """Return the corners ``(y, x)`` of a rectangle in turn, shape ``(4, 2)``."""
    return np.array([(y0, x0), (y0, x1), (y1, x1), (y1, x0)], dtype=float)


def jobs_of(sources: Sequence[Source], output: Path, *, into_folder: bool, **settings: Any) -> list[Job]:
    """Pair each input with the table to write.

    Parameters
    ----------
    sources
        The inputs.
    output
        A table, for one input; or a folder.
    into_folder
        Whether it is a folder. Inputs of one name that lie in several folders have the names of these before theirs.
    **settings
        Fields of `Job` that all have in common.

    Raises
    ------
    ColloidsError
        If several inputs would write the same table, or an input or the summary would be overwritten.
    """
    if into_folder:
        stems = [_stem(source, sources) for source in sources]
        homes = _told_apart([Path(os.path.abspath(source.path)).parent for source in sources], stems)
        targets = [output / f"{home}{stem}.csv" for home, stem in zip(homes, stems, strict=True)]
        if any(target.name.casefold() == SUMMARY for target in targets):
            raise ColloidsError(
                f"{output / SUMMARY} tells how all inputs ended: give --output a file for the input of that name."
            )
    elif len(sources) == 1:
        targets = [output]
    else:
        raise ColloidsError(f"There are {len(sources)} inputs, so --output must be a folder, not the file {output}.")
    if len(set(targets)) < len(targets):
        raise ColloidsError("Two inputs have the same name and would write the same table; detect them one by one.")
    read = {os.path.realpath(source.path) for source in sources}
    for target in targets:
        if os.path.realpath(target) in read:
            raise ColloidsError(f"The output {target} is also an input; choose another name.")
    return [Job(source, target, **settings) for source, target in zip(sources, targets, strict=True)]


def _stem(source: Source, sources: Sequence[Source]) -> str:
    """Return the name of the input without its ending, and what tells its series from the others in the file."""
    path = Path(source.path)
    parts = [path.name.removesuffix(path.suffix).removesuffix(".ome")]
    if source.dataset is not None:
        parts.append(source.dataset.strip("/").replace("/", "_"))
    if source.index > 0 or sum(other.path == source.path for other in sources) > 1:
        parts.append(str(source.index))
    return "_".join(parts)


def _told_apart(folders: Sequence[Path], stems: Sequence[str]) -> list[str]:
    """Return for each input what to put before its stem: nothing, or as many of its folders as tell it from others."""
    homes = [""] * len(stems)
    for stem in {stem for stem in stems if stems.count(stem) > 1}:
        alike = [number for number, other in enumerate(stems) if other == stem]
        apart = {folders[number] for number in alike}
        depth = next((n for n in range(1, 10) if len({folder.parts[-n:] for folder in apart}) == len(apart)), 0)
        if len(apart) > 1 and depth:
            for number in alike:
                homes[number] = "".join(f"{part}_" for part in folders[number].parts[-depth:])
    return homes
