"""Duplicates: several spheres that share the light of one particle, of which one is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from napari_colloids.refinement.acceptance import DUPLICATE_DISTANCE
from napari_colloids.refinement.priors import local_brightness

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_colloids.refinement.block_state import BlockState
    from napari_colloids.refinement.spheres import Array

#: Sum of the relative brightness of two near spheres, below which they are one particle.
_MAX_SHARED_BRIGHTNESS = 1.5
#: Displacement in voxels that stands for a sphere without a detection: larger than any other.
_NO_DETECTION = 1e9


def find_duplicates(state: BlockState) -> NDArray[np.bool_]:
    """Return which spheres share the light of one particle with another that is kept instead.

    Kept is the one that is less displaced from its detection. One that was added has none, and goes first; outside the
    stack it does so even where it shares no light.
    """
    spheres, scale, added = state.spheres, state.grid.scale, state.source < 0
    places = spheres.positions * scale
    brightness = spheres.brightness / local_brightness(spheres)
    inside = state.grid.inside(spheres.positions)
    displacement = np.linalg.norm(places - state.priors.centres * scale, axis=1)
    displacement[added] = np.where(inside[added], _NO_DETECTION, np.inf)
    duplicates = np.zeros(len(spheres), bool)
    reach = 2 * DUPLICATE_DISTANCE * float(spheres.radii.max())
    first, second = cKDTree(places).query_pairs(reach, output_type="ndarray").T
    distance = np.linalg.norm(places[first] - places[second], axis=1)
    same = brightness[first] + brightness[second] < _MAX_SHARED_BRIGHTNESS
    same |= np.isinf(displacement[first]) | np.isinf(displacement[second])
    same &= distance < DUPLICATE_DISTANCE * (spheres.radii[first] + spheres.radii[second])
    same &= inside[first] | inside[second]
    for a, b in zip(first[same], second[same], strict=True):
        if not (duplicates[a] or duplicates[b]):
            duplicates[a if displacement[a] > displacement[b] else b] = True
    return duplicates


def without_duplicates(state: BlockState, duplicates: NDArray[np.bool_], margin: Array) -> BlockState:
    """Remove duplicates and search the residual that they leave; spheres nearby are marked as restless.

    A detection that is removed becomes the sphere that is found within a diameter of it, if there is one.

    Parameters
    ----------
    state
        Of the block.
    duplicates
        Which spheres to remove, shape ``(N,)``.
    margin
        How far outside the box spheres are looked for; see `find_undetected`.
    """
    scale, reach = state.grid.scale, 2 * float(state.spheres.radii.max())
    removed, detected = state.spheres.positions[duplicates], state.priors.centres[duplicates]
    lost = state.source[duplicates]
    kept = state[~duplicates]
    count, profile = len(kept.spheres), kept.model.profile(kept.box.aspect)
    state = kept.with_undetected(kept.model.predict(kept.box, profile), profile, margin)
    places, source = state.spheres.positions, state.source.copy()
    for place, number in zip(detected[lost >= 0], lost[lost >= 0], strict=True):
        distance = np.linalg.norm((places - place) * scale, axis=1)
        distance[:count] = np.inf
        distance[source >= 0] = np.inf
        if distance.min() < reach:
            source[distance.argmin()] = number
    changes = np.concatenate([removed, places[count:]]) * scale
    changed = cKDTree(changes).query(places * scale)[0] < reach
    return replace(state, source=source, moves=np.where(changed[:, None], np.inf, state.moves))
