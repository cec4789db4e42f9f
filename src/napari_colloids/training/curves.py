"""Plot of a training run: losses and learning rate by step."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import uniform_filter1d

from napari_colloids.io.atomic import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_colloids.training.config import Config

#: Parts of the loss, as the log has them.
PARTS = ("centre", "offset", "radius")
#: Width of the moving average that is drawn as a thick curve, in lines of the log.
_SMOOTHING_LINES = 20


def draw_curves(log: Path, config: Config, path: Path) -> None:
    """Plot the log of a run.

    Parameters
    ----------
    log
        A line of JSON for every hundred steps: ``step`` and the parts of the loss. Where a resumed run repeated steps,
        the later line counts. Incomplete lines are left out; if no others exist, nothing is written.
    config
        Of the run.
    path
        PNG to be written.
    """
    from matplotlib.figure import Figure

    entries = [entry for _, entry in sorted({entry["step"]: entry for entry in _entries(log)}.items())]
    if not entries:
        return
    steps = np.array([entry["step"] for entry in entries])
    figure = Figure(figsize=(8, 7), layout="constrained")
    axes = figure.subplots(len(PARTS) + 1, 1, sharex=True)
    for ax, name in zip(axes, PARTS, strict=False):
        values = np.array([entry[name] for entry in entries])
        ax.plot(steps, values, color="tab:blue", alpha=0.3, lw=0.5)
        ax.plot(steps, uniform_filter1d(values, _SMOOTHING_LINES, mode="nearest"), color="tab:blue")
        ax.set_ylabel(f"loss: {name}")
        ax.set_ylim(0.9 * values.min(), np.percentile(values, 98))
    axes[-1].plot(steps, [config.learning_rate_at(step - 1) for step in steps], color="tab:orange")
    axes[-1].set(ylabel="learning rate", xlabel="step", yscale="log")
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=80, format="png")


def _entries(log: Path) -> Iterator[dict[str, float]]:
    for line in log.read_text(encoding="utf-8").splitlines():
        with suppress(ValueError):
            entry = json.loads(line)
            if isinstance(entry, dict):
                yield entry
