"""The plots, on matplotlib canvases that match napari's theme."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from qtpy.QtCore import QEvent, Signal

from napari_colloids.widgets.layers.layers import COLOURS, CONFIDENCE_COLOURS
from napari_colloids.widgets.parts.status import is_light

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.backend_bases import MouseEvent
    from matplotlib.lines import Line2D
    from numpy.typing import ArrayLike, NDArray
    from qtpy.QtGui import QWheelEvent

#: Of curves, on a dark background and on a light one.
CURVE = (COLOURS["true positives"], "#00708a")
_HISTOGRAM_BINS = 40


class Canvas(FigureCanvasQTAgg):
    """An empty plot of fixed height."""

    #: Draws what is on show anew, in the colours of another theme.
    _again: Callable[[], None] = staticmethod(lambda: None)
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
        if event.type() == QEvent.Type.PaletteChange and self._theme() != (self.paper, self.ink):
            self._again()

    def _theme(self) -> tuple[str, str]:
        palette = self.palette()
        return palette.window().color().name(), palette.windowText().color().name()

    def _clear(self, again: Callable[[], None]) -> None:
        """Empty the axes, in the colours of the theme; when that changes, `again` draws what is drawn now."""
        self._again = again
        self.paper, self.ink = self._theme()
        self.curve = CURVE[is_light(self)]
        self.figure.set_facecolor(self.paper)
        self.axes.clear()
        self.axes.set_facecolor(self.paper)
        self.axes.tick_params(colors=self.ink, labelsize=7, length=2)
        for name, spine in self.axes.spines.items():
            spine.set_visible(name in ("left", "bottom"))
            spine.set_color(self.ink)

    def _label(self, x: str, y: str) -> None:
        self.axes.set_xlabel(x, fontsize=7, color=self.ink)
        self.axes.set_ylabel(y, fontsize=7, color=self.ink)


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
        self._clear(lambda: self.show_confidences(confidences))
        counts, edges = np.histogram(confidences, bins=_HISTOGRAM_BINS, range=(0.0, 1.0))
        centres = (edges[:-1] + edges[1:]) / 2
        colours = LinearSegmentedColormap.from_list("confidence", CONFIDENCE_COLOURS)(centres)
        self.axes.bar(centres, counts, width=1 / _HISTOGRAM_BINS, color=colours)
        self.axes.set_xlim(0, 1)
        self.axes.set_ylim(0, max(int(counts.max()), 1) * 1.08)
        self._label("confidence", "points")
        self._line = self.axes.axvline(self._threshold, color=self.ink, linewidth=1.2)
        self.draw_idle()

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


class PrecisionRecallPlot(Canvas):
    """Precision against recall as the confidence falls, with the point of the current threshold."""

    def __init__(self) -> None:
        super().__init__(height=150)
        self.setToolTip("Precision against recall when points are taken in order of falling confidence.")
        self.show_curve([], [])

    def show_curve(self, recall: ArrayLike, precision: ArrayLike, here: tuple[float, float] | None = None) -> None:
        """Draw the curve, and `here` as a dot (recall, precision)."""
        self._clear(lambda: self.show_curve(recall, precision, here))
        self.axes.set_xlim(0, 1.02)
        self.axes.set_ylim(0, 1.05)
        self.axes.grid(color=self.ink, alpha=0.15, linewidth=0.5)
        self.axes.plot(recall, precision, color=self.curve, linewidth=1.5)
        if here is not None:
            self.axes.plot(*here, "o", color=self.ink, markersize=5)
        self._label("recall", "precision")
        self.draw_idle()
