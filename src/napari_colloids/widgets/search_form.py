"""The controls of the Detect dock: what to search, where, and how."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal, cast

from qtpy.compat import isalive
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_colloids.detection import FLOOR, Options
from napari_colloids.errors import ColloidsError
from napari_colloids.settings import Setting, settings_of
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.regions import is_region, marked_by
from napari_colloids.widgets.parts.controls import Form, Row, choice, control, controls_of
from napari_colloids.widgets.parts.layer_choice import LayerChoice
from napari_colloids.widgets.parts.panel import Fold
from napari_colloids.widgets.parts.remembered import preferences, remember
from napari_colloids.widgets.parts.weights import WeightsChoice
from napari_colloids.widgets.search import Search

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from napari.utils.events import Event

    from napari_colloids.widgets.parts.controls import Controls

#: The controls that are on show; the others are folded away.
_SHOWN = ("image", "frames", "frame_range", "diameters", "method", "refine", "device")
#: What is kept for the next session; device and tile are in napari's Preferences.
_REMEMBERED = ("diameter_unit", "diameter", "diameter_um", "dark", "method", "refine", "border", "frames")
#: Diameters that the boxes begin with.
_DIAMETERS = {"diameter": 12.0, "diameter_um": 1.0}


@dataclass(frozen=True)
class Extent:
    """Part of an image to search."""

    frames: Annotated[
        Literal["shown", "all", "range"],
        Setting(
            label="Frames",
            help="Which time steps of a series to search; its points lie in their time step.",
            choices={"shown": "the one on show", "all": "all", "range": "a range"},
        ),
    ] = "shown"
    frame_range: Annotated[
        tuple[int, int], Setting(label="From, to", help="First and last time step to search (from 0, both included).")
    ] = (0, 0)
    slices: Annotated[
        tuple[int, int], Setting(label="Slices", help="First and last slice to search (from 0, both included).")
    ] = (0, 0)


class SearchForm(QWidget):
    """Holds the controls of a search by name, and makes the search that they ask for.

    Every option of detection has a control, folded away unless it is listed among those on show.
    """

    def __init__(self, viewer: ViewerModel, *, remembers: bool) -> None:
        super().__init__()
        self._viewer = viewer
        self._followed: Image | None = None
        self.image = LayerChoice(
            viewer,
            layers.is_stack,
            "3D stack to search, or time series of them.",
            follows=True,
            name="image",
            label="Image",
        )
        self.controls: Controls = {
            "image": self.image,
            **controls_of(Extent),
            **_diameter_controls(),
            "region": _region_choice(viewer),
            **controls_of(Options, but=(*_DIAMETERS, "threshold", "weights", "psf")),
            "weights": WeightsChoice(settings_of(Options)["weights"]),
            "psf": _psf_choice(viewer),
        }
        elsewhere = (*_SHOWN, "diameter_unit", *_DIAMETERS)
        hidden = [one for name, one in self.controls.items() if name not in elsewhere]
        self._usual = {one.name: one.value for one in hidden if one.name not in ("tile", "slices")}
        self.advanced = Fold(
            Form(hidden),
            "Dark particles, own weights, a part of the stack, a measured PSF, and more.",
            self._unusual,
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        self._rows = Form(self.controls[name] for name in _SHOWN)
        column.addWidget(self._rows)
        column.addWidget(self.advanced)
        _take_preferences(self.controls)
        if remembers:
            remember("detect", (self.controls[name] for name in _REMEMBERED))
        # What is not as usual should not hide.
        if self.controls["dark"].value or self.controls["border"].value:
            self.advanced.expand()
        self.image.changed.connect(self._on_image)
        for name in ("frames", "diameter_unit", "method", "refine"):
            self.controls[name].changed.connect(self._refresh)
        for one in hidden:
            one.changed.connect(self.advanced.refresh)
        self._on_image()

    def _unusual(self) -> list[str]:
        """Return the labels of folded controls that make the search another one than usual."""
        names = [name for name, value in self._usual.items() if self.controls[name].value != value]
        if self.controls["slices"].value != (0, _last(self.image.value, -3)):
            names.append("slices")
        return [self.controls[name].label for name in names]

    def options(self) -> Options:
        """Return how to search; every point above the floor is asked for, the threshold hides the rest."""
        chosen = {name: self.controls[name].value for name in settings_of(Options) if name in self.controls}
        for name in _DIAMETERS:
            if name != self.controls["diameter_unit"].value:
                chosen[name] = None
        if chosen["method"] != "network":
            chosen["weights"] = None
        return Options(**{**chosen, "psf": None, "threshold": FLOOR})

    def search(self) -> Search | None:
        """Return the search that is asked for, or None without an image."""
        image = self.image.value
        if image is None:
            return None
        index, frames = places.index_of(image, self._viewer), self._frames(image)
        marked = marked_by(self.controls["region"].value, image, index, frames)
        psf = self.controls["psf"].value if self.controls["refine"].value else None
        return Search(image, index, frames, self.options(), replace(marked, z_range=self.z_range()), psf)

    def z_range(self) -> tuple[int, int] | None:
        """Return the first slice and the one after the last; None for all."""
        first, last = self.controls["slices"].value
        if (first, last) == (0, _last(self.image.value, -3)):
            return None
        if first > last:
            raise ColloidsError("The first slice lies after the last one: correct the slices under Advanced.")
        return first, last + 1

    def _frames(self, image: Image) -> range | None:
        chosen = self.controls["frames"].value
        if image.ndim != 4 or chosen == "shown":
            return None
        first, last = self.controls["frame_range"].value if chosen == "range" else (0, _last(image, 0))
        if first > last:
            raise ColloidsError("The first frame lies after the last one: correct the frames.")
        return range(first, last + 1)

    def _refresh(self) -> None:
        """Show and enable the controls that the others ask for."""
        for name in _DIAMETERS:
            self.controls[name].visible = self.controls["diameter_unit"].value == name
        self.controls["weights"].enabled = self.controls["method"].value == "network"
        self.controls["psf"].enabled = self.controls["refine"].value
        series = self.image.value is not None and self.image.value.ndim == 4
        frames = self.controls["frames"]
        self._rows.show_row(frames, series)
        self._rows.show_row(self.controls["frame_range"], series and frames.value == "range")

    def _on_image(self) -> None:
        if self._followed is not None:
            self._followed.events.data.disconnect(self._on_data)
        self._followed = self.image.value
        if self._followed is not None:
            self._followed.events.data.connect(self._on_data)
        self._take_lengths(anew=True)

    def _on_data(self, event: Event | None = None) -> None:
        """Follow an image that grows while it is recorded, or gets other data."""
        if isalive(self):
            self._take_lengths(anew=False)

    def _take_lengths(self, *, anew: bool) -> None:
        """Offer the slices and frames that there are; all of them, unless a part was chosen before."""
        image = self._followed
        frames = 0 if image is None or image.ndim != 4 else _last(image, 0)
        for name, end in (("slices", _last(image, -3)), ("frame_range", frames)):
            row = cast("Row", self.controls[name])
            first, last = row.value
            to_the_end = anew or last == row.high
            row.limit(0, end)
            row.value = (0 if anew else min(first, end), end if to_the_end else min(last, end))
        self._refresh()


def _diameter_controls() -> Controls:
    """Make the row of the diameter: its unit, or "automatic", and a box for each unit, of which one is on show."""
    settings = settings_of(Options)
    unit = choice(
        {"": "automatic", "diameter": "pixels", "diameter_um": "micrometres"},
        "",
        name="diameter_unit",
        tooltip="Particle diameter: measured in the image, or typed in pixels (lateral voxels) or in micrometres.",
    )
    boxes = [control(replace(settings[name], type=float, default=value)) for name, value in _DIAMETERS.items()]
    row = Row([unit, *boxes], name="diameters", label="Diameter", tooltip=unit.tooltip or "")
    return {"diameters": row, "diameter_unit": unit, **{box.name: box for box in boxes}}


def _region_choice(viewer: ViewerModel) -> LayerChoice:
    """Make the control of the region among the layers."""
    return LayerChoice(
        viewer,
        is_region,
        "Where to search: in the rectangles, ellipses and polygons of a Shapes layer (drawn in a slice, they hold for "
        "all slices), or where a Labels layer is not 0.",
        none="everywhere",
        name="region",
        label="Region",
    )


def _psf_choice(viewer: ViewerModel) -> LayerChoice:
    """Make the control of a measured PSF among the layers."""
    return LayerChoice(
        viewer,
        is_psf,
        "For accurate positions: a 3D image of one bead, far smaller than the particles, by the same microscope. Its "
        "voxel size may be another one. Otherwise the PSF is measured on the particles themselves.",
        none=settings_of(Options)["psf"].setting.unset,
        name="psf",
        label="PSF",
    )


def _take_preferences(controls: Controls) -> None:
    """Begin with the device and the tile of napari's Preferences, where 0 stands for automatic, and keep them there."""
    page = preferences()
    if page is None:
        return
    device, tile = controls["device"], controls["tile"]
    device.value, tile.value = page.device, page.tile or None
    device.changed.connect(lambda value: setattr(page, "device", value))
    tile.changed.connect(lambda value: setattr(page, "tile", value or 0))


def _last(image: Image | None, axis: int) -> int:
    """Return the last index along an axis."""
    return 0 if image is None else int(image.extent.data[1][axis])


def is_psf(layer: Layer) -> bool:
    """Whether a layer may be the image of a bead: one volume."""
    return layers.is_stack(layer) and layer.ndim == 3
