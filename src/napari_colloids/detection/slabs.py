"""The network on a CPU: layer by layer, and each layer block by block, so that parallel threads share the blocks.

It computes what `CentreNet` does, to rounding, and the same whatever the number of threads. Maps
``(Z + 2, Y + 2, X, C)`` have their channels last and a frame of zeros along z and y, as the convolutions have them
beyond a face, so that all blocks are alike.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor
from torch.nn import functional

from napari_colloids.detection.network import Output
from napari_colloids.detection.slab_layers import GROUP, Blockwise, Convolution, Growing, blocks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from torch import nn

    from napari_colloids.detection.network import CentreNet
    from napari_colloids.detection.workers import Workers

#: Multiplications of a block, about: a few milliseconds, beside which a task costs little, and few enough cells for the
#: cache.
_BLOCK_COST = 2e8


class _Block(NamedTuple):
    """Cells of the map of one image: all along x; the frame is not counted."""

    image: int
    z: slice
    y: slice

    def framed(self) -> tuple[slice, slice]:
        """Return where they are in a map with their neighbours along z and y."""
        return slice(self.z.start, self.z.stop + 2), slice(self.y.start, self.y.stop + 2)

    def bare(self) -> tuple[slice, slice]:
        """Return where they are in a map."""
        return slice(self.z.start + 1, self.z.stop + 1), slice(self.y.start + 1, self.y.stop + 1)

    def doubled(self) -> tuple[slice, slice]:
        """Return where the cells are that they are made of, or that are made of them, in a map of twice the lengths."""
        return slice(2 * self.z.start + 1, 2 * self.z.stop + 1), slice(2 * self.y.start + 1, 2 * self.y.stop + 1)


class SlabNetwork:
    """A network, prepared for a CPU with its parameters as they are now.

    Parameters
    ----------
    network
        On the CPU.
    dtype
        Type of the numbers that it computes with.
    """

    def __init__(self, network: CentreNet, dtype: torch.dtype) -> None:
        self._confidence, self._dtype = network.confidence, dtype
        self._stem = Convolution.of(network.stem, dtype)
        self._encode_fine, self._encode_middle, self._bottom, self._decode_middle, self._decode_fine = (
            (Convolution.of(block.first, dtype), Convolution.of(block.second, dtype, float(block.gain)))
            for block in (
                network.encode_fine,
                network.encode_middle,
                network.bottom,
                network.decode_middle,
                network.decode_fine,
            )
        )
        hidden, last = (cast("nn.Conv3d", network.head[number]) for number in (0, 2))
        self._hidden = Convolution.of(hidden, dtype)
        self._shrink_fine, self._shrink_middle, self._last = (
            Blockwise.of(layer, dtype) for layer in (network.shrink_fine, network.shrink_middle, last)
        )
        self._grow_middle, self._grow_fine = (
            Growing.of(layer, dtype) for layer in (network.grow_middle, network.grow_fine)
        )

    def iter_predict(
        self, image: Tensor, workers: Workers, *, symmetrised: bool = True
    ) -> Generator[float, None, tuple[Output, Tensor]]:
        """Apply the network to an image ``(Z, Y, X)`` and average with its point reflection (test-time augmentation).

        See `iter_predict_symmetrised`; the confidence of each cell comes with the output.

        Parameters
        ----------
        image
            float32.
        workers
            That share the work.
        symmetrised
            Whether to average over the image and its point reflection; without, it takes half as long.
        """
        fine = self._stemmed(workers.each(image.flip, ((), (0, 1, 2)) if symmetrised else ((),)), workers)
        yield 0.1
        self._add_branch(*self._encode_fine, fine, workers)
        yield 0.35
        middle = self._shrunk(self._shrink_fine, fine, workers)
        self._add_branch(*self._encode_middle, middle, workers)
        coarse = self._shrunk(self._shrink_middle, middle, workers)
        self._add_branch(*self._bottom, coarse, workers)
        _grow(self._grow_middle, coarse, middle, workers)
        self._add_branch(*self._decode_middle, middle, workers)
        yield 0.5
        _grow(self._grow_fine, middle, fine, workers)
        del middle, coarse
        self._add_branch(*self._decode_fine, fine, workers)
        yield 0.75
        return self._symmetrised(self._headed(fine, workers), workers)

    def _stemmed(self, images: list[Tensor], workers: Workers) -> list[Tensor]:
        """Return the maps of images after the first layer."""
        shape = tuple(n // 2 for n in images[0].shape)

        def stem(block: _Block, target: Tensor) -> None:
            needed: list[slice] = []
            missing: list[int] = []
            for cells, length in zip(block.framed(), shape, strict=False):
                first, last = 2 * (cells.start - 1), 2 * (cells.stop - 1)
                needed.append(slice(max(first, 0), last))
                missing[:0] = [max(-first, 0), max(last - 2 * length, 0)]
            image = functional.pad(images[block.image][tuple(needed)], (0, 0, *missing))
            self._stem.write(target, blocks_of(image, self._dtype))

        return self._maps(len(images), shape, len(self._stem.bias), self._stem.cost, stem, workers)

    def _add_branch(self, first: Convolution, second: Convolution, maps: list[Tensor], workers: Workers) -> None:
        """Add the branch of two convolutions to maps."""

        def hide(block: _Block, target: Tensor) -> None:
            first.write(target, maps[block.image][block.framed()].relu())
            target.relu_()

        def add(block: _Block) -> None:
            second.write(maps[block.image][block.bare()], hidden[block.image][block.framed()], add=True)

        z, y, x, channels = maps[0].shape
        hidden = self._maps(len(maps), (z - 2, y - 2, x), channels, first.cost, hide, workers)
        workers.each(add, _blocks(maps, second.cost))

    def _shrunk(self, layer: Blockwise, maps: list[Tensor], workers: Workers) -> list[Tensor]:
        """Return maps of half the lengths."""

        def shrink(block: _Block, target: Tensor) -> None:
            target.copy_(layer(maps[block.image][block.doubled()]))

        z, y, x, _ = maps[0].shape
        half = (z - 1) // 2, (y - 1) // 2, (x + 1) // 2
        return self._maps(len(maps), half, layer.channels, layer.cost, shrink, workers)

    def _headed(self, maps: list[Tensor], workers: Workers) -> list[Tensor]:
        """Return the outputs for maps, ``(Z, Y, X, 5)``, without a frame."""
        z, y, x, _ = maps[0].shape
        outputs = [torch.empty(z - 2, y - 2, x, self._last.channels) for _ in maps]

        def head(block: _Block) -> None:
            target = outputs[block.image][block.z, block.y]
            hidden = torch.empty(*target.shape[:3], len(self._hidden.bias), dtype=self._dtype)
            self._hidden.write(hidden, maps[block.image][block.framed()])
            target.copy_(self._last(hidden.relu_()))

        workers.each(head, _blocks(maps, self._hidden.cost))
        return outputs

    def _symmetrised(self, outputs: list[Tensor], workers: Workers) -> tuple[Output, Tensor]:
        """Return the output for an image, or its mean with that for the point reflection, and its confidence."""
        plain, *mirrored = outputs
        z, y, x, _ = plain.shape
        confidence = torch.empty(z, y, x)
        sign = torch.tensor([1.0, -1, -1, -1, 1])

        def symmetrise(first: int) -> None:
            last = min(first + GROUP, z)
            here = plain[first:last]
            for other in mirrored:
                here.add_(other[z - last : z - first].flip(0, 1, 2).mul_(sign)).div_(2)
            confidence[first:last] = self._confidence(_output(here))[0]

        workers.each(symmetrise, range(0, z, GROUP))
        return _output(plain), confidence[None]

    def _maps(
        self,
        count: int,
        shape: tuple[int, ...],
        channels: int,
        cost: int,
        write: Callable[[_Block, Tensor], None],
        workers: Workers,
    ) -> list[Tensor]:
        """Return new maps of a shape, whose blocks are written each by itself."""
        z, y, x = shape
        maps = [torch.empty(z + 2, y + 2, x, channels, dtype=self._dtype) for _ in range(count)]

        def frame(made: Tensor) -> None:
            for face in (made[0], made[-1], made[:, 0], made[:, -1]):
                face.zero_()

        workers.each(frame, maps)
        workers.each(lambda block: write(block, maps[block.image][block.bare()]), _blocks(maps, cost))
        return maps


def _grow(layer: Growing, coarse: list[Tensor], fine: list[Tensor], workers: Workers) -> None:
    """Add maps to those of twice the lengths."""

    def add(block: _Block) -> None:
        target = fine[block.image][:-1, :-1][block.doubled()]
        z, y, x, _ = target.shape
        target += layer(coarse[block.image][block.bare()])[:z, :y, :x]

    workers.each(add, _blocks(coarse, layer.cost))


def _blocks(maps: list[Tensor], cost: int) -> list[_Block]:
    """Cut maps into blocks of about the same size, for a layer that costs so many multiplications a cell."""
    z, y, x = maps[0].shape[0] - 2, maps[0].shape[1] - 2, maps[0].shape[2]
    groups = -(-z // GROUP)
    parts = round(groups * GROUP * y * x * cost / _BLOCK_COST)
    depth = GROUP * -(-groups // min(max(parts, 1), groups))
    height = -(-y // max(round(parts / groups), 1))
    return [
        _Block(image, slice(first, min(first + depth, z)), slice(top, min(top + height, y)))
        for image, first, top in product(range(len(maps)), range(0, z, depth), range(0, y, height))
    ]


def _output(cells: Tensor) -> Output:
    """Return cells ``(Z, Y, X, 5)`` as an output, a batch of one."""
    return Output(cells[None, ..., 0], cells[None, ..., 1:4].permute(0, 4, 1, 2, 3), cells[None, ..., 4])
