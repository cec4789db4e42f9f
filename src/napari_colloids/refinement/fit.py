"""The fit of all spheres of a box at once: what is known, what follows from it for the image, and one step further."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from napari_colloids.refinement.equations import Equations, assemble
from napari_colloids.refinement.polynomials import Slow
from napari_colloids.refinement.profile import Profile
from napari_colloids.refinement.residual_search import find_missed
from napari_colloids.refinement.spheres import Spheres, draw
from napari_colloids.refinement.templates import NUMBERS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.refinement.grid import Grid
    from napari_colloids.refinement.optics import Detector, Optics
    from napari_colloids.refinement.spheres import Array, Corner, Image

#: Room for radii to change before the tables of the profile end.
_ROOM = 0.08
#: Longest step in radii, in parts of the radius: of a centre, and of the radius itself.
_LONGEST = (0.15, 0.08)
#: Longest step of the background, in parts of the usual brightness. Below the lowest grey level all backgrounds look
#: alike, and nothing else would end a step from there.
_DEEPEST = 1.0
#: Standard deviation of a network's radii, relative.
RADIUS_DOUBT = 0.06
#: Neighbours whose mean brightness is expected of a sphere, and the least brightness of it.
_NEIGHBOURS = 24
_DARKEST = 0.02
#: Spheres darker than this, of the median, say nothing of the lamp; how many it takes to believe in a slope; and how
#: many times what chance explains is not believed.
_USUAL = 0.3
_EVEN = 1.0
_CHANCE = 4.0
#: With which part of the usual brightness a new sphere begins.
_FAINT = 0.1


@dataclass(frozen=True, eq=False)
class Priors:
    """What is expected of the spheres before the image is looked at: a network found them, and they are alike.

    Attributes
    ----------
    centres
        Shape ``(N, 3)`` in voxels: where the network has them.
    doubt
        Standard deviations of these ``(z, y, x)``; wide, they only hold what the image says nothing of.
    radii
        Shape ``(N,)`` in lateral voxels: what the network has.
    radius
        Mean of all, in lateral voxels.
    polydispersity
        Standard deviation of the radius over its mean.
    brightness_spread
        Standard deviation of the brightness over that of the neighbours.
    """

    centres: Array
    doubt: Array
    radii: Array
    radius: float
    polydispersity: float
    brightness_spread: float

    def of(self, which: NDArray[np.bool_]) -> Priors:
        """Return what is expected of some of the spheres."""
        return replace(self, centres=self.centres[which], radii=self.radii[which])

    def outside_held(self, spheres: Spheres, grid: Grid) -> Priors:
        """Return what is expected of the spheres, with those outside the stack held where they are.

        A network has these too near, by up to a radius; a fit that is drawn there draws their neighbours with them.
        """
        outside = ~grid.inside(spheres.positions)
        return replace(self, centres=np.where(outside[:, None], spheres.positions, self.centres))

    def precision_and_pull(self, spheres: Spheres) -> tuple[Array, Array]:
        """Return the precision of each number, shape ``(N, 5)``, and that times the distance to what is expected."""
        usual = usual_brightness(spheres)
        precision, away = np.empty((len(spheres), NUMBERS)), np.empty((len(spheres), NUMBERS))
        precision[:, 0] = 1 / (self.brightness_spread * usual) ** 2
        away[:, 0] = usual - spheres.brightness
        precision[:, 1:4], away[:, 1:4] = 1 / self.doubt**2, self.centres - spheres.positions
        alike, guessed = 1 / (self.polydispersity * self.radius) ** 2, 1 / (RADIUS_DOUBT * self.radii) ** 2
        precision[:, 4] = alike + guessed
        away[:, 4] = (alike * self.radius + guessed * self.radii) / (alike + guessed) - spheres.radii
        return precision, precision * away


@dataclass(frozen=True, eq=False)
class Box:
    """A part of the stack.

    Attributes
    ----------
    image
        Shape ``(Z, Y, X)``; 0 where it has no value.
    known
        1 where the image has a value, else 0.
    low
        Its first voxel.
    aspect
        Height of a voxel over its width.
    """

    image: Image
    known: Image
    low: Corner
    aspect: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape in voxels."""
        z, y, x = self.image.shape
        return z, y, x

    def where_known(self, voxels: Image) -> NDArray[np.float32]:
        """Return those of the voxels (of the image, or of what a model makes of it) where the image has a value."""
        return voxels[self.known > 0]

    @property
    def slow(self) -> Slow:
        """What background and lamp are made of."""
        return Slow.over(self.low, self.shape)


@dataclass(frozen=True, eq=False)
class View:
    """What a model makes of the image of a box.

    Attributes
    ----------
    lamp
        Illumination of each voxel over that in the middle.
    core
        Light of the spheres through the core of a round PSF.
    light
        All of the model's light, in grey levels.
    residual
        Image less what the detector makes of the light, over the standard deviation of the noise.
    root_weight
        Change of the residual with the light; 0 where nothing is known.
    """

    lamp: Image
    core: Image
    light: Image
    residual: Image
    root_weight: Image


@dataclass(frozen=True, eq=False)
class Model:
    """All that the image of a box follows from.

    Attributes
    ----------
    spheres
        That are fitted; their brightness is what it would be in the middle of the box.
    optics, detector
        Through which they are seen.
    background
        Weights of the terms of `Slow`.
    lamp
        Weights of all but the first of these in the logarithm of the illumination: shading, bleaching.
    others
        Light of spheres that are not fitted, as far as the lamp is even.
    """

    spheres: Spheres
    optics: Optics
    detector: Detector
    background: Array
    lamp: Array
    others: Image | float = 0.0

    def profile(self, aspect: float) -> Profile:
        """Return the pictures of the spheres."""
        radii = self.spheres.radii
        limits = float(radii.min(initial=np.inf)) * (1 - _ROOM), float(radii.max(initial=0.0)) * (1 + _ROOM)
        return Profile(limits, self.optics.psf_sigma, self.optics.shell, aspect)

    def view(self, box: Box, profile: Profile) -> View:
        """Return what is seen of the model."""
        lamp = np.exp(box.slow.image(self.lamp))
        core = (draw(self.spheres, profile, box.low, box.shape) + self.others) * lamp
        light = core + box.slow.image(self.background)
        if self.optics.psf_tail:
            light += np.float32(self.optics.psf_tail) * (
                blurred_further(core, self.optics.psf_sigma, box.aspect) - core
            )
        if any(self.optics.psf_lean):
            light += np.tensordot(np.array(self.optics.psf_lean, np.float32), leaning(core, box.aspect), 1)
        return seen_by(self.detector, box, lamp, core, light)


def seen_by(detector: Detector, box: Box, lamp: Image, core: Image, light: Image) -> View:
    """Return what a detector makes of the light of a model."""
    seen = detector.see(light)
    weight = box.known / seen.deviation
    residual = ((box.image - seen.expected) * weight).astype(np.float32)
    return View(lamp, core, light, residual, (seen.slope * weight).astype(np.float32))


def blurred_further(core: Image, sigma: tuple[float, float], aspect: float) -> Image:
    """Return light blurred by a PSF, as if that had been twice as wide."""
    axial, lateral = (np.sqrt(3) * s for s in sigma)
    for axis, width in enumerate((axial / aspect, lateral, lateral)):
        core = gaussian_filter1d(core, width, axis=axis, truncate=3, mode="nearest")
    return core


def leaning(core: Image, aspect: float) -> Image:
    """Return how light changes with the covariances `Optics.psf_lean` of the PSF, shape ``(4, Z, Y, X)``.

    To first order a covariance adds the mixed second derivative: the heat equation of a Gaussian blur.
    """

    def slope(image: Image, axis: int) -> Image:
        return np.gradient(image, axis=axis) if image.shape[axis] > 1 else np.zeros_like(image)

    y, x = slope(core, 1), slope(core, 2)
    return np.stack([slope(y, 0) / aspect, slope(x, 0) / aspect, slope(y, 2), slope(y, 1) - slope(x, 2)])


def usual_brightness(spheres: Spheres) -> Array:
    """Return what the brightness of each sphere's neighbours is in the mean, shape ``(N,)``: the lamp, not the dye."""
    count = min(_NEIGHBOURS, len(spheres))
    near = cKDTree(spheres.positions).query(spheres.positions, count)[1].reshape(len(spheres), -1)
    return np.asarray(np.maximum(np.mean(spheres.brightness[near], axis=1), 1e-6))


def equations_of(
    model: Model,
    box: Box,
    profile: Profile,
    view: View,
    shared: list[Image],
    *,
    derivatives: bool = True,
) -> Equations:
    """Return the equations of the spheres, the background and further columns that all share; see `assemble`."""
    weight = view.root_weight * view.lamp * np.float32(1 - model.optics.psf_tail)
    columns = [view.root_weight * column for column in shared]
    return assemble(
        model.spheres,
        profile,
        box.slow,
        view.residual,
        weight,
        view.root_weight,
        columns,
        derivatives=derivatives,
    )


def advance(
    model: Model,
    priors: Priors,
    equations: Equations,
    aspect: float,
    *,
    brightness_only: bool = False,
    shared_precision: Array | None = None,
    shared_pull: Array | None = None,
) -> tuple[Model, Array, Array]:
    """Return the model one Gauss-Newton step on, how far the centres went, and the changes of the further columns.

    Parameters
    ----------
    model, priors, equations
        Where it stands.
    aspect
        Height of a voxel over its width.
    brightness_only
        Whether centres and radii stay.
    shared_precision, shared_pull
        Priors of the further columns.
    """
    spheres, count = model.spheres, len(model.background)
    precision, pull = priors.precision_and_pull(spheres)
    if brightness_only:
        precision[:, 1:], pull[:, 1:] = 1e9, 0.0
    none = np.zeros(count)
    more = (np.zeros(0) if part is None else part for part in (shared_precision, shared_pull))
    changes, shared = equations.with_priors(precision, pull, *(np.append(none, part) for part in more)).solve()
    usual = float(np.median(np.maximum(spheres.brightness, 0)))
    longest = _LONGEST[0] * spheres.radii[:, None] / np.array([aspect, 1, 1])
    moves = np.clip(changes[:, 1:4], -longest, longest)
    swelling = np.clip(changes[:, 4], -_LONGEST[1] * spheres.radii, _LONGEST[1] * spheres.radii)
    brightness = np.maximum(spheres.brightness + changes[:, 0], _DARKEST * usual)
    background = model.background + np.clip(shared[:count], -_DEEPEST * usual, _DEEPEST * usual)
    moved = Spheres(spheres.positions + moves, spheres.radii + swelling, brightness)
    return replace(model, spheres=moved, background=background), moves, shared[count:]


def with_lamp(model: Model, box: Box) -> Model:
    """Return the model with what the brightness of its spheres has in common with their place taken for the lamp."""
    spheres = model.spheres
    last = box.low + np.array(box.shape) - 1
    columns = box.slow.at(np.clip(spheres.positions, box.low, last))[1:]
    usual = spheres.brightness > _USUAL * np.median(spheres.brightness)
    # The light of what lies outside says as much of its place as of the lamp.
    usual &= np.all((spheres.positions > box.low) & (spheres.positions < last), axis=1)
    known = columns[:, usual]
    lamp = _lamp_of(known, np.log(spheres.brightness[usual]) + model.lamp @ known)
    dimmed = replace(spheres, brightness=spheres.brightness * np.exp((model.lamp - lamp) @ columns))
    return replace(model, spheres=dimmed, lamp=lamp)


def _lamp_of(columns: Array, bright: Array) -> Array:
    """Return the weights of the lamp's terms, ``(K, N)`` at the spheres, that the logarithms of their light tell.

    Particles of unequal brightness seem to have a lamp of their own, the more so the fewer there are: what is no more
    than the spread explains is left out, and the rest shrunk by as much (the garrote of Breiman, Technometrics 37, 373,
    1995), in directions that are independent of each other.
    """
    terms, count = columns.shape
    if count <= terms + 1:
        return np.zeros(terms)
    columns, bright = columns - columns.mean(axis=1, keepdims=True), bright - bright.mean()
    strength, directions = np.linalg.eigh(columns @ columns.T)
    # Particles all in one plane tell little of a slope.
    strength = strength + _EVEN
    along = directions.T @ columns @ bright
    explained = along**2 / strength
    spread = (bright @ bright - explained.sum()) / (count - terms - 1)
    kept = np.maximum(1 - _CHANCE * spread / np.maximum(explained, 1e-12), 0)
    return np.asarray(directions @ (kept * along / strength))


def with_missed(
    model: Model, priors: Priors, box: Box, view: View, profile: Profile, beyond: float | Array
) -> tuple[Model, Priors]:
    """Return model and priors with the spheres that the residual shows; see `find_missed`."""
    spheres = model.spheres
    brightness = float(np.median(spheres.brightness))
    places = box.low + find_missed(
        view.residual,
        view.root_weight * view.lamp,
        profile,
        priors.radius,
        brightness,
        spheres.positions - box.low,
        beyond,
    )
    radii = np.full(len(places), priors.radius)
    more = Spheres(
        np.concatenate([spheres.positions, places]),
        np.append(spheres.radii, radii),
        np.append(spheres.brightness, np.full(len(places), _FAINT * brightness)),
    )
    priors = replace(priors, centres=np.concatenate([priors.centres, places]), radii=np.append(priors.radii, radii))
    return replace(model, spheres=more), priors
