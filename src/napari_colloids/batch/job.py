"""A job: a stack in a file, how to search it, and the table to write."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids import __version__
from napari_colloids.batch.selection import Selection, chosen_frames, ranges_of
from napari_colloids.batch.stack_file import StackFile
from napari_colloids.detection import Options, Part, Region, parts_of
from napari_colloids.errors import ColloidsError, UnusableVolumeError
from napari_colloids.io.files import to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_colloids.stack import Stack

#: File name of the table that says how all jobs of a folder ended.
SUMMARY = "summary.csv"


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
    selection
        Which volumes to search, and which part of them.
    quality
        Whether to measure the quality of the image in every volume, too (`image_quality`).
    """

    source: StackFile
    target: Path
    options: Options = field(default_factory=Options)
    selection: Selection = field(default_factory=Selection)
    quality: bool = False

    @property
    def name(self) -> str:
        """Name of the input in messages."""
        return Path(self.source.path).name

    def absolute(self) -> Job:
        """Return the same job for a process in another folder."""
        mask, weights = (
            None if path is None else str(Path(path).absolute()) for path in (self.selection.mask, self.options.weights)
        )
        options, selection = replace(self.options, weights=weights), replace(self.selection, mask=mask)
        return replace(self, source=self.source.absolute(), options=options, selection=selection)

    def parts(self, stack: Stack) -> list[Part]:
        """Return the volumes to search.

        Raises
        ------
        ColloidsError
            If the stack has no such frames or channels.
        """
        for channel in self.selection.channels:
            with suppress(UnusableVolumeError):
                stack.volume(0, channel)
        return parts_of(chosen_frames(self.selection.frames, stack.n_frames), self.selection.channels)

    def region(self) -> Region:
        """Return where particles are wanted.

        Raises
        ------
        ColloidsError
            If the mask cannot be read, or is more than one volume.
        """
        z_range, rectangle = self.selection.z_range, self.selection.rectangle
        outlines = [] if rectangle is None else [rectangle_outline(*rectangle)]
        if self.selection.mask is None:
            return Region(z_range, outlines)
        mask = StackFile(self.selection.mask).open()
        if mask.n_frames > 1 or mask.n_channels > 1:
            raise ColloidsError(
                f"The mask '{self.selection.mask}' has {mask.n_frames} frames and {mask.n_channels} channels; it must "
                "be one volume, which holds for all frames and channels."
            )
        # Slices that a sparse format leaves out are 0, not like those beside them.
        return Region(z_range, outlines, replace(mask, recorded=None).volume())

    def fingerprint(self) -> str:
        """Return a digest of all that decides what is found in a volume: input, settings, weights and version.

        Where it runs, in what tiles, and which frames are chosen changes nothing.
        """
        # The weights count by their digest, not by the path of their file.
        settings = asdict(self.options) | dict.fromkeys(("device", "tile", "weights"))
        mask = None if self.selection.mask is None else StackFile(self.selection.mask).state()
        content = {
            "source": self.source.state(),
            "options": settings,
            **self._region_entries(),
            "mask": mask,
            "program": program(self.options.weights),
            "quality": self.quality,
        }
        return hashlib.sha256(to_json(content).encode()).hexdigest()

    def provenance(self, stack: Stack, parts: Sequence[Part], fingerprint: str) -> dict[str, object]:
        """Return where the table comes from, for the file beside it; `fingerprint` is of what was searched."""
        frames = ranges_of(list(dict.fromkeys(part.frame for part in parts)))
        one_range = len(frames) == 1 and len(frames[0]) == 2
        return {
            **program(self.options.weights),
            "input": self.name,
            "shape": stack.shape,
            "voxel_size": stack.voxel_size,
            "assumed": stack.assumed,
            "frame_interval": stack.frame_interval,
            "options": {
                **asdict(self.options),
                "index": stack.index,
                "dataset": self.source.dataset,
                "axes": stack.axes,
                "z_scale": self.source.z_scale,
                "frames": frames[0] if one_range else frames,
                **self._region_entries(),
                "mask": self.selection.mask,
                "quality": self.quality,
            },
            "fingerprint": fingerprint,
            "chosen": self.selection.frames,
        }

    def _region_entries(self) -> dict[str, object]:
        """Return the channels and the part of each volume as the file beside a table has them."""
        rectangle = self.selection.rectangle
        return {
            "channels": self.selection.channels,
            "z_range": self.selection.z_range,
            "rectangles": () if rectangle is None else (rectangle,),
        }


def program(weights: str | None) -> dict[str, str]:
    """Return the program's version and the digest of its weights, or of those in a file."""
    from napari_colloids.detection.weights import weights_digest

    return {"program": f"napari-colloids {__version__}", "weights_sha256": weights_digest(weights)}


def rectangle_outline(y0: float, x0: float, y1: float, x1: float) -> NDArray[np.float64]:
    """Return the corners ``(y, x)`` of a rectangle in turn, shape ``(4, 2)``."""
    return np.array([(y0, x0), (y0, x1), (y1, x1), (y1, x0)], dtype=float)
