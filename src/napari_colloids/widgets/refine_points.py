"""The Refine button: fits the particles of a layer, edits by hand included, to the image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.detection.record import REFINEMENT, Record
from napari_colloids.errors import ColloidsError
from napari_colloids.formatting import refinement_words
from napari_colloids.particles import ERRORS
from napari_colloids.progress import Progress
from napari_colloids.stack import aspect_of
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.by_hand import BY_HAND, changed_by_hand
from napari_colloids.widgets.layers.edit_history import REFINE, history_of
from napari_colloids.widgets.parts.status import notice
from napari_colloids.widgets.points_button import PointsButton

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari.components import ViewerModel
    from napari.layers import Image, Points

    from napari_colloids.refinement import PSF, Refinement
    from napari_colloids.widgets.parts.status import Status

TIP = (
    "Fit the points on show, with what was added, moved or deleted by hand, to the image: accurate positions and radii "
    "with standard errors. No point is added or deleted; where the fit is not accepted, it stays as it is. Ctrl+Z in "
    "the image undoes it."
)
#: Steps of the progress per volume.
_STEPS_PER_VOLUME = 100


class RefineButton(PointsButton):
    """Refines the points on show of a layer in the background, as one edit that can be undone."""

    def __init__(self, viewer: ViewerModel, status: Status) -> None:
        super().__init__(
            "Refine",
            viewer,
            status,
            doing="Refining these particles",
            tip=TIP,
            work=lambda points, image: _Request(points, image, viewer).run,
        )
        self.succeeded.connect(self._on_done)

    def _on_done(self, found: tuple[_Request, list[Refinement]]) -> None:
        request, fits = found
        if request.points not in self._viewer.layers:
            return
        if history_of(request.points).version != request.version:
            self._status.fail("The particles were edited while they were refined, and stay as they are: refine again.")
            return
        self._status.say("<br>".join(request.apply(fits)))


class _Request:
    """The points on show of a layer, and where they lie in the image."""

    def __init__(self, points: Points, image: Image, viewer: ViewerModel) -> None:
        self.points, self.version = points, history_of(points).version
        note = layers.note_of(points)
        self._dark, self._psf = bool(note.get("dark")), _psf_in(note)
        self._scale, self._shift = places.into_voxels(points, image)
        data = np.asarray(points.data, dtype=float)
        which = np.flatnonzero(points.shown)
        if not len(which):
            raise ColloidsError("There are no points on show to refine: lower the threshold.")
        here = places.index_of(image, viewer)
        if points.ndim == image.ndim:
            places_in_time = np.rint(data[which, :-3]).astype(int)
            indices = [tuple(int(at) for at in one) for one in np.unique(places_in_time, axis=0)]
            groups = [which[np.all(places_in_time == index, axis=1)] for index in indices]
        else:
            indices, groups = [here], [which]
        self._volumes = [(layers.stack_of(image, index), group) for index, group in zip(indices, groups, strict=True)]
        self._positions = data[:, -3:] * self._scale + self._shift
        self._radii = layers.radii_of(points.features) * abs(float(self._scale[-1]))
        self._diameter = float(note.get("diameter") or 2 * np.median(self._radii[which]))
        self._voxel_size = places.voxel_size_of(image)

    def run(self) -> Generator[Progress, None, tuple[_Request, list[Refinement]]]:
        """Fit them; returns the request and the fits of its volumes."""
        from napari_colloids.refinement import iter_refine

        aspect = aspect_of(self._voxel_size)
        psf = None if self._psf is None else self._psf.in_voxels(self._voxel_size, aspect)
        fits = []
        count = len(self._volumes)
        for number, (stack, which) in enumerate(self._volumes):
            volume = stack.volume(dark=self._dark)
            steps = iter_refine(volume, self._positions[which], self._radii[which], self._diameter, aspect, psf)
            while True:
                try:
                    step = next(steps)
                except StopIteration as end:
                    fits.append(end.value)
                    break
                if count == 1:
                    yield step
                else:
                    done = number * _STEPS_PER_VOLUME + _STEPS_PER_VOLUME * step.done // max(step.total, 1)
                    yield Progress(done, count * _STEPS_PER_VOLUME, f"frame {number + 1} of {count}, {step.message}")
        return self, fits

    def apply(self, fits: list[Refinement]) -> list[str]:
        """Give the points what was fitted, as one edit; returns what is to be said about it."""
        history = history_of(self.points)
        which = np.concatenate([group for _, group in self._volumes])
        positions, radii = self._positions[which], self._radii[which]
        errors, refined = np.full((len(which), len(ERRORS)), np.nan), np.zeros(len(which), int)
        start = 0
        for fit, (_, group) in zip(fits, self._volumes, strict=True):
            accepted = fit.refined & (fit.source >= 0)
            at = start + fit.source[accepted]
            positions[at], radii[at] = fit.positions[accepted], fit.radii[accepted]
            errors[at], refined[at] = fit.errors[accepted], 1
            start += len(group)
        order = np.argsort(which)
        which, refined = which[order], refined[order]
        lateral = abs(float(self._scale[-1]))
        errors = errors[order] / [*np.abs(self._scale), lateral]
        features = {name: value for name, value in changed_by_hand(self.points.features, which).items()}
        if BY_HAND in self.points.features:
            features[BY_HAND] = self.points.features[BY_HAND].to_numpy()[which]
        else:
            del features[BY_HAND]
        features |= {"radius": radii[order] / lateral, "refined": refined}
        features |= dict(zip(ERRORS, errors.T, strict=True))
        facts = fits[0].facts
        history.change(
            REFINE,
            which,
            features,
            (positions[order] - self._shift) / self._scale,
            {name: facts.get(name) for name in REFINEMENT},
        )
        words = refinement_words(int(refined.sum()), facts, self._voxel_size)
        said = [f"<b>{words}</b>, of {len(which)} particles. Ctrl+Z in the image undoes it."]
        return [*said, *(notice(text) for text in dict.fromkeys(text for fit in fits for text in fit.notices))]


def _psf_in(note: dict[str, object]) -> PSF | None:
    """Return the PSF that the particles were searched with, where it had been measured on a bead."""
    try:
        psf = Record.from_attrs(note).options().psf
    except ColloidsError:
        return None
    return psf  # type: ignore[return-value]
