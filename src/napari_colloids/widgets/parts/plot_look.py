"""How plots look: on a panel in the colours of napari's theme, in a file as in a journal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.colors import to_rgb, to_rgba

from napari_colloids.widgets.layers.layers import COLOURS

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.collections import Collection

#: Of the curve of a result, on a dark background and on a light one; where several are compared, of the others.
CURVE_COLOURS = (COLOURS["in both"], "#00708a")
_OTHER_COLOURS = (("#ffd23f", "#d58bff", "#ff8a65", "#7ee081"), ("#b3400e", "#6b3fa0", "#8a6d00", "#1f7a3d"))
#: Size of letters in points.
_FONT_ON_PANEL_PT, _FONT_ON_PAPER_PT = 7.0, 8.0


@dataclass(frozen=True)
class Look:
    """Colours of background, text and curves, and the size of letters in points."""

    paper: str
    ink: str
    curves: tuple[str, ...]
    font: float

    @classmethod
    def of_theme(cls, paper: str, ink: str, light: bool) -> Look:
        """Return the look on a panel of these colours."""
        return cls(paper, ink, (CURVE_COLOURS[light], *_OTHER_COLOURS[light]), _FONT_ON_PANEL_PT)

    @classmethod
    def on_paper(cls) -> Look:
        """Return the look in a publication, whatever the theme."""
        return cls("white", "black", (CURVE_COLOURS[True], *_OTHER_COLOURS[True]), _FONT_ON_PAPER_PT)

    def paint(self, axes: Axes) -> None:
        """Give axes these colours and letters."""
        axes.figure.set_facecolor(self.paper)
        axes.set_facecolor(self.paper)
        axes.tick_params(colors=self.ink, labelsize=self.font, length=2)
        for axis in (axes.xaxis, axes.yaxis):
            axis.label.set(color=self.ink, fontsize=self.font)
        for text in axes.texts:
            text.set(color=self.ink, fontsize=self.font)
        for name, spine in axes.spines.items():
            spine.set_visible(name in ("left", "bottom"))
            spine.set_color(self.ink)


@dataclass(frozen=True)
class Drawing:
    """What a result draws: its first lines are curves of data, the others have the colour of text.

    Attributes
    ----------
    plot
        The ``plot`` of a result.
    curves
        How many lines are curves of data.
    """

    plot: Callable[[Axes], object]
    curves: int = 1

    def draw(self, axes: Axes, look: Look) -> None:
        """Draw on axes, in the colours of a look."""
        self.plot(axes)
        axes.grid(color=look.ink, alpha=0.15, linewidth=0.5)
        bands = [(band, rgb_of(band)) for band in axes.collections]
        for number, line in enumerate(axes.get_lines()):
            of_data = number < self.curves
            colour = look.curves[number % len(look.curves)] if of_data else look.ink
            for band, its_colour in bands:  # the errors of a line have its colour
                if its_colour == to_rgb(line.get_color()):
                    band.set_color(to_rgba(colour, band.get_alpha()))
            line.set(color=colour, linewidth=1.5 if of_data else 1.0)
        if axes.get_lines() and axes.get_legend() is not None:  # in the colours that the lines have now
            axes.legend(frameon=False, fontsize=look.font, labelcolor="linecolor")
        look.paint(axes)


def rgb_of(band: Collection) -> tuple[float, ...]:
    """Return the colour of a band, or of error bars, without what shines through; nothing where they have none."""
    colours = np.vstack([band.get_facecolor(), band.get_edgecolor()])
    return tuple(map(float, colours[0, :3])) if len(colours) else ()
