"""Surrogate of an image: noise of the same grey levels and power spectrum, for comparison.

Its Fourier components have the amplitudes of the image and random phases, so that what is left of particles, lines or
clouds is their scale. What the network finds there is what it finds by chance in such an image.

References
----------
Theiler, Eubank, Longtin, Galdrikian and Farmer, Testing for nonlinearity in time series: the method of surrogate data,
Physica D 58, 77 (1992).
Moisan, Periodic plus smooth image decomposition, Journal of Mathematical Imaging and Vision 39, 161 (2011).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

from napari_colloids.detection.candidates import Candidates, suppress_overlaps
from napari_colloids.detection.inference import candidates_in
from napari_colloids.detection.scale import Scale
from napari_colloids.detection.tiles import Tile
from napari_colloids.detection.weights import network_of
from napari_colloids.volumes import read_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.detection.plan import Plan
    from napari_colloids.volumes import Volume

#: Fewer detections in the box are not compared.
_MIN_COUNT = 10
#: Higher confidences count as this one: their logits would outweigh all others.
_MAX_CONFIDENCE = 0.999
#: Edge of the box that is compared, in canonical voxels: about ten particles.
_EDGE_VOXELS = 104
#: Largest edge of the box in voxels of the volume: its spectrum is that of the volume's own voxels, as they may be
#: correlated.
_MAX_EDGE_VOXELS = 192


def excess_confidence(volume: Volume, plan: Plan, centre: NDArray[np.float64], threshold: float) -> tuple[float, float]:
    """Return how much more confident the network is in a box of a volume than in its surrogate.

    Parameters
    ----------
    volume
        Array-like ``(z, y, x)`` that was searched; only the box is read.
    plan
        Of the search.
    centre
        Of the box: z, y, x in voxels.
    threshold
        Minimum confidence of the detections that are compared.

    Returns
    -------
    excess : float
        Mean logit of the confidences in the box, less that in the surrogate.
    error : float
        Standard error of it; infinite where there are too few detections in the box.
    """
    size = np.ceil(np.minimum(_EDGE_VOXELS * np.array(plan.scale.step), _MAX_EDGE_VOXELS)).astype(int)
    first = np.clip(np.rint(centre - size / 2).astype(int), 0, np.maximum(np.array(plan.shape) - size, 0))
    box = tuple(slice(a, a + n) for a, n in zip(first.tolist(), size.tolist(), strict=True))
    image = np.nan_to_num(read_box(volume, box).astype(np.float32), posinf=plan.levels.high, neginf=plan.levels.low)
    seen, chance = (_logits(one, plan, threshold) for one in (image, surrogate(image)))
    if len(seen) < _MIN_COUNT:
        return 0.0, np.inf
    variance = seen.var(ddof=1) / len(seen)
    if len(chance) < 2:  # next to nothing is found by chance: as if all of it had the lowest confidence
        return float(seen.mean() - np.log(threshold / (1 - threshold))), float(np.sqrt(variance))
    return float(seen.mean() - chance.mean()), float(np.sqrt(variance + chance.var(ddof=1) / len(chance)))


def surrogate(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image with the phases of noise, and the grey levels of the given one; always the same of an image."""
    noise = fft.rfftn(np.random.default_rng(0).normal(size=image.shape).astype(np.float32))
    waves = np.abs(fft.rfftn(_periodic(image))) * np.exp(1j * np.angle(noise))
    mixed = fft.irfftn(waves, s=image.shape)
    ranked = np.empty_like(image)
    ranked.ravel()[np.argsort(mixed, axis=None)] = np.sort(image, axis=None)
    return ranked


def _periodic(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image without the smooth part by which opposite faces differ, whose spectrum is that of an edge."""
    steps = np.zeros_like(image)
    ripple = np.zeros((1, 1, 1), np.float32)
    for axis, length in enumerate(image.shape):
        ends = np.moveaxis(steps, axis, 0)
        step = image.take(-1, axis) - image.take(0, axis)
        ends[0] += step
        ends[-1] -= step
        cosine = 2 * np.cos(2 * np.pi * fft.fftfreq(length)) - 2
        ripple = ripple + np.expand_dims(cosine, [other for other in range(3) if other != axis]).astype(np.float32)
    ripple = ripple[..., : image.shape[2] // 2 + 1]
    ripple[0, 0, 0] = 1
    smooth = fft.rfftn(steps) / ripple
    smooth[0, 0, 0] = 0
    return image - fft.irfftn(smooth, s=image.shape)


def _logits(image: NDArray[np.float32], plan: Plan, threshold: float) -> NDArray[np.float64]:
    """Return the logits of the confidences above a threshold that the network has in an image."""
    z, y, x = image.shape
    scale = Scale.for_diameter(plan.diameter, (z, y, x), plan.proportions)
    tile = Tile((0, 0, 0), scale.padded_shape, (0, 0, 0), scale.padded_shape)
    steps = candidates_in([tile], image, scale, plan.levels, network_of(plan.options.weights), "cpu", threshold)
    (found,) = (step for step in steps if isinstance(step, Candidates))
    likely = np.minimum(suppress_overlaps(found).confidence, _MAX_CONFIDENCE)
    return np.log(likely / (1 - likely))
