"""Stacks in pixels beside stacks in micrometres: one or the other is on show.

How long a pixel is in micrometres is not known, so that napari draws them as equal: a stack of 10 µm then is a speck in
one of 100 pixels, between whose slices most of its own lie.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.utils.notifications import show_info

from napari_colloids.widgets.layers.layers import is_stack
from napari_colloids.widgets.layers.origin import is_child_of
from napari_colloids.widgets.layers.places import same_dimension

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer


def show_alone(viewer: ViewerModel, stack: Layer) -> None:
    """Hide the stacks in other units than one that was added, fit the view to it, and say so.

    A volume beside a series, which napari cannot fit the view to, is left as it is.
    """
    if not is_stack(stack) or stack.ndim != viewer.dims.ndim:
        return
    others = [one for one in viewer.layers if is_stack(one) and one.visible and not same_dimension(one, stack)]
    if not others:
        return
    for one in viewer.layers:
        if any(one is other or is_child_of(one, other) for other in others):
            one.visible = False
    for axis in range(viewer.dims.ndim - stack.ndim, viewer.dims.ndim - 2):
        viewer.dims.set_current_step(axis, viewer.dims.nsteps[axis] // 2)
    viewer.fit_to_view(layers=[stack])
    names = ", ".join(f"'{one.name}'" for one in others)
    show_info(
        f"{names} {'are' if ',' in names else 'is'} hidden: one is in pixels, the other in micrometres. Type the voxel "
        "size in the Detect widget to see both."
    )
