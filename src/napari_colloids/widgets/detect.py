"""The Detect widget: choose an image, click Detect, move the threshold, export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtWidgets import QHBoxLayout, QWidget
from superqt import QCollapsible

from napari_colloids.detection.options import DIAMETER_LIMITS
from napari_colloids.errors import ColloidsError
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.regions import is_region, marked_by
from napari_colloids.widgets.parts.controls import LayerCombo, Panel, Status, choice, form, number, whole
from napari_colloids.widgets.parts.remembered import preferences, remember
from napari_colloids.widgets.parts.run_button import RunButton
from napari_colloids.widgets.parts.weights import weights_choice
from napari_colloids.widgets.results import Partial, detection_summary, show
from napari_colloids.widgets.search import Search
from napari_colloids.widgets.threshold import ThresholdPanel

if TYPE_CHECKING:
    import napari
    import pandas as pd

    from napari_colloids.detection import Options
    from napari_colloids.widgets.parts.task import Work

METHODS = {"network": "network", "trackpy": "trackpy", "Laplacian of Gaussian": "log"}
#: Which frames of a series are searched.
FRAMES = {"the one on show": "shown", "all": "all", "a range": "range"}
#: Whether the particles are darker than what surrounds them.
PARTICLES = {"bright": False, "dark (dyed solvent)": True}
#: Whether the image is fitted once the particles are found.
POSITIONS = {"fast (as found)": False, "accurate (fit to the image)": True}
DEVICES = {"automatic": "auto", "CPU": "cpu", "NVIDIA GPU (CUDA)": "cuda", "Apple GPU (MPS)": "mps"}


class DetectWidget(Panel):
    """Finds the particles of an image layer.

    Every run adds a layer of its own, ``<image> particles``, in the place of the image; the result before it is kept,
    hidden, so that two settings can be compared.

    Parameters
    ----------
    napari_viewer
        Where the layers are.
    remembers
        Whether the controls begin as they were left last time.
    """

    def __init__(self, napari_viewer: napari.viewer.Viewer, *, remembers: bool = True) -> None:
        from napari_colloids.detection import Options

        super().__init__(napari_viewer)
        self._search: Search | None = None
        self._partial: Partial | None = None
        self._followed: Any = None
        defaults = Options()
        self.image = LayerCombo(
            self._viewer,
            layers.is_stack,
            "3D stack to search, or time series of them.",
        )
        self.frames = choice(
            FRAMES, "shown", "Which time steps of a series to search; its points lie in their time step."
        )
        self.frame_from = whole(0, 0, 0, unit="", tooltip="First time step to search (from 0).")
        self.frame_to = whole(0, 0, 0, unit="", tooltip="Last time step to search (included).")
        self.region = LayerCombo(
            self._viewer,
            is_region,
            "Where to search: in the rectangles, ellipses and polygons of a Shapes layer (drawn in a slice, they hold "
            "for all slices), or where a Labels layer is not 0.",
            none="everywhere",
        )
        self.mode = choice(
            {"automatic": "auto", "pixels": "px", "micrometres": "um"},
            "auto",
            "Particle diameter: measured in the image, or typed in pixels (lateral voxels) or in micrometres.",
        )
        self.pixels = number(
            12.0,
            *DIAMETER_LIMITS,
            decimals=2,
            unit="px",
            tooltip="Diameter of a particle in lateral voxels (px); the mean where sizes are mixed.",
        )
        self.micrometres = number(
            1.0,
            0.001,
            1000.0,
            decimals=3,
            unit="µm",
            tooltip="Diameter of a particle in micrometres (µm); the mean where sizes are mixed.",
        )
        self.dark = choice(
            PARTICLES,
            defaults.dark,
            "Bright: the particles shine. Dark: the solvent is dyed, the particles are dark in it.",
        )
        self.method = choice(
            METHODS,
            defaults.method,
            "How to find particles: the neural network, trackpy (tuned by the diameter), or Laplacian of Gaussian.",
        )
        self.weights = weights_choice()
        self.refine = choice(
            POSITIONS,
            defaults.refine,
            "Fast: positions as the method finds them. Accurate: a model of the image is fitted to all particles "
            "together. Positions and radii are then several times as exact, each with its standard error; this takes "
            "about 10 ms per particle on a CPU core.",
        )
        self.psf = LayerCombo(
            self._viewer,
            is_psf,
            "For accurate positions: a 3D image of one bead, far smaller than the particles, by the same microscope. "
            "Its voxel size may be another one. Otherwise the PSF is measured on the particles themselves.",
            none="measured on the particles",
        )
        self.device = choice(
            DEVICES, defaults.device, "Where the network runs; automatic takes a GPU where there is one."
        )
        self.tile = whole(
            defaults.tile or 0,
            0,
            4096,
            unit="voxels",
            special="automatic",
            tooltip="Edge of the tiles the stack is cut into (voxels). "
            "Smaller needs less memory but takes longer; the result is equal.",
        )
        self.z_from = whole(0, 0, 0, unit="", tooltip="First slice to search (slice number, from 0).")
        self.z_to = whole(0, 0, 0, unit="", tooltip="Last slice to search (slice number, included).")
        self.border = number(
            defaults.border,
            0.0,
            1000.0,
            decimals=1,
            unit="voxels",
            tooltip="Drop centres that lie nearer than this to a face of the stack (voxels).",
        )
        self.status = Status()
        self.button = RunButton(
            "Detect",
            self.status,
            doing="Detecting particles",
            prepare=self._asked_for,
            cancel_tip="Stop after the tile or the block of particles that is at work; frames that are done are kept.",
            kept=self._keep_done,
        )
        self.threshold = ThresholdPanel(self._viewer, self.status)
        self.button.take_turns_with(self.threshold.residual)
        self._lay_out()
        self._connect()
        self._take_preferences()
        if remembers:
            remember(
                "detect",
                {
                    "diameter_mode": self.mode,
                    "diameter_px": self.pixels,
                    "diameter_um": self.micrometres,
                    "dark": self.dark,
                    "method": self.method,
                    "refine": self.refine,
                    "border": self.border,
                    "frames": self.frames,
                },
            )
        # What is not as usual should not hide.
        if self.dark.currentData() != defaults.dark or self.border.value() != defaults.border:
            self.advanced.expand()
        self._on_mode()
        self._on_method()
        self._on_refine()
        self._on_image(self.image.layer)

    def options(self) -> Options:
        """Return what the controls say; every point above the floor is asked for, the threshold hides the rest."""
        from napari_colloids.detection import FLOOR, Options

        mode = self.mode.currentData()
        last = self.z_to.maximum()
        whole_depth = self.z_from.value() == 0 and self.z_to.value() == last
        if not whole_depth and self.z_from.value() > self.z_to.value():
            raise ColloidsError("The first slice lies after the last one: correct the slices under Advanced.")
        return Options(
            diameter=self.pixels.value() if mode == "px" else None,
            diameter_um=self.micrometres.value() if mode == "um" else None,
            dark=self.dark.currentData(),
            threshold=FLOOR,
            method=self.method.currentData(),
            weights=self.weights.currentData() if self.method.currentData() == "network" else None,
            device=self.device.currentData(),
            tile=self.tile.value() or None,
            z_range=None if whole_depth else (self.z_from.value(), self.z_to.value() + 1),
            border=self.border.value(),
            refine=self.refine.currentData(),
        )

    def _lay_out(self) -> None:
        diameter = QHBoxLayout()
        for box in (self.mode, self.pixels, self.micrometres):
            diameter.addWidget(box)
        top = form()
        self._range = QHBoxLayout()
        self._range.addWidget(self.frame_from)
        self._range.addWidget(self.frame_to)
        self._rows = top
        top.addRow("Image", self.image)
        top.addRow("Frames", self.frames)
        top.addRow("From, to", self._range)
        top.addRow("Diameter", diameter)
        top.addRow("Method", self.method)
        top.addRow("Positions", self.refine)
        top.addRow("Device", self.device)
        slices = QHBoxLayout()
        slices.addWidget(self.z_from)
        slices.addWidget(self.z_to)
        inside = QWidget()
        advanced = form()
        advanced.addRow("Particles", self.dark)
        advanced.addRow("Weights", self.weights)
        advanced.addRow("Tile edge", self.tile)
        advanced.addRow("Slices", slices)
        advanced.addRow("Region", self.region)
        advanced.addRow("Border", self.border)
        advanced.addRow("PSF", self.psf)
        inside.setLayout(advanced)
        self.advanced = QCollapsible("Advanced")
        self.advanced.setToolTip("Dark particles, own weights, a part of the stack, a measured PSF, and more.")
        self.advanced.setDuration(0)
        for layout, indent in ((self.advanced.layout(), 0), (self.advanced.content().layout(), 8)):
            if layout is not None:
                layout.setContentsMargins(indent, 0, 0, 0)
        self.advanced.addWidget(inside)
        self.column.addLayout(top)
        self.column.addWidget(self.advanced)
        for part in (self.button, self.button.bar, self.status, self.threshold):
            self.column.addWidget(part)
        self.column.addStretch(1)

    def _connect(self) -> None:
        self.image.chosen.connect(self._on_image)
        self.mode.currentIndexChanged.connect(self._on_mode)
        self.frames.currentIndexChanged.connect(self._on_frames)
        self.method.currentIndexChanged.connect(self._on_method)
        self.refine.currentIndexChanged.connect(self._on_refine)
        self.button.succeeded.connect(self._on_found)

    def _take_preferences(self) -> None:
        page = preferences()
        if page is None:
            return
        self.device.setCurrentIndex(max(self.device.findData(page.device), 0))
        self.tile.setValue(page.tile)
        self.device.currentIndexChanged.connect(lambda _: setattr(page, "device", self.device.currentData()))
        self.tile.valueChanged.connect(lambda value: setattr(page, "tile", value))

    def _on_mode(self, _: int = 0) -> None:
        self.pixels.setVisible(self.mode.currentData() == "px")
        self.micrometres.setVisible(self.mode.currentData() == "um")

    def _on_method(self, _: int = 0) -> None:
        self.weights.setEnabled(self.method.currentData() == "network")

    def _on_refine(self, _: int = 0) -> None:
        self.psf.setEnabled(self.refine.currentData())

    def _on_frames(self, _: int = 0) -> None:
        series = self.image.layer is not None and self.image.layer.ndim == 4
        self._rows.setRowVisible(self.frames, series)
        self._rows.setRowVisible(self._range, series and self.frames.currentData() == "range")

    def _on_image(self, image: Any) -> None:
        if self._followed is not None:
            self._followed.events.data.disconnect(self._on_data)
        if image is not None:
            image.events.data.connect(self._on_data)
        self._followed = image
        self._take_lengths(image, anew=True)

    def _on_data(self, event: Any = None) -> None:
        """Follow an image that grows while it is recorded, or gets other data."""
        if isalive(self):
            self._take_lengths(self._followed, anew=False)

    def _take_lengths(self, image: Any, *, anew: bool) -> None:
        """Offer the slices and frames that there are; all of them, unless a part was chosen before."""
        last = 0 if image is None else int(image.extent.data[1][-3])
        latest = int(image.extent.data[1][0]) if image is not None and image.ndim == 4 else 0
        for first_box, last_box, end in ((self.z_from, self.z_to, last), (self.frame_from, self.frame_to, latest)):
            to_the_end = anew or last_box.value() == last_box.maximum()
            first_box.setRange(0, end)
            last_box.setRange(0, end)
            if anew:
                first_box.setValue(0)
            if to_the_end:
                last_box.setValue(end)
        self._on_frames()
        ready = image is not None
        self.button.offer(ready, "Find the particles of the image." if ready else "Load a 3D image first.")

    def _asked_for(self) -> Work | None:
        image = self.image.layer
        if image is None:
            return None
        index = places.index_of(image, self._viewer)
        frames = self._chosen_frames(image)
        marked = marked_by(self.region.layer, image, index, frames)
        psf = self.psf.layer if self.refine.currentData() else None
        search = Search(image, index, frames, self.options(), marked, psf)
        if not search.goes_on_with(self._search):
            self._partial = None
        self._search = search
        return search.run

    def _chosen_frames(self, image: Any) -> range | None:
        if image.ndim != 4 or self.frames.currentData() == "shown":
            return None
        if self.frames.currentData() == "all":
            return range(int(image.extent.data[1][0]) + 1)
        if self.frame_from.value() > self.frame_to.value():
            raise ColloidsError("The first frame lies after the last one: correct the frames.")
        return range(self.frame_from.value(), self.frame_to.value() + 1)

    def _on_found(self, search: Search) -> None:
        table = search.table()
        layer = self._show(search, table)
        self._search = self._partial = None
        self.status.say(detection_summary(table, int(layer.shown.sum())))

    def _keep_done(self) -> str:
        """Show the frames that a search has done before it was stopped, and say so; empty where there are none."""
        search = self._search
        if search is None or not search.tables:
            return ""
        self._partial = Partial(self._show(search, search.table()))
        return (
            f": {len(search.tables)} of {len(search.parts)} frames are done and on show. Detect goes on from there, "
            "unless a setting is changed."
        )

    def _show(self, search: Search, table: pd.DataFrame) -> Any:
        layer = show(self._viewer, search, table, self._partial if search.went_on else None)
        self.threshold.layers.choose(layer)
        return layer


def is_psf(layer: Any) -> bool:
    """Tell whether a layer may be the image of a bead: one volume."""
    return layers.is_stack(layer) and layer.ndim == 3
