"""What the Simulate widget remembers, and what a preset sets."""

from napari_colloids.simulation import PRESETS
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
