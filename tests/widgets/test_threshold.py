"""The threshold panel and the layers of others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from napari.utils._proxies import PublicOnlyProxy

from napari_colloids.widgets.detect import DetectWidget
from napari_colloids.widgets.layers import layers


@pytest.fixture
def panel(viewer):
    widget = DetectWidget(PublicOnlyProxy(viewer))
    viewer.window.add_dock_widget(widget)
    return widget.threshold


def test_a_layer_of_others_stays_as_it_is_until_its_threshold_is_moved(viewer, panel):
    shown = [True, False, True]
    points = viewer.add_points(
        np.arange(9.0).reshape(3, 3), features={"confidence": [0.2, 0.6, 0.9]}, shown=shown, metadata={"mine": 1}
    )
    viewer.layers.selection.active = points
    assert panel.layers.value is points
    assert points.shown.tolist() == shown
    assert points.metadata == {"mine": 1}
    assert panel.count.text() == "2 of 3 shown"
    assert sum(bar.get_height() for bar in panel.histogram.axes.patches) == 3
    points.selected_data = {0}
    points.remove_selected()
    assert points.shown.tolist() == [False, True]
    assert panel.count.text() == "1 of 2 shown"

    panel.slider.setValue(0.5)
    assert points.shown.tolist() == [True, True]
    assert layers.note_of(points) == {"threshold": 0.5}
    assert panel.count.text() == "2 of 2 shown"


def test_words_for_a_confidence_are_left_alone(viewer, panel):
    viewer.add_points(np.ones((2, 3)), features={"confidence": ["high", "low"]})
    assert panel.layers.value is None
    points = viewer.add_points(np.ones((2, 3)), features={"confidence": [0.2, 0.9]})
    assert panel.layers.value is points
    points.features = pd.DataFrame({"confidence": ["low", "high"]})
    panel.slider.setValue(0.5)
    assert points.shown.all()


def test_hundreds_of_thousands_of_points_do_not_widen_the_panel(viewer, panel):
    before = panel.minimumSizeHint().width()
    count = 200_000
    points = np.random.default_rng(0).random((count, 3))
    viewer.add_points(points, features={"confidence": np.linspace(0, 1, count)}, name="many")
    panel.slider.setValue(0.0355)
    assert panel.count.text() == "192900 of 200000 shown"
    assert panel.minimumSizeHint().width() == before
    assert panel.count.minimumSizeHint().width() < 300
