"""Comparison of a sample with its digital twins: whether these describe it.

A twin that describes a sample cannot be told from it by what does not need the truth: correlations of the image, grey
levels, distances of neighbours, confidences.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from napari_colloids.assessment.contact_edge import contact_edge
from napari_colloids.assessment.measurement import slice_jitter
from napari_colloids.particles import positions_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Standard errors by which a sample may differ from its twins beyond the tolerance.
_MAX_ERRORS = 3.0
#: Margin of an image whose correlations are not compared, in diameters, and of its length at most one in so many.
_MARGIN_DIAMETERS, _MAX_MARGIN_PART = 0.75, 6
#: Largest difference of a feature that counts in a mean.
_MAX_COUNTED = 3.0
#: Confidences beyond these are as sure.
_CONFIDENCE_RANGE = (0.01, 0.999)


class Feature(NamedTuple):
    """Something that is compared.

    Attributes
    ----------
    tolerance
        How much a sample may differ from a twin that describes it.
    words
        What it means if it does.
    """

    tolerance: float
    words: str


_LATERAL = "the image is correlated along the slices otherwise than that of blurred spheres"
_AXIAL = "the image is correlated along z otherwise than that of blurred spheres: check the z step"
_NEAR = "nearest neighbours are at other distances than those of hard spheres of this size"
_EDGE = "the contact edge of g(r) is otherwise blurred: positions or sizes are less exact than in simulations"
_LEVELS = "there are grey levels that spheres on a smooth background do not have"
_SURE = "the network is otherwise sure of the particles than of simulated ones"
_SIZES = "the particles differ in size otherwise than simulated ones"

#: Columns of a comparison.
COMPARED = ["sample", "twins", "deviation", "difference"]
#: What is compared, by name.
FEATURES: dict[str, Feature] = {
    "lateral correlation, 1 voxel": Feature(0.08, _LATERAL),
    "lateral correlation, half a radius": Feature(0.06, _LATERAL),
    "lateral correlation, a radius": Feature(0.06, _LATERAL),
    "lateral correlation, a diameter": Feature(0.05, _LATERAL),
    "axial correlation, 1 voxel": Feature(0.08, _AXIAL),
    "axial correlation, half a radius": Feature(0.08, _AXIAL),
    "axial correlation, a radius": Feature(0.08, _AXIAL),
    "axial correlation, a diameter": Feature(0.1, _AXIAL),
    "nearest neighbour, 5 %": Feature(0.08, _NEAR),
    "nearest neighbour, 25 %": Feature(0.065, _NEAR),
    "nearest neighbour, direction": Feature(0.1, "neighbours lie otherwise along z than across: check the z step"),
    "contact edge across": Feature(0.04, _EDGE),
    "contact edge along z": Feature(0.06, _EDGE),
    "grey level, 1 %": Feature(0.2, _LEVELS),
    "grey level, 99 %": Feature(0.25, _LEVELS),
    "confidence, 10 %": Feature(1.5, _SURE),
    "confidence, median": Feature(1.5, _SURE),
    "doubtful candidates": Feature(0.25, "there are more or fewer doubtful candidates than in simulations"),
    "spread of the radii": Feature(0.06, _SIZES),
    "radius": Feature(0.06, _SIZES),
    "jitter": Feature(0.06, "neighbouring slices are shifted against each other"),
}


def features_of(
    image: NDArray[np.generic], found: pd.DataFrame, threshold: float, diameter: float, aspect: float
) -> dict[str, float]:
    """Measure what is compared.

    Parameters
    ----------
    image
        Shape ``(z, y, x)``.
    found
        Candidates, down to a low confidence.
    threshold
        Of the particles among them.
    diameter
        That was searched for, in lateral voxels.
    aspect
        Height of a voxel over its width.

    Returns
    -------
    dict of float
        By the names of `FEATURES`; NaN where it cannot be measured.
    """
    likely = found[found["confidence"] >= threshold]
    levels = image.astype(np.float32)
    values = [*_correlations(_interior(levels, diameter, aspect), diameter / 2, aspect)]
    positions = positions_of(likely) * [aspect, 1, 1]
    values += _neighbours(positions, diameter)
    edge = contact_edge(positions, diameter)
    values += [np.nan] * 2 if edge is None else [edge.across / diameter, edge.along / diameter]
    low, first, middle, third, high = np.quantile(levels, [0.01, 0.25, 0.5, 0.75, 0.99])
    width = max(float(third - first), 1e-6)
    values += [(low - middle) / width, (high - middle) / width]
    values += _sureness(likely["confidence"].to_numpy(dtype=float))
    values.append((len(found) - len(likely)) / max(len(likely), 1))
    radii = likely["radius"].to_numpy(dtype=float)
    values += [radii.std() / diameter * 2, radii.mean() / diameter * 2] if len(radii) else [np.nan, np.nan]
    values.append(slice_jitter(image) / diameter)
    return dict(zip(FEATURES, map(float, values), strict=True))


def compared(sample: dict[str, float], twins: Sequence[dict[str, float]]) -> pd.DataFrame:
    r"""Return how much a sample differs from its twins in each feature.

    .. math::

        \text{difference} = \frac{|x - \bar x|}{t + 3 s \sqrt{1 + 2 / K}}

    with the mean :math:`\bar x` and the standard deviation :math:`s` in :math:`K` twins, and the tolerance :math:`t`.

    Returns
    -------
    pandas.DataFrame
        By the names of `FEATURES`: ``sample``, ``twins``, ``deviation`` and ``difference``; more than 1 is too much.
    """
    rows = {}
    for name, feature in FEATURES.items():
        values = np.array([twin[name] for twin in twins])
        known, value = values[np.isfinite(values)], sample[name]
        mean, deviation = (float(known.mean()), float(known.std())) if len(known) else (np.nan, np.nan)
        allowed = feature.tolerance + _MAX_ERRORS * deviation * (1 + 2 / max(len(known), 1)) ** 0.5
        difference = abs(value - mean) / allowed
        if not np.isfinite(difference):  # what cannot be measured in some twins either is no difference
            difference = 0.0 if np.isnan(value) and len(known) < len(values) else np.inf
        rows[name] = (value, mean, deviation, difference)
    return pd.DataFrame.from_dict(rows, orient="index", columns=COMPARED)


def distance_of(comparison: pd.DataFrame) -> float:
    """Return how far a sample is from its twins: the mean difference, in which that of a single feature counts to 3."""
    return float(np.minimum(comparison["difference"], _MAX_COUNTED).mean())


def is_shaken(comparison: pd.DataFrame) -> bool:
    """Whether slices are shifted against each other, which no arrangement of the particles explains."""
    return bool(comparison["difference"]["jitter"] > 1)


def reasons_of(comparison: pd.DataFrame) -> list[str]:
    """Return in words what too large differences mean, the largest first."""
    difference = comparison["difference"].sort_values(ascending=False)
    return list(dict.fromkeys(FEATURES[name].words for name in difference.index[difference > 1]))


def _interior(image: NDArray[np.float32], diameter: float, aspect: float) -> NDArray[np.float32]:
    """Return an image without its faces, where what shines in from outside is not known."""
    margins = (
        min(int(_MARGIN_DIAMETERS * diameter / height), length // _MAX_MARGIN_PART)
        for length, height in zip(image.shape, (aspect, 1.0, 1.0), strict=True)
    )
    return image[tuple(slice(n, length - n) for n, length in zip(margins, image.shape, strict=True))]


def _correlations(image: NDArray[np.float32], radius: float, aspect: float) -> list[float]:
    """Return the autocorrelation along the slices, then along z, at the lags of `FEATURES`."""
    flat = image - image.mean()
    variance = max(float((flat**2).mean()), 1e-12)

    def at(axis: int, lag: float) -> float:
        step = max(round(lag), 1)
        if step >= flat.shape[axis]:
            return 0.0
        along = np.moveaxis(flat, axis, 0)
        return float((along[step:] * along[:-step]).mean()) / variance

    lags = [0.0, radius / 2, radius, 2 * radius]
    return [*((at(1, lag) + at(2, lag)) / 2 for lag in lags), *(at(0, lag / aspect) for lag in lags)]


def _neighbours(positions: Array, diameter: float) -> list[float]:
    """Return quantiles of the distance to the nearest neighbour in diameters, and how much they lie along z."""
    if len(positions) < 2:
        return [np.nan] * 3
    distance, index = cKDTree(positions).query(positions, 2)
    apart, height = distance[:, 1], np.abs(positions[index[:, 1], 0] - positions[:, 0])
    near, nearer = np.quantile(apart / diameter, [0.25, 0.05])
    return [float(nearer), float(near), float(np.mean(height / np.maximum(apart, 1e-6)))]


def _sureness(confidence: Array) -> list[float]:
    """Return a low quantile and the median of the confidence, as logits."""
    if len(confidence) == 0:
        return [np.nan] * 2
    quantiles = np.clip(np.quantile(confidence, [0.1, 0.5]), *_CONFIDENCE_RANGE)
    return list(np.log(quantiles / (1 - quantiles)))
