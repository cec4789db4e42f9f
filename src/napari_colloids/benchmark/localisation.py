"""Localisation error, and coverage of the standard errors: counts that add up over volumes."""

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

#: Number of bins of the fractional part of a true position.
PHASES = 8
#: Multiples of the standard error within which errors are counted.
COVERAGES = (1.0, 2.0)


@dataclass(frozen=True, eq=False)
class LocalisationErrors:
    """Sums over the particles that were found; axes are always z, y, x.

    Attributes
    ----------
    number
        Number of particles.
    squares
        Shape ``(3,)``: sum of the squared errors in voxels.
    bound_squares
        Shape ``(3,)``: sum of the variances of the Cramer-Rao bound in voxels.
    with_standard_error
        Number of particles that have standard errors.
    covered
        Shape ``(2, 3)``: number of these whose error is below one and two standard errors.
    phase_number, phase_sum, phase_squares
        Shape ``(3, PHASES)``: number of particles, sum of the errors and of their squares, by the fractional part of
        the true position.
    """

    number: int
    squares: Array
    bound_squares: Array
    with_standard_error: int
    covered: Array
    phase_number: Array
    phase_sum: Array
    phase_squares: Array

    def __add__(self, other: LocalisationErrors) -> LocalisationErrors:
        """Return the sums over the particles of both."""
        return LocalisationErrors(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def rmse(self) -> Array:
        """Root mean square error along z and laterally, in voxels, shape ``(2,)``."""
        return _axial_and_lateral(self.squares, self.number)

    @property
    def bound(self) -> Array:
        """Root mean square of the Cramer-Rao bounds along z and laterally, in voxels, shape ``(2,)``."""
        return _axial_and_lateral(self.bound_squares, self.number)

    @property
    def ratio(self) -> Array:
        """Error over bound along z and laterally, shape ``(2,)``."""
        return self.rmse / self.bound

    @property
    def coverage(self) -> Array:
        """Fraction of the errors within one and two standard errors, shape ``(2, 3)``; NaN where there are none.

        Of normally distributed errors it is 0.683 and 0.954.
        """
        return self.covered / (self.with_standard_error or np.nan)

    @property
    def phase_bias(self) -> Array:
        """The largest mean error of all bins of the fractional position, and its standard error.

        Shape ``(2, 2)``: for z, and for y and x together; in voxels.
        """
        largest = []
        for axes in ([0], [1, 2]):
            number = np.maximum(self.phase_number[axes].sum(axis=0), 1)
            mean = self.phase_sum[axes].sum(axis=0) / number
            error = np.sqrt(np.maximum(self.phase_squares[axes].sum(axis=0) / number - mean**2, 0) / number)
            worst = int(np.argmax(np.abs(mean)))
            largest.append([abs(mean[worst]), error[worst]])
        return np.array(largest)


def localisation_errors(
    truth: Array, counted: NDArray[np.bool_], bound: Array, found: pd.DataFrame, diameter: float
) -> LocalisationErrors:
    """Compare the particles found with the truth.

    Parameters
    ----------
    truth
        Shape ``(N, 3)``: all particles, those near and beyond the faces included, in cubic voxels.
    counted
        Shape ``(N,)``: those whose errors count.
    bound
        Shape ``(N, 3)``: the Cramer-Rao bound of each; NaN where it is unknown.
    found
        Particle table; with standard errors where the particles were refined.
    diameter
        In voxels; matches are at most half of it apart.
    """
    pairs = match(truth, positions_of(found), diameter / 2)
    counts = counted[pairs.truth_index]
    true, rows = pairs.truth_index[counts], pairs.prediction_index[counts]
    error = positions_of(found)[rows] - truth[true]
    covered, with_standard_error = np.zeros((len(COVERAGES), 3)), 0
    if ERRORS[0] in found:
        refined = found["refined"].to_numpy()[rows] == 1
        pulls = np.abs(error[refined]) / found[ERRORS[:3]].to_numpy()[rows][refined]
        covered = np.array([(pulls < limit).sum(axis=0) for limit in COVERAGES], float)
        with_standard_error = int(refined.sum())
    phase = ((truth[true] % 1) * PHASES).astype(int) % PHASES
    phase_number, phase_sum, phase_squares = (
        np.stack(
            [np.bincount(p, weights=e, minlength=PHASES) for p, e in zip(phase.T, values.T, strict=True)], dtype=float
        )
        for values in (np.ones_like(error), error, error**2)
    )
    return LocalisationErrors(
        number=len(true),
        squares=(error**2).sum(axis=0),
        bound_squares=(bound[true] ** 2).sum(axis=0),
        with_standard_error=with_standard_error,
        covered=covered,
        phase_number=phase_number,
        phase_sum=phase_sum,
        phase_squares=phase_squares,
    )


def _axial_and_lateral(squares: Array, number: int) -> Array:
    return np.sqrt(np.array([squares[0], squares[1:].mean()]) / (number or np.nan))
