"""Named scenes for the sample data, the widget and the command line."""

from __future__ import annotations

from napari_colloids.simulation.scene import Parameters

PRESETS: dict[str, Parameters] = {
    "dense": Parameters(volume_fraction=0.55, radius=6, psf_sigma=(3, 1.3, 1.3), snr=5, cnr=5, seed=1),
    "dilute": Parameters(volume_fraction=0.05, radius=6, psf_sigma=(2.4, 1.2, 1.2), snr=4, cnr=4, seed=2),
    "polydisperse": Parameters(
        volume_fraction=0.5, radius=7, polydispersity=0.12, psf_sigma=(3, 1.2, 1.2), snr=6, cnr=5, seed=3
    ),
    "nano, low light": Parameters(
        volume_fraction=0.45,
        radius=4.5,
        psf_sigma=(4, 1.6, 1.6),
        brightness_spread=0.15,
        snr=3,
        cnr=2.4,
        photon_noise=0.8,
        seed=4,
    ),
}
