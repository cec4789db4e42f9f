"""The Simulate dock: simulated stacks with their true particles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_colloids.simulation import PRESETS, Parameters
from napari_colloids.widgets.layers import reader
from napari_colloids.widgets.layers.sample_data import iter_sample
from napari_colloids.widgets.layers.spheres import add_layer
from napari_colloids.widgets.parts.controls import Form, choice, controls_of
from napari_colloids.widgets.parts.panel import Fold, Panel
from napari_colloids.widgets.parts.remembered import remember
from napari_colloids.widgets.parts.run_button import RunButton
from napari_colloids.widgets.parts.status import Status

if TYPE_CHECKING:
    import napari

    from napari_colloids.simulation import Simulation
    from napari_colloids.widgets.parts.task import Work

#: The parameters that are on show; the others are folded away.
_SHOWN = (
    *("shape", "arrangement", "volume_fraction", "radius", "polydispersity", "size_ratio", "shell"),
    *("brightness_spread", "snr", "cnr", "psf_sigma", "voxel_size", "seed"),
)


class SimulateWidget(Panel):
    """Simulates a confocal or STED stack and adds it with its true particles."""

    guide = "tutorial.md#Simulate"

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer)
        self.preset = choice(
            {name: name for name in PRESETS},
            "dense",
            name="preset",
            label="Preset",
            tooltip="Sets all values below at once, but for the seed.",
        )
        self.controls = controls_of(Parameters)
        self.status = Status()
        self.button = RunButton(
            "Simulate",
            self.status,
            doing="Simulating",
            prepare=self._asked_for,
            cancel_tip="Stops after the step that is under way; nothing is added.",
        )
        self.button.offer(True, "Make the stack and add it with its true particles to the viewer.")
        self.button.succeeded.connect(self._on_made)
        shown = Form([self.preset, *(self.controls[name] for name in _SHOWN)])
        others = Form(control for name, control in self.controls.items() if name not in _SHOWN)
        self.advanced = Fold(others, "Shape of the PSF, illumination, camera noise, and more.")
        self.add(shown, self.advanced, self.button, self.button.bar.native, self.status)
        self.preset.changed.connect(self._take_preset)
        # Also when the one that is chosen already is chosen again.
        self.preset.native.activated.connect(self._take_preset)
        self._take_preset()
        remember("simulate", [self.preset, *self.controls.values()])

    def parameters(self) -> Parameters:
        """Return what the controls say."""
        return Parameters(**{name: control.value for name, control in self.controls.items()})

    def _take_preset(self, _: object = None) -> None:
        for name, control in self.controls.items():
            if name != "seed":
                control.value = getattr(PRESETS[self.preset.value], name)

    def _asked_for(self) -> Work:
        parameters, name = self.parameters(), self.preset.value
        return lambda: iter_sample(parameters, name)

    def _on_made(self, made: Simulation) -> None:
        added = [add_layer(self._viewer, one) for one in reader.layers_of(made.stack, made.particles)]
        self._viewer.layers.selection.active = added[0]
        self.status.say(f"Simulated {len(made.particles)} particles.", added[0])
