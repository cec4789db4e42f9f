"""Arrangement of the spheres that were found in a sample: for twins of what no simple arrangement describes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter
from scipy.spatial import cKDTree

from napari_colloids.assessment.rearrangement import pushed_apart, rearranged
from napari_colloids.particles import greedy_suppression, positions_of
from napari_colloids.refinement.refine import iter_refine
from napari_colloids.simulation.arrangement import Arrangement

if TYPE_CHECKING:
    from collections.abc import Generator

    import pandas as pd
    from numpy.random import Generator as RandomGenerator
    from numpy.typing import NDArray

    from napari_colloids.assessment.measurement import Measurement
    from napari_colloids.assessment.sample import Sample
    from napari_colloids.progress import Progress

    Array = NDArray[np.float64]

#: How far spheres move from where they were found, in their mean radii: only as much as to be another sample of it.
_REACH_RADII = 0.1
#: Distance of two spheres, over that of contact, below which the less certain one is left out.
_MIN_DISTANCE_CONTACTS = 0.7
#: Width of what is around the box, in its largest radii: its light reaches into the image.
_MARGIN_RADII = 4.0


@dataclass(frozen=True, eq=False)
class FoundArrangement:
    """Spheres as they were found in a sample.

    Attributes
    ----------
    positions
        Shape ``(N, 3)``: z, y, x in lateral voxels from the corner of the sample; the likeliest first.
    radii
        Shape ``(N,)`` in lateral voxels.
    count
        How many of them are particles; after them come doubtful ones, and then light places where there is room.
    box
        Edges of the sample in lateral voxels.
    """

    positions: Array
    radii: Array
    count: int
    box: tuple[float, float, float]

    @property
    def mean_radius(self) -> float:
        """Mean radius of the particles in lateral voxels."""
        return float(np.mean(self.radii[: self.count]))

    @property
    def polydispersity(self) -> float:
        """Standard deviation of the radius of the particles over its mean."""
        return float(np.std(self.radii[: self.count])) / self.mean_radius

    @property
    def mean_particle_volume(self) -> float:
        """Mean volume of the particles in cubic lateral voxels."""
        return float(np.mean(4 / 3 * np.pi * self.radii[: self.count] ** 3))

    def drawn(self, volume_fraction: float, rng: RandomGenerator) -> Arrangement:
        """Return another arrangement like this one.

        It is mirrored at random, and all spheres move a little. Where more are wanted than particles were found, the
        likeliest of the others are taken, too; where fewer, some are left out. Periodic images surround the box.

        Parameters
        ----------
        volume_fraction
            That is wanted; less where not so many were found.
        rng
            Source of randomness.
        """
        wanted = round(volume_fraction * float(np.prod(self.box)) / self.mean_particle_volume)
        order = np.arange(len(self.radii))
        order[: self.count] = rng.permutation(self.count)
        chosen = order[:wanted]
        positions, radii = self.positions[chosen], self.radii[chosen]
        if len(radii):
            positions = rearranged(pushed_apart(positions, radii), radii, _REACH_RADII * float(radii.mean()), rng)
        flipped = np.array([False, *(rng.random(2) < 0.5)])
        positions = np.where(flipped, self.box - positions, positions)
        return Arrangement(*_with_surroundings(positions, radii, np.array(self.box)), self.box, periodic=False)


def iter_found_arrangement(
    sample: Sample, found: pd.DataFrame, threshold: float, target: Measurement, diameter: float
) -> Generator[Progress, None, FoundArrangement]:
    """Return the arrangement of what was found in a sample, refined where that is possible.

    Parameters
    ----------
    sample, found, threshold, diameter
        The sample and all candidates in it.
    target
        Measured on the sample.

    Yields
    ------
    Progress
        Of the refinement.
    """
    aspect = np.array([sample.aspect, 1, 1])
    confidence = found["confidence"].to_numpy(dtype=float)
    positions, radii = positions_of(found), found["radius"].to_numpy(dtype=float)
    likely = confidence >= threshold
    fit = yield from iter_refine(sample.stack.volume(), positions[likely], radii[likely], diameter, sample.aspect)
    mean, spread = float(radii[likely].mean()), float(radii[likely].std())
    if fit.refined.any():
        known = fit.radii
        doubtful = radii[~likely] * float(known.mean()) / mean
    else:  # radii of the search spread by their errors, too
        deviation = (radii - mean) * min(target.polydispersity * target.radius / max(spread, 1e-6), 1.0)
        known, doubtful = (target.radius + deviation[which] for which in (likely, ~likely))
    order = np.argsort(-confidence[~likely], kind="stable")
    free = _light_places(sample, fit.positions, known)
    places = (np.concatenate([fit.positions, positions[~likely][order], free]) + 0.5) * aspect
    sizes = np.concatenate([known, doubtful[order], np.full(len(free), np.median(known))])
    kept = _apart(places, sizes)
    edges = np.array(sample.image.shape) * aspect
    return FoundArrangement(
        places[kept], sizes[kept], int(kept[: len(known)].sum()), (float(edges[0]), float(edges[1]), float(edges[2]))
    )


def _light_places(sample: Sample, positions: Array, radii: Array) -> Array:
    """Return the lightest places in voxels where a typical sphere overlaps with none by much, the lightest first."""
    usual, aspect = float(np.median(radii)), np.array([sample.aspect, 1, 1])
    smooth = gaussian_filter(sample.image.astype(np.float32), usual / 2 / aspect)
    size = tuple(2 * np.maximum((usual / aspect).astype(int), 1) + 1)
    places = np.argwhere(smooth == maximum_filter(_outside(smooth, positions, radii + usual, aspect), size=size))
    return np.asarray(places[np.argsort(-smooth[tuple(places.T)], kind="stable")], float)


def _outside(image: NDArray[np.float32], positions: Array, reach: Array, aspect: Array) -> NDArray[np.float32]:
    """Return an image that is black nearer to positions than what is allowed for a reach of each."""
    outside = image.copy()
    for centre, length in zip(positions, _MIN_DISTANCE_CONTACTS * reach, strict=True):
        low = np.clip(np.floor(centre - length / aspect), 0, image.shape).astype(int)
        high = np.clip(np.ceil(centre + length / aspect) + 1, 0, image.shape).astype(int)
        z, y, x = ((np.arange(a, b) - c) * k for a, b, c, k in zip(low, high, centre, aspect, strict=True))
        near = z[:, None, None] ** 2 + y[:, None] ** 2 + x**2 < length**2
        outside[tuple(slice(a, b) for a, b in zip(low, high, strict=True))][near] = 0
    return outside


def _apart(places: Array, radii: Array) -> NDArray[np.bool_]:
    """Return which spheres overlap with none before them by much."""
    pairs = cKDTree(places).query_pairs(2 * float(radii.max(initial=0.0)), output_type="ndarray")
    distance = np.linalg.norm(places[pairs[:, 0]] - places[pairs[:, 1]], axis=1)
    near = distance < _MIN_DISTANCE_CONTACTS * (radii[pairs[:, 0]] + radii[pairs[:, 1]])
    return np.asarray(greedy_suppression(pairs[near], len(places)))


def _with_surroundings(positions: Array, radii: Array, box: Array) -> tuple[Array, Array]:
    """Add periodic images of spheres around a box, moved out of the way of those in it."""
    margin = _MARGIN_RADII * float(radii.max(initial=0.0))
    edges = (float(box[0]), float(box[1]), float(box[2]))
    images, sizes = Arrangement(positions, radii, edges, periodic=True).within(np.full(3, -margin), box + margin)
    outside = np.any((images < 0) | (images >= box), axis=1)
    in_box = np.arange(len(radii) + outside.sum()) < len(radii)
    positions, radii = np.concatenate([positions, images[outside]]), np.append(radii, sizes[outside])
    positions = pushed_apart(positions, radii, in_box)
    kept = in_box | _apart(positions, radii)
    return positions[kept], radii[kept]
