"""Settings that outlive the session.

What is particular to the computer (device, tile size) lives in napari's Preferences, declared in ``napari.yaml``; what
was typed into a widget last lives in an INI file of Qt's choosing.
"""

from __future__ import annotations

import json
import math
from typing import Any

from qtpy.QtCore import QSettings
from qtpy.QtWidgets import QAbstractButton, QComboBox, QDoubleSpinBox, QSpinBox, QWidget

PLUGIN = "napari-colloids"


def remember(group: str, controls: dict[str, QWidget]) -> None:
    """Give controls the values they had last time, and keep the values they get from now on.

    Parameters
    ----------
    group
        Name of the widget that the controls belong to.
    controls
        Spin boxes, combo boxes (by the data of their items) and check boxes by name.
    """
    for name, control in controls.items():
        key = f"{group}/{name}"
        stored = _settings().value(key)
        if stored is not None:
            _restore(control, stored)
        _changed(control).connect(lambda *_, key=key, control=control: _store(key, control))


def preferences() -> Any | None:
    """Return our page of napari's Preferences (``device``, ``tile``), or None where the manifest is not installed."""
    from napari.settings import get_plugin_settings

    try:
        return get_plugin_settings(PLUGIN).detection
    except KeyError:
        return None


def _settings() -> QSettings:
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, PLUGIN, PLUGIN)


def _store(key: str, control: QWidget) -> None:
    settings = _settings()
    settings.setValue(key, json.dumps(_value(control)))
    settings.sync()


def _value(control: QWidget) -> Any:
    if isinstance(control, QComboBox):
        return control.currentData()
    if isinstance(control, QAbstractButton):
        return control.isChecked()
    return control.value()  # type: ignore[attr-defined]


def _restore(control: QWidget, stored: Any) -> None:
    """Set the stored value; one that no longer fits (an older version wrote it) is passed over."""
    try:
        value = json.loads(stored)
        if isinstance(control, QComboBox):
            index = control.findData(value)
            if index >= 0:
                control.setCurrentIndex(index)
        elif isinstance(control, QAbstractButton):
            control.setChecked(bool(value))
        elif isinstance(control, QSpinBox):
            control.setValue(int(value))
        elif isinstance(control, QDoubleSpinBox) and math.isfinite(float(value)):
            control.setValue(float(value))
    except (TypeError, ValueError, OverflowError):
        return


def _changed(control: QWidget) -> Any:
    if isinstance(control, QComboBox):
        return control.currentIndexChanged
    if isinstance(control, QAbstractButton):
        return control.toggled
    return control.valueChanged  # type: ignore[attr-defined]
