"""Outcomes of a comparison of two layers of particles: a check box for each, that shows it as a layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

from magicgui.widgets import CheckBox
from qtpy.compat import isalive
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import QGridLayout, QWidget

from napari_colloids.widgets.layers import layers
from napari_colloids.widgets.layers.spheres import add_layer

if TYPE_CHECKING:
    import pandas as pd
    from napari.components import ViewerModel
    from napari.layers import Image, Points
    from napari.utils.events import Event

    from napari_colloids.widgets.layers import places

#: Against the truth: the layers that show what was right and wrong, with what their check boxes say.
OF_A_SCORE = {
    "true positives": "Detections that match a true particle within half a diameter.",
    "false positives": "Detections that match no true particle.",
    "missed": "True particles that no detection matches.",
}
#: Against other detections.
OF_A_COMPARISON = {
    "in both": "Detections that match one of the others within half a diameter.",
    "only in the first": "Detections that match none of the others.",
    "only in the second": "Of the others those that match no detection.",
}


#: The outcomes that were offered last in each viewer.
_LATEST: WeakKeyDictionary[ViewerModel, ref[Outcomes]] = WeakKeyDictionary()


def latest(viewer: ViewerModel) -> Outcomes | None:
    """Return the outcomes of the last comparison in a viewer; None where there was none, or its dock was closed."""
    kept = _LATEST.get(viewer)
    found = None if kept is None else kept()
    return found if found is not None and isalive(found) else None


@dataclass(frozen=True)
class Compared:
    """The tables of the outcomes in voxels of the image, and the place of the image."""

    parts: dict[str, pd.DataFrame]
    #: Of the image, and the image itself if it is still there.
    name: str
    image: ref[Image]
    place: places.Place
    index: tuple[int, ...]


class Outcomes(QWidget):
    """Check boxes of the outcomes, which can be checked once there are some.

    `helps` holds the kind of each layer and the tooltip of its box.
    """

    def __init__(self, viewer: ViewerModel, helps: dict[str, str]) -> None:
        super().__init__()
        self._viewer, self._helps = viewer, helps
        self._compared: Compared | None = None
        self._layers: dict[str, Points] = {}
        self.boxes = {kind: self._box(kind) for kind in helps}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        for number, box in enumerate(self.boxes.values()):
            grid.addWidget(box.native, *divmod(number, 2))
        viewer.layers.events.removed.connect(self._on_layer)

    def _box(self, kind: str) -> CheckBox:
        box = CheckBox(text=kind, tooltip=self._helps[kind], enabled=False)
        colour = QPixmap(10, 10)
        colour.fill(QColor(layers.COLOURS[kind]))
        box.native.setIcon(QIcon(colour))
        box.changed.connect(lambda on: self._on_box(kind, on))
        return box

    def offer(self, compared: Compared) -> None:
        """Offer new outcomes; what was shown of the last ones is shown of these."""
        before, self._layers, self._compared = self._layers, {}, compared
        _LATEST[self._viewer] = ref(self)
        for layer in before.values():
            self._viewer.layers.remove(layer)
        for kind, box in self.boxes.items():
            box.enabled = True
            box.tooltip = f"{self._helps[kind]} {len(compared.parts[kind])} of them."
            if box.value:
                self._show(kind)

    @property
    def kinds(self) -> list[str]:
        """What is told apart: what both have, what only the first has, and what only the second has."""
        return list(self.boxes)

    def shown(self, kind: str) -> Points:
        """Check the box of an outcome, and return the layer that it is shown in."""
        self.boxes[kind].value = True
        return self._layers[kind]

    def _on_box(self, kind: str, on: bool) -> None:
        layer = self._layers.get(kind)
        if layer is not None:
            layer.visible = on
        elif on:
            self._show(kind)

    def _show(self, kind: str) -> None:
        compared = self._compared
        if compared is None:
            return
        table, note = compared.parts[kind], {"image": compared.name}
        described = layers.particle_layer_data(
            table, compared.place, name=kind, kind=kind, leading=compared.index, note=note
        )
        layer = self._layers[kind] = add_layer(self._viewer, described, compared.image())
        layer.events.visible.connect(self._on_layer)

    def _on_layer(self, event: Event | None = None) -> None:
        """Check the boxes of the outcomes that are on show, and no others."""
        if not isalive(self):
            return
        for kind, layer in list(self._layers.items()):
            here = layer in self._viewer.layers
            if not here:
                del self._layers[kind]
            self.boxes[kind].value = here and layer.visible
