"""The image of one sphere: a ball blurred by the core of the PSF, cheap to shift and to differentiate.

A ball blurred by an isotropic Gaussian has a closed form; what the PSF is longer than wide is a convolution along z.
The result depends on height, distance from the axis and radius. As a matrix (height by everything else) it has a low
rank: a few functions of the height, common to all radii, times as many functions of distance and radius. So a picture
of 30 x 20 x 20 voxels costs 20 x 20 evaluations and a small matrix product.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.special import erf

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: How far the picture reaches beyond the surface, in standard deviations of the PSF; and how far its derivatives are
#: followed, which may be less: that costs the fit some speed and no truth.
REACH = 3.0
STEEP_REACH = 2.1
#: Steps of the tables per lateral standard deviation.
_FINE = 8
#: Steps in the radius, in lateral standard deviations: interpolation is cubic.
_RADIUS_STEP = 0.4
#: Share of the squared picture that the low rank may lose.
_LOST = 1e-7
_MIXTURES = 16
#: Numbers of a particle, in the order of the derivatives: brightness, z, y, x, radius.
NUMBERS = 5


def blurred_ball(distance: Array, radius: Array | float, sigma: float) -> Array:
    """Return a ball of value 1, convolved with an isotropic Gaussian, at a distance from its centre.

    The closed form follows from the radial convolution of a step; for large radii it is the error function of the edge.
    """
    rho = np.maximum(distance, 1e-3 * sigma)
    width = np.sqrt(2) * sigma
    near, far = (radius - rho) / width, (radius + rho) / width
    edges = (erf(near) + erf(far)) / 2
    return np.asarray(edges - sigma / (np.sqrt(2 * np.pi) * rho) * (np.exp(-(near**2)) - np.exp(-(far**2))))


class Profile:
    """Pictures of blurred spheres of a range of radii.

    Parameters
    ----------
    radii
        Smallest and largest radius, in lateral voxels.
    sigma
        Standard deviations ``(axial, lateral)`` of the PSF in lateral voxels, the axial one not the smaller.
    shell
        Radius of the dark core over the radius.
    aspect
        Height of a voxel over its width.
    """

    def __init__(
        self, radii: tuple[float, float], sigma: tuple[float, float], shell: float = 0.0, aspect: float = 1.0
    ) -> None:
        axial, lateral = sigma
        self.sigma, self.aspect = sigma, aspect
        self._step = lateral / _FINE
        self._radius_step = _RADIUS_STEP * lateral
        steps = max(int(np.ceil((radii[1] - radii[0]) / self._radius_step)), 0) + 3
        self._first_radius = max((radii[0] + radii[1] - steps * self._radius_step) / 2, 1e-3)
        grid = self._first_radius + self._radius_step * np.arange(steps + 1)
        heights, distances = (
            np.arange(int(np.ceil((grid[-1] + REACH * s) / self._step)) + 2) * self._step for s in (axial, lateral)
        )
        self._far = float(distances[-2])
        pile = np.concatenate([-heights[:0:-1], heights])[:, None, None]
        picture = _ball(np.hypot(pile, distances), grid[:, None], lateral, shell)
        along = np.sqrt(max(axial**2 - lateral**2, 0.0))
        if along > 0:
            picture = gaussian_filter1d(picture, along / self._step, axis=0, truncate=5, mode="constant")
        picture = picture[len(heights) - 1 :].reshape(len(heights), -1)
        basis = _leading(picture)
        across = (basis.T @ picture).reshape(-1, len(grid), len(distances)).transpose(1, 0, 2)
        self._along = _tables(basis, np.gradient(basis, self._step, axis=0))
        self._across = _tables(across, np.gradient(across, self._step, axis=2))

    def window(self, radius: float, reach: float = REACH) -> tuple[int, int, int]:
        """Return how many voxels ``(z, y, x)`` from the middle of its voxel the picture of a radius is drawn.

        Parameters
        ----------
        radius
            In lateral voxels.
        reach
            Beyond the surface, in standard deviations of the PSF.
        """
        axial, lateral = self.sigma
        height = int(np.ceil((radius + reach * axial) / self.aspect))
        width = int(np.ceil(radius + reach * lateral))
        return height, width, width

    def pictures(
        self, offsets: Array, radii: Array, window: tuple[int, int, int], *, derivatives: bool = True
    ) -> list[NDArray[np.float32]]:
        """Draw spheres of brightness 1 and, where wanted, how their pictures change.

        Parameters
        ----------
        offsets
            Shape ``(N, 3)``: the centre less the middle voxel of the window, in voxels z, y, x.
        radii
            Shape ``(N,)`` in lateral voxels.
        window
            Voxels to each side of the middle one.
        derivatives
            Whether those with respect to z, y, x (per voxel) and radius follow the picture itself.

        Returns
        -------
        list of numpy.ndarray
            One or five pictures, each of shape ``(N, Z, Y, X)``.
        """
        z, y, x = (
            torch.arange(-n, n + 1) - torch.from_numpy(offsets[:, axis : axis + 1]) for axis, n in enumerate(window)
        )
        up, up_slope = self._of_height(z * self.aspect)
        y, x = torch.broadcast_tensors(y[:, :, None], x[:, None, :])
        flat = self._of_distance(y.flatten(1), x.flatten(1), radii, derivatives)
        depth, height, width = (2 * n + 1 for n in window)
        drawn = torch.bmm(up, torch.cat(flat, dim=2)).reshape(len(radii), depth, len(flat), height, width)
        pictures = list(drawn.numpy().transpose(2, 0, 1, 3, 4))
        if derivatives:
            pictures.insert(1, torch.bmm(up_slope, flat[0]).reshape(len(radii), depth, height, width).numpy())
        return pictures

    def _of_height(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the functions of the height and their change with the height of the centre, each ``(N, Z, rank)``."""
        (value, slope) = self._along
        place = z.abs() / self._step
        low = place.floor().long().clamp(max=len(value) - 2)
        part = (place - low).clamp(max=1).float()[..., None]
        inside = (place < len(value) - 1)[..., None]
        up = torch.where(inside, torch.lerp(value[low], value[low + 1], part), 0)
        change = torch.where(inside, torch.lerp(slope[low], slope[low + 1], part), 0)
        return up, change * (-self.aspect * z.sign()).float()[..., None]

    def _of_distance(self, y: torch.Tensor, x: torch.Tensor, radii: Array, derivatives: bool) -> list[torch.Tensor]:
        """Return the functions of distance, and their change with y, x and radius, each ``(N, rank, Y * X)``."""
        value, slope = self._across
        first, weight, change = self._of_radius(radii)
        rows = first[:, None] + torch.arange(4)
        here = torch.einsum("nj,njkr->nkr", weight, value[rows])
        distance = torch.hypot(y, x)
        place = distance / self._step
        low = place.floor().long().clamp(max=value.shape[2] - 2)
        part = (place - low).clamp(max=1).float()[:, None]
        inside = (distance < self._far)[:, None]
        low = low[:, None].expand(-1, value.shape[1], -1)

        def at(table: torch.Tensor) -> torch.Tensor:
            return torch.where(inside, torch.lerp(table.gather(2, low), table.gather(2, low + 1), part), 0)

        factors = [at(here)]
        if derivatives:
            steep = at(torch.einsum("nj,njkr->nkr", weight, slope[rows]))
            away = distance.clamp(min=1e-6)
            factors += [steep * (-y / away).float()[:, None], steep * (-x / away).float()[:, None]]
            factors.append(at(torch.einsum("nj,njkr->nkr", change, value[rows])))
        return factors

    def _of_radius(self, radii: Array) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the first of the four radii to interpolate between, their weights and how these change."""
        place = np.clip((radii - self._first_radius) / self._radius_step, 0, len(self._across[0]) - 1)
        first = np.clip(np.floor(place) - 1, 0, len(self._across[0]) - 4).astype(int)
        t = (place - first)[:, None]
        nodes = np.arange(4)
        weight, change = np.ones((len(radii), 4)), np.zeros((len(radii), 4))
        for j in nodes:
            others = nodes[nodes != j]
            weight[:, j] = np.prod((t - others) / (j - others), axis=1)
            for k in others:
                rest = others[others != k]
                change[:, j] += np.prod((t - rest) / (j - rest), axis=1) / (j - k)
        change /= self._radius_step
        return torch.from_numpy(first), torch.from_numpy(weight).float(), torch.from_numpy(change).float()


def _ball(distance: Array, radius: Any, sigma: float, shell: float) -> Array:
    ball = blurred_ball(distance, radius, sigma)
    return ball - blurred_ball(distance, shell * radius, sigma) if shell > 0 else ball


def _leading(matrix: Array) -> Array:
    """Return an orthonormal basis, shape ``(rows, rank)``, of nearly all of a matrix's columns.

    Singular values fall fast here, so that a few random mixtures of the columns hold all that matters (Halko,
    Martinsson, Tropp, SIAM Rev. 53, 217, 2011).
    """
    mixtures = np.random.default_rng(0).standard_normal((matrix.shape[1], _MIXTURES))
    rows = np.linalg.qr(matrix @ mixtures)[0]
    energy, vectors = np.linalg.eigh(np.einsum("ik,jk->ij", *[rows.T @ matrix] * 2))
    rank = int(np.searchsorted(np.cumsum(energy), _LOST * energy.sum(), side="right"))
    return np.asarray(rows @ vectors[:, rank:])


def _tables(value: Array, slope: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(value).float().contiguous(), torch.from_numpy(slope).float().contiguous()
