"""Controls of the Structure dock that choose a simulation to be measured with the errors of the points."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from magicgui.widgets import CheckBox
from numpy import allclose

from napari_colloids.errors import ColloidsError
from napari_colloids.structure.frames import searched_shape
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.origin import image_shape_of
from napari_colloids.widgets.parts.layer_choice import LayerChoice
from napari_colloids.widgets.parts.own_control import wrapped
from napari_colloids.widgets.score import is_points, like_truth
from napari_colloids.widgets.structure_request import Simulation

if TYPE_CHECKING:
    from magicgui.widgets.bases import BaseValueWidget
    from napari.components import ViewerModel
    from napari.layers import Points

    from napari_colloids.stack import VoxelSize

_FLUID = "hard-sphere fluid"


class SimulationChoice:
    """A fluid like the sample, or a layer of exact positions; neither unless the user chooses one."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self.fluid = CheckBox(
            name="fluid",
            label="Beside a hard-sphere fluid",
            tooltip=wrapped(
                "Simulate hard spheres of the same volume fraction and sizes in the same window, give them the errors, "
                "recall and precision of these points, and draw them beside, with and without. A sample that agrees "
                "with those with errors is not told from them by this measurement."
            ),
        )
        self.layer = LayerChoice(
            viewer,
            is_points,
            "Exact positions of a simulation in the voxels of this stack, to be given the errors, recall and precision "
            "of these points and drawn beside, with and without.",
            none="none",
            rank=like_truth,
            label="Simulation",
        )
        self.controls: list[BaseValueWidget[Any]] = [self.fluid, self.layer]
        self.fluid.changed.connect(self._on_fluid)

    def _on_fluid(self, on: bool) -> None:
        self.layer.enabled = not on

    def unusual(self) -> list[str]:
        """Name what is chosen."""
        if self.fluid.value:
            return [_FLUID]
        return [] if self.layer.value is None else ["simulation"]

    def chosen(
        self, points: Points, window: tuple[float, ...] | None, voxel_size: VoxelSize | None
    ) -> Simulation | None:
        """Return the simulation for these points, whose window and voxel size are given; None where none is chosen.

        Raises
        ------
        ColloidsError
            If the window of a fluid is unknown, or the layer is that of the points or has other voxels.
        """
        if self.fluid.value:
            if window is None:
                raise ColloidsError(
                    "A fluid like the sample needs the window that these points were found in: open their image."
                )
            return Simulation(_FLUID, None, window)
        layer = self.layer.value
        if layer is None:
            return None
        if layer is points:
            raise ColloidsError("The simulation is the layer that is measured: choose another one, or none.")
        its_size = places.voxel_size_of(layer)
        if its_size is not None and (voxel_size is None or not allclose(its_size, voxel_size, rtol=1e-3)):
            raise ColloidsError(
                f"'{layer.name}' has other voxels than '{points.name}': a simulation is compared in those of the "
                "sample. Set its scale."
            )
        table = layers.table_of(layer)
        table.attrs.update(layers.note_of(layer))
        return Simulation(layer.name, table, image_shape_of(layer, self._viewer) or searched_shape(table))
