"""Tours of doubtful particles: in which order they are gone through, and the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.widgets import outcomes
from napari_colloids.widgets.layers import layers

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.components import ViewerModel
    from napari.layers import Points
    from numpy.typing import NDArray

#: Column of what the residual around a particle has beyond the noise.
MISFIT = "misfit"


class Tour(NamedTuple):
    """A tour: its key and label, its tooltip, and what returns the layer, the points in order, and words for one."""

    key: str
    label: str
    tip: str
    stops: Callable[[ViewerModel, Points | None], Stops]


class Stops(NamedTuple):
    """Points of a layer, in the order of a tour; what they are, and a column to be told of each."""

    layer: Points
    order: NDArray[np.intp]
    what: str
    column: str


def _uncertain(viewer: ViewerModel, points: Points | None) -> Stops:
    if points is None or not layers.is_result(points):
        raise ColloidsError("Uncertain particles are those of a low confidence, and these points have none: detect.")
    shown = np.flatnonzero(points.shown)
    confidences = layers.confidences_of(points)[shown]
    return Stops(points, shown[np.argsort(confidences, kind="stable")], "by rising confidence", "confidence")


def _residual(viewer: ViewerModel, points: Points | None) -> Stops:
    if points is None or MISFIT not in points.features:
        raise ColloidsError("Only refined particles have a misfit: detect with Positions set to accurate.")
    shown = np.flatnonzero(np.asarray(points.shown) & points.features[MISFIT].notna().to_numpy())
    misfit = points.features[MISFIT].to_numpy(dtype=float)[shown]
    return Stops(points, shown[np.argsort(-misfit, kind="stable")], "by falling misfit", MISFIT)


def _outcome(number: int, viewer: ViewerModel) -> Stops:
    latest = outcomes.latest(viewer)
    if latest is None:
        raise ColloidsError("Which particles are false or missed is known once they are compared: use Score first.")
    kind = latest.kinds[number]
    layer = latest.shown(kind)
    shown = np.flatnonzero(layer.shown)
    if "confidence" not in layer.features:
        return Stops(layer, shown, kind, "")
    confidences = layers.confidences_of(layer)[shown]
    return Stops(layer, shown[np.argsort(-confidences, kind="stable")], kind, "confidence")


#: The tours by name.
TOURS = {
    "uncertain": Tour(
        "U",
        "Uncertain",
        "Next uncertain particle: from the confidence just above the threshold on upwards.",
        _uncertain,
    ),
    "residual": Tour(
        "R",
        "Residual",
        "Next large residual: refined particles whose surroundings the model explains least, the worst first.",
        _residual,
    ),
    "false": Tour(
        "F",
        "False",
        "Next false positive, after Score; the most confident first. Of two detections: only in the first.",
        lambda viewer, points: _outcome(1, viewer),
    ),
    "missed": Tour(
        "M",
        "Missed",
        "Next particle that was missed, after Score. Of two detections: only in the second.",
        lambda viewer, points: _outcome(2, viewer),
    ),
}


def following(order: NDArray[np.intp], current: int | None, step: int) -> int | None:
    """Return the number in an order of what follows a point, or comes before it, round and round; None where empty.

    Parameters
    ----------
    order
        Points, the first one first.
    current
        Where the tour is; one that is not in the order, or None, begins it.
    step
        1 or -1.
    """
    if not len(order):
        return None
    if current is None or current not in order:
        return 0 if step > 0 else len(order) - 1
    return int((np.flatnonzero(order == current)[0] + step) % len(order))
