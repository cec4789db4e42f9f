"""Structure of a simulation beside that of a sample, exact and with the errors of the measurement.

References
----------
Royall, Louis and Tanaka, J. Chem. Phys. 127, 044507 (2007): the errors of a measurement are put on the simulation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.jsonable import jsonable
from napari_colloids.plotting import axes_or_new
from napari_colloids.progress import Progress, as_step
from napari_colloids.settings import changed, takes_settings
from napari_colloids.structure.degraded import POSITION_ERRORS, degraded, has_errors
from napari_colloids.structure.inputs import checked_particles
from napari_colloids.structure.settings import MeasurementSettings
from napari_colloids.structure.summary import iter_structure

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import Unpack

    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

    from napari_colloids.structure.settings import MeasurementChanges
    from napari_colloids.structure.structure_result import Structure


@dataclass(frozen=True, eq=False)
class SimulationComparison:
    """Structure of a sample beside that of a simulation.

    Attributes
    ----------
    sample
        Of the particles that were measured.
    exact
        Of the simulation.
    degraded
        Of the simulation with the errors of the measurement: what it would look like in the microscope. Where this is
        the sample, and not `exact`, the difference is that of the measurement.

    See Also
    --------
    iter_simulation_comparison : Makes one.
    """

    sample: Structure
    exact: Structure
    degraded: Structure

    def __repr__(self) -> str:
        return "SimulationComparison(" + "\n                     ".join(self.lines()) + ")"

    def lines(self) -> list[str]:
        """Return the figures of the three in words, a line each."""
        every = {"sample": self.sample, "simulation with these errors": self.degraded, "simulation, exact": self.exact}
        words = []
        for name, one in every.items():
            figures = one.figures()
            words.append(
                f"{name}: g(r) highest {one.g.g.max():.3g}, averaged q6 {figures['q6_averaged']:.3f}, Voronoi volumes "
                f"scatter by {figures['voronoi_spread']:.3f}, {figures['neighbours']:.2f} neighbours"
            )
        return words

    def as_dict(self) -> dict[str, object]:
        """Return the figures of the simulation, exact and degraded, as plain numbers, lists and dicts."""
        return {
            name: jsonable({"figures": one.figures(), **{key: one.as_dict()[key] for key in ("g", "s")}})
            for name, one in (("exact", self.exact), ("degraded", self.degraded))
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw g(r) of the sample with its error, and of the simulation with and without errors.

        Parameters
        ----------
        ax
            Axes to draw on; None makes a new figure.

        Returns
        -------
        matplotlib.axes.Axes
        """
        ax = self.sample.g.plot(axes_or_new(ax))
        ax.lines[0].set_label("sample")
        ax.plot(self.degraded.g.r, self.degraded.g.g, label="simulation with these errors")
        ax.plot(self.exact.g.r, self.exact.g.g, linestyle=":", label="simulation, exact")
        ax.set_ylim(top=1.05 * max(float(one.g.g.max()) for one in (self.sample, self.degraded, self.exact)))
        ax.legend(frameon=False, labelcolor="linecolor")
        return ax


@takes_settings(MeasurementSettings)
def iter_simulation_comparison(
    sample: Structure,
    simulation: pd.DataFrame | ArrayLike,
    *,
    shape: Sequence[float] | None = None,
    voxel_size: Sequence[float] | None = None,
    errors: ArrayLike | None = None,
    seed: int = 0,
    **settings: Unpack[MeasurementChanges],
) -> Generator[Progress, None, SimulationComparison]:
    """Measure a simulation as a sample was, exactly and with the errors of the sample, in steps.

    Parameters
    ----------
    sample
        Structure of the sample.
    simulation
        Particle table, or array of shape ``(N, 3)``: exact positions z, y, x in the voxels of the sample;
        `napari_colloids.assessment.fluid_like` makes a fluid.
    shape
        Shape ``(z, y, x)`` of its window in voxels; None takes the box that its particles fill.
    voxel_size
        Micrometres ``(z, y, x)``, of the sample.
    errors
        As in `degraded`; None takes those of the particles of the sample.
    seed
        For repeatable results.
    {settings}

    Yields
    ------
    Progress
        Before each part.

    Returns
    -------
    SimulationComparison

    Raises
    ------
    ColloidsError
        If nothing is known of the errors of the sample, or as in `measure_structure`.

    Examples
    --------
    >>> import napari_colloids as nc
    >>> from napari_colloids.progress import result_of
    >>> from napari_colloids.simulation import hard_sphere_fluid
    >>> from napari_colloids.structure import degraded, iter_simulation_comparison
    >>> exact = hard_sphere_fluid((60, 60, 60), volume_fraction=0.45, radius=4, seed=1)
    >>> measured = degraded(exact, errors=(0.5, 0.2, 0.2)).assign(z_err=0.5, y_err=0.2, x_err=0.2)
    >>> sample = nc.measure_structure(measured, shape=(60, 60, 60), bands=False)
    >>> simulation = hard_sphere_fluid((60, 60, 60), volume_fraction=0.45, radius=4, seed=2)
    >>> found = result_of(iter_simulation_comparison(sample, simulation, shape=(60, 60, 60)))
    >>> peaks = [float(one.g.g.max()) for one in (found.sample, found.degraded, found.exact)]
    >>> abs(peaks[0] / peaks[1] - 1) < 0.2, peaks[0] / peaks[2] < 0.8
    (True, True)
    """
    how = changed(MeasurementSettings(), settings, "setting of the structure")
    recall, precision = (1.0 if value is None else value for value in (how.recall, how.precision))
    if errors is None and has_errors(sample.particles):
        errors = sample.particles[POSITION_ERRORS].dropna().to_numpy(dtype=float)
    if errors is None:
        if recall == precision == 1:
            raise ColloidsError(
                "The errors of the sample are not known, and so cannot be put on a simulation: refine the particles, "
                "or give recall and precision."
            )
        errors = np.zeros(3)
    table = checked_particles(simulation)
    disturbed = degraded(table, errors=errors, recall=recall, precision=precision, shape=shape, seed=seed)
    measured = []
    for number, one in enumerate((table, disturbed)):
        steps = iter_structure(one, shape=shape, voxel_size=voxel_size, **how.local(), bands=False)
        message = ("simulation", "simulation with these errors")[number]
        measured.append((yield from as_step(Progress(number, 2, message), steps)))
    return SimulationComparison(sample, *measured)
