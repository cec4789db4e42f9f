"""Time the table of the Inspect dock: python measurements/inspection.py [--particles 200000].

Without a window, of a layer of random particles with errors: read, sort, filter, threshold, selection, and the sections
of one particle in a lazy stack. Times are CPU times of the thread of the window, the same on a busy machine.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import dask.array as da
import numpy as np
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication

from napari_colloids.particles import particle_table
from napari_colloids.stack import Stack
from napari_colloids.widgets.inspection.listing import ParticleList
from napari_colloids.widgets.inspection.sections import Cut
from napari_colloids.widgets.layers import layers, places
from napari_colloids.widgets.layers.spheres import add_layer, watch

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

#: Voxels per axis of the stack, and of its chunks.
_EDGE, _CHUNK = 1024, (16, 512, 512)
_REPEATS = 5


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--particles", type=int, default=200_000)
    count = parser.parse_args().particles
    app = QApplication([])
    viewer = ViewerModel()
    voxels = da.random.default_rng(0).integers(0, 255, (_EDGE,) * 3, dtype=np.uint8, chunks=_CHUNK)
    (described,) = layers.image_layer_data(Stack(voxels, voxel_size=(0.2, 0.1, 0.1)))
    described[1]["contrast_limits"] = (0, 255)
    image = add_layer(viewer, described)
    points = add_layer(viewer, layers.particle_layer_data(_particles(count), places.place_of(image)))
    listing = ParticleList()
    listing.show()
    model, rng = listing.table.particles, np.random.default_rng(1)
    listing.follow(points)

    def sort(number: int) -> None:
        model.sort(number)  # each column for the first time

    def filtered(number: int) -> None:
        listing.filter.setText(f"confidence < 0.{number + 3} and 3 < z < 70")

    def threshold(number: int) -> None:
        layers.show_above(points, 0.1 * number)
        listing.catch_up()

    def select(number: int) -> None:
        points.selected_data = set(rng.choice(count, 100, replace=False).tolist())

    print(f"{count} particles, {len(model.columns)} columns; median of {_REPEATS}, ms of the GUI thread")
    for name, action in {
        "read": lambda number: listing.follow(points),
        "sort": sort,
        "filter": filtered,
        "threshold (with that of the layer)": threshold,
        "threshold in the viewer alone": lambda number: watch(viewer).show_above(points, 0.05 + 0.1 * number),
        "select 100 points": select,
        "sections of one": lambda number: Cut(points, count // 2, image, viewer),
        "read them from a lazy stack": lambda number: Cut(points, count // 2, image, viewer).read(),
    }.items():
        print(f"{name:36s} {_median_ms(app, action):7.1f}")


def _particles(count: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return particle_table(
        rng.random((count, 3)) * (_EDGE - 1),
        radius=rng.normal(6, 0.4, count),
        confidence=rng.beta(8, 1, count),
        errors=rng.gamma(2, 0.02, (count, 4)),
        refined=rng.random(count) < 0.97,
        misfit=1 + rng.gamma(1, 0.2, count),
    )


def _median_ms(app: QApplication, action: Callable[[int], object]) -> float:
    taken = []
    for number in range(_REPEATS):
        start = time.thread_time()
        action(number)
        app.processEvents()
        taken.append(time.thread_time() - start)
    return 1000 * float(np.median(taken))


if __name__ == "__main__":
    main()
