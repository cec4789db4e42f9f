"""What the Simulate widget remembers."""

from napari_colloids.simulation import PRESETS
from napari_colloids.widgets.simulate import SimulateWidget


def test_the_preset_and_its_hidden_values_are_remembered(viewer):
    first = SimulateWidget(viewer)
    viewer.window.add_dock_widget(first)
    first.preset.setCurrentIndex(first.preset.findData("nano, low light"))
    first.numbers["radius"].setValue(5.5)
    second = SimulateWidget(viewer)
    viewer.window.add_dock_widget(second)
    assert second.preset.currentData() == "nano, low light"
    assert second.parameters() == first.parameters()
    assert second.parameters().photon_noise == PRESETS["nano, low light"].photon_noise != PRESETS["dense"].photon_noise
    assert second.numbers["radius"].value() == 5.5
