"""Settings that outlive the session.

What depends on the computer (device, tile size) lives in napari's Preferences, declared in ``napari.yaml``; what was
typed into a dock last lives in an INI file of Qt's choosing.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from magicgui.widgets.bases import BaseValueWidget

PLUGIN = "napari-colloids"


def remember(group: str, controls: Iterable[BaseValueWidget[Any]]) -> None:
    """Give controls the values they had last time, by their names, and keep the values they get from now on."""
    for control in controls:
        key = f"{group}/{control.name}"
        stored = _settings().value(key)
        if stored is not None:
            with suppress(TypeError, ValueError, OverflowError):  # one that no longer fits: an older version wrote it
                control.value = json.loads(stored)
        control.changed.connect(lambda value, key=key: store(key, value))


def recall(key: str) -> object:
    """Return what was kept under a key; None where nothing was, or what no longer can be read."""
    with suppress(TypeError, ValueError):
        return json.loads(_settings().value(key))
    return None


def preferences() -> Any | None:
    """Return our page of napari's Preferences (``device``, ``tile``), or None where the manifest is not installed."""
    from napari.settings import get_plugin_settings

    try:
        return get_plugin_settings(PLUGIN).detection
    except KeyError:
        return None


def _settings() -> QSettings:
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, PLUGIN, PLUGIN)


def store(key: str, value: object) -> None:
    """Keep a value under a key."""
    settings = _settings()
    settings.setValue(key, json.dumps(value))
    settings.sync()
