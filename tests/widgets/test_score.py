"""The Score widget and the shape of the voxels."""

import numpy as np
import pytest

from napari_colloids.particles import particle_table
from napari_colloids.scoring import score
from napari_colloids.widgets import layers, places
from napari_colloids.widgets.score import ScoreWidget

SHAPE = (16, 60, 60)


@pytest.mark.parametrize(
    ("scale", "units"),
    [((1, 250, 250), ("um", "nm", "nm")), ((4, 1, 1), ("pixel",) * 3), ((1, 0.25, 0.25), ("um",) * 3)],
    ids=["units of their own", "pixels", "one unit"],
)
def test_voxels_four_times_as_high_as_wide(viewer, qtbot, click, scale, units):
    image = viewer.add_image(np.zeros(SHAPE), scale=scale, units=units)
    place = np.stack(np.meshgrid([1, 5, 9, 14], [5, 30, 50], [9, 29, 49], indexing="ij"), axis=-1).reshape(-1, 3)
    truth = particle_table(place, radius=6)
    place = np.concatenate([place[3:], [[7, 40, 40]]]) + np.array([0.9, 0, 0])
    found = particle_table(place, radius=6, confidence=0.9)
    for table, kind in ((truth, "truth"), (found, "particles")):
        layers.add_layer(viewer, layers.particle_layer_data(table, places.frame_of(image), name=kind, kind=kind))
    widget = ScoreWidget(viewer)
    viewer.window.add_dock_widget(widget)
    assert widget.diameter.value() == 12
    click(widget.button)
    qtbot.waitUntil(lambda: not widget.busy, timeout=30_000)
    right = score(truth, found, diameter=12, shape=SHAPE, voxel_size=(4, 1, 1))
    assert 0.8 < right.precision < 1
    counts = f"{right.true_positives} / {right.false_positives} / {right.false_negatives}"
    for figure in (f"{right.precision:.3f}", f"{right.recall:.3f}", counts):
        assert figure in widget.status.text()
