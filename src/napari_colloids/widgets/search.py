"""What was asked for in the Detect widget: the search of a volume, or of frames of a series, to be gone on with."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_colloids.detection import Part, iter_detect_series, joined, parts_of
from napari_colloids.widgets import layers, places

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import pandas as pd
    from napari.layers import Image

    from napari_colloids.detection import Options, Region
    from napari_colloids.detection.plan import DiameterEstimate


class Search:
    """The volumes of an image that are to be searched, and the particles of those that are done.

    Keeps the place of the image, which may be moved or removed meanwhile.

    Parameters
    ----------
    image
        A 3D image, or a time series of them.
    index
        What the viewer shows of it along the axes before z.
    frames
        The frames to search; None for the one on show.
    options
        The settings.
    region
        Where particles are wanted.
    psf
        The image of a bead that the PSF is measured on, for positions that are refined.
    """

    def __init__(
        self,
        image: Image,
        index: Sequence[int],
        frames: Sequence[int] | None,
        options: Options,
        region: Region,
        psf: Image | None = None,
    ) -> None:
        self.image = image
        self.place = places.frame_of(image)
        self.options = options
        self.region = region
        self._stack = layers.series_of(image) if image.ndim == 4 else layers.stack_of(image, index)
        self._psf = None if psf is None else layers.stack_of(psf)
        #: Where the points lie along the axes before z; the frames of a time series say so themselves.
        self.leading = () if image.ndim == 4 else tuple(index)
        shown = [index[0]] if image.ndim == 4 else [0]
        self.parts = parts_of(shown if frames is None else frames, [0])
        self.tables: dict[Part, pd.DataFrame] = {}
        self._estimates: dict[int, DiameterEstimate] = {}
        mask = None if region.mask is None else zlib.crc32(np.asarray(region.mask).tobytes())
        self._key = (id(image), tuple(self.parts), tuple(index[:-1]), options, _corners(region), mask, id(psf))

    def goes_on_with(self, other: Search | None) -> bool:
        """Take over what another search has done, if it was asked for the same; tell whether it was."""
        if other is None or other._key != self._key or not other.tables:
            return False
        self.tables, self._estimates = other.tables, other._estimates
        return True

    def run(self) -> Generator[Any, None, Search]:
        """Search what is not done yet; returns itself."""
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
            region=self.region,
        )
        return self

    def table(self) -> pd.DataFrame:
        """Return the particles found so far, in the order of the frames; ``attrs`` says how they were found.

        Raises
        ------
        ColloidsError
            If nothing is done yet.
        """
        return joined([self.tables[part] for part in self.parts if part in self.tables])


def _corners(region: Region) -> tuple[Any, ...]:
    return tuple(tuple(np.ravel(outline)) for outline in region.outlines)
