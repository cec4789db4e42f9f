"""The network applied to one tile: crop -> grey levels -> canonical scale -> network -> candidates."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import nullcontext
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from napari_colloids.detection.candidates import Candidates
from napari_colloids.detection.device import half_precision
from napari_colloids.detection.network import CentreNet, Output, prepare_torch
from napari_colloids.detection.scale import CANONICAL_DIAMETER, MARGIN, STRIDE, Scale
from napari_colloids.detection.slabs import SlabNetwork
from napari_colloids.detection.workers import Workers
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
#: Canonical slices that are resampled at a time.
_SLAB_SLICES = 16
#: Memory for their normalised source per voxel: copies of 32 bits, and what slabs share. Threads do as many slabs at a
#: time as this many bytes hold.
_SLAB_BYTES_PER_VOXEL = 20
_MAX_SLABS_BYTES = 5e8
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
    *,
    symmetrised: bool = True,
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
        On the `device`, with weights that do not change any more.
    device
        ``cpu``, ``cuda`` or ``mps``.
    min_confidence
        Candidates of a lower confidence are left out.
    symmetrised
        Whether to average over each tile and its point reflection; on a CPU it takes half as long without.
    """
    prepare_torch()
    if device == "cpu":
        yield from _candidates_on_cpu(tiles, volume, scale, levels, network, min_confidence, symmetrised)
        return
    half = half_precision(device)

    def image_of(tile: Tile) -> Tensor:
        return prepare(volume, without_margin(tile.low), without_margin(tile.high), scale, levels, device)

    for tile, image in _prefetched(tiles, image_of):
        yield 0.0
        steps = iter_predict_symmetrised(network, image[None, None].to(memory_format=torch.channels_last_3d))
        output, confidence = yield from _in_inference_mode(steps, network, device, half)
        yield _without_margin(decode(output, confidence, tile, min_confidence))


def _candidates_on_cpu(
    tiles: Iterable[Tile],
    volume: Volume,
    scale: Scale,
    levels: GreyLevels,
    network: CentreNet,
    min_confidence: float,
    symmetrised: bool,
) -> Iterator[Candidates | float]:
    """Apply the network tile by tile; all threads share each of them."""
    prepared = _prepared(network, half_precision("cpu") or torch.float32)
    with Workers() as workers:
        for tile in tiles:
            image = prepare(volume, without_margin(tile.low), without_margin(tile.high), scale, levels, workers=workers)
            yield 0.0
            maps = yield from prepared.iter_predict(image, workers, symmetrised=symmetrised)
            (found,) = workers.each(lambda tile: decode(*maps, tile, min_confidence), [tile])  # noqa: B023
            yield _without_margin(found)


@lru_cache(maxsize=2)
def _prepared(network: CentreNet, dtype: torch.dtype) -> SlabNetwork:
    return SlabNetwork(network, dtype)


def _without_margin(found: Candidates) -> Candidates:
    """Turn candidates that count from the corner of the margin into canonical voxels."""
    return Candidates(found.positions - MARGIN, found.radii, found.confidence)


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
    workers: Workers | None = None,
) -> Tensor:
    """Read, normalise and resample the canonical voxels ``[low, high)`` of a volume.

    Parameters
    ----------
    volume
        Array-like ``(z, y, x)``.
    low, high
        Canonical voxels.
    scale, levels
        Of the volume.
    device
        ``cpu``, ``cuda`` or ``mps``.
    workers
        That share the work on a CPU; None for some that do only this.

    Returns
    -------
    torch.Tensor
        float32 on the device, shape ``high - low``; 0 beyond the volume.
    """
    source = scale.source_slices(low, high)
    raw = read_box(volume, source)
    along_y, along_x = (_bands(scale.weights(axis, low[axis], high[axis], source[axis]), device) for axis in (1, 2))

    def slab(first: int) -> Tensor:
        last = min(first + _SLAB_SLICES, high[0])
        (z, *_) = scale.source_slices((first, *low[1:]), (last, *high[1:]))
        slab = levels.apply(raw[z.start - source[0].start : z.stop - source[0].start], device)
        for axis, bands in enumerate((_bands(scale.weights(0, first, last, z), device), along_y, along_x)):
            slab = _resampled(slab, bands, axis)
        return slab

    # A few slices at a time: where the particles are large the source is many times the size of the result.
    firsts = range(low[0], high[0], _SLAB_SLICES)
    if device != "cpu":
        return torch.cat([slab(first) for first in firsts])
    image = torch.empty([last - first for first, last in zip(low, high, strict=True)])
    with Workers() if workers is None else nullcontext(workers) as shared:
        at_once = max(int(_MAX_SLABS_BYTES * len(firsts) / (_SLAB_BYTES_PER_VOXEL * raw.size)), 1)
        parts = len(firsts) if at_once >= shared.count else at_once

        def write(part: int) -> None:
            for first in firsts[part::parts]:
                image[first - low[0] : first - low[0] + _SLAB_SLICES] = slab(first)

        shared.each(write, range(parts))
    return image


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
    first, last = (
        (torch.tensor(corner) - torch.tensor(tile.low)).to(confidence.device) // STRIDE
        for corner in (tile.core_low, tile.core_high)
    )
    cells = torch.nonzero(confidence[0] >= min_confidence)
    cells = cells[((cells >= first) & (cells < last)).all(dim=1)]
    cells = _maxima(output.centre[0], cells)
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


def _maxima(centre: Tensor, cells: Tensor) -> Tensor:
    """Return those of the cells ``(N, 3)`` that are as high as the highest of the 3 x 3 x 3 around them.

    Of the logit, not of the confidence: that is soon 1 in 32 bits, and then neighbours are equal.
    """
    around = functional.pad(centre[None], (1,) * 6, value=-torch.inf)[0]
    for shift in product(range(3), repeat=3):
        # Few are left after some of the neighbours.
        here, there = ((cells + torch.tensor(corner, device=cells.device)).unbind(1) for corner in ((1, 1, 1), shift))
        cells = cells[around[there] <= around[here]]
    return cells
