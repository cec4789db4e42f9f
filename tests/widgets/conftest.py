"""A real napari window per test, the manifest registered, and settings kept away from those of the user."""

import gc
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("qtpy", reason="the widgets need Qt")
pytest.importorskip("pytestqt", reason="the widgets are driven through pytest-qt")

from napari.components import ViewerModel
from pydantic import PrivateAttr
from qtpy.compat import isalive
from qtpy.QtCore import QObject, Signal

import napari_colloids
from napari_colloids import widgets
from napari_colloids.simulation import simulate
from napari_colloids.widgets.parts import task

MANIFEST = Path(napari_colloids.__file__).with_name("napari.yaml")


@pytest.fixture(autouse=True, scope="session")
def imported_once():
    """Keep what is imported out of garbage collection, which napari asks for several times after each test."""
    import torch  # noqa: F401

    for name in widgets.__all__:
        getattr(widgets, name)
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def settings_apart(tmp_path, plugin_settings, npe2pm):
    from npe2 import PluginManifest
    from qtpy.QtCore import QSettings

    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(tmp_path / "settings"))
    npe2pm.register(PluginManifest.from_file(MANIFEST))


class EveryStep(QObject):
    """A throttler that lets everything through."""

    triggered = Signal()

    def setTimeout(self, _):
        pass

    def throttle(self):
        self.triggered.emit()

    def flush(self, restart_timer):
        pass


@pytest.fixture(autouse=True)
def every_step(request, monkeypatch):
    """Tell every step of a computation at once, but in tests of the pace itself."""
    if "pace" not in request.fixturenames:
        monkeypatch.setattr(task, "QSignalThrottler", EveryStep)
        monkeypatch.setattr(task, "_SHORT_MS", 0)


@pytest.fixture
def pace():
    """Leave the pace of steps as users have it."""


class Docks:
    """The docks of a viewer without a window, each a window of its own."""

    def __init__(self):
        self._widgets = []

    def add_dock_widget(self, widget, *, name=""):
        self._widgets.append(widget)
        widget.setWindowTitle(name)
        widget.show()

    def remove_dock_widget(self, widget):
        self._widgets.remove(widget)
        widget.close()
        widget.deleteLater()

    def close(self):
        for widget in [one for one in self._widgets if isalive(one)]:
            self.remove_dock_widget(widget)


class Windowless(ViewerModel):
    """A viewer of layers and dims alone: a canvas takes longer to make than most tests."""

    _docks: Docks = PrivateAttr(default_factory=Docks)

    @property
    def window(self):
        return self._docks


@pytest.fixture
def viewer(qtbot):
    """A viewer without a window; a test of the canvas or the window itself asks for `windowed_viewer`."""
    viewer = Windowless()
    yield viewer
    viewer.window.close()


@pytest.fixture
def windowed_viewer(make_napari_viewer):
    return make_napari_viewer()


@pytest.fixture(scope="session")
def simulated():
    """Thirty or so easy particles of 10 px in 48 voxels each way, 0.1 um wide."""
    return simulate(
        shape=(48, 48, 48), radius=5.0, volume_fraction=0.2, psf_sigma=(1, 1, 1), snr=20, cnr=20, seed=7, voxel_size=0.1
    )


@pytest.fixture
def stack_file(tmp_path, simulated):
    """The simulated stack as a TIFF without a voxel size."""
    import tifffile

    path = tmp_path / "beads.tif"
    tifffile.imwrite(path, np.asarray(simulated.stack.data))
    return path


@pytest.fixture
def challenge_file(tmp_path, simulated):
    """A challenge file of two volumes with their truth."""
    from napari_colloids.io import write_challenge

    path = tmp_path / "challenge.h5"
    write_challenge(path, [simulated, simulate(shape=(16, 20, 24), radius=4.0, volume_fraction=0.1, seed=3)])
    return path


@pytest.fixture
def export(qtbot):
    """Export from a panel or a widget, and wait until it is done."""

    def to(panel, path):
        panel.export.write(path)
        qtbot.waitUntil(lambda: not panel.export.busy, timeout=30_000)

    return to


@pytest.fixture
def click(qtbot):
    """Click a button as a user does; check boxes on the box itself, at their left."""
    from qtpy.QtCore import QPoint, Qt
    from qtpy.QtWidgets import QCheckBox

    def press(button):
        assert button.isEnabled(), f"'{button.text()}' cannot be clicked"
        place = QPoint(8, button.height() // 2) if isinstance(button, QCheckBox) else button.rect().center()
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton, pos=place)

    return press
