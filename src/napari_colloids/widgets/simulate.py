"""The Simulate widget: a stack like yours, with the truth beside it, to try settings on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QHBoxLayout

from napari_colloids.widgets.layers import reader
from napari_colloids.widgets.layers.spheres import add_layer
from napari_colloids.widgets.parts.controls import Panel, Status, choice, form, number, whole
from napari_colloids.widgets.parts.remembered import remember
from napari_colloids.widgets.parts.run_button import RunButton
from napari_colloids.widgets.parts.task import call

if TYPE_CHECKING:
    import napari

    from napari_colloids.simulation import Parameters, Simulation
    from napari_colloids.widgets.parts.task import Work


class SimulateWidget(Panel):
    """Simulates a confocal or STED stack and adds it with its true particles."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        from napari_colloids.simulation import ARRANGEMENTS, PRESETS

        super().__init__(napari_viewer)
        self._name = "simulation"
        self.preset = choice({name: name for name in PRESETS}, "dense", "Sets all values below at once.")
        self.shape = [
            whole(64, 8, 1024, unit="", tooltip=f"Number of voxels along {axis}.") for axis in ("z", "y", "x")
        ]
        self.arrangement = choice({name: name for name in ARRANGEMENTS}, "random", "How the particles are arranged.")
        self.numbers = {
            "volume_fraction": number(
                0.5, 0.0, 0.74, decimals=3, unit="", tooltip="Volume of the particles over that of the box (0 to 0.74)."
            ),
            "radius": number(6.0, 1.0, 200.0, decimals=1, unit="px", tooltip="Mean radius in lateral voxels (px)."),
            "polydispersity": number(
                0.0, 0.0, 0.3, decimals=2, unit="", tooltip="Standard deviation of the radius over its mean (0 to 0.3)."
            ),
            "size_ratio": number(
                1.0, 1.0, 4.0, decimals=2, unit="",
                tooltip="Large over small radius of a binary mixture, half of each (1: one size).",
            ),
            "shell": number(
                0.0, 0.0, 0.95, decimals=2, unit="", tooltip="Radius of the dark core over the outer one; 0 is solid."
            ),
            "brightness_spread": number(
                0.0, 0.0, 1.0, decimals=2, unit="", tooltip="Spread of the brightness between particles over its mean."
            ),
            "snr": number(5.0, 0.1, 1000.0, decimals=1, unit="", tooltip="Signal to noise ratio f / f_sigma."),
            "cnr": number(
                5.0, 0.0, 1000.0, decimals=1, unit="",
                tooltip="Contrast to noise ratio (f - b) / sqrt((f_sigma² + b_sigma²) / 2).",
            ),
        }  # fmt: skip
        self.psf = [
            number(s, 0.0, 100.0, decimals=1, unit="px", tooltip=f"Standard deviation of the blur, {axis} (voxels).")
            for axis, s in (("axial (z)", 3.0), ("lateral (y, x)", 1.3))
        ]
        self.seed = whole(
            0, 0, 2**31 - 1, unit="", tooltip="The same seed gives the same stack; 0 draws a new one every time.",
            special="random",
        )  # fmt: skip
        self.status = Status()
        self.button = RunButton(
            "Simulate", self.status, doing="Simulating", prepare=self._asked_for, begin="Simulating…"
        )
        self.button.offer(True, "Make the stack and add it with its true particles to the viewer.")
        self._lay_out()
        self.preset.currentIndexChanged.connect(lambda _: self._take(PRESETS[self.preset.currentData()]))
        # Also when the one that is chosen already is chosen again.
        self.preset.activated.connect(lambda _: self._take(PRESETS[self.preset.currentData()]))
        self.button.succeeded.connect(self._on_made)
        self._take(PRESETS["dense"])
        remember(
            "simulate",
            {
                # First, for it sets all of the others; and what has no control is taken from it.
                "preset": self.preset,
                **self.numbers,
                "arrangement": self.arrangement,
                "psf_z": self.psf[0],
                "psf_yx": self.psf[1],
                "seed": self.seed,
                **{f"shape_{axis}": box for axis, box in zip("zyx", self.shape, strict=True)},
            },
        )

    def parameters(self) -> Parameters:
        """Return what the controls say, the rest as in the preset.

        Raises
        ------
        ColloidsError
            If the values do not go together (the message says which).
        """
        from napari_colloids.simulation import PRESETS

        values: dict[str, Any] = {name: box.value() for name, box in self.numbers.items()}
        depth, height, width = (box.value() for box in self.shape)
        axial, lateral = (box.value() for box in self.psf)
        return replace(
            PRESETS[self.preset.currentData()],
            shape=(depth, height, width),
            arrangement=self.arrangement.currentData(),
            psf_sigma=(axial, lateral, lateral),
            seed=self.seed.value() or None,
            **values,
        )

    def _lay_out(self) -> None:
        rows = form()
        rows.addRow("Preset", self.preset)
        shape, psf = QHBoxLayout(), QHBoxLayout()
        for length in self.shape:
            shape.addWidget(length)
        for sigma in self.psf:
            psf.addWidget(sigma)
        rows.addRow("Shape z, y, x", shape)
        rows.addRow("Arrangement", self.arrangement)
        labels = {
            "volume_fraction": "Volume fraction",
            "radius": "Radius",
            "polydispersity": "Polydispersity",
            "size_ratio": "Size ratio",
            "shell": "Dark core",
            "brightness_spread": "Brightness spread",
            "snr": "SNR",
            "cnr": "CNR",
        }
        for name, box in self.numbers.items():
            rows.addRow(labels[name], box)
        rows.addRow("Blur z, lateral", psf)
        rows.addRow("Seed", self.seed)
        self.column.addLayout(rows)
        self.column.addWidget(self.button)
        self.column.addWidget(self.status)
        self.column.addStretch(1)

    def _take(self, preset: Parameters) -> None:
        for name, box in self.numbers.items():
            box.setValue(getattr(preset, name))
        for width, sigma in zip(self.psf, preset.psf_sigma[:2], strict=True):
            width.setValue(sigma)
        for length, voxels in zip(self.shape, preset.shape, strict=True):
            length.setValue(voxels)
        self.arrangement.setCurrentIndex(self.arrangement.findData(preset.arrangement))

    def _asked_for(self) -> Work:
        from napari_colloids.simulation import simulate

        parameters = self.parameters()
        self._name = self.preset.currentData()
        return call(lambda: simulate(parameters))

    def _on_made(self, made: Simulation) -> None:
        described = reader.layers_of(replace(made.stack, name=self._name), made.particles)
        added = [add_layer(self._viewer, one) for one in described]
        self._viewer.layers.selection.active = added[0]
        self.status.say(f"Simulated {len(made.particles)} particles.")
