"""The plots, on matplotlib canvases that match napari's theme."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from qtpy.QtCore import QEvent, QTimer, Signal

from napari_colloids.widgets.layers.layers import CONFIDENCE_COLOURS
from napari_colloids.widgets.parts.own_control import wrapped
from napari_colloids.widgets.parts.plot_look import Drawing, Look
from napari_colloids.widgets.parts.plot_saving import SaveButton
from napari_colloids.widgets.parts.status import is_light

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.backend_bases import MouseEvent
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray
    from qtpy.QtGui import QResizeEvent, QWheelEvent

_HISTOGRAM_BINS = 40
#: Time from a change of a plot to its drawing, which further changes meanwhile join.
_DRAWN_AFTER_MS = 80
#: Ends of a logarithmic axis of counts: the lower one, so that a bar of a single particle is seen, and the upper one
#: over the largest count.
_LOG_START, _LOG_ROOM = 0.5, 1.5


class Canvas(FigureCanvasQTAgg):
    """A plot of fixed height."""

    #: Draws what is on show.
    _draw: Callable[[], object] | None = None
    #: Of the theme that it was drawn in.
    look = Look.on_paper()

    def __init__(self, height: int) -> None:
        super().__init__(Figure(figsize=(2.8, height / 100), dpi=100, layout="constrained"))
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(_DRAWN_AFTER_MS)
        self._soon.timeout.connect(self.draw)
        self.setFixedHeight(height)
        self.axes = self.figure.add_subplot()

    def draw_idle(self) -> None:
        """Draw soon: not in the same turn of the window as what has changed the plot, which takes its time as well."""
        if not self._soon.isActive():
            self._soon.start()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the panel, which scrolls."""
        event.ignore()

    def changeEvent(self, event: QEvent) -> None:
        """Follow napari's theme."""
        super().changeEvent(event)
        changed = event.type() == QEvent.Type.PaletteChange and self._theme() != self.look
        if changed and self._draw is not None:
            self._show(self._draw)

    def _theme(self) -> Look:
        palette = self.palette()
        return Look.of_theme(palette.window().color().name(), palette.windowText().color().name(), is_light(self))

    def _show(self, draw: Callable[[], object]) -> None:
        """Draw on empty axes in the colours of the theme, and anew whenever these change."""
        self._draw = draw
        self.look = self._theme()
        self.axes.clear()
        draw()
        self.look.paint(self.axes)
        self.draw_idle()


class ResultPlot(Canvas):
    """Plot by the ``plot`` method of a result, which can be saved; see `Drawing` for its colours."""

    def __init__(self, height: int, tooltip: str, **empty: object) -> None:
        """Begin with empty axes that have these properties."""
        super().__init__(height)
        self.setToolTip(wrapped(tooltip))
        self._drawing = Drawing(lambda axes: axes.set(**empty))
        self.save = SaveButton(self, lambda: self._drawing)
        self.show_result(self._drawing.plot)

    def show_result(self, plot: Callable[[Axes], object], curves: int = 1) -> None:
        """Draw by the result's own ``plot``, whose first lines are so many curves of data."""
        self._drawing = Drawing(plot, curves)
        self._show(lambda: self._drawing.draw(self.axes, self.look))
        self.save.action.setEnabled(self.axes.has_data())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Keep the button in its corner."""
        super().resizeEvent(event)
        self.save.place()


class ConfidenceHistogram(ResultPlot):
    """Histogram of the confidences with logarithmic counts; click or drag to move the threshold."""

    picked = Signal(float)

    def __init__(self) -> None:
        self._line: Line2D | None = None
        self._threshold = 0.0
        super().__init__(
            120,
            "Number of points by confidence (0 to 1), on a logarithmic axis: a few doubtful ones are seen beside "
            "many that are certain. Click or drag to move the threshold.",
        )
        self.mpl_connect("button_press_event", self._on_mouse)
        self.mpl_connect("motion_notify_event", self._on_mouse)
        self.show_confidences(np.empty(0))

    def show_confidences(self, confidences: NDArray[np.float64]) -> None:
        """Draw the histogram anew."""
        self.show_result(partial(self._draw_bars, confidences), curves=0)

    def _draw_bars(self, confidences: NDArray[np.float64], axes: Axes) -> None:
        counts, edges = np.histogram(confidences, bins=_HISTOGRAM_BINS, range=(0.0, 1.0))
        centres = (edges[:-1] + edges[1:]) / 2
        colours = LinearSegmentedColormap.from_list("confidence", CONFIDENCE_COLOURS)(centres)
        axes.bar(centres, counts, width=1 / _HISTOGRAM_BINS, color=colours)
        use_log_counts(axes, counts)
        axes.set(xlim=(0, 1), xlabel="confidence", ylabel="points")
        line = axes.axvline(self._threshold)
        if axes is self.axes:  # and not those of a file
            self._line = line

    def show_threshold(self, threshold: float) -> None:
        """Move the threshold line."""
        self._threshold = threshold
        if self._line is not None:
            self._line.set_xdata([threshold, threshold])
        self.draw_idle()

    def _on_mouse(self, event: MouseEvent) -> None:
        pressed = event.name == "button_press_event" or getattr(event, "buttons", None)
        if pressed and event.inaxes is self.axes and event.xdata is not None:
            self.picked.emit(float(event.xdata))


def use_log_counts(axes: Axes, counts: NDArray[np.int_]) -> None:
    """Make the axis of counts logarithmic where there are any, so that few particles are seen beside many."""
    if counts.any():
        axes.set_yscale("log")
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylim(_LOG_START, counts.max() * _LOG_ROOM)
