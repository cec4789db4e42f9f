"""The plots, on matplotlib canvases that match napari's theme."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.colors import LinearSegmentedColormap, to_rgb, to_rgba
from matplotlib.figure import Figure
from qtpy.QtCore import QEvent, Signal

from napari_colloids.widgets.layers.layers import COLOURS, CONFIDENCE_COLOURS
from napari_colloids.widgets.parts.own_control import wrapped
from napari_colloids.widgets.parts.status import is_light

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.backend_bases import MouseEvent
    from matplotlib.collections import Collection
    from matplotlib.lines import Line2D
    from numpy.typing import NDArray
    from qtpy.QtGui import QWheelEvent

#: Of curves, on a dark background and on a light one.
CURVE_COLOURS = (COLOURS["true positives"], "#00708a")
_HISTOGRAM_BINS = 40


class Canvas(FigureCanvasQTAgg):
    """A plot of fixed height."""

    #: Draws what is on show.
    _draw: Callable[[], object] | None = None
    ink = paper = curve = ""

    def __init__(self, height: int) -> None:
        super().__init__(Figure(figsize=(2.8, height / 100), dpi=100, layout="constrained"))
        self.setFixedHeight(height)
        self.axes = self.figure.add_subplot()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the panel, which scrolls."""
        event.ignore()

    def changeEvent(self, event: QEvent) -> None:
        """Follow napari's theme."""
        super().changeEvent(event)
        changed = event.type() == QEvent.Type.PaletteChange and self._theme() != (self.paper, self.ink)
        if changed and self._draw is not None:
            self._show(self._draw)

    def _theme(self) -> tuple[str, str]:
        palette = self.palette()
        return palette.window().color().name(), palette.windowText().color().name()

    def _show(self, draw: Callable[[], object]) -> None:
        """Draw on empty axes in the colours of the theme, and anew whenever these change."""
        self._draw = draw
        self.paper, self.ink = self._theme()
        self.curve = CURVE_COLOURS[is_light(self)]
        self.figure.set_facecolor(self.paper)
        self.axes.clear()
        self.axes.set_facecolor(self.paper)
        draw()
        self.axes.tick_params(colors=self.ink, labelsize=7, length=2)
        for axis in (self.axes.xaxis, self.axes.yaxis):
            axis.label.set(color=self.ink, fontsize=7)
        for name, spine in self.axes.spines.items():
            spine.set_visible(name in ("left", "bottom"))
            spine.set_color(self.ink)
        self.draw_idle()


class ConfidenceHistogram(Canvas):
    """Histogram of the confidences; click or drag to move the threshold."""

    picked = Signal(float)

    def __init__(self) -> None:
        super().__init__(height=120)
        self._line: Line2D | None = None
        self._threshold = 0.0
        self.setToolTip("Number of points by confidence (0 to 1). Click or drag to move the threshold.")
        self.mpl_connect("button_press_event", self._on_mouse)
        self.mpl_connect("motion_notify_event", self._on_mouse)
        self.show_confidences(np.empty(0))

    def show_confidences(self, confidences: NDArray[np.float64]) -> None:
        """Draw the histogram anew."""
        self._show(lambda: self._draw_bars(confidences))

    def _draw_bars(self, confidences: NDArray[np.float64]) -> None:
        counts, edges = np.histogram(confidences, bins=_HISTOGRAM_BINS, range=(0.0, 1.0))
        centres = (edges[:-1] + edges[1:]) / 2
        colours = LinearSegmentedColormap.from_list("confidence", CONFIDENCE_COLOURS)(centres)
        self.axes.bar(centres, counts, width=1 / _HISTOGRAM_BINS, color=colours)
        self.axes.set(xlim=(0, 1), ylim=(0, max(int(counts.max()), 1) * 1.08), xlabel="confidence", ylabel="points")
        self._line = self.axes.axvline(self._threshold, color=self.ink, linewidth=1.2)

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


class ResultPlot(Canvas):
    """Plot by the ``plot`` method of a result: its first line in the colour of data, the others in that of text."""

    def __init__(self, height: int, tooltip: str, **empty: object) -> None:
        """Begin with empty axes that have these properties."""
        super().__init__(height)
        self.setToolTip(wrapped(tooltip))
        self.show_result(lambda axes: axes.set(**empty))

    def show_result(self, plot: Callable[[Axes], object]) -> None:
        """Draw by the result's own ``plot``."""
        self._show(lambda: self._draw_result(plot))

    def _draw_result(self, plot: Callable[[Axes], object]) -> None:
        plot(self.axes)
        self.axes.grid(color=self.ink, alpha=0.15, linewidth=0.5)
        bands = [(band, _rgb(band)) for band in self.axes.collections]
        for number, line in enumerate(self.axes.get_lines()):
            colour = self.ink if number else self.curve
            for band, its_colour in bands:  # the errors of a line have its colour
                if its_colour == to_rgb(line.get_color()):
                    band.set_color(to_rgba(colour, band.get_alpha()))
            line.set(color=colour, linewidth=1.0 if number else 1.5)
        if self.axes.get_lines() and self.axes.get_legend() is not None:  # in the colours that the lines have now
            self.axes.legend(frameon=False, fontsize=7, labelcolor="linecolor")


def _rgb(band: Collection) -> tuple[float, ...]:
    """Return the colour of a band, or of error bars, without what shines through."""
    colours = np.vstack([band.get_facecolor(), band.get_edgecolor()])
    return tuple(map(float, colours[0, :3])) if len(colours) else ()
