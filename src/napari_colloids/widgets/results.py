"""Results of the Detect dock: their layer and their summary."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.detection import METHODS, Record
from napari_colloids.formatting import error_words, refinement_words, voxel_words
from napari_colloids.particles import ERRORS
from napari_colloids.widgets.layers import layers
from napari_colloids.widgets.layers.origin import is_child_of
from napari_colloids.widgets.layers.spheres import add_layer
from napari_colloids.widgets.parts.status import notice

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    from napari.components import ViewerModel
    from napari.layers import Points

    from napari_colloids.widgets.search import Search


class Partial:
    """The layer of a search that was stopped, with a copy of its state."""

    def __init__(self, layer: Points) -> None:
        self.layer = layer
        self._data, self._features = layer.data.copy(), layer.features.copy()

    @property
    def untouched(self) -> bool:
        """Whether nobody has changed points or features since."""
        return np.array_equal(self.layer.data, self._data) and bool(self.layer.features.equals(self._features))


def show(viewer: ViewerModel, search: Search, table: pd.DataFrame, partial: Partial | None = None) -> Points:
    """Add the particles found in place of other results of the image, which are hidden, and return their layer.

    The layer of a search that was stopped and gone on with is removed if nobody has worked on it since; the threshold
    that was set there is kept.
    """
    record = Record.from_attrs(table.attrs)
    image = search.image
    name = plain = f"{image.name} particles"
    default = METHODS[record.method].default_threshold
    threshold = default if search.threshold is None else search.threshold
    note = {**search.origin, **record.to_attrs(), "image": image.name, "threshold": threshold}
    del note["notices"]
    if partial is not None and partial.layer in viewer.layers:
        note["threshold"] = layers.note_of(partial.layer).get("threshold", note["threshold"])
        if partial.untouched:
            name = partial.layer.name
            viewer.layers.remove(partial.layer)
    for layer in viewer.layers:
        if is_child_of(layer, image):
            layer.visible = False
            if layer.name in (plain, f"{plain} [1]") and "settings" in layers.note_of(layer):
                layer.name = f"{plain} ({_how(layers.note_of(layer))})"
    if name == plain and any(layer.name.startswith(f"{plain} (") for layer in viewer.layers):
        name = f"{plain} ({_how(note)})"
    described = layers.particle_layer_data(table, search.place, name=name, leading=search.leading, note=note)
    return add_layer(viewer, described, image)


def _how(note: Mapping[str, object]) -> str:
    """Return how particles were found in a few words: method, diameter, and whether they were fitted to the image."""
    record = Record.from_attrs(note)
    size = record.voxel_size
    diameter = f"{record.diameter:.3g} px" if size is None else f"{record.diameter * size[2]:.3g} µm"
    return ", ".join([record.method, diameter, *(["accurate"] if record.settings.get("refine") else [])])


def detection_summary(table: pd.DataFrame, shown: int) -> str:
    """Summarise a detection: count, diameter and whether it is certain, voxel size, speed, refinement, notices."""
    record = Record.from_attrs(table.attrs)
    diameter = f"{record.diameter:.1f} px"
    if record.voxel_size is not None:
        diameter = f"{record.diameter * record.voxel_size[2]:.3g} µm ({diameter})"
    if record.diameter_estimated:
        sure = "" if record.diameter_certain else f", {notice('uncertain')}"
        diameter += f" (measured in the image{sure})"
    lines = [
        f"<b>{shown} {'dark ' if record.dark else ''}particles</b>, diameter {diameter}, "
        f"{voxel_words(record.voxel_size, record.assumed)}; {record.seconds:.1f} s, "
        f"{record.mvoxel_per_s:.2g} Mvoxel/s on {html.escape(record.device)}."
    ]
    if "refined" in table:
        lines.append(f"{refinement_words(int(table['refined'].sum()), record.optics, record.voxel_size)}.")
        lines += _accuracy(table, record)
    lines += [notice(text) for text in record.notices]
    return "<br>".join(lines)


def _accuracy(table: pd.DataFrame, record: Record) -> list[str]:
    """Return the median errors of refined particles in words, and how many others there are and where to find them."""
    refined = table["refined"] == 1
    words = error_words(dict(table.loc[refined, ERRORS].median()), record.voxel_size) if refined.any() else ""
    lines = [f"Median errors: {words}."] if words else []
    others = int((~refined).sum())
    if refined.any() and others:
        lines.append(notice(f"{others} of {len(table)} not refined: Inspect lists them (filter: refined = 0)."))
    return lines
