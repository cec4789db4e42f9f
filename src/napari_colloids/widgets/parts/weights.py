"""A control for the network's weights: the bundled ones, or those of a file."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtWidgets import QComboBox, QFileDialog

from napari_colloids.widgets.parts.controls import choice

#: What a file dialog shows.
FILTER = "Weights (*.safetensors)"
_ASK = ""


def weights_choice() -> QComboBox:
    """Make a box whose data is None for the bundled weights, or the path of a file that the user chose."""
    box = choice(
        {"bundled": None, "a file…": _ASK},
        None,
        "Weights of the network: the bundled ones, or a file that 'napari-colloids train' made (.safetensors).",
    )
    last = box.currentIndex()

    def ask(index: int) -> None:
        nonlocal last
        if box.itemData(index) == _ASK:
            path, _ = QFileDialog.getOpenFileName(box, "Open the network's weights", "", FILTER)
            if path and box.findData(path) < 0:
                box.insertItem(index, Path(path).name, path)
            index = box.findData(path) if path else last
            box.setCurrentIndex(index)
        last = index

    box.activated.connect(ask)
    return box
