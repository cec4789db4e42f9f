"""The part of the Track dock that evaluates trajectories: curves against the lag, their settings and their export."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_colloids.dynamics import RelaxationSettings
from napari_colloids.errors import ColloidsError
from napari_colloids.plotting import unit_symbol
from napari_colloids.progress import Progress
from napari_colloids.settings import settings_of
from napari_colloids.widgets.parts.controls import Form, about_of, beside, choice, controls_of
from napari_colloids.widgets.parts.own_control import wrapped
from napari_colloids.widgets.parts.panel import Fold, across
from napari_colloids.widgets.parts.plots import ResultPlot
from napari_colloids.widgets.parts.remembered import remember
from napari_colloids.widgets.parts.run_button import RunButton
from napari_colloids.widgets.parts.saving import ask_for_file
from napari_colloids.widgets.parts.status import notice
from napari_colloids.widgets.parts.task import call
from napari_colloids.widgets.track_plots import QUANTITIES, plot_quantity

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    import pandas as pd
    from magicgui.widgets import ComboBox

    from napari_colloids.dynamics import CoherentScattering, Diffusion, Relaxation
    from napari_colloids.stack import VoxelSize
    from napari_colloids.widgets.parts.export import ExportButton
    from napari_colloids.widgets.parts.status import Status
    from napari_colloids.widgets.parts.task import Work

_Curves = TypeVar("_Curves", "Relaxation", "CoherentScattering")

#: Axes of the displacements that the dock offers.
_AXES = {"zyx": "along z, y, x", "yx": "along y, x"}
#: Settings that linking has, those of the positions themselves, and the number of starting times, which is left alone.
_NOT_OFFERED = ("subtract_drift", "errors", "axes", "max_origins")
#: Those that hold for other samples, too.
_REMEMBERED = ("axes", "overlap_diameters", "cage_relative")
#: The quantity that is not of the relaxation.
_COHERENT = "f_coherent"
#: Labels of the axes before there is a curve.
_EMPTY = {"xlabel": "lag (frames)", "ylabel": "MSD (px²)"}


@dataclass(frozen=True, eq=False)
class Trajectories:
    """What is evaluated: linked particles, and the note that goes with them."""

    tracks: pd.DataFrame
    voxel_size: VoxelSize | None
    name: str
    note: dict[str, object]


@dataclass(frozen=True, eq=False)
class _Evaluated:
    """A relaxation in frames with its settings and the coherent function, or why there is none."""

    of: Trajectories
    settings: RelaxationSettings
    found: Relaxation | None
    coherent: CoherentScattering | None = None
    problem: str = ""


class TrackCurves(QWidget):
    """Evaluates trajectories in the background as soon as there are some, and again whenever a setting changes."""

    #: Emitted when trajectories were evaluated, or could not be.
    evaluated = Signal()

    def __init__(self, status: Status, link: RunButton, export_tracks: ExportButton) -> None:
        super().__init__()
        self._of: Trajectories | None = None
        self._done: _Evaluated | None = None
        self._seconds: float | None = None
        self._diffusion: Diffusion | None = None
        #: Whether they are still to be evaluated, once what is under way has ended.
        self._due = False
        self._link = link
        self.show_what = _quantities()
        axes = settings_of(RelaxationSettings)["axes"]
        self.controls = {
            **controls_of(RelaxationSettings, but=_NOT_OFFERED),
            "axes": choice(_AXES, axes.default, **about_of(axes)),
        }
        self.button = RunButton(
            "Evaluate",
            status,
            doing="Evaluating the motion",
            prepare=self._asked_for,
            cancel_tip="Stop after the pair of frames that is being compared.",
            kept=lambda: "; the trajectories stay.",
        )
        link.take_turns_with(self.button)
        self.plot = ResultPlot(
            190,
            "What is chosen above, against the lag: corrected for the localisation errors of the points, with its "
            "standard error as a band, and as measured.",
            **_EMPTY,
        )
        self.export = RunButton("Export curves…", status, doing="Exporting", prepare=self._ask)
        self.export.succeeded.connect(status.say)
        self._form = Form([beside(self.show_what, self.controls["axes"]), self.controls["q"], self.controls["q_um"]])
        more = ("diameter", "overlap_diameters", "max_lag", "cage_relative", "cutoff")
        advanced = Fold(Form([self.controls[name] for name in more]), "Size of the particles, lags, cages.")
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        for part in (self._form, advanced, self.button, self.plot):
            column.addWidget(part)
        column.addLayout(across(export_tracks, self.export))
        remember("track", [self.show_what, *(self.controls[name] for name in _REMEMBERED)])
        self.show_what.changed.connect(self._draw)
        for one in self.controls.values():
            one.changed.connect(self._start)
        self.button.succeeded.connect(self._on_evaluated)
        for button in (link, self.button):
            button.ended.connect(self._on_free)
        self.take_unit(None)
        self._refresh()

    @property
    def found(self) -> Relaxation | None:
        """The relaxation of the trajectories, in seconds where their interval is known; None where there is none."""
        if self._done is None or self._done.found is None:
            return None
        return _in_seconds(self._done.found, self._seconds)

    def take_unit(self, voxel_size: VoxelSize | None) -> None:
        """Ask for the wave number per micrometre where the voxel size is known, else per voxel."""
        for name, shown in (("q", voxel_size is None), ("q_um", voxel_size is not None)):
            self._form.show_row(self.controls[name], shown)

    def take(self, trajectories: Trajectories) -> None:
        """Evaluate other trajectories."""
        self._of = trajectories if len(trajectories.tracks) else None
        self._done = None
        self.take_unit(trajectories.voxel_size)
        self._refresh()
        self._start()

    def show_motion(self, seconds: float | None, diffusion: Diffusion | None) -> None:
        """Draw in seconds, or in frames where their interval is unknown, with a line for the diffusion coefficient."""
        self._seconds, self._diffusion = seconds, diffusion
        self._draw()

    def lines(self) -> list[str]:
        """Return what was found in words."""
        if self._done is None:
            return []
        found = self.found
        if found is None:
            return [notice(self._done.problem)]
        coherent = self._done.coherent
        notices = dict.fromkeys([*found.notices, *(() if coherent is None else coherent.notices)])
        problem = [self._done.problem] if self._done.problem else []
        return [*_relaxation_words(found), *map(notice, [*notices, *problem])]

    def write(self, path: Path) -> None:
        """Export the curves to a CSV file."""
        self.export.run(lambda: self._writing(path))

    def _refresh(self) -> None:
        ready = self._of is not None
        tip = "Compute all curves from the trajectories." if ready else "Link particles first."
        self.button.offer(ready, tip)
        tip = "Write all curves with their errors, one row a lag, and the settings in a JSON file beside."
        self.export.offer(self.found is not None, tip)

    def _start(self) -> None:
        """Evaluate, or once what is under way has ended, which is stopped where it evaluates with other settings."""
        if self._of is None:
            return
        self._due = self._link.busy or self.button.busy
        if self._due:
            self.button.cancel()
        else:
            self.button.run(self._asked_for)

    def _on_free(self) -> None:
        if self._due:
            self._start()

    def _asked_for(self) -> Work | None:
        of = self._of
        if of is None:
            return None
        chosen = {name: one.value for name, one in self.controls.items()}
        chosen["q" if of.voxel_size is not None else "q_um"] = None
        settings = RelaxationSettings(**chosen)
        return lambda: _evaluate(of, settings)

    def _on_evaluated(self, done: _Evaluated) -> None:
        if done.of is not self._of:
            return
        self._done = done
        self._refresh()
        self._draw()
        self.evaluated.emit()

    def _draw(self) -> None:
        found, fit = self.found, self._diffusion
        if found is not None and self._done is not None:
            name, settings = self.show_what.value, self._done.settings
            as_linked = found.axes == "zyx" and not settings.cage_relative
            if name != _COHERENT:
                self.plot.show_result(partial(plot_quantity, found, name, fit if name == "msd" and as_linked else None))
            elif self._done.coherent is not None:
                coherent = _in_seconds(self._done.coherent, self._seconds)
                self.plot.show_result(partial(plot_quantity, coherent, name, None))
            else:
                self.plot.show_result(lambda axes: axes.set(**_EMPTY))
        elif fit is not None:
            self.plot.show_result(fit.plot)
        else:
            self.plot.show_result(lambda axes: axes.set(**_EMPTY))

    def _ask(self) -> Work | None:
        name = "particles" if self._of is None else self._of.name
        path = ask_for_file(self, "Export the curves", f"{name} curves", "Table of curves (*.csv)", [".csv"])
        return None if path is None else self._writing(path)

    def _writing(self, path: Path) -> Work:
        found, done = self.found, self._done
        if found is None or done is None:
            raise ColloidsError("There are no curves to export yet: link particles first.")
        return call(partial(_write, path, found, done))


def _quantities() -> ComboBox:
    """Make the combo box of the quantities, each with what it is in its tooltip."""
    labels = {name: one.name for name, one in QUANTITIES.items()}
    tip = wrapped("Quantity to draw against the lag.")
    box = choice(labels, "msd", name="show", label="Show", tooltip=tip)
    for index, one in enumerate(QUANTITIES.values()):
        box.native.setItemData(index, wrapped(one.tip), Qt.ItemDataRole.ToolTipRole)
    return box


def _evaluate(of: Trajectories, settings: RelaxationSettings) -> Generator[Progress, None, _Evaluated]:
    from napari_colloids.dynamics import iter_relaxation
    from napari_colloids.dynamics.coherent_beside import coherent_beside

    try:
        found = yield from iter_relaxation(of.tracks, voxel_size=of.voxel_size, **vars(settings))
    except ColloidsError as error:  # of a few particles no wave number can be told
        return _Evaluated(of, settings, None, problem=str(error))
    yield Progress(0, 1, "coherent scattering")
    try:
        return _Evaluated(of, settings, found, coherent_beside(found, of.tracks, settings, voxel_size=of.voxel_size))
    except ColloidsError as error:
        return _Evaluated(of, settings, found, problem=str(error))


def _in_seconds(found: _Curves, seconds: float | None) -> _Curves:
    """Return a result with its lags in seconds, too, where the interval of the frames is known."""
    return replace(found, lag_s=None if seconds is None else seconds * found.lag.astype(float))


def _write(path: Path, found: Relaxation, done: _Evaluated) -> str:
    """Write the curves as the command ``dynamics`` does, with a note beside of what they were computed of and how."""
    from napari_colloids import __version__
    from napari_colloids.dynamics.coherent_beside import curves_of
    from napari_colloids.io import atomic_write
    from napari_colloids.io.tables.note import note_path, note_text

    table = curves_of(found, done.coherent)
    curves = set(table)
    figures = {name: value for name, value in found.as_dict().items() if name not in curves}
    note = {
        "program": f"napari-colloids {__version__}",
        "relaxation": {**figures, "options": vars(done.settings)},
        "tracks": done.of.note,
    }
    with atomic_write(path) as curves_file, atomic_write(note_path(path)) as note_file:
        table.to_csv(curves_file, index=False)
        note_file.write_text(note_text(note, len(table)), encoding="utf-8")
    return f"Wrote the curves at {len(table)} lags to {path}."


def _relaxation_words(found: Relaxation) -> list[str]:
    if not len(found.lag):
        return []
    wave = f"F_s at q = {found.q:.3g} /{unit_symbol(found.unit)}"
    if found.tau_alpha is None:
        return [f"Relaxation time not reached: {wave} goes from {found.fs[0]:.2g} to {found.fs[-1]:.2g}."]
    time = f"{found.tau_alpha:.3g} frames" if found.tau_alpha_s is None else f"{found.tau_alpha_s:.3g} s"
    return [f"Relaxation time <b>{time}</b>, at which {wave} is 1/e."]
