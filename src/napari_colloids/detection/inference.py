"""The network applied to one tile: crop -> grey levels -> canonical scale -> network -> candidates."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_colloids.detection.candidates import Candidates
from napari_colloids.detection.device import half_precision
from napari_colloids.detection.network import CentreNet, Output, prepare_torch
from napari_colloids.detection.scale import CANONICAL_DIAMETER, MARGIN, STRIDE, Scale
from napari_colloids.progress import result_of
from napari_colloids.volumes import read_box

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from numpy.typing import NDArray

    from napari_colloids.detection.normalise import GreyLevels
    from napari_colloids.detection.tiles import Tile
    from napari_colloids.volumes import Volume

#: Rows of a resampling matrix that are multiplied at a time; the matrix is banded.
_BAND_ROWS = 32
#: On a CPU torch takes slow convolutions for a single image of no more than so many voxels in z times y: in one batch
#: with its point reflection it is done in a third of the time. A batch of larger images would take too much memory.
_MAX_BATCHED_ZY_VOXELS = 10_240
_MAX_BATCHED_VOXELS = 8_000_000
#: Limits of the predicted radii, as logarithms over the canonical one: a fifth to 2.7 times. Larger ones, as mixtures
#: have, were not learnt: they come out up to twice too large, and the small particles around would be dropped.
_LOG_RADIUS_LIMITS = (-1.6, 1.0)


class _Band(NamedTuple):
    """Some rows of a resampling matrix without the columns that are 0 in them: ``(rows, columns)``, and the first."""

    rows: Tensor
    first: int


def candidates_in(
    tiles: Iterable[Tile],
    volume: Volume,
    scale: Scale,
    levels: GreyLevels,
    network: CentreNet,
    device: str,
    min_confidence: float,
) -> Iterator[Candidates | float]:
    """Apply the network tile by tile.

    Yields the candidates in each core, on the canonical scale, and before them, several times, the fraction of the tile
    that is about done, so that a caller can stop within a tile: one may take half a minute.

    Parameters
    ----------
    tiles
        Of the padded canonical volume; they count from the corner of its margin, which lies at ``-MARGIN``.
    volume
        Array-like ``(z, y, x)``; only the part that a tile needs is read.
    scale
        Of the volume.
    levels
        Of the volume.
    network
        On the `device`.
    device
        ``cpu``, ``cuda`` or ``mps``.
    min_confidence
        Candidates of a lower confidence are left out.
    """
    prepare_torch()
    half = half_precision(device)

    def image_of(tile: Tile) -> Tensor:
        return prepare(volume, without_margin(tile.low), without_margin(tile.high), scale, levels, device)

    # On the CPU, reading ahead would only compete with the network.
    images = _prefetched(tiles, image_of) if device != "cpu" else ((tile, image_of(tile)) for tile in tiles)
    for tile, image in images:
        yield 0.0
        steps = iter_predict_symmetrised(network, image[None, None].to(memory_format=torch.channels_last_3d))
        output, confidence = yield from _in_inference_mode(steps, network, device, half)
        found = decode(output, confidence, tile, min_confidence)
        yield Candidates(found.positions - MARGIN, found.radii, found.confidence)


def _prefetched(tiles: Iterable[Tile], make: Callable[[Tile], Tensor]) -> Iterator[tuple[Tile, Tensor]]:
    """Yield each tile with what is made of it, while the next one is made in a thread."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        last: tuple[Tile, Future[Tensor]] | None = None
        for tile in tiles:
            coming = tile, pool.submit(make, tile)
            if last is not None:
                yield last[0], last[1].result()
            last = coming
        if last is not None:
            yield last[0], last[1].result()


def _in_inference_mode(
    steps: Generator[float, None, Output], network: CentreNet, device: str, half: torch.dtype | None
) -> Generator[float, None, tuple[Output, Tensor]]:
    """Run the steps of a prediction without gradients and in half precision; between them the caller's modes hold."""
    while True:
        with torch.inference_mode(), torch.autocast(device, dtype=half, enabled=half is not None):
            try:
                fraction = next(steps)
            except StopIteration as end:
                return end.value, network.confidence(end.value)
        yield fraction


def predict_symmetrised(network: CentreNet, image: Tensor) -> Output:
    """Do as `iter_predict_symmetrised`, in one go."""
    return result_of(iter_predict_symmetrised(network, image))


def iter_predict_symmetrised(network: CentreNet, image: Tensor) -> Generator[float, None, Output]:
    r"""Return the network's output averaged over an image and its point reflection (test-time augmentation).

    .. math:: \hat f(I) = \tfrac{1}{2} \left( f(I) + P f(P I) \right)

    where :math:`P` reverses all three axes, and the sign of offsets. The centres of a trained network are biased to one
    side, by an amount that depends on blur and size; the average cannot be. It reduces random errors, too.

    Parameters
    ----------
    network
        On the device of the image.
    image
        Shape ``(1, 1, Z, Y, X)``.

    Yields
    ------
    float
        The fraction that is about done.
    """
    if image.shape[2] * image.shape[3] <= _MAX_BATCHED_ZY_VOXELS and image.numel() <= _MAX_BATCHED_VOXELS:
        both = yield from network.in_steps(torch.cat([image, image.flip(2, 3, 4)]))
        plain, mirrored = (Output(*(field[i : i + 1] for field in both)) for i in (0, 1))
    else:
        plain = yield from network.in_steps(image, 0.0, 0.5)
        yield 0.5
        mirrored = yield from network.in_steps(image.flip(2, 3, 4), 0.5, 0.5)
    return Output(
        (plain.centre.float() + mirrored.centre.float().flip(1, 2, 3)) / 2,
        (plain.offset.float() - mirrored.offset.float().flip(2, 3, 4)) / 2,
        (plain.log_radius.float() + mirrored.log_radius.float().flip(1, 2, 3)) / 2,
    )


def without_margin(corner: tuple[int, int, int]) -> tuple[int, int, int]:
    """Turn a corner of a tile into canonical voxels."""
    z, y, x = corner
    return z - MARGIN, y - MARGIN, x - MARGIN


def prepare(
    volume: Volume,
    low: tuple[int, int, int],
    high: tuple[int, int, int],
    scale: Scale,
    levels: GreyLevels,
    device: str = "cpu",
) -> Tensor:
    """Read, normalise and resample the canonical voxels ``[low, high)`` of a volume.

    Returns
    -------
    torch.Tensor
        float32 on the device, shape ``high - low``; 0 beyond the volume.
    """
    source = scale.source_slices(low, high)
    raw = read_box(volume, source)
    along_y, along_x = (_bands(scale.weights(axis, low[axis], high[axis], source[axis]), device) for axis in (1, 2))
    slabs = []
    # A few slices at a time: where the particles are large the source is many times the size of the result.
    for first in range(low[0], high[0], _BAND_ROWS):
        last = min(first + _BAND_ROWS, high[0])
        (z, *_) = scale.source_slices((first, *low[1:]), (last, *high[1:]))
        slab = levels.apply(raw[z.start - source[0].start : z.stop - source[0].start], device)
        for axis, bands in enumerate((_bands(scale.weights(0, first, last, z), device), along_y, along_x)):
            slab = _resampled(slab, bands, axis)
        slabs.append(slab)
    return torch.cat(slabs)


def _bands(weights: NDArray[np.float32], device: str) -> list[_Band]:
    """Cut a banded matrix into groups of rows, without the columns in which they are 0."""
    bands = []
    for first in range(0, len(weights), _BAND_ROWS):
        rows = weights[first : first + _BAND_ROWS]
        columns = np.flatnonzero(rows.any(axis=0))
        low, high = (int(columns[0]), int(columns[-1]) + 1) if len(columns) else (0, 0)
        bands.append(_Band(torch.from_numpy(rows[:, low:high]).to(device), low))
    return bands


def _resampled(image: Tensor, bands: list[_Band], axis: int) -> Tensor:
    """Multiply one axis of the image by a matrix."""
    parts = []
    for rows, first in bands:
        band = image.narrow(axis, first, rows.shape[1])
        if axis == 0:
            parts.append((rows @ band.flatten(1)).reshape(len(rows), *band.shape[1:]))
        elif axis == 1:
            parts.append(rows @ band)
        else:
            parts.append(band @ rows.T)
    return torch.cat(parts, dim=axis)


def decode(output: Output, confidence: Tensor, tile: Tile, min_confidence: float) -> Candidates:
    """Turn the maps of a tile into candidates: local maxima of the centre map in the core, moved by the offset.

    Parameters
    ----------
    output
        Of the network for the tile, a batch of one.
    confidence
        Of each cell, shape ``(1, Z, Y, X)``.
    tile
        The box that was computed.
    min_confidence
        Candidates of a lower confidence are left out.
    """
    # Maxima of the logit, not of the confidence: that is soon 1 in 32 bits, and then neighbours are equal.
    peaks = (_neighbourhood_maximum(output.centre) == output.centre) & (confidence >= min_confidence)
    first, last = (
        (torch.tensor(corner) - torch.tensor(tile.low)).to(peaks.device) // STRIDE
        for corner in (tile.core_low, tile.core_high)
    )
    cells = torch.nonzero(peaks[0])
    cells = cells[((cells >= first) & (cells < last)).all(dim=1)]
    z, y, x = cells.unbind(1)
    # In double precision, so that the last digits do not depend on where the tile begins; on the CPU, as not every
    # device has it.
    offset = output.offset[0, :, z, y, x].T.cpu().double()
    positions = (cells.cpu() + offset) * STRIDE + (STRIDE - 1) / 2
    radii = CANONICAL_DIAMETER / 2 * torch.exp(output.log_radius[0, z, y, x].float().clamp(*_LOG_RADIUS_LIMITS))
    return Candidates(
        positions.numpy() + np.asarray(tile.low),
        radii.cpu().double().numpy(),
        confidence[0, z, y, x].cpu().double().numpy(),
    )


def _neighbourhood_maximum(cells: Tensor) -> Tensor:
    """Return the maximum of the 3 x 3 x 3 cells around each cell; on a CPU max_pool3d takes 60 times as long."""
    highest = functional.pad(cells, (1,) * 6, value=-torch.inf)
    for axis in (1, 2, 3):
        size = cells.shape[axis]
        before, here, after = (highest.narrow(axis, first, size) for first in (0, 1, 2))
        highest = torch.maximum(torch.maximum(before, here), after)
    return highest
