"""What the Simulate widget remembers, what a preset sets, and how a simulation is followed and stopped."""

from qtpy.QtCore import Qt, QTimer

from napari_colloids.simulation import PRESETS
from napari_colloids.widgets.layers import sample_data
from napari_colloids.widgets.simulate import SimulateWidget


def test_the_preset_and_its_hidden_values_are_remembered(viewer):
    first = SimulateWidget(viewer)
    viewer.window.add_dock_widget(first)
    first.preset.value = "nano, low light"
    first.controls["radius"].value = 5.5
    second = SimulateWidget(viewer)
    viewer.window.add_dock_widget(second)
    assert second.preset.value == "nano, low light"
    assert second.parameters() == first.parameters()
    assert second.parameters().photon_noise == PRESETS["nano, low light"].photon_noise != PRESETS["dense"].photon_noise
    assert second.controls["radius"].value == 5.5


def test_the_same_preset_chosen_again_sets_its_values_again(viewer, qtbot):
    widget = SimulateWidget(viewer)
    viewer.window.add_dock_widget(widget)
    widget.controls["radius"].value = 5.5
    # What a click on the item that is chosen already does.
    widget.preset.native.activated.emit(widget.preset.native.currentIndex())
    assert widget.controls["radius"].value == PRESETS["dense"].radius != 5.5


def test_a_simulation_tells_its_steps_and_has_the_voxel_size_that_is_typed(viewer, qtbot):
    widget = SimulateWidget(viewer)
    viewer.window.add_dock_widget(widget)
    steps = []
    widget.button.progressed.connect(lambda *step: steps.append(step))
    assert widget.controls["voxel_size"].native.isVisible()
    widget.controls["voxel_size"].value = 0.1
    with qtbot.waitSignal(widget.button.ended, timeout=20_000):
        qtbot.mouseClick(widget.button, Qt.MouseButton.LeftButton)
    assert [step[:2] for step in steps] == [(0, 3), (1, 3), (2, 3)]
    image, truth = viewer.layers
    assert (*image.scale, *truth.scale) == (0.1,) * 6
    assert (image.name, len(truth.data)) == ("dense", int(widget.status.text().split()[1]))


def test_a_simulation_that_is_cancelled_adds_nothing(viewer, qtbot):
    widget = SimulateWidget(viewer)
    viewer.window.add_dock_widget(widget)
    widget.controls["shape"].value = (64, 128, 128)
    with qtbot.waitSignal(widget.button.progressed, timeout=20_000):
        qtbot.mouseClick(widget.button, Qt.MouseButton.LeftButton)
    with qtbot.waitSignal(widget.button.ended, timeout=20_000):
        qtbot.mouseClick(widget.button, Qt.MouseButton.LeftButton)
    assert not viewer.layers
    assert "Cancelled" in widget.status.text()


def test_the_window_goes_on_while_a_sample_is_made(viewer, qtbot):
    ticks, layers = [], []
    timer = QTimer(interval=1)
    timer.timeout.connect(lambda: ticks.append(len(layers)))
    timer.start()
    QTimer.singleShot(0, lambda: layers.extend(sample_data.nano()))
    qtbot.waitUntil(lambda: bool(layers), timeout=20_000)
    assert ticks.count(0) > 5
    assert [kind for _, _, kind in layers] == ["image", "points"]
