"""Results of the refinement of a volume: fitted particles, and the residual image."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_colloids.particles import ERRORS

if TYPE_CHECKING:
    from napari_colloids.refinement.global_parameters import GlobalParameters

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class Refinement:
    """Fitted particles, in voxels of the stack.

    Attributes
    ----------
    positions
        Shape ``(N, 3)``.
    radii
        Shape ``(N,)``, in lateral voxels.
    errors
        Shape ``(N, 4)``: standard errors of z, y, x and radius; NaN where the detection was left as it is.
    refined
        Shape ``(N,)``: whether the fit was accepted.
    source
        Shape ``(N,)``: number of the detection, -1 for a particle that only the residual showed.
    misfit
        Shape ``(N,)``: root mean square of the residual around each over that of the noise, at least 1; NaN where the
        fit was not accepted.
    common
        Optics, noise and statistics of the particles; None where they could not be estimated.
    notices
        What the user should know.
    declined
        Why no particle was refined though the optics are possible; empty where some were, or the optics are not.
    """

    positions: Array
    radii: Array
    errors: Array
    refined: NDArray[np.bool_]
    source: NDArray[np.intp]
    misfit: Array
    common: GlobalParameters | None = None
    notices: list[str] = field(default_factory=list)
    declined: str = ""

    @classmethod
    def unchanged(
        cls, positions: Array, radii: Array, reason: str, common: GlobalParameters | None = None
    ) -> Refinement:
        """Return detections as they are, with a notice that says why they were not refined.

        Parameters
        ----------
        positions, radii
            Of the detections.
        reason
            In words.
        common
            Optics, noise and statistics, if it is not these that are impossible.
        """
        count = len(positions)
        unknown = np.full((count, len(ERRORS)), np.nan)
        return cls(
            positions,
            radii,
            unknown,
            np.zeros(count, bool),
            np.arange(count),
            np.full(count, np.nan),
            common,
            [declined_words(reason)],
            "" if common is None else reason,
        )

    def __repr__(self) -> str:
        parts = [f"{len(self.radii)} particles", f"{int(self.refined.sum())} refined"]
        if self.common is not None:
            parts.append("psf_sigma=({:.3g}, {:.3g}) lateral voxels".format(*self.common.optics.psf_sigma))
        return "\n".join([f"Refinement({', '.join(parts)})", *self.notices])

    @property
    def facts(self) -> dict[str, float | list[float] | str]:
        """Estimated optics, noise and statistics by name, in lateral voxels and grey levels; why none was refined."""
        if self.common is None:
            return {}
        return {**self.common.facts(), **({"not_refined": self.declined} if self.declined else {})}


def declined_words(reason: str) -> str:
    """Return the sentence that says why particles were not refined."""
    return f"Not refined: {reason}. The positions are those of the search."


@dataclass(frozen=True, eq=False, repr=False)
class Residual:
    """Residual of an image after the subtraction of its particles.

    Attributes
    ----------
    image
        Shape ``(z, y, x)``: grey levels of the stack less those of the model.
    bins
        Voxels of the stack ``(z, y, x)`` in one of the image.
    notices
        What the user should know of the refinement of these particles.
    """

    image: NDArray[np.float32]
    bins: tuple[int, int, int]
    notices: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        deviation = float(self.image.std())
        text = f"Residual(shape={self.image.shape}, bins={self.bins}, standard deviation {deviation:.3g} grey levels)"
        return "\n".join([text, *self.notices])
