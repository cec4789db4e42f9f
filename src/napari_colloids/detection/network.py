"""The network: a small residual 3D U-Net that marks centres (after CenterNet) on a grid of every second voxel.

The stem folds blocks of 2 x 2 x 2 voxels into channels (space to depth), so that the costly full resolution is never
convolved; the offset to the centre, predicted for every cell, makes up for it. There is no normalisation layer: such
layers mix all voxels of a tile, and the output would depend on the tile.

References
----------
Zhou, Wang and Krähenbühl, Objects as Points, arXiv:1904.07850 (2019).
Ronneberger, Fischer and Brox, U-Net, MICCAI (2015).
Kull, Silva Filho and Flach, Beta calibration: a well-founded and easily implemented improvement on logistic
calibration for binary classifiers, AISTATS (2017).
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from napari_colloids.detection.scale import STRIDE
from napari_colloids.progress import result_of

if TYPE_CHECKING:
    from collections.abc import Generator

#: Voxels per cell of the coarsest level: the output is the same for tiles that are shifted by multiples of it.
MULTIPLE = 8
#: The calibration that leaves the network's probabilities as they are.
UNCALIBRATED = (1.0, 1.0, 0.0)


@cache
def prepare_torch() -> None:
    """Set what torch needs to be fast and to survive a fork; this changes the whole process, once.

    Called where a network is first made or applied, not on import. It sets

    - the environment variable ``THP_MEM_ALLOC_ENABLE``, unless it is set: with it, Linux gives out the large arrays of
      a tile in huge pages; in pages of 4 kB that takes up to a third as long as to compute with them. torch reads the
      variable when it makes its first tensor, and does not see it in a process where that has happened.
    - a fork hook that leaves torch one thread in forked processes, as `multiprocessing` makes them on Linux: these lack
      the threads of their parent and would wait for them.
    """
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))


class Output(NamedTuple):
    """The network's output for each cell; every field has the batch first and the cells ``(z, y, x)`` last.

    Attributes
    ----------
    centre
        Logit of the probability that the cell holds the centre of a particle, shape ``(B, Z, Y, X)``.
    offset
        From the cell's centre to that of the particle in cells, shape ``(B, 3, Z, Y, X)``.
    log_radius
        Logarithm of the particle's radius over the canonical radius, shape ``(B, Z, Y, X)``.
    """

    centre: Tensor
    offset: Tensor
    log_radius: Tensor


class Block(nn.Module):
    """Residual block of two convolutions, whose branch has a learnt gain."""

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
        prepare_torch()
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
        with torch.no_grad():  # before training, centres are rare everywhere
            last.weight.mul_(0.1)
            last.bias = nn.Parameter(torch.tensor([-4.0, 0, 0, 0, 0]))
        self.head = nn.Sequential(hidden, nn.ReLU(inplace=True), last)

    def forward(self, image: Tensor) -> Output:
        """Apply the network to a batch of normalised images."""
        return result_of(self.in_steps(image))

    def in_steps(self, image: Tensor, before: float = 0.0, part: float = 1.0) -> Generator[float, None, Output]:
        """Apply the network in steps, so that it can be stopped between them.

        Yields the fraction that is about done of a whole of which this is a `part`, after `before` has been done.
        """
        fine = self.stem(_space_to_depth(image))
        yield before + 0.1 * part
        fine = self.encode_fine(fine)
        yield before + 0.35 * part
        middle = self.encode_middle(self.shrink_fine(_padded_to_even(fine)))
        coarse = self.bottom(self.shrink_middle(_padded_to_even(middle)))
        middle = self.decode_middle(middle + _cropped(self.grow_middle(coarse), middle))
        yield before + 0.5 * part
        fine = self.decode_fine(fine + _cropped(self.grow_fine(middle), fine))
        yield before + 0.75 * part
        maps = self.head(fine)
        return Output(maps[:, 0], maps[:, 1:4], maps[:, 4])

    def confidence(self, output: Output) -> Tensor:
        r"""Return the calibrated probability that each cell holds a centre, shape ``(B, Z, Y, X)``.

        It is the beta calibration of Kull et al.,

        .. math:: p = \left( 1 + e^{-c} \, (1 - s)^b \, s^{-a} \right)^{-1}

        where :math:`s` is the sigmoid of the centre's logit, and :math:`a, b, c` are the network's `calibration`.
        """
        centre = output.centre.float()
        true, false, bias = self.calibration
        return torch.sigmoid(true * functional.logsigmoid(centre) - false * functional.logsigmoid(-centre) + bias)

    @property
    def halo(self) -> int:
        """Voxels beyond a tile that its output depends on: the receptive field, rounded up to `MULTIPLE`."""
        # Each 3x3x3 convolution reaches one cell further; cells are 2, 4 and 8 voxels wide. The way up and down adds
        # the rest of the coarse cell that a voxel falls into.
        reach = 2 * (1 + 2 + 2 + 1) + 4 * (2 + 2) + 8 * 2 + (MULTIPLE - 1)
        return -(-reach // MULTIPLE) * MULTIPLE


def _space_to_depth(image: Tensor) -> Tensor:
    """Turn blocks of voxels into channels: ``(B, 1, Z, Y, X)`` -> ``(B, 8, Z / 2, Y / 2, X / 2)``."""
    batch, _, z, y, x = image.shape
    blocks = image.reshape(batch, z // 2, 2, y // 2, 2, x // 2, 2)
    return blocks.permute(0, 2, 4, 6, 1, 3, 5).reshape(batch, 8, z // 2, y // 2, x // 2)


def _padded_to_even(cells: Tensor) -> Tensor:
    """Append zeros, as the convolutions have them beyond a face, where a length is odd."""
    z, y, x = (n % 2 for n in cells.shape[2:])
    return functional.pad(cells, (0, x, 0, y, 0, z)) if z or y or x else cells


def _cropped(grown: Tensor, cells: Tensor) -> Tensor:
    """Crop an upsampled map to the shape of a finer one, whose cells may have been padded."""
    z, y, x = cells.shape[2:]
    return grown[..., :z, :y, :x]
