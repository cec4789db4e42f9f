"""Particles drawn as spheres: cross-sections with the slice on show in 2D, shaded spheres in 3D.

napari's ``projection_mode="rescale_spherical"`` draws the disc in which a sphere meets the current slice, but it needs
slices as thick as the spheres, and it takes distances along z for lateral voxels. In 3D it draws hidden points too
(napari 0.9.2). The sizes set here undo both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

import numpy as np
from app_model.types import KeyCode, KeyMod
from napari import Viewer
from napari.layers import Image, Labels, Layer, Points, Shapes, Vectors
from napari.layers.base import ActionType
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_colloids.particles import POSITION
from napari_colloids.widgets.layers import layers
from napari_colloids.widgets.layers.column_colours import column_colours, known
from napari_colloids.widgets.layers.edit_history import history_of, resize
from napari_colloids.widgets.layers.gl_context import make_current
from napari_colloids.widgets.layers.hidden import slice_hidden
from napari_colloids.widgets.layers.hover import say_units
from napari_colloids.widgets.layers.origin import set_parent
from napari_colloids.widgets.layers.other_units import show_alone
from napari_colloids.widgets.layers.quantities import values_of
from napari_colloids.widgets.layers.slider_range import SliderRange
from napari_colloids.widgets.layers.unwrapped import unwrapped
from napari_colloids.widgets.layers.writer_order import offer_first
from napari_colloids.widgets.parts.free_memory import give_back_free_memory

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.utils.events import Event

#: Size in 3D of particles whose value is not known, as their order near a face, over their own: the others are to be
#: seen.
_UNKNOWN_SIZE = 0.3

#: By when napari has freed what a layer held that was removed.
_LET_GO_MS = 1000

_watched: WeakKeyDictionary[ViewerModel, SphereView] = WeakKeyDictionary()


def watch(viewer: ViewerModel) -> SphereView:
    """Draw the particle layers of this viewer as spheres from now on, those it has and those it will get."""
    viewer = unwrapped(viewer)
    if viewer not in _watched:
        _watched[viewer] = SphereView(viewer)
    return _watched[viewer]


def watch_all() -> None:
    """Draw the particle layers of every open viewer as spheres: readers and samples are not given theirs.

    The current viewer need not be the one that reads; without a window there is none.
    """
    for viewer in list(Viewer._instances):
        watch(viewer)


def add_layer(viewer: ViewerModel, layer_data: layers.LayerData, parent: Layer | None = None) -> Layer:
    """Add one described layer to the viewer (main thread only), with its parent, and return it."""
    watch(viewer)
    layer = Layer.create(*layer_data)
    viewer.add_layer(layer)
    if parent is not None:
        set_parent(layer, parent)
    return layer  # what add_layer of a proxy returns is but a proxy


class SphereView:
    """Follows one viewer; the viewer is held weakly, so that closing it frees everything."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = ref(viewer)
        self._range = SliderRange(viewer)
        for layer in viewer.layers:
            self._adopt(layer)
        viewer.layers.events.inserted.connect(self._on_inserted)
        viewer.layers.events.removing.connect(make_current)
        viewer.layers.events.removed.connect(_on_removed)
        viewer.layers.selection.events.changed.connect(self._on_selected)
        viewer.dims.events.ndisplay.connect(self._on_ndisplay)
        viewer.dims.events.point.connect(self._on_moved)
        viewer.dims.events.order.connect(self._on_moved)

    def show_above(self, layer: Points, threshold: float) -> None:
        """Show the points with at least this confidence and hide the others, drawing them but once.

        In 3D it is the change of size that is seen, and drawn.
        """
        viewer = self._viewer()
        if viewer is not None and viewer.dims.ndisplay == 3 and is_ours(layer):
            with layer.events.set_data.blocker():
                layers.show_above(layer, threshold)
            self._resize(layer)
        else:
            layers.show_above(layer, threshold)

    def dress(self, layer: Points) -> None:
        """Give a layer the look that its note asks for, after that has changed."""
        if is_ours(layer):
            self._dress(layer)
            self._resize(layer)

    def _on_inserted(self, event: Event) -> None:
        self._adopt(event.value)
        viewer = self._viewer()
        if viewer is not None:
            show_alone(viewer, event.value)

    def _on_selected(self, event: Event | None = None) -> None:
        viewer = self._viewer()
        if viewer is not None and len(viewer.layers.selection):
            offer_first(all(is_ours(layer) for layer in viewer.layers.selection))

    def _on_ndisplay(self, event: Event | None = None) -> None:
        for layer in self._particles():
            self._dress(layer)
            self._resize(layer)

    def _on_moved(self, event: Event | None = None) -> None:
        for layer in self._particles():
            if layer.visible:
                self._resize(layer)

    def _on_visible(self, event: Event) -> None:
        if event.source.visible:
            self._resize(event.source)

    def _on_edited(self, event: Event) -> None:
        """Record an edit, which may be undone, and draw what was added or changed as it is."""
        if event.action in (ActionType.ADDED, ActionType.CHANGED, ActionType.REMOVED):
            slice_hidden(event.source)
        history_of(event.source).on_data(event)
        if event.action in (ActionType.ADDED, ActionType.CHANGED):
            if _measured_column(event.source):
                self._dress(event.source)
            self._thicken(event.source)
            self._resize(event.source)

    def _on_size(self, event: Event) -> None:
        """Take the point size that was set of the selected particles for their diameter.

        Sizes that are set here have no event.
        """
        layer = event.source
        which = sorted(layer.selected_data)
        resize(layer, which, np.asarray(layer.size)[which] / 2)

    def _undo(self, layer: Points) -> None:
        """Undo the last edit of the particles."""
        self._say(history_of(layer).undo(), "Undone", "undo")

    def _redo(self, layer: Points) -> None:
        """Redo the last edit of the particles that was undone."""
        self._say(history_of(layer).redo(), "Redone", "redo")

    def _say(self, edit: str, done: str, what: str) -> None:
        viewer = self._viewer()
        if viewer is not None:
            viewer.status = f"{done}: {edit}" if edit else f"There is nothing to {what}."

    def _on_drawn(self, event: Event) -> None:
        """Follow points that others hide in 3D; a change of size draws once more, with nothing left to change then."""
        viewer = self._viewer()
        if viewer is not None and viewer.dims.ndisplay == 3:
            self._resize(event.source)

    def _particles(self) -> list[Points]:
        viewer = self._viewer()
        return [] if viewer is None else [layer for layer in viewer.layers if is_ours(layer)]

    def _adopt(self, layer: Layer) -> None:
        viewer = self._viewer()
        if viewer is None:
            return
        if is_ours(layer):
            self._thicken(layer)
            say_units(layer)
            layer.events.data.connect(self._on_edited)
            layer.events.size.connect(self._on_size)
            layer.events.visible.connect(self._on_visible)
            layer.events.set_data.connect(self._on_drawn)
            layer.bind_key(KeyMod.CtrlCmd | KeyCode.KeyZ, self._undo, overwrite=True)
            layer.bind_key(KeyMod.CtrlCmd | KeyMod.Shift | KeyCode.KeyZ, self._redo, overwrite=True)
            if viewer.dims.ndisplay == 3:
                self._dress(layer)
            self._resize(layer)
        elif any(viewer.dims.thickness):
            _keep_thin(layer)

    def _thicken(self, layer: Points) -> None:
        """Make slices thick enough for the largest sphere, and keep every other layer as it looked."""
        viewer = self._viewer()
        if viewer is None or not len(layer.data):
            return
        if not any(viewer.dims.thickness):
            for other in viewer.layers:
                if not is_ours(other):
                    _keep_thin(other)
        largest = 2 * float(layers.radii_of(layer.features).max()) * abs(float(layer.scale[-1]))
        thickness = list(viewer.dims.thickness)
        for axis in range(max(len(thickness) - 3, 0), len(thickness)):
            thickness[axis] = max(thickness[axis], 1.01 * largest)
        viewer.dims.thickness = tuple(thickness)

    def _dress(self, layer: Points) -> None:
        viewer = self._viewer()
        if viewer is None or not len(layer.data):
            return
        note = layers.note_of(layer)
        kind, measured = note.get("kind", "particles"), _measured_column(layer)
        colour_by = "" if measured else note.get("colour_by", "")
        if viewer.dims.ndisplay == 3:
            look = layers.solid_look(kind, colour_by)
        else:
            look = layers.flat_look(kind, colour_by, float(np.median(layers.radii_of(layer.features))))
        if measured:
            part = "face" if viewer.dims.ndisplay == 3 else "border"
            limits = note.get("colour_limits")
            look[f"{part}_color"] = column_colours(layer.features, measured, values_of(layer, measured), limits)
        # The colormap must be in place before the colour is mapped through it.
        for attribute in sorted(look, key=lambda name: name.endswith("_color")):
            setattr(layer, attribute, look[attribute])

    def _resize(self, layer: Points) -> None:
        """Set sizes from which napari computes the right disc.

        napari draws radius sqrt((size / 2)^2 - dz^2) with dz in z voxels; right is sqrt(r^2 - (a dz)^2), with a the
        aspect of the voxel and r in lateral voxels. Hence (size / 2)^2 = r^2 - (a^2 - 1) dz^2, and nothing where the
        slice misses the sphere. In 3D hidden points get no size.
        """
        viewer = self._viewer()
        if viewer is None or not len(layer.data):
            return
        radius = layers.radii_of(layer.features)
        size = 2 * radius
        if viewer.dims.ndisplay == 3:
            size = np.where(layer.shown, size, 0.0)
            measured = _measured_column(layer)
            if measured:
                size *= np.where(known(layer.features, measured, values_of(layer, measured)), 1.0, _UNKNOWN_SIZE)
        across = [axis - viewer.dims.ndim + layer.ndim for axis in viewer.dims.not_displayed]
        across = [axis for axis in across if axis >= layer.ndim - 3]
        if len(across) == 1:
            axis = across[0]
            aspect = abs(float(layer.scale[axis] / layer.scale[-1]))
            if not np.isclose(aspect, 1.0):
                here = np.asarray(layer.world_to_data(viewer.dims.point[-layer.ndim :]))[axis]
                distance = np.asarray(layer.data)[:, axis] - here
                half = radius**2 - (aspect**2 - 1) * distance**2
                size = np.where(np.abs(distance) * aspect < radius, 2 * np.sqrt(np.maximum(half, 0.0)), 0.0)
        if not np.array_equal(layer.size, size):
            layer.size = size


def _on_removed(event: Event) -> None:
    """Give back what a layer has held, once napari has let go of it."""
    if QApplication.instance() is not None:
        QTimer.singleShot(_LET_GO_MS, give_back_free_memory)


def is_ours(layer: Layer) -> bool:
    """Whether a layer holds particles that are drawn as spheres here."""
    # Layers of others have a note as well, once their threshold was moved; but none of their kind.
    return "kind" in layers.note_of(layer) and "radius" in getattr(layer, "features", ()) and layer.ndim >= 3


def _keep_thin(layer: Layer) -> None:
    """Have a layer show the single slice it showed before slices became thick."""
    if isinstance(layer, Image | Labels | Points | Vectors | Shapes):
        layer.projection_mode = "none"


def _measured_column(layer: Layer) -> str:
    """Return the column that a layer is coloured by, or nothing where it has none, or one with colours of its own."""
    note = layers.note_of(layer)
    column = str(note.get("colour_by", ""))
    if column in layers.COLOUR_SCALES and note.get("colour_limits") is None:
        return ""
    return column if column in (*POSITION, *getattr(layer, "features", ())) else ""
