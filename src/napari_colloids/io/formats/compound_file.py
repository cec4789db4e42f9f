"""Compound files, the container of Olympus' OIB: a check that reading one comes to an end.

Source
------
Microsoft, "[MS-CFB]: Compound File Binary File Format".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HEADER_BYTES = 512
#: Number of the sectors of the table that are listed in the header.
_LISTED = 109
#: Larger numbers are no sectors.
_LAST_SECTOR = 0xFFFFFFFA


def check_chains(path: Path) -> None:
    """Check that no chain of sectors goes round in a circle, which a reader would follow for ever.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    ValueError, struct.error
        If one does, or it is no compound file.
    """
    content = np.memmap(path, np.uint8, mode="r")
    header = content[:_HEADER_BYTES].tobytes()
    if not header.startswith(_MAGIC):
        raise ValueError("no compound file")
    (shift,) = struct.unpack_from("<H", header, 30)
    tables, mini_start, listing, listings = (struct.unpack_from("<I", header, offset)[0] for offset in (44, 60, 68, 72))
    if shift not in (9, 12):
        raise ValueError(f"sectors of 2^{shift} bytes")
    numbers = (content[: content.size // 4 * 4]).view("<u4").reshape(-1)
    per_sector = (1 << shift) // 4
    sectors = numbers.size // per_sector  # the header is the first, and has no number

    def sector(number: int) -> NDArray[np.uint32]:
        if number + 1 >= sectors:
            raise ValueError(f"sector {number} is beyond the end")
        return numbers[(number + 1) * per_sector : (number + 2) * per_sector]

    places = list(struct.unpack_from(f"<{_LISTED}I", header, 76))
    if max(tables, listings) > sectors:
        raise ValueError("more tables than sectors")
    for _ in range(listings):
        listed = sector(listing)
        places += listed[:-1].tolist()
        listing = int(listed[-1])
    table = np.concatenate([sector(place) for place in places[:tables]])
    _check_table(table)
    mini = []
    while mini_start <= _LAST_SECTOR and mini_start < table.size:
        mini.append(sector(mini_start))
        mini_start = int(table[mini_start])
    if mini:
        _check_table(np.concatenate(mini))


def _check_table(table: NDArray[np.uint32]) -> None:
    """Check that each chain in a table of following sectors ends."""
    end = table.size
    following = np.append(np.where(table < end, table, end), end).astype(np.int64)
    for _ in range(int(end).bit_length() + 1):  # twice as far along all chains each time
        following = following[following]
    if (following != end).any():
        raise ValueError("a chain of sectors goes round in a circle")
