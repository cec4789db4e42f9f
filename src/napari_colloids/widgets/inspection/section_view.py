"""The three sections through a particle side by side, on one canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Circle, Rectangle

from napari_colloids.widgets.inspection.sections import PLANES, Cut
from napari_colloids.widgets.layers.layers import CONFIDENCE_COLOURS
from napari_colloids.widgets.parts.own_control import wrapped
from napari_colloids.widgets.parts.plots import Canvas
from napari_colloids.widgets.parts.task import Task, call

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image
    from numpy.typing import NDArray

    from napari_colloids.widgets.inspection.sections import Sections

    #: Makes colours of grey levels.
    Pixels = Callable[[NDArray[np.generic]], NDArray[np.float64]]

_HEIGHT_PX = 132
#: Between the sections, as a part of their width.
_GAP = 0.06
#: Around them, as a part of half their width.
_EDGE = 0.03
#: Colours of the rings of the particle and of those around it.
_OWN_COLOUR, _OTHER_COLOUR = CONFIDENCE_COLOURS[1], CONFIDENCE_COLOURS[-1]
#: Longest scale bar as a part of a section, and lengths that it may have in powers of ten.
_MAX_BAR, _BAR_STEPS = 0.35, (1, 2, 5)
_EMPTY = "choose a particle: its sections xy, xz and yz"


class SectionView(Canvas):
    """Shows the sections of a particle; an image that is not in memory is read in the background."""

    def __init__(self) -> None:
        super().__init__(_HEIGHT_PX)
        self.setToolTip(
            wrapped(
                "Sections of the image through the centre of the particle, with the ring in which its sphere meets "
                "them, and those of the particles around it. All lengths are true, whatever the height of the voxels."
            )
        )
        self._task = Task(self, "Reading sections")
        self._task.succeeded.connect(self._on_read)
        self._task.failed.connect(self._say)
        self._task.ended.connect(self._on_ended)
        self._next: tuple[Cut, Image] | None = None
        self._image: Image | None = None
        #: What is on show.
        self.sections: Sections | None = None
        self._say(_EMPTY)

    @property
    def busy(self) -> bool:
        """Whether an image is being read."""
        return self._task.running

    def cut(self, cut: Cut, image: Image) -> None:
        """Show the sections of a particle, once they are read; of several that are asked for meanwhile, the last."""
        self._next = cut, image
        if not self._task.running:
            self._start()

    def clear(self, why: str = _EMPTY) -> None:
        """Show no sections, and say why."""
        self._next, self._image, self.sections = None, None, None
        self._say(why)

    def _start(self) -> None:
        if self._next is None:
            return
        (cut, self._image), self._next = self._next, None
        if cut.in_memory:
            self._on_read(cut.read())
        else:
            self._task.start(call(cut.read))

    def _on_ended(self) -> None:
        self._start()

    def _on_read(self, sections: Sections) -> None:
        image = self._image
        if image is None:  # cleared meanwhile
            return
        self.sections = sections
        limits, colormap = tuple(map(float, image.contrast_limits)), image.colormap

        def pixels(grey: NDArray[np.generic]) -> NDArray[np.float64]:
            part = np.clip((grey.astype(float) - limits[0]) / max(limits[1] - limits[0], 1e-12), 0, 1)
            return np.asarray(colormap.map(part.ravel())).reshape(*grey.shape, 4)

        self._show(lambda: self._draw_sections(sections, pixels))

    def _draw_sections(self, sections: Sections, pixels: Pixels) -> None:
        axes, reach = self.axes, sections.reach
        for number, name in enumerate(PLANES):
            section = sections.of[name]
            middle = number * 2 * reach * (1 + _GAP)
            corner, width = (middle - reach, -reach), 2 * reach
            frame = Rectangle(corner, width, width, fill=False, edgecolor="0.5", linewidth=0.5)
            axes.add_patch(frame)
            if section.image.size:
                left, right, bottom, top = section.extent
                picture = axes.imshow(
                    pixels(section.image),
                    extent=(left + middle, right + middle, bottom, top),
                    interpolation="nearest",
                    aspect="equal",
                )
                picture.set_clip_path(frame)
            for ring in sorted(section.rings, key=lambda ring: ring.own):
                circle = Circle(
                    (middle + ring.right, ring.down),
                    ring.radius,
                    fill=False,
                    edgecolor=_OWN_COLOUR if ring.own else _OTHER_COLOUR,
                    linewidth=1.3 if ring.own else 0.7,
                )
                axes.add_patch(circle)
                circle.set_clip_path(frame)
            axes.text(middle, 1.1 * reach, name, ha="center", va="top")
        self._draw_bar(sections)
        width = reach * (6 + 4 * _GAP)
        edge = _EDGE * reach
        axes.set(xlim=(-reach - edge, width - reach + edge), ylim=(1.5 * reach, -reach - edge), aspect="equal")
        axes.set_axis_off()

    def _draw_bar(self, sections: Sections) -> None:
        """Draw a scale bar below the first section."""
        pixel, unit = (1.0, "px") if sections.pixel_um is None else (sections.pixel_um, "µm")
        longest = _MAX_BAR * 2 * sections.reach * pixel
        power = 10.0 ** np.floor(np.log10(longest))
        length = max(step * power for step in _BAR_STEPS if step * power <= longest)
        start, end = -sections.reach, -sections.reach + length / pixel
        height = 1.12 * sections.reach
        self.axes.plot([start, end], [height, height], color=self.look.ink, linewidth=1.5, solid_capstyle="butt")
        self.axes.text(start, 1.2 * sections.reach, f"{length:g} {unit}", ha="left", va="top")

    def _say(self, text: str) -> None:
        self._show(lambda: self._draw_words(text))

    def _draw_words(self, text: str) -> None:
        self.axes.text(0.5, 0.5, text, ha="center", va="center", transform=self.axes.transAxes, wrap=True)
        self.axes.set_axis_off()
