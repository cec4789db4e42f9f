"""The Inspect dock: table of the particles, sections of one, tours of doubtful ones, colours by any column."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING
from weakref import ref

import numpy as np
from magicgui.widgets import ComboBox
from napari.layers import Points
from qtpy.compat import isalive
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QLabel, QPushButton, QWidget

from napari_colloids.errors import ColloidsError
from napari_colloids.widgets.inspection.colour_controls import ColourControls
from napari_colloids.widgets.inspection.going import go_to
from napari_colloids.widgets.inspection.histogram import plot_histogram, spread_words
from napari_colloids.widgets.inspection.listing import ParticleList
from napari_colloids.widgets.inspection.section_view import SectionView
from napari_colloids.widgets.inspection.sections import Cut
from napari_colloids.widgets.inspection.tours import TOURS, following
from napari_colloids.widgets.layers import layers
from napari_colloids.widgets.layers.origin import image_of
from napari_colloids.widgets.layers.quantities import is_number
from napari_colloids.widgets.parts.controls import Form, shaped
from napari_colloids.widgets.parts.layer_choice import LayerChoice
from napari_colloids.widgets.parts.own_control import wrapped
from napari_colloids.widgets.parts.panel import Panel, across
from napari_colloids.widgets.parts.plots import ResultPlot
from napari_colloids.widgets.parts.status import Status, notice
from napari_colloids.widgets.score import is_points, like_detections

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from napari.layers import Image, Layer
    from napari.utils.events import Event

#: Time (ms) in which changes are gathered before the histogram follows, which takes longer to draw than the table.
_PLOT_GATHERING_MS = 150
#: Distance (in voxels) within which an outcome of a comparison is one of the detections.
_SAME_PX = 1e-3
_PLOTTED_FIRST = "radius"


class InspectWidget(Panel):
    """Shows the particles of a Points layer as a table, and one of them from three sides."""

    guide = "inspect.md"

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer)
        self.points = LayerChoice(
            self._viewer, _is_inspectable, "Points layer to look at.", rank=like_detections, label="Points"
        )
        self.list = ParticleList()
        self.buttons = {name: self._tour_button(name) for name in TOURS}
        self.sections = SectionView()
        self.colours = ColourControls(self._viewer)
        self.show_what = shaped(
            ComboBox(choices=[""], label="Histogram", tooltip="Show how a column of the listed particles is spread.")
        )
        self.plot = ResultPlot(
            130,
            "Histogram of the particles in the table, in the colours that they have if they are coloured by this "
            "column. Counts of confidences are logarithmic.",
            xlabel="radius",
            ylabel="particles",
        )
        self.spread = Status()
        self.status = Status()
        #: The tour that is under way, and where it is.
        self._stop: tuple[str, ref[Points], int] | None = None
        #: Whether points are being selected by a tour, which shows their sections itself.
        self._going = False
        self._plot_timer = QTimer(self)
        self._plot_timer.setSingleShot(True)
        self._plot_timer.setInterval(_PLOT_GATHERING_MS)
        self._plot_timer.timeout.connect(self._draw)
        row, tours = across(QLabel("Next"), *self.buttons.values()), QWidget()
        row.setContentsMargins(0, 0, 0, 0)
        tours.setLayout(row)
        self.add(
            Form([self.points]),
            self.list,
            tours,
            self.status,
            self.sections,
            self.colours,
            Form([self.show_what]),
            self.plot,
            self.spread,
        )
        self.points.changed.connect(self._on_layer)
        self.list.visited.connect(self._on_visited)
        self.list.selection.connect(self._on_selection)
        self.list.changed.connect(self._plot_timer.start)
        self.list.read.connect(self._on_read)
        self.colours.changed.connect(self._plot_timer.start)
        self.colours.refused.connect(lambda text: self._say(notice(text)))
        self.show_what.changed.connect(self._draw)
        self._viewer.layers.selection.events.active.connect(self._on_active)
        self._bind_keys()
        self._on_layer(self.points.value)

    def _tour_button(self, name: str) -> QPushButton:
        tour = TOURS[name]
        button = QPushButton(tour.label)
        button.setToolTip(wrapped(f"{tour.tip} Key {tour.key}; Shift+{tour.key} goes back."))
        button.clicked.connect(lambda: self.tour(name))
        return button

    def _bind_keys(self) -> None:
        """Bind the keys of the tours, in the canvas and in this dock."""
        for name, tour in TOURS.items():
            for prefix, step in (("", 1), ("Shift-", -1)):
                self._viewer.bind_key(f"{prefix}{tour.key}", _touring(ref(self), name, step), overwrite=True)
                shortcut = QShortcut(QKeySequence(f"{prefix}{tour.key}".replace("-", "+")), self)
                shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
                shortcut.activated.connect(partial(self.tour, name, step))

    def tour(self, name: str, step: int = 1) -> None:
        """Go to the next stop of a tour, or to the one before."""
        active = self._viewer.layers.selection.active
        try:
            stops = TOURS[name].stops(self._viewer, self.points.value)
        except ColloidsError as error:
            self._say(notice(str(error)))
            return
        finally:  # an outcome that is shown for the first time would be the one to edit
            self._viewer.layers.selection.active = active
        current = None
        if self._stop is not None and self._stop[0] == name and self._stop[1]() is stops.layer:
            current = self._stop[2]
        number = following(stops.order, current, step)
        if number is None:
            self._say(f"No particle to go to: {stops.what}.")
            return
        index = int(stops.order[number])
        self._stop = (name, ref(stops.layer), index)
        value = f": {stops.column} {stops.layer.features[stops.column].iloc[index]:.3g}" if stops.column else ""
        self._say(f"{number + 1} of {len(stops.order)}, {stops.what}{value}")
        self._go(stops.layer, index)

    def _say(self, text: str) -> None:
        """Say where a tour is, or nothing, which takes no room."""
        self.status.say(text)
        self.status.setVisible(bool(text))

    def _go(self, layer: Points, index: int) -> None:
        """Show a point in the viewer, in the table where it is listed, and in sections."""
        go_to(self._viewer, layer, index)
        chosen = self.points.value
        self._going = True
        try:
            layer.selected_data = {index}
            if chosen is not None and chosen is not layer:
                chosen.selected_data = _twins(layer, index, chosen)
        finally:
            self._going = False
        if chosen is not None and chosen in self._viewer.layers:
            self._viewer.layers.selection.active = chosen
        self._cut(layer, index)

    def _on_visited(self, index: int) -> None:
        layer = self.points.value
        if layer is not None:
            self._stop = None
            go_to(self._viewer, layer, index)
            self._viewer.layers.selection.active = layer
            self._cut(layer, index)

    def _on_selection(self) -> None:
        """Show the sections of a point that was selected in the layer."""
        layer = self.points.value
        if layer is not None and len(layer.selected_data) == 1 and not self._going:
            self._cut(layer, next(iter(layer.selected_data)))

    def _cut(self, layer: Points, index: int) -> None:
        image = self._image_of(layer)
        if image is None:
            self.sections.clear("no image to cut: open the one of these points")
            return
        try:
            self.sections.cut(Cut(layer, index, image, self._viewer), image)
        except ColloidsError as error:
            self.sections.clear(str(error))

    def _image_of(self, layer: Points) -> Image | None:
        """Return the image that points were found in, or else the uppermost one."""
        found = image_of(layer, self._viewer.layers)
        return found or next(filter(layers.is_stack, reversed(self._viewer.layers)), None)

    def _on_active(self, event: Event) -> None:
        if isalive(self) and event.value is not None and is_points(event.value):
            self.points.value = event.value

    def _on_layer(self, layer: Points | None) -> None:
        self._stop = None
        self._say("")
        self.sections.clear()
        self.list.follow(layer)
        self._on_read()
        self._on_selection()

    def _on_read(self) -> None:
        """Follow values that have changed."""
        layer = self.points.value
        self.colours.offer(layer)
        words = {q.name: q.words for q in self.list.table.particles.quantities if self._is_plotted(q.name)}
        with self.show_what.changed.blocked():
            before = self.show_what.value
            if list(self.show_what.choices) != list(words):
                self.show_what.choices = [(label, name) for name, label in words.items()]
            wanted = before if before in words else _PLOTTED_FIRST
            if wanted in words:
                self.show_what.value = wanted
        self._plot_timer.start()

    def _is_plotted(self, name: str) -> bool:
        return name != "frame" and is_number(self.list.table.particles.columns[name])

    def _draw(self) -> None:
        model = self.list.table.particles
        quantity = next((q for q in model.quantities if q.name == self.show_what.value), None)
        if quantity is None:
            self.plot.show_result(lambda axes: axes.set(xlabel="radius", ylabel="particles"), curves=0)
            self.spread.say("")
            return
        values = model.columns[quantity.name][model.rows]
        limits = self.colours.limits() if self.colours.column.value == quantity.name else None
        self.plot.show_result(partial(plot_histogram, values, quantity, limits), curves=0)
        self.spread.say(spread_words(values, quantity))


def _touring(dock: ref[InspectWidget], name: str, step: int) -> Callable[[object], None]:
    """Return what a key of the viewer does: it goes on with a tour, as long as the dock is there."""

    def go(viewer: object) -> None:  # napari asks a key binding for its name, which a partial function lacks
        widget = dock()
        if widget is not None and isalive(widget):
            widget.tour(name, step)

    return go


def _is_inspectable(layer: Layer) -> bool:
    return isinstance(layer, Points) and layer.ndim >= 3


def _twins(layer: Points, index: int, among: Points) -> set[int]:
    """Return the points of a layer that lie where a point of another one does."""
    count = min(layer.ndim, among.ndim)
    here = among.world_to_data(np.asarray(layer.data_to_world(layer.data[index])))[-count:]
    away = np.abs(np.asarray(among.data)[:, -count:] - here).max(axis=1, initial=0.0)
    return set(np.flatnonzero(away < _SAME_PX).tolist())
