"""Notices of what is not to be trusted in a structure: small windows, large errors, missed particles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.structure.degraded import POSITION_ERRORS, has_errors

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from numpy.typing import NDArray

#: Localisation error in diameters from which topological clusters, and from which g(r) near contact and bond order, are
#: not those of the sample.
_CLUSTER_ERROR_DIAMETERS, _ORDER_ERROR_DIAMETERS = 0.02, 0.05
#: Recall below which topological clusters are not those of the sample.
_CLUSTER_RECALL = 0.98
#: Particles inside below which averages over them are of little use.
_FEW_INSIDE = 30


def window_notices(table: pd.DataFrame, shape: Sequence[float] | None) -> list[str]:
    """Return what is to be said of the window."""
    notices = []
    if shape is None:
        notices.append("The shape of the stack is unknown: the box that the particles fill was taken.")
    inside = int((table["interior"] == 1).sum())
    if inside < _FEW_INSIDE:
        notices.append(
            f"Only {inside} of {len(table)} particles lie so far inside all faces (3 mean spacings) that their bond "
            "order is that of the bulk: the window is small."
        )
    return notices


def error_notices(table: pd.DataFrame, aspect: NDArray[np.float64], diameter: float) -> list[str]:
    """Return what localisation errors do to the structure."""
    if not np.isfinite(diameter) or not has_errors(table):
        return ["No localisation errors are in the table (refine the particles): what they change is not known."]
    z, y, x = table[POSITION_ERRORS].median().to_numpy(dtype=float) * aspect / diameter
    lateral = float(np.hypot(y, x) / np.sqrt(2))
    words = f"localisation errors are {z:.2g} diameters along z and {lateral:.2g} across"
    if max(z, lateral) >= _ORDER_ERROR_DIAMETERS:
        return [
            f"The {words}: g(r) at contact and averaged bond order are lower, and Voronoi volumes scatter more, than "
            "those of the sample; topological clusters are not to be trusted, and intervals may be too narrow."
        ]
    if max(z, lateral) >= _CLUSTER_ERROR_DIAMETERS:
        return [
            f"The {words}: good for g(r) and bond order; topological clusters need {_CLUSTER_ERROR_DIAMETERS:g} and a "
            f"recall of {100 * _CLUSTER_RECALL:g} %."
        ]
    return []


def recall_notices(recall: float | None) -> list[str]:
    """Return what missed particles do to topological clusters; None is a recall that is not known."""
    needed = f"topological clusters need {100 * _CLUSTER_RECALL:g} %"
    if recall is None:
        return [f"The recall is not known (assess predicts it): {needed}."]
    if recall < _CLUSTER_RECALL:
        return [
            f"The recall is {100 * recall:.3g} %, but {needed}: each particle that was missed breaks those that it is "
            "part of."
        ]
    return []
