"""How exact positions are, and how honest their standard errors: counts that can be added up over volumes."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.particles import ERRORS, positions_of
from napari_colloids.scoring import match

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Classes of the fractional part of a true position.
PHASES = 8
#: Standard errors within which errors are counted.
WITHIN = (1.0, 2.0)


@dataclass(frozen=True, eq=False)
class Exactness:
    """Sums over the particles that were found; axes are always z, y, x.

    Attributes
    ----------
    number
        How many there are.
    squares
        Shape ``(3,)``: of the errors, in voxels.
    least
        Shape ``(3,)``: the same of the Cramer-Rao bound.
    with_error
        How many have standard errors.
    within
        Shape ``(2, 3)``: how many of these are off by less than one and two standard errors.
    phase_number, phase_sum, phase_squares
        Shape ``(3, PHASES)``: number of particles, sum of the errors and of their squares, by the fractional part of
        the true position.
    """

    number: int
    squares: Array
    least: Array
    with_error: int
    within: Array
    phase_number: Array
    phase_sum: Array
    phase_squares: Array

    def __add__(self, other: Exactness) -> Exactness:
        """Return the sums over the particles of both."""
        return Exactness(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def rmse(self) -> Array:
        """Root mean square error along z and across, in voxels, shape ``(2,)``."""
        return _axial_and_lateral(self.squares, self.number)

    @property
    def bound(self) -> Array:
        """Root mean square of the bounds along z and across, in voxels, shape ``(2,)``."""
        return _axial_and_lateral(self.least, self.number)

    @property
    def ratio(self) -> Array:
        """How many times the bound the errors are, along z and across, shape ``(2,)``."""
        return self.rmse / self.bound

    @property
    def share_within(self) -> Array:
        """Share of the errors within one and two standard errors, shape ``(2, 3)``; NaN where there are none."""
        return self.within / (self.with_error or np.nan)

    @property
    def phase_bias(self) -> Array:
        """The largest mean error of all fractional positions, and its own standard error.

        Shape ``(2, 2)``: for z, and for y and x together; in voxels.
        """
        largest = []
        for axes in ([0], [1, 2]):
            number = np.maximum(self.phase_number[axes].sum(axis=0), 1)
            mean = self.phase_sum[axes].sum(axis=0) / number
            spread = np.sqrt(np.maximum(self.phase_squares[axes].sum(axis=0) / number - mean**2, 0) / number)
            worst = int(np.argmax(np.abs(mean)))
            largest.append([abs(mean[worst]), spread[worst]])
        return np.array(largest)


def exactness(
    truth: Array, counted: NDArray[np.bool_], least: Array, found: pd.DataFrame, diameter: float
) -> Exactness:
    """Compare what was found with the truth.

    Parameters
    ----------
    truth
        Shape ``(N, 3)``: all particles, those near and beyond the faces included; voxels are cubes.
    counted
        Shape ``(N,)``: those whose errors count.
    least
        Shape ``(N, 3)``: the bound of each; NaN where it is not known.
    found
        Particle table; standard errors where the particles were refined.
    diameter
        In voxels; matches are at most half of it apart.
    """
    pairs = match(truth, positions_of(found), diameter / 2)
    counts = counted[pairs.truth_index]
    true, rows = pairs.truth_index[counts], pairs.prediction_index[counts]
    error = positions_of(found)[rows] - truth[true]
    within, with_error = np.zeros((len(WITHIN), 3)), 0
    if ERRORS[0] in found:
        fitted = found["refined"].to_numpy()[rows] == 1
        pulls = np.abs(error[fitted]) / found[ERRORS[:3]].to_numpy()[rows][fitted]
        within, with_error = np.array([(pulls < limit).sum(axis=0) for limit in WITHIN], float), int(fitted.sum())
    phase = ((truth[true] % 1) * PHASES).astype(int) % PHASES
    sums = [
        np.stack(
            [np.bincount(p, weights=e, minlength=PHASES) for p, e in zip(phase.T, values.T, strict=True)], dtype=float
        )
        for values in (np.ones_like(error), error, error**2)
    ]
    return Exactness(
        len(true), (error**2).sum(axis=0), (least[true] ** 2).sum(axis=0), with_error, within, sums[0], sums[1], sums[2]
    )


def _axial_and_lateral(squares: Array, number: int) -> Array:
    return np.sqrt(np.array([squares[0], squares[1:].mean()]) / (number or np.nan))
