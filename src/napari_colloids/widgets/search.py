"""Resumable search of a volume or of frames of a time series."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.detection import Part, Record, iter_detect_series, joined, parts_of
from napari_colloids.widgets.layers import layers, places

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import pandas as pd
    from napari.layers import Image

    from napari_colloids.detection import Options
    from napari_colloids.detection.estimate import DiameterEstimate
    from napari_colloids.progress import Progress
    from napari_colloids.widgets.layers.regions import Marked


class Search:
    """A search of volumes of an image, with the particles of the volumes that are done.

    Keeps the place of the image, which may be moved or removed meanwhile. Searches these frames of a series, or for
    None the one on show, which the index says. The PSF may be measured on the image of a bead.
    """

    def __init__(
        self,
        image: Image,
        index: Sequence[int],
        frames: Sequence[int] | None,
        options: Options,
        marked: Marked,
        psf: Image | None = None,
        threshold: float | None = None,
    ) -> None:
        self.image = image
        #: Confidence that the result is to be shown from; None for the default of the method.
        self.threshold = threshold
        self.place = places.place_of(image)
        self.options = options
        self._marked = marked
        self._stack = layers.series_of(image) if image.ndim == 4 else layers.stack_of(image, index)
        self._psf = None if psf is None else layers.stack_of(psf)
        #: Where the points lie along the axes before z; the frames of a time series say so themselves.
        self.leading = () if image.ndim == 4 else tuple(index)
        shown = [index[0]] if image.ndim == 4 else [0]
        self.parts = parts_of(shown if frames is None else frames, [0])
        self.tables: dict[Part, pd.DataFrame] = {}
        #: Whether it goes on with what another one has done.
        self.went_on = False
        self._estimates: dict[int, DiameterEstimate] = {}
        self._checksum: int | None = None
        size = None if self._psf is None else self._psf.voxel_size
        corners = tuple(tuple(np.ravel(outline)) for outline in marked.outlines)
        self._key = (tuple(self.parts), self.leading, options, self.place, marked.z_range, corners, size)
        #: Kept, as what takes the place of an object that is gone may have its id.
        self._objects = (image, image.data, psf, None if psf is None else psf.data)

    def goes_on_with(self, other: Search | None) -> bool:
        """Take over the results of another search with the same settings; return whether they are the same.

        Whether labels have stayed the same is seen once they are read.
        """
        if other is None or other._key != self._key or not other.tables:
            return False
        if any(ours is not its for ours, its in zip(self._objects, other._objects, strict=True)):
            return False
        self.tables, self._estimates, self._checksum = dict(other.tables), dict(other._estimates), other._checksum
        self.went_on = True
        return True

    def run(self) -> Generator[Progress, None, Search]:
        """Search what is not done yet; returns itself."""
        region, checksum = yield from self._marked.read()
        if checksum != self._checksum:
            self.tables, self._estimates, self.went_on = {}, {}, False
        self._checksum = checksum
        done = list(self.tables)
        options = self.options
        if self._psf is not None:
            from napari_colloids.refinement import PSF

            options = replace(options, psf=PSF.measured(self._psf))
        yield from iter_detect_series(
            self._stack,
            options,
            self.parts,
            self.tables.__setitem__,
            done=done,
            estimates=self._estimates,
            region=region,
        )
        self.table()  # raises where no frame could be searched
        return self

    @property
    def origin(self) -> dict[str, object]:
        """What is searched, as the command line writes it beside a table: file, shape, and frames of a series."""
        path = self.image.source.path
        origin: dict[str, object] = {"shape": list(self._stack.shape)}
        if path is not None:
            origin["input"] = Path(path).name
        if self._stack.n_frames > 1:
            frames = [part.frame for part in self.parts]
            origin["chosen"] = f"{min(frames)}:{max(frames) + 1}"
        return origin

    @property
    def found_any(self) -> bool:
        """Whether there is a frame that is done and could be searched."""
        return any(Record.from_attrs(table.attrs).searched for table in self.tables.values())

    def table(self) -> pd.DataFrame:
        """Return the particles found so far, in the order of the frames; ``attrs`` says how they were found."""
        return joined([self.tables[part] for part in self.parts if part in self.tables])
