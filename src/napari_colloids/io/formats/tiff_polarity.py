"""Grey levels that a TIFF file stores the wrong way round: 0 is white."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import tifffile

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.io.lazy import Box, Sliceable

#: What the user has to know where levels are turned round, and where colours are numbers of a table.
TURNED_ROUND = "The file stores white as 0 (MINISWHITE): its grey levels are turned round, so that bright is large."
COLOUR_TABLE = "The file has a colour table; the numbers that it is for are taken as grey levels."


def is_turned_round(page: tifffile.TiffPage) -> bool:
    """Whether white is 0 in the pages of an image."""
    if page.photometric != tifffile.PHOTOMETRIC.MINISWHITE:
        return False
    # Masks of one bit have this by default where tifffile wrote them, and it does not mean it.
    return bool(page.bitspersample != 1 or str(page.software).partition(" ")[0] != "tifffile.py")


@dataclass(frozen=True)
class TurnedRound:
    """View of an array whose grey levels are turned round as they are read.

    Attributes
    ----------
    array
        The array in the file.
    bits
        Bits of a grey level in the file: black is ``2**bits - 1``. Signed numbers and floats change their sign.
    """

    array: Sliceable
    bits: int

    def __getitem__(self, index: Box) -> NDArray[np.generic]:
        """Read a box."""
        part = np.asarray(self.array[index])
        if part.dtype.kind == "u":
            turned: NDArray[np.generic] = np.subtract(part.dtype.type((1 << self.bits) - 1), part)
            return turned
        return np.negative(part) if part.dtype.kind in "fc" else np.invert(part)
