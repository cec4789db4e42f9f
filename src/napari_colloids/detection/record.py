"""Record of a run: how particles were found, complete enough to repeat it.

A particle table carries it as plain values in ``table.attrs``; the file beside a table, the summary of a batch and the
metadata of a layer hold the same values.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from numbers import Real
from typing import TYPE_CHECKING

from napari_colloids.detection.unusable import Unusable, unusable_notices
from napari_colloids.errors import ColloidsError
from napari_colloids.jsonable import jsonable
from napari_colloids.settings import settings_of

if TYPE_CHECKING:
    from napari_colloids.detection.options import Options
    from napari_colloids.detection.region import Region
    from napari_colloids.stack import VoxelSize

#: Names of what the refinement measures of the optics and the sample, in lateral voxels and grey levels.
OPTICS = (
    *("psf_sigma", "psf_tail", "psf_tilt", "shell", "polydispersity"),
    *("background", "brightness", "brightness_spread", "noise_gain", "noise_floor"),
)
#: The same, and the name of why nothing was refined with such optics.
REFINEMENT = (*OPTICS, "not_refined")


@dataclass(frozen=True, kw_only=True)
class Record:
    """How the particles of a table were found: settings, diameter, notices, optics, version.

    Attributes
    ----------
    diameter
        Diameter of the search, in lateral voxels; NaN where no volume could be searched.
    diameter_estimated
        Whether it was estimated from the image.
    diameter_certain
        Whether the estimate is certain; true where the diameter was given.
    negative_certain
        Whether the inverted image shows clear particles that explain far more of the light: they are dark instead of
        bright, or the other way round.
    threshold
        Minimum confidence of the detections.
    dark
        Whether dark particles were searched for.
    method
        Detection method.
    device
        Device that it ran on: ``cpu``, ``cuda`` or ``mps``.
    seconds
        Duration in seconds.
    mvoxel_per_s
        Throughput in millions of voxels per second.
    notices
        Messages for the user.
    optics
        Measurements of the refinement, by the names in `REFINEMENT` (see `refine`); empty without refinement.
    version
        Version of the program.
    weights_sha256
        SHA-256 digest of the network's weights.
    settings
        Every field of `Options`, as plain values.
    region
        The `Region` as plain values; empty for the whole stack. A mask is not stored, only that there was one.
    voxel_size
        Edges of a voxel ``(z, y, x)`` in micrometres; None where they are unknown, and cubic voxels were assumed.
    assumed
        Axes whose edge in `voxel_size` was assumed: letters of ``"zyx"``.
    unusable
        Volumes of a series that were not searched, and why.
    height_factor
        What the height of a voxel has to be multiplied by for the particles to be round; None where nothing speaks
        against it.
    quality
        What was measured of the image, with a verdict in words on each (`image_quality`); empty where it was not asked
        for.

    See Also
    --------
    detect : returns a table with a record.

    Examples
    --------
    >>> import napari_colloids as nc
    >>> simulated = nc.simulate(shape=(24, 24, 24), volume_fraction=0.3, radius=4, seed=1)
    >>> table = nc.detect(simulated.stack, diameter=8, method="log", border=2)
    >>> record = nc.Record.from_attrs(table.attrs)
    >>> record.method, record.threshold, record.settings["border"]
    ('log', 0.05, 2)
    >>> again = nc.detect(simulated.stack, record.options())
    >>> bool((again == table).all().all())
    True
    """

    diameter: float
    diameter_estimated: bool
    diameter_certain: bool
    negative_certain: bool
    threshold: float
    dark: bool
    method: str
    device: str
    seconds: float
    mvoxel_per_s: float
    notices: tuple[str, ...] = ()
    optics: Mapping[str, object] = field(default_factory=dict)
    version: str = ""
    weights_sha256: str = ""
    settings: Mapping[str, object] = field(default_factory=dict)
    region: Mapping[str, object] = field(default_factory=dict)
    voxel_size: VoxelSize | None = None
    assumed: str = ""
    unusable: tuple[Unusable, ...] = ()
    height_factor: float | None = None
    quality: Mapping[str, object] = field(default_factory=dict)

    def __repr__(self) -> str:
        certainty = "" if self.diameter_certain else ", uncertain"
        origin = f"estimated{certainty}" if self.diameter_estimated else "given"
        parts = [
            f"{self.method} on {self.device}",
            f"diameter {_short(self.diameter)} px ({origin})",
            f"threshold {_short(self.threshold)}",
            *(["dark particles"] if self.dark else []),
            *([f"region: {', '.join(self.region)}"] if self.region else []),
            *(["refined"] if self.optics and "not_refined" not in self.optics else []),
            *([f"{len(self.unusable)} unusable"] if self.unusable else []),
            *([f"{len(self.notices)} notice{'s' if len(self.notices) > 1 else ''}"] if self.notices else []),
            f"{_short(self.seconds)} s",
        ]
        return f"Record({', '.join(parts)})"

    @classmethod
    def from_attrs(cls, attrs: Mapping[str, object] | Mapping[Hashable, object]) -> Record:
        """Return the record in the ``attrs`` of a table, or in the file beside it; other entries are left out.

        Raises
        ------
        ColloidsError
            If it is missing or incomplete: the particles do not come from a detection.
        """
        given = {str(name): value for name, value in attrs.items()}
        known = {one.name: given[one.name] for one in fields(cls) if one.name in given and one.name != "optics"}
        notices = known.get("notices")
        known["notices"] = tuple(notices) if isinstance(notices, Iterable) else ()
        size = known.get("voxel_size")
        known["voxel_size"] = tuple(size) if isinstance(size, list) else size
        known["optics"] = {name: given[name] for name in REFINEMENT if name in given}
        if not isinstance(known.get("quality", {}), Mapping):
            del known["quality"]
        if "diameter" in known and known["diameter"] is None:  # as JSON has NaN
            known["diameter"] = math.nan
        try:
            known["unusable"] = tuple(Unusable(*one) for one in known.get("unusable", ()))  # type: ignore[attr-defined]
            return cls(**known)  # type: ignore[arg-type]
        except TypeError as error:
            raise ColloidsError("The table does not say how its particles were found.") from error

    def to_attrs(self) -> dict[str, object]:
        """Return it as plain values for ``table.attrs``."""
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "optics"}
        lists = {"notices": list(self.notices), "unusable": [list(one) for one in self.unusable]}
        return {**values, **lists, **self.optics}

    @property
    def searched(self) -> bool:
        """Whether any volume could be searched."""
        return not math.isnan(self.diameter)

    def difference(self, other: Record) -> dict[str, object]:
        """Return the fields that differ from those of another record, as plain values."""
        pairs = ((one.name, getattr(self, one.name), getattr(other, one.name)) for one in fields(self))
        return {name: jsonable(mine) for name, mine, its in pairs if mine != its}

    def with_difference(self, difference: Mapping[str, object]) -> Record:
        """Return the record that has this `difference` from this one.

        Raises
        ------
        ColloidsError
            If it is not the difference of records.
        """
        optics = difference.get("optics", self.optics)
        if not isinstance(optics, Mapping):
            raise ColloidsError("The table does not say how its particles were found.")
        return self.from_attrs({**replace(self, optics={}).to_attrs(), **difference, **optics})

    def options(self) -> Options:
        """Return the settings of the run, to repeat it.

        Raises
        ------
        ColloidsError
            If a setting is refused by this version.
        """
        return options_of(self.settings)

    @classmethod
    def merged(cls, records: Iterable[Record], *, several_channels: bool = False) -> Record:
        """Return the record of a series from those of its volumes: the first, with seconds and notices of all.

        Parameters
        ----------
        records
            Of single volumes.
        several_channels
            Whether they are of several channels, for the notices on volumes that were not searched.

        Raises
        ------
        ColloidsError
            If there are none, or no volume could be searched.
        """
        every = list(records)
        if not every:
            raise ColloidsError("No frame was searched; choose one.")
        unusable = tuple(one for record in every for one in record.unusable)
        reasons = unusable_notices(unusable, several_channels=several_channels)
        searched = [one for one in every if one.searched]
        if not searched:
            raise ColloidsError(f"None of {len(every)} volumes can be searched: {'; '.join(reasons)}.")
        seconds = sum(one.seconds for one in every)
        voxels = sum(one.mvoxel_per_s * one.seconds for one in every)
        notices = tuple(dict.fromkeys([*(notice for one in every for notice in one.notices), *reasons]))
        throughput = voxels / max(seconds, 1e-9)
        return replace(searched[0], seconds=seconds, mvoxel_per_s=throughput, notices=notices, unusable=unusable)


def options_of(settings: Mapping[str, object]) -> Options:
    """Return the options whose fields are given as plain values; what this version does not know is left out.

    Raises
    ------
    ColloidsError
        If a setting is refused by this version.
    """
    from napari_colloids.detection.options import Options

    given = {name: value for name, value in settings.items() if name in settings_of(Options)}
    if isinstance(psf := given.get("psf"), Mapping):
        from napari_colloids.refinement import PSF

        given["psf"] = PSF(**{name: tuple(v) if isinstance(v, list) else v for name, v in psf.items()})  # type: ignore[arg-type]
    return Options(**given)  # type: ignore[arg-type]


def settings_record(options: Options) -> dict[str, object]:
    """Return every field of the options as a plain value."""
    return {one.name: jsonable(getattr(options, one.name)) for one in fields(options)}


def region_record(region: Region) -> dict[str, object]:
    """Return a region as plain values: ``z_range``, ``outlines``, and whether there is a ``mask``."""
    record: dict[str, object] = {}
    if region.z_range is not None:
        record["z_range"] = list(region.z_range)
    if len(region.outlines):
        record["outlines"] = jsonable(list(region.outlines))
    if region.mask is not None:
        record["mask"] = True
    return record


def _short(value: object) -> str:
    """Return a number in few digits; a file may hold something else in its place."""
    return f"{float(value):.4g}" if isinstance(value, Real) else f"{value}"
