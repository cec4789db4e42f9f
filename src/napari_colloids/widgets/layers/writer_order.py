"""The order in which napari offers writers: this plugin's first for its own particles, last for points of others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from npe2 import PluginManager

if TYPE_CHECKING:
    from npe2.manifest.contributions import WriterContribution

_PLUGIN = "napari-colloids"


def offer_first(ours: bool) -> None:
    """Put the writer of this plugin before all others, or behind them.

    napari takes the first writer that fits for File > Save Selected Layers, and of those that fit equally well its own
    was there first: that writes hidden points as well, and no units. npe2 (0.8) has no setting for the order; where a
    later one keeps its writers elsewhere, nothing is changed.
    """
    writers = getattr(getattr(PluginManager.instance(), "_contrib", None), "_writers", None)
    if isinstance(writers, list):
        writers.sort(key=lambda row: _is_of_this_plugin(row[-1]) != ours)


def _is_of_this_plugin(writer: WriterContribution) -> bool:
    return writer.command.partition(".")[0] == _PLUGIN
