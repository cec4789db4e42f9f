"""Trajectories as a Tracks layer and as a plot of the mean squared displacement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FormatStrFormatter, LogLocator, NullLocator

from napari_colloids.particles import POSITION
from napari_colloids.widgets.layers.layers import KEY
from napari_colloids.widgets.parts.plots import Canvas

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from napari_colloids.structure import Diffusion
    from napari_colloids.widgets.layers.layers import LayerData
    from napari_colloids.widgets.layers.places import Place

#: How units are written in the window.
SYMBOLS = {"um": "µm", "px": "px"}


def tracks_layer_data(
    tracks: pd.DataFrame, place: Place, *, name: str, note: Mapping[str, object] | None = None
) -> LayerData:
    """Describe the Tracks layer of linked particles in voxels, at the place of the points that were linked."""
    table = tracks.sort_values(["particle", "frame"])
    frames = int(np.ptp(table["frame"])) + 1
    attributes = {
        **{key: tuple(values)[-4:] for key, values in place.items()},
        "name": name,
        "features": table[["confidence"]].reset_index(drop=True) if "confidence" in table else None,
        # The whole path so far, within reason.
        "tail_length": min(frames, 300),
        "tail_width": 3,
        "blending": "translucent",
        "metadata": {KEY: {"kind": "tracks", **(note or {})}},
    }
    return table[["particle", "frame", *POSITION]].to_numpy(dtype=float), attributes, "tracks"


class MsdPlot(Canvas):
    """Mean squared displacement against the lag, on logarithmic axes, with the line that was fitted."""

    def __init__(self) -> None:
        super().__init__(height=190)
        self.setToolTip(
            "Mean squared displacement against the lag, over all particles and starting times; the line is 6 D t plus "
            "what the localisation error adds."
        )
        self.show_msd(None, None)

    def show_msd(self, msd: pd.DataFrame | None, diffusion: Diffusion | None) -> None:
        """Draw the points and the line, or an empty plot."""
        self._clear(lambda: self.show_msd(msd, diffusion))
        self.axes.grid(color=self.ink, alpha=0.15, linewidth=0.5)
        time, second = ("lag", "frames") if msd is None or "lag_s" not in msd else ("lag_s", "s")
        length = SYMBOLS["px" if msd is None else msd.attrs["unit"]]
        self._label(f"lag ({second})", f"MSD ({length}²)")
        # No logarithm without points: an empty axis has no range for it.
        if msd is not None and (msd["msd"] > 0).any():
            self.axes.set_xscale("log")
            self.axes.set_yscale("log")
            lag = msd[time].to_numpy(dtype=float)
            self.axes.plot(lag, msd["msd"], "o", color=self.curve, markersize=3.5)
            if diffusion is not None:
                line = diffusion.slope * lag + diffusion.intercept
                self.axes.plot(lag[line > 0], line[line > 0], color=self.ink, linewidth=1)
            for axis in (self.axes.xaxis, self.axes.yaxis):
                axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axis.set_major_formatter(FormatStrFormatter("%.2g"))
                axis.set_minor_locator(NullLocator())
        self.draw_idle()
