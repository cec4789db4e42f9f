"""The network: a small residual 3D U-Net that marks centres (after CenterNet) on a grid of every second voxel.

The stem folds blocks of 2 x 2 x 2 voxels into channels, so that the costly full resolution is never convolved; what
is lost is given back by predicting for every cell the offset to the centre. There is no normalisation layer: such
layers mix all voxels of a tile, and the answer would depend on the tile.

References
----------
Zhou, Wang and Krähenbühl, Objects as Points, arXiv:1904.07850 (2019).
Ronneberger, Fischer and Brox, U-Net, MICCAI (2015).
Kull, Silva Filho and Flach, Beta calibration: a well-founded and easily implemented improvement on logistic
calibration for binary classifiers, AISTATS (2017).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_colloids.detection.scale import STRIDE
from napari_colloids.progress import result_of

if TYPE_CHECKING:
    from collections.abc import Generator

# Otherwise Linux hands out the large arrays of a tile in pages of 4 kB, which takes up to a third as long as to compute
# with them. torch asks for this variable when it makes its first tensor.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
# A forked process, as multiprocessing makes it on Linux, lacks the threads of its parent and would wait for them.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))

#: Voxels per cell of the coarsest level: tiles that begin and end at multiples of it from each other see the same.
MULTIPLE = 8
#: The calibration that leaves every confidence as the network says it.
UNCALIBRATED = (1.0, 1.0, 0.0)


class Output(NamedTuple):
    """What the network says about each cell; every field has the batch first and the cells ``(z, y, x)`` last.

    Attributes
    ----------
    centre
        Logit of "the centre of a particle lies here", shape ``(B, Z, Y, X)``.
    offset
        From the cell's centre to that of the particle in cells, shape ``(B, 3, Z, Y, X)``.
    log_radius
        Logarithm of the particle's radius over the canonical radius, shape ``(B, Z, Y, X)``.
    """

    centre: Tensor
    offset: Tensor
    log_radius: Tensor


class Block(nn.Module):
    """Residual block of two convolutions whose branch starts at a fraction of its final weight."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv3d(channels, channels, 3, padding=1)
        self.second = nn.Conv3d(channels, channels, 3, padding=1)
        self.gain = nn.Parameter(torch.tensor(0.3))

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` plus the branch."""
        return x + self.gain * self.second(torch.relu_(self.first(torch.relu(x))))


class CentreNet(nn.Module):
    """Residual 3D U-Net of three levels.

    Parameters
    ----------
    channels
        Channels of the levels, whose cells are 2, 4 and 8 voxels wide.

    Notes
    -----
    Input: ``(B, 1, Z, Y, X)``, each length a multiple of `STRIDE`.
    """

    def __init__(self, channels: tuple[int, int, int] = (16, 32, 64)) -> None:
        super().__init__()
        fine, middle, coarse = channels
        self.channels = channels
        self.calibration: Tensor
        self.register_buffer("calibration", torch.tensor(UNCALIBRATED))
        self.stem = nn.Conv3d(STRIDE**3, fine, 3, padding=1)
        self.encode_fine = Block(fine)
        self.shrink_fine = nn.Conv3d(fine, middle, 2, stride=2)
        self.encode_middle = Block(middle)
        self.shrink_middle = nn.Conv3d(middle, coarse, 2, stride=2)
        self.bottom = Block(coarse)
        self.grow_middle = nn.ConvTranspose3d(coarse, middle, 2, stride=2)
        self.decode_middle = Block(middle)
        self.grow_fine = nn.ConvTranspose3d(middle, fine, 2, stride=2)
        self.decode_fine = Block(fine)
        hidden, last = nn.Conv3d(fine, 2 * fine, 3, padding=1), nn.Conv3d(2 * fine, 5, 1)
        with torch.no_grad():  # start by believing that centres are rare
            last.weight.mul_(0.1)
            last.bias = nn.Parameter(torch.tensor([-4.0, 0, 0, 0, 0]))
        self.head = nn.Sequential(hidden, nn.ReLU(inplace=True), last)

    def forward(self, image: Tensor) -> Output:
        """Apply the network to a batch of normalised images."""
        return result_of(self.in_steps(image))

    def in_steps(self, image: Tensor, before: float = 0.0, part: float = 1.0) -> Generator[float, None, Output]:
        """Apply the network in steps, so that it can be stopped on the way.

        Yields which share is about done of a whole that this is a `part` of, where `before` was done already.
        """
        fine = self.stem(_fold(image))
        yield before + 0.1 * part
        fine = self.encode_fine(fine)
        yield before + 0.35 * part
        middle = self.encode_middle(self.shrink_fine(_filled_up(fine)))
        coarse = self.bottom(self.shrink_middle(_filled_up(middle)))
        middle = self.decode_middle(middle + _as_long_as(middle, self.grow_middle(coarse)))
        yield before + 0.5 * part
        fine = self.decode_fine(fine + _as_long_as(fine, self.grow_fine(middle)))
        yield before + 0.75 * part
        maps = self.head(fine)
        return Output(maps[:, 0], maps[:, 1:4], maps[:, 4])

    def confidence(self, output: Output) -> Tensor:
        """Return the probability that each cell holds a centre, shape ``(B, Z, Y, X)``.

        That is ``1 / (1 + exp(-c) (1 - s)^b / s^a)``, where s is the sigmoid of what the network says, and a, b and c
        are its `calibration`: the beta calibration of Kull et al.
        """
        centre = output.centre.float()
        true, false, bias = self.calibration
        return torch.sigmoid(true * functional.logsigmoid(centre) - false * functional.logsigmoid(-centre) + bias)

    @property
    def halo(self) -> int:
        """Voxels beyond a tile that can change what is said in it: the receptive field, rounded up to `MULTIPLE`."""
        # Each 3x3x3 convolution looks one cell further; cells are 2, 4 and 8 voxels wide. The way up and down adds
        # the rest of the coarse cell that a voxel falls into.
        reach = 2 * (1 + 2 + 2 + 1) + 4 * (2 + 2) + 8 * 2 + (MULTIPLE - 1)
        return -(-reach // MULTIPLE) * MULTIPLE


def _fold(image: Tensor) -> Tensor:
    """Turn blocks of voxels into channels: ``(B, 1, Z, Y, X)`` -> ``(B, 8, Z / 2, Y / 2, X / 2)``."""
    batch, _, z, y, x = image.shape
    blocks = image.reshape(batch, z // 2, 2, y // 2, 2, x // 2, 2)
    return blocks.permute(0, 2, 4, 6, 1, 3, 5).reshape(batch, 8, z // 2, y // 2, x // 2)


def _filled_up(cells: Tensor) -> Tensor:
    """Append zeros, as the convolutions see them beyond a face, until every length is even."""
    z, y, x = (n % 2 for n in cells.shape[2:])
    return functional.pad(cells, (0, x, 0, y, 0, z)) if z or y or x else cells


def _as_long_as(cells: Tensor, grown: Tensor) -> Tensor:
    """Take away what grew from the cells that were appended."""
    z, y, x = cells.shape[2:]
    return grown[..., :z, :y, :x]
