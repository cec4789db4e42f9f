"""Layers of the network that compute a block of a map, which has its channels last, from a block of another one.

They write into views of maps, so that a block passes through the cache but once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import nn

#: Matrices of Winograd's minimal filtering F(4, 3) with the points 0, 1, -1, 2, -2 and infinity: from six slices to the
#: points, from the three slices of a kernel to the points, and from the products there to four slices.
_FROM_SLICES = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    np.float32,
)
_FROM_KERNEL = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
_TO_SLICES = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], np.float32)
_POINTS = 6
#: Layers of blocks read or write eight cells for one, which takes as long as so many times their multiplications.
_COST_OF_BLOCKS = 4
#: Slices that are made of the same products.
GROUP = 4
#: The point whose product is once in every slice.
_POINT_OF_BIAS = 1


@dataclass(frozen=True)
class Convolution:
    """Convolution of 3 x 3 x 3 cells.

    Minimal filtering (Winograd, 1980) halves the multiplications along z; not in 16 bits, where it would cost accuracy.
    """

    kernels: tuple[Tensor, ...]
    bias: Tensor

    @classmethod
    def of(cls, layer: nn.Conv3d, dtype: torch.dtype, gain: float = 1.0) -> Convolution:
        """Return that of a layer, whose result is multiplied by a gain."""
        weight = gain * layer.weight.detach()
        if dtype == torch.float32:
            points = np.einsum("pk,oikyx->poiyx", _FROM_KERNEL, weight.double().numpy(), optimize=True)
            kernels = tuple(
                torch.from_numpy(point).to(dtype).contiguous(memory_format=torch.channels_last) for point in points
            )
        else:
            kernels = (weight.to(dtype).contiguous(memory_format=torch.channels_last_3d),)
        return cls(kernels, (gain * _bias_of(layer)).to(dtype))

    @property
    def cost(self) -> int:
        """Multiplications for every cell, without minimal filtering."""
        return 27 * self.kernels[0].shape[0] * self.kernels[0].shape[1]

    def write(self, target: Tensor, source: Tensor, *, add: bool = False) -> None:
        """Write cells, or add to them.

        Parameters
        ----------
        target
            Shape ``(Z, Y, X, channels)``.
        source
            Shape ``(Z + 2, Y + 2, X, channels)``: with the cells before and after along z and y.
        add
            Whether to add to the target.
        """
        if len(self.kernels) == 1:
            result = _convolved(source.permute(3, 0, 1, 2)[None], self.kernels[0], self.bias, (0, 0, 1))[0]
            target.copy_(result.permute(1, 2, 3, 0) + target if add else result.permute(1, 2, 3, 0))
            return
        z, y, x, channels = target.shape
        starts = range(0, z, GROUP)
        points = source.new_empty(_POINTS, len(starts), *source.shape[1:])
        for number, start in enumerate(starts):
            slices = source[start : start + GROUP + 2].flatten(1)
            torch.mm(_matrix(_FROM_SLICES)[:, : len(slices)], slices, out=points[:, number].flatten(1))
        products = source.new_empty(_POINTS, len(starts), y, x, channels)
        for number, kernel in enumerate(self.kernels):
            bias = self.bias if number == _POINT_OF_BIAS else None
            result = _convolved(points[number].permute(0, 3, 1, 2), kernel, bias, (0, 1))
            products[number] = result.permute(0, 2, 3, 1)
        for number, start in enumerate(starts):
            slices = target[start : start + GROUP].flatten(1)
            back = _matrix(_TO_SLICES)[: len(slices)]
            if add:
                slices.addmm_(back, products[:, number].flatten(1))
            else:
                torch.mm(back, products[:, number].flatten(1), out=slices)


def _matrix(values: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(values)


def _bias_of(layer: nn.Conv3d | nn.ConvTranspose3d) -> Tensor:
    return torch.zeros(layer.out_channels) if layer.bias is None else layer.bias.detach()


def _convolved(image: Tensor, kernel: Tensor, bias: Tensor | None, padding: tuple[int, ...], stride: int = 1) -> Tensor:
    """Convolve by oneDNN where torch has it: of itself it takes far slower convolutions for small images."""
    if torch.backends.mkldnn.is_available():
        axes = len(padding)
        return torch.mkldnn_convolution(image, kernel, bias, padding, (stride,) * axes, (1,) * axes, 1)
    convolution = functional.conv3d if len(padding) == 3 else functional.conv2d
    return convolution(image, kernel, bias, stride=stride, padding=padding)


@dataclass(frozen=True)
class Blockwise:
    """Convolution of single cells, or of blocks of 2 x 2 x 2 cells, each to one."""

    kernel: Tensor
    bias: Tensor
    channels: int

    @classmethod
    def of(cls, layer: nn.Conv3d, dtype: torch.dtype) -> Blockwise:
        """Return that of a layer; for speed its channels are filled up to a multiple of 8."""
        missing = -layer.out_channels % 8
        kernel = functional.pad(layer.weight.detach(), (0, 0) * 4 + (0, missing))
        bias = functional.pad(_bias_of(layer), (0, missing))
        return cls(
            kernel.to(dtype).contiguous(memory_format=torch.channels_last_3d), bias.to(dtype), layer.out_channels
        )

    @property
    def cost(self) -> int:
        """Multiplications that would take as long, for every cell of the result."""
        return _COST_OF_BLOCKS * self.kernel.numel()

    def __call__(self, source: Tensor) -> Tensor:
        """Return cells ``(Z, Y, X, channels)`` from as many blocks; half of the last ones along x may be missing."""
        edge = self.kernel.shape[2]
        filled = functional.pad(source, (0, 0, 0, 1)) if source.shape[2] % edge else source
        result = _convolved(filled.permute(3, 0, 1, 2)[None], self.kernel, self.bias, (0, 0, 0), edge)
        return result[0, : self.channels].permute(1, 2, 3, 0)


@dataclass(frozen=True)
class Growing:
    """Transposed convolution of cells, each to a block of 2 x 2 x 2."""

    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, layer: nn.ConvTranspose3d, dtype: torch.dtype) -> Growing:
        """Return that of a layer."""
        weight = layer.weight.detach().permute(0, 2, 3, 4, 1).flatten(1)
        return cls(weight.to(dtype), _bias_of(layer).repeat(8).to(dtype))

    @property
    def cost(self) -> int:
        """Multiplications that would take as long, for every cell of the source."""
        return _COST_OF_BLOCKS * self.weight.numel()

    def __call__(self, source: Tensor) -> Tensor:
        """Return cells ``(2 Z, 2 Y, 2 X, channels)`` from ``(Z, Y, X, channels)``."""
        z, y, x, channels = source.shape
        blocks = torch.addmm(self.bias, source.reshape(-1, channels), self.weight).view(z, y, x, 2, 2, 2, -1)
        return blocks.permute(0, 3, 1, 4, 2, 5, 6).reshape(2 * z, 2 * y, 2 * x, -1)


def blocks_of(image: Tensor, dtype: torch.dtype) -> Tensor:
    """Turn blocks of voxels into channels: ``(2 Z, 2 Y, 2 X)`` -> ``(Z, Y, X, 8)``."""
    z, y, x = (n // 2 for n in image.shape)
    blocks = torch.empty(z, y, x, 8, dtype=dtype)
    for channel, (a, b, c) in enumerate(product(range(2), repeat=3)):
        blocks[..., channel] = image[a::2, b::2, c::2]
    return blocks
