"""Structure of a sample: g(r), S(q), volume fraction, order of each particle, and what is not to be trusted of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.jsonable import jsonable
from napari_colloids.particles import POSITION, implied_voxel_size
from napari_colloids.plotting import unit_symbol
from napari_colloids.progress import Progress, as_step, result_of
from napari_colloids.settings import check_value
from napari_colloids.structure.by_frame import structure_by_frame
from napari_colloids.structure.excess_entropy import excess_entropy
from napari_colloids.structure.frames import frames_of
from napari_colloids.structure.inputs import checked_particles
from napari_colloids.structure.local_structure import iter_local_structure, mean_diameter
from napari_colloids.structure.pair_correlation import pair_correlation
from napari_colloids.structure.slab import slab_of
from napari_colloids.structure.structure_factor import structure_factor
from napari_colloids.structure.volume_fraction import volume_fraction

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike

    from napari_colloids.interval import Interval
    from napari_colloids.structure.pair_correlation import PairCorrelation
    from napari_colloids.structure.structure_factor import StructureFactor

#: Localisation error in diameters from which topological clusters, and from which g(r) near contact and bond order, are
#: not those of the sample.
_CLUSTER_ERROR_DIAMETERS, _ORDER_ERROR_DIAMETERS = 0.02, 0.05
#: Particles inside below which averages over them are of little use.
_FEW_INSIDE = 30
#: Bins of g(r).
_BINS = 200


@dataclass(frozen=True, eq=False)
class Structure:
    """Structure of a sample.

    Attributes
    ----------
    particles
        The table with the columns of `local_structure`.
    g
        Pair correlation function.
    s
        Static structure factor.
    volume_fraction
        None where no radius and no diameter is known.
    excess_entropy
        Two-body excess entropy per particle over the Boltzmann constant.
    diameter
        Mean diameter in `unit`: given, of the radii, or the distance of neighbours; NaN where there is none of these.
    density
        Particles per cubic `unit`.
    unit
        ``"um"``, or ``"px"`` for lateral voxels.
    notices
        What the user should know.
    by_frame
        What `structure_by_frame` returns, where there are several frames.

    See Also
    --------
    measure_structure : Makes one.

    Examples
    --------
    >>> import napari_colloids as nc
    >>> simulated = nc.simulate(shape=(40, 40, 40), volume_fraction=0.3, radius=4, seed=1)
    >>> result = nc.measure_structure(simulated.particles, shape=simulated.stack.shape)
    >>> result.unit, result.volume_fraction.low < 0.3 < result.volume_fraction.high
    ('px', True)
    >>> result.notices[0]
    'Only 0 of 68 particles lie so far inside ... the window is small.'
    """

    particles: pd.DataFrame
    g: PairCorrelation
    s: StructureFactor
    volume_fraction: Interval | None
    excess_entropy: float
    diameter: float
    density: float
    unit: str
    notices: tuple[str, ...]
    by_frame: pd.DataFrame | None = None

    @property
    def inside(self) -> pd.DataFrame:
        """The particles far enough from the faces for all their columns to be trusted."""
        return self.particles[self.particles["interior"] == 1]

    def averages(self) -> dict[str, float]:
        """Return means over the particles inside; NaN where there are none."""
        names = ("neighbours", "q4", "q6", "w6", "q4_averaged", "q6_averaged", "crystalline", "tetrahedrality")
        inside = self.inside
        return {name: float(inside[name].mean()) if len(inside) else float("nan") for name in names}

    def __repr__(self) -> str:
        return "Structure(" + "\n          ".join(self.lines()) + ")"

    def lines(self) -> list[str]:
        """Return what was measured in words, a line each."""
        unit = unit_symbol(self.unit)
        means = self.averages()
        peak = int(np.argmax(self.g.g))
        q, s = self.s.peak
        fraction = "unknown without a radius" if self.volume_fraction is None else repr(self.volume_fraction)
        lines = [
            f"{len(self.particles)} particles of diameter {self.diameter:.3g} {unit}, {len(self.inside)} of them so "
            "far inside that their order is that of the bulk",
            f"Volume fraction: {fraction}",
            f"g(r): highest {self.g.g[peak]:.3g} at {self.g.r[peak]:.3g} {unit}",
            f"S(q): highest {s:.3g} at {q:.3g}/{unit}; trusted from {self.s.lowest:.3g}/{unit} on",
            f"Two-body excess entropy: {self.excess_entropy:.3g} k_B",
        ]
        if len(self.inside):
            lines.append(
                f"Inside, on average: {means['neighbours']:.2f} neighbours, q4 {means['q4']:.3f}, "
                f"q6 {means['q6']:.3f}, w6 {means['w6']:.4f}, averaged q6 {means['q6_averaged']:.3f}, "
                f"{means['crystalline']:.0%} crystalline"
            )
        return lines

    def as_dict(self) -> dict[str, object]:
        """Return the figures as plain numbers, lists and dicts; NaN becomes None."""
        figures = {
            "g": {"r": self.g.r, "g": self.g.g, "error": self.g.error},
            "s": {
                **{"q": self.s.q, "s": self.s.s, "direct": self.s.direct, "direct_error": self.s.error},
                "lowest_q": self.s.lowest,
            },
            "volume_fraction": self.volume_fraction,
            "interior": len(self.inside),
            "unit": self.unit,
            "particles": len(self.particles),
            "density": self.density,
            "diameter": self.diameter,
            "excess_entropy": self.excess_entropy,
            "inside": self.averages(),
            "notices": self.notices,
            "by_frame": None if self.by_frame is None else self.by_frame.to_dict("list"),
        }
        return {name: jsonable(value) for name, value in figures.items()}

    def to_json(self) -> str:
        """Return the figures as one JSON object."""
        return json.dumps(self.as_dict())


def measure_structure(
    particles: pd.DataFrame | ArrayLike,
    *,
    shape: Sequence[float] | None = None,
    voxel_size: Sequence[float] | None = None,
    diameter: float | None = None,
    neighbours: int | None = None,
    slab: tuple[float, float] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Structure:
    """Measure g(r), S(q), the volume fraction and the local structure of a sample.

    Parameters
    ----------
    particles
        Particle table, or array of shape ``(N, 3)``: z, y, x in voxels. Frames are averaged.
    shape
        Shape ``(z, y, x)`` of the stack in voxels; None takes that of the stack that the table says it was found in, if
        all of it was searched, else the box that the particles fill.
    voxel_size
        Micrometres ``(z, y, x)``; None takes what the table's columns in micrometres imply.
    diameter
        In lateral voxels, in place of the radii of the table.
    neighbours
        As in `local_structure`.
    slab
        Smallest and largest z in voxels (whose centres lie at integers) of the part that is measured, as though the
        stack ended there; only particles in it are counted and returned. None takes all.
    progress
        Called with the number of steps done and their total.

    Returns
    -------
    Structure

    Raises
    ------
    ColloidsError
        If freud is not installed, no frame has two particles, or a setting cannot be used.

    See Also
    --------
    local_structure, pair_correlation, structure_factor, volume_fraction : Its parts.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_colloids.structure import measure_structure
    >>> crystal = 10.0 * np.indices((9, 9, 9)).reshape(3, -1).T + 4.5
    >>> result = measure_structure(crystal, shape=(90, 90, 90), diameter=10)
    >>> len(result.inside), round(result.averages()["neighbours"], 3), round(result.averages()["q6"], 3)
    (27, 6.0, 0.354)
    """
    steps = iter_structure(
        particles, shape=shape, voxel_size=voxel_size, diameter=diameter, neighbours=neighbours, slab=slab
    )
    return result_of(steps, progress)


def iter_structure(
    particles: pd.DataFrame | ArrayLike,
    *,
    shape: Sequence[float] | None = None,
    voxel_size: Sequence[float] | None = None,
    diameter: float | None = None,
    neighbours: int | None = None,
    slab: tuple[float, float] | None = None,
) -> Generator[Progress, None, Structure]:
    """Measure the structure in steps, for worker threads; closing the generator cancels.

    Parameters
    ----------
    particles, shape, voxel_size, diameter, neighbours, slab
        As in `measure_structure`.

    Yields
    ------
    Progress
        Before each part.

    Returns
    -------
    Structure
        As that of `measure_structure`.

    Raises
    ------
    ColloidsError
        As `measure_structure` does.
    """
    table = checked_particles(particles)
    shape = _searched_shape(table) if shape is None else shape
    window_notices, positions = _window_notices(shape), table[POSITION]
    if slab is not None:
        check_value("slab", slab, tuple[float, float], unit="voxels")
        # Positions that are moved no longer tell how long a voxel is.
        voxel_size = implied_voxel_size(table) if voxel_size is None else voxel_size
        table, shape, inside = slab_of(table, shape, slab)
        positions = positions[inside]
    local = iter_local_structure(table, shape=shape, voxel_size=voxel_size, diameter=diameter, neighbours=neighbours)
    result = yield from as_step(Progress(0, 3, "bond order and Voronoi cells"), local)
    yield Progress(1, 3, "g(r)")
    size = mean_diameter(table, diameter, voxel_size)
    g = pair_correlation(
        table, shape=shape, voxel_size=voxel_size, diameter=size if np.isfinite(size) else None, bins=_BINS
    )
    yield Progress(2, 3, "S(q)")
    s = structure_factor(table, shape=shape, voxel_size=voxel_size)
    seen = frames_of(table, shape, voxel_size)
    density = float(np.mean([len(frame) for frame in seen.positions])) / seen.window.volume
    by_frame = None
    if "frame" in table and table["frame"].nunique() > 1:
        by_frame = structure_by_frame(result, shape=shape, voxel_size=voxel_size, diameter=diameter)
    return Structure(
        result.assign(**{name: positions[name].to_numpy() for name in POSITION}),
        g,
        s,
        volume_fraction(result, shape=shape, voxel_size=voxel_size, diameter=diameter),
        excess_entropy(g, density),
        size * seen.scaling.lateral,
        density,
        seen.unit,
        (*window_notices, *_inside_notices(result), *_error_notices(result, seen.scaling.aspect, size)),
        by_frame,
    )


def _searched_shape(table: pd.DataFrame) -> tuple[float, float, float] | None:
    """Return the shape of the stack that a table was found in, where all of it was searched."""
    shape, settings = table.attrs.get("shape"), table.attrs.get("settings")
    whole = isinstance(settings, dict) and not settings.get("border") and not table.attrs.get("region")
    if not whole or not isinstance(shape, list | tuple) or len(shape) < 3:
        return None
    z, y, x = (float(length) for length in shape[-3:])
    return z, y, x


def _window_notices(shape: Sequence[float] | None) -> list[str]:
    """Return what is to be said of the window."""
    known = shape is not None
    return [] if known else ["The shape of the stack is unknown: the box that the particles fill was taken."]


def _inside_notices(table: pd.DataFrame) -> list[str]:
    """Return what is to be said of the particles inside."""
    inside = int((table["interior"] == 1).sum())
    if inside >= _FEW_INSIDE:
        return []
    return [
        f"Only {inside} of {len(table)} particles lie so far inside all faces (3 mean spacings) that their bond order "
        "is that of the bulk: the window is small."
    ]


def _error_notices(table: pd.DataFrame, aspect: np.ndarray, diameter: float) -> list[str]:
    """Return what localisation errors do to the structure."""
    names = ["z_err", "y_err", "x_err"]
    if not np.isfinite(diameter) or any(name not in table or not table[name].notna().any() for name in names):
        return ["No localisation errors are in the table (refine the particles): what they change is not known."]
    z, y, x = table[names].median().to_numpy(dtype=float) * aspect / diameter
    lateral = float(np.hypot(y, x) / np.sqrt(2))
    words = f"localisation errors are {z:.2g} diameters along z and {lateral:.2g} across"
    if max(z, lateral) >= _ORDER_ERROR_DIAMETERS:
        return [
            f"The {words}: g(r) at contact and averaged bond order are lower, and Voronoi volumes scatter more, than "
            "those of the sample; topological clusters are not to be trusted."
        ]
    if max(z, lateral) >= _CLUSTER_ERROR_DIAMETERS:
        return [
            f"The {words}: good for g(r) and bond order; topological clusters need {_CLUSTER_ERROR_DIAMETERS:g} and a "
            "recall of 98 %."
        ]
    return []
