"""Conversion of the axes in a file to those of a `Stack`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_colloids.errors import ColloidsError, brief
from napari_colloids.stack import AXES

#: Letter of a dimension that the file does not label.
UNLABELLED = "?"
#: TIFF's letters for "a sequence of images" and "other": a single one of them is taken as z.
_SEQUENCE = "qi"
#: Leica's letters for scans of the emission and of the excitation wavelength.
_WAVELENGTHS = "λΛ"
#: An unlabelled dimension of up to this length is suggested to hold channels, a longer one frames.
_MAX_SUGGESTED_CHANNELS = 4
#: Meaning of the letters that no `Stack` has.
_MEANINGS = {
    "λ": "emission wavelength",
    "Λ": "excitation wavelength",
    "s": "colour samples",
    "m": "mosaic tiles",
    "p": "positions",
    "r": "rotation",
    "h": "phase",
    "v": "view",
    "b": "block",
    UNLABELLED: "not labelled",
}


def axis_letter(label: object) -> str:
    """Return the letter of an axis that a file calls by a name: its first, in upper case."""
    letter = str(label or "")[:1].upper()
    # Some letters are two in the other case.
    return letter if letter.isascii() and letter.isalpha() else UNLABELLED


def axes_words(axes: str) -> str:
    """Return the letters of a file's dimensions in words; a sequence of images is what is taken as z.

    Parameters
    ----------
    axes
        Letters of the dimensions, as the file has them.

    Examples
    --------
    >>> axes_words("QYX"), axes_words("TZYX")
    ('z, y, x; the first taken for z, as the file does not say', 't, z, y, x')
    """
    letters = list(axes.lower())
    sequences = [place for place, letter in enumerate(letters) if letter in _SEQUENCE]
    if len(sequences) != 1 or "z" in letters:
        return ", ".join(letters)
    (place,) = sequences
    letters[place] = "z"
    which = "the first" if place == 0 else f"number {place + 1}"
    return f"{', '.join(letters)}; {which} taken for z, as the file does not say"


@dataclass(frozen=True)
class Layout:
    """Indexing and transposition that bring an array into the axis order of a `Stack`.

    Attributes
    ----------
    index
        Index of each dimension: all of it, or its only element.
    order
        Order of the dimensions that are left.
    axes
        Their letters, out of ``"tczyx"`` and in that order.
    stored
        A letter for each dimension of the array as it is, `UNLABELLED` for those that are dropped.
    """

    index: tuple[slice | int, ...]
    order: tuple[int, ...]
    axes: str
    stored: str

    def __call__(self, data: Any) -> Any:
        """Return a view of the array in the order of the stack's axes."""
        if any(isinstance(part, int) for part in self.index):
            data = data[self.index]
        return data if self.order == tuple(range(len(self.order))) else np.transpose(data, self.order)


def checked_axes(axes: str | None) -> str | None:
    """Return the axes that a user gave in lower case.

    Raises
    ------
    ColloidsError
        If they are not letters of ``"tczyx"``, each at most once, with z, y and x.
    """
    if not isinstance(axes, str | None):
        raise ColloidsError(f"Axes are letters such as 'tzyx', not {brief(axes)}.")
    letters = axes.lower() if axes else None
    if letters and not (set("zyx") <= set(letters) <= set(AXES) and len(set(letters)) == len(letters)):
        raise ColloidsError(f"Axes '{axes}' are not understood: use 'zyx', and 't' and 'c' where there are any.")
    return letters


def suggested_axes(axes: str, shape: tuple[int, ...]) -> str:
    """Return a guess of the axes of a file, for the user to correct; empty where there is none.

    Parameters
    ----------
    axes
        The axes as in the file, `UNLABELLED` where it has no label.
    shape
        Length of each.
    """
    letters = [_folded(letter) for letter in axes]
    strange = [k for k, letter in enumerate(letters) if letter not in AXES]
    # A short first dimension holds channels rather than frames; wavelengths are channels.
    channels = len(letters) != 4 or (bool(strange) and shape[strange[0]] <= _MAX_SUGGESTED_CHANNELS)
    free = [letter for letter in ("xyzct" if channels else "xyztc") if letter not in letters]
    for k in reversed(strange):
        fitting = [letter for letter in free if letter == "c" or letters[k] not in _WAVELENGTHS]
        if fitting:
            letters[k] = fitting[0]
            free.remove(fitting[0])
    if not strange:
        letters = _relabelled(letters, shape)
    found = "".join(letters)
    complete = set("zyx") <= set(found) <= set(AXES) and len(set(found)) == len(found)
    return found if complete and found != _folded(axes) else ""


def _relabelled(letters: list[str], shape: tuple[int, ...]) -> list[str]:
    """Return labels in which z stands where slices are often labelled as frames, or as more channels than there are."""
    lengths = dict(zip(letters, shape, strict=True))
    if lengths.get("z", 1) != 1:
        return letters
    mislabelled = "t" if lengths.get("t", 1) != 1 else "c" if lengths.get("c", 1) > _MAX_SUGGESTED_CHANNELS else ""
    exchanged = {mislabelled: "z", "z": mislabelled} if mislabelled else {}
    return [exchanged.get(letter, letter) for letter in letters]


def _folded(letters: str) -> str:
    """Return letters in lower case, except for the two wavelengths, which differ by case."""
    return "".join(letter if letter in _WAVELENGTHS else letter.lower() for letter in letters)


def layout_of(axes: str, shape: tuple[int, ...], name: str, given: str | None = None) -> Layout:
    """Return the conversion of an array to the axis order of `Stack`.

    Unless the user gave the axes, those of length 1 are dropped except for z, y and x, and a single sequence of
    unknown meaning (``q`` or ``i`` in TIFF) is taken as z where there is no z.

    Parameters
    ----------
    axes
        One letter per dimension, in any order and case, as in the file.
    shape
        The length of each dimension.
    name
        Name of the stack in messages.
    given
        The axes that the user gave; dimensions that would be dropped may be left out.

    Raises
    ------
    ColloidsError
        If the axes do not fit the shape, one is not understood, or there is no z.
    """
    letters = _folded(axes)
    keep = [k for k, letter in enumerate(letters) if letter in "zyx" or shape[k] != 1]
    if given is not None:
        keep = keep if len(given) == len(keep) else list(range(len(shape)))
        if len(given) != len(keep):
            raise ColloidsError(f"'{name}' has {len(shape)} dimensions {shape}; the axes '{given}' do not fit them.")
    letters = given or "".join(letters[k] for k in keep)
    kept = tuple(shape[k] for k in keep)
    unknown = [letter for letter in letters if letter not in AXES]
    if len(unknown) == 1 and unknown[0] in _SEQUENCE and "z" not in letters:
        letters = letters.replace(unknown[0], "z")
    elif len(set(letters)) < len(letters) or (unknown and ("z" in letters or not set(unknown) <= set(_WAVELENGTHS))):
        raise ColloidsError(_not_clear(letters, kept, axes, name))
    if not set("zyx") <= set(letters) or (not given and 1 in (kept[letters.index(letter)] for letter in "zyx")):
        raise ColloidsError(_not_3d(letters, kept, name))
    order = tuple(sorted(range(len(letters)), key=lambda k: AXES.index(letters[k])))
    return Layout(
        tuple(slice(None) if k in keep else 0 for k in range(len(shape))),
        order,
        "".join(letters[k] for k in order),
        "".join(letters[keep.index(k)] if k in keep else UNLABELLED for k in range(len(shape))),
    )


def _not_clear(letters: str, shape: tuple[int, ...], axes: str, name: str) -> str:
    meant = "; ".join(
        f"{letter}: {_MEANINGS[letter]}" for letter in dict.fromkeys(letters) if letter in _MEANINGS and letter != "?"
    )
    # Where nothing can be told from the labels, the usual order; channels are labelled and stay what they are.
    usual = AXES[-len(letters) :] if 3 <= len(letters) <= len(AXES) and "c" not in letters else ""
    example = suggested_axes(letters, shape) or usual
    hint = "" if example in ("", letters) else f', e.g. axes="{example}"'
    return (
        f"The dimensions {shape} of '{name}' are labelled '{axes}', which is not clear"
        f"{f' ({meant})' if meant else ''}; give the axes{hint}."
    )


def _not_3d(letters: str, shape: tuple[int, ...], name: str) -> str:
    long = [letter for letter, n in zip(letters, shape, strict=True) if n != 1]
    if len(long) < 3:
        what = "a single 2D image" if len(long) == 2 else f"an array of {len(long)} dimensions"
        return f"'{name}' is {what} of shape {shape}; a 3D stack (z, y, x) is needed."
    series = {
        "t": "a time series of 2D images",
        "c": "2D channels",
        "λ": "a scan of emission wavelengths",
        "Λ": "a scan of excitation wavelengths",
    }
    what = " and ".join(series[letter] for letter in long if letter in series)
    missing = ", ".join(letter.upper() for letter in "zyx" if letter not in long)
    labels = "".join(letter if letter in _WAVELENGTHS else letter.upper() for letter in letters)
    example = suggested_axes(letters, shape)
    hint = f' If the labels are wrong, give the axes, e.g. axes="{example}".' if example else ""
    return f"'{name}' is {what or 'not 3D'}: shape {shape}, axes '{labels}', without {missing}.{hint}"
