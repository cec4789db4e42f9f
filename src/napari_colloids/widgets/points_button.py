"""Base of the buttons that compute something of a Points layer and the image it was found in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.compat import isalive

from napari_colloids.errors import ColloidsError
from napari_colloids.widgets.layers import places
from napari_colloids.widgets.layers.origin import image_of, is_known
from napari_colloids.widgets.parts.run_button import RunButton

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Image, Points
    from napari.utils.events import Event

    from napari_colloids.widgets.parts.status import Status
    from napari_colloids.widgets.parts.task import Work


class PointsButton(RunButton):
    """Offered while there is a Points layer with its image.

    Parameters
    ----------
    label, status, doing
        As in `RunButton`.
    viewer
        Whose layers are followed.
    tip
        Tooltip while it is offered.
    work
        Returns what is to be computed of the points and their image; raises a `ColloidsError` if it cannot be.
    """

    def __init__(
        self,
        label: str,
        viewer: ViewerModel,
        status: Status,
        *,
        doing: str,
        tip: str,
        work: Callable[[Points, Image], Work],
    ) -> None:
        super().__init__(
            label,
            status,
            doing=doing,
            prepare=self._asked_for,
            cancel_tip="Stop after the block that is at work.",
        )
        self._viewer, self._what, self._work = viewer, tip, work
        self.points: Points | None = None
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.connect(self._on_layers)
        self._on_layers()

    def follow(self, points: Points | None) -> None:
        """Take this Points layer (or None, which cancels what is under way) from now on."""
        self.points = points
        if points is None:
            self.cancel()
        self._on_layers()

    def _on_layers(self, event: Event | None = None) -> None:
        if isalive(self):
            ready = image_of(self.points, self._viewer.layers) is not None
            self.offer(ready, self._what if ready else "Needs points that were detected here, and their image.")

    def _asked_for(self) -> Work | None:
        image = image_of(self.points, self._viewer.layers)
        if self.points is None or image is None:
            return None
        if is_known(self.points) and not places.coincide(self.points, image):
            raise ColloidsError(
                f"'{self.points.name}' and '{image.name}' no longer coincide: give both the same scale and "
                "translation again, or detect again."
            )
        return self._work(self.points, image)
