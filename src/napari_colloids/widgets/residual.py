"""The Residual button: image minus the model of the particles on show, as a layer."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING
from weakref import ref

import numpy as np
from napari.utils.colormaps import Colormap
from qtpy.compat import isalive

from napari_colloids.detection.record import REFINEMENT
from napari_colloids.errors import ColloidsError
from napari_colloids.particles import positions_of
from napari_colloids.stack import aspect_of
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.origin import is_child_of
from napari_colloids.widgets.layers.spheres import add_layer
from napari_colloids.widgets.parts.status import notice
from napari_colloids.widgets.points_button import PointsButton

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Layer, Points
    from napari.utils.events import Event

    from napari_colloids.progress import Progress
    from napari_colloids.refinement import Residual
    from napari_colloids.widgets.layers.layers import LayerData
    from napari_colloids.widgets.parts.status import Status

#: From too much light in the model to light that no particle explains. The middle is dark: noise stays in the
#: background, and rings show on it.
COLOURS = ["#9ad1ff", "#2f6fd0", "#0b1a33", "#05070d", "#331408", "#d0561c", "#ffdf8a"]
#: Part of the voxels, in per cent, that lies within the contrast limits.
_CONTRAST_PERCENTILE = 99.8
#: Voxels that the contrast limits are taken from.
_CONTRAST_SAMPLE_VOXELS = 1_000_000
#: What the name of a residual says once its points were edited.
STALE = "before the last edit"
TIP = (
    "Show what the points on show leave unexplained of the image, as a layer over it. Dark: well explained. Bright "
    "orange: light of no particle; one is missed there, or is centred just outside. Bright blue: the model has too "
    "much light; a particle is false or too large."
)


class ResidualButton(PointsButton):
    """Computes the residual of a Points layer in the background, and shows it.

    Its layer says in its name when the points on show are no longer those that were subtracted.
    """

    def __init__(self, viewer: ViewerModel, status: Status) -> None:
        super().__init__(
            "Residual",
            viewer,
            status,
            doing="Computing the residual",
            tip=TIP,
            work=lambda points, image: _ResidualRequest(points, image, viewer).run,
        )
        self._watched: Callable[[], Points | None] = lambda: None
        self._layer: Callable[[], Layer | None] = lambda: None
        self._name, self._checksum = "", 0
        self.succeeded.connect(self._on_done)

    def _on_done(self, found: tuple[_ResidualRequest, Residual]) -> None:
        request, residual = found
        described = residual_layer_data(residual, request.place, request.index, name=request.name)
        for layer in [layer for layer in self._viewer.layers if _is_residual_of(layer, request.image)]:
            self._viewer.layers.remove(layer)
        layer = add_layer(self._viewer, described, request.image)
        # Below the points, over the image.
        if request.image in self._viewer.layers:
            self._viewer.layers.move(len(self._viewer.layers) - 1, self._viewer.layers.index(request.image) + 1)
        limit = layer.contrast_limits[1]
        said = (
            f"Residual of {request.count} particles, drawn from -{limit:.3g} to {limit:.3g} grey levels: orange is "
            "light that no particle explains, blue what the model has too much of."
        )
        self._status.say("<br>".join([said, *map(notice, residual.notices)]), layer)
        self._watch(request, layer)

    def _watch(self, request: _ResidualRequest, layer: Layer) -> None:
        """Follow the points of the last residual: edited, hidden or shown."""
        before = self._watched()
        if before is not None:
            before.events.set_data.disconnect(self._on_points)
            before.events.features.disconnect(self._on_points)
        self._watched, self._layer = ref(request.points), ref(layer)
        self._name, self._checksum = f"{request.name} residual", request.checksum
        request.points.events.set_data.connect(self._on_points)
        request.points.events.features.connect(self._on_points)
        self._on_points()

    def _on_points(self, event: Event | None = None) -> None:
        """Mark the residual where it is not that of the points on show, and take the mark away where it is again."""
        points, layer = self._watched(), self._layer()
        if not isalive(self) or points is None or layer is None:
            return
        stale = f"{self._name} ({STALE})"
        wanted = self._name if checksum_of(points) == self._checksum else stale
        if layer.name in (self._name, stale) and layer.name != wanted:
            layer.name = wanted


class _ResidualRequest:
    """Points and image of a residual; the layers may be moved, filtered or removed meanwhile."""

    def __init__(self, points: Points, image: Image, viewer: ViewerModel) -> None:
        self.points, self.image, self.name, self.place = points, image, image.name, places.place_of(image)
        self.index = places.index_of(image, viewer)
        self.checksum = checksum_of(points)
        self._stack = layers.stack_of(image, self.index)
        self._table = layers.in_voxels(points, image, self.index)
        self.count = len(self._table)
        if not self.count:
            raise ColloidsError("There are no points on show to take off the image: lower the threshold.")
        note = layers.note_of(points)
        self._dark = bool(note.get("dark"))
        # As refined particles were fitted they are taken off, too.
        self._measured = {name: note[name] for name in REFINEMENT if name in note}
        self._diameter = float(note.get("diameter") or 2 * self._table["radius"].median())

    def run(self) -> Generator[Progress, None, tuple[_ResidualRequest, Residual]]:
        """Compute it; returns the request and its residual."""
        from napari_colloids.refinement import iter_residual

        residual = yield from iter_residual(
            self._stack.volume(dark=self._dark),
            positions_of(self._table),
            self._table["radius"].to_numpy(dtype=float),
            self._diameter,
            aspect_of(self._stack.voxel_size),
            self._measured,
        )
        return self, residual


def residual_layer_data(residual: Residual, place: places.Place, index: Sequence[int] = (), *, name: str) -> LayerData:
    """Describe the image layer of a residual, maybe in bins of several voxels, of an image at this place and index."""
    before = len(index)
    bins = np.array([*(1,) * before, *residual.bins], dtype=float)
    # The first bin has its centre in the middle of the voxels in it.
    first = np.array([*index, 0, 0, 0], dtype=float) + (bins - 1) / 2
    scale, translate = np.array(place["scale"]), np.array(place["translate"])
    sample = residual.image.ravel()[:: max(residual.image.size // _CONTRAST_SAMPLE_VOXELS, 1)]
    limit = float(np.percentile(np.abs(sample), _CONTRAST_PERCENTILE)) or 1.0
    attributes = {
        **place,
        "scale": tuple(scale * bins),
        "translate": tuple(translate + scale * first),
        "name": f"{name} residual",
        "colormap": Colormap(COLOURS, name="residual"),
        "contrast_limits": (-limit, limit),
        "projection_mode": "none",
        "metadata": {layers.KEY: {"kind": "residual", "image": name}},
    }
    return residual.image[(None,) * before], attributes, "image"


def checksum_of(points: Points) -> int:
    """Return a checksum of the positions and radii of the points on show."""
    shown = np.asarray(points.shown, dtype=bool)
    positions = np.ascontiguousarray(np.asarray(points.data, dtype=float)[shown])
    return zlib.crc32(layers.radii_of(points.features)[shown].tobytes(), zlib.crc32(positions.tobytes()))


def _is_residual_of(layer: Layer, image: Image) -> bool:
    return layers.note_of(layer).get("kind") == "residual" and is_child_of(layer, image)
