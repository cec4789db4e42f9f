"""Detection in a series, volume by volume; it can be stopped at any time and resumed."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import pandas as pd

from napari_colloids import __version__
from napari_colloids.detection.channels import channel_notices
from napari_colloids.detection.course import Course
from napari_colloids.detection.detector import iter_detect, selection
from napari_colloids.detection.estimate import DiameterEstimate
from napari_colloids.detection.inputs import input_stack
from napari_colloids.detection.options import Options
from napari_colloids.detection.record import Record, region_record, settings_record
from napari_colloids.detection.region import Part, Region
from napari_colloids.detection.unusable import Unusable
from napari_colloids.detection.weights import weights_digest
from napari_colloids.errors import ColloidsError, UnusableVolumeError, brief
from napari_colloids.particles import particle_table
from napari_colloids.progress import Progress, result_of
from napari_colloids.settings import takes_settings

if TYPE_CHECKING:
    from os import PathLike
    from typing import Unpack

    from numpy.typing import ArrayLike

    from napari_colloids.detection.options import OptionChanges
    from napari_colloids.stack import Stack

#: Steps of the progress per volume, whatever its number of tiles.
_STEPS_PER_VOLUME = 1000

#: Callback that stores the particles of a volume.
Keep = Callable[[Part, pd.DataFrame], None]


def parts_of(frames: Sequence[int], channels: Sequence[int]) -> list[Part]:
    """Return the volumes in the order in which they are searched and their tables joined: frame by frame."""
    return [Part(frame, channel) for frame in frames for channel in channels]


@takes_settings(Options)
def detect_series(
    stack: Stack | ArrayLike | str | PathLike[str],
    options: Options | None = None,
    /,
    *,
    voxel_size: Sequence[float] | None = None,
    frames: Sequence[int] | None = None,
    channels: Sequence[int] | None = None,
    region: Region | None = None,
    keep: Keep | None = None,
    progress: Callable[[int, int], None] | None = None,
    **changes: Unpack[OptionChanges],
) -> pd.DataFrame:
    """Find the particles of a time series, volume by volume.

    Parameters
    ----------
    stack
        A `Stack`, an array ``(t, z, y, x)`` or ``(t, c, z, y, x)``, or the name of a file.
    options
        The settings; keywords below replace single ones.
    voxel_size
        Micrometres ``(z, y, x)``, in place of that of the stack or file.
    frames
        Which frames; None for all.
    channels
        Which channels; None for the first.
    region
        Where particles are wanted.
    keep
        Called with each volume that is done, as ``(frame, channel)``, and its table, so that an interrupted series is
        not lost.
    progress
        Called with the number of steps done and their total.
    {settings}

    Returns
    -------
    pandas.DataFrame
        As `detect` gives it, with the columns ``frame`` where the stack is a time series and ``channel`` where several
        channels are searched. A diameter that is not given is estimated in the first frame of each channel. Volumes
        that are constant, without finite values, unreadable or never recorded have no rows; `Record.unusable` lists
        them.

    Raises
    ------
    ColloidsError
        If the stack or a setting cannot be used, there is no such frame or channel, or no volume can be searched.

    See Also
    --------
    detect : one volume.
    link : trajectories of the particles.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_colloids as nc
    >>> volume = nc.simulate(shape=(24, 24, 24), volume_fraction=0.3, radius=4, seed=1).stack.data
    >>> series = np.stack([volume, volume])
    >>> found = nc.detect_series(series, diameter=8, voxel_size=(0.2, 0.1, 0.1), method="log")
    >>> sorted(found["frame"].unique().tolist())
    [0, 1]
    """
    settings, region, deprecated = selection(options, dict(changes), region)
    whole = input_stack(stack, voxel_size, series=True)
    if frames is None:
        frames = range(whole.n_frames) if deprecated is None else [deprecated.frame]
    if channels is None:
        channels = [0] if deprecated is None else [deprecated.channel]
    for name, numbers in (("frames", frames), ("channels", channels)):
        if not isinstance(numbers, Iterable):
            raise ColloidsError(f"{name} must be several numbers, as in [{brief(numbers)}].")
    parts = parts_of(frames, channels)
    for part in parts:
        with suppress(UnusableVolumeError):
            whole.volume(*part)  # raises where there is no such volume, before the work
    tables: dict[Part, pd.DataFrame] = {}

    def kept(part: Part, table: pd.DataFrame) -> None:
        tables[part] = table
        if keep is not None:
            keep(part, table)

    result_of(iter_detect_series(whole, settings, parts, kept, region=region), progress)
    return joined([tables[part] for part in parts])


def joined(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Return one table of the volumes of a series; its ``attrs`` are those of `Record.merged`.

    Raises
    ------
    ColloidsError
        If there are none, or no volume could be searched.
    """
    several_channels = any("channel" in table for table in tables)
    record = Record.merged([Record.from_attrs(table.attrs) for table in tables], several_channels=several_channels)
    # Those of volumes that could not be searched have not all columns.
    bare = [table.copy(deep=False) for table in tables if Record.from_attrs(table.attrs).searched]
    for table in bare:
        table.attrs = {}
    whole = pd.concat(bare, ignore_index=True)
    whole.attrs.update(record.to_attrs())
    return whole


def iter_detect_series(
    stack: Stack,
    options: Options,
    parts: Sequence[Part],
    keep: Keep,
    *,
    done: Sequence[Part] = (),
    estimates: dict[int, DiameterEstimate] | None = None,
    region: Region | None = None,
) -> Generator[Progress, None, None]:
    """Detect in the volumes of a series, one after the other; yields a `Progress` after every tile.

    The generator can be closed at any time; to resume, pass the volumes that were kept as `done`.

    Parameters
    ----------
    stack
        The series.
    options
        The settings.
    parts
        The volumes, in order.
    keep
        Called with each volume that is done and its table, as `detect` gives it, with the columns ``frame`` where the
        stack is a time series and ``channel`` where several channels are searched. The table of a volume that cannot be
        searched is empty, and its record says why.
    done
        Volumes to skip.
    estimates
        Known diameters by channel; those estimated here, in the first volume of the channel that can be searched, are
        added.
    region
        Where particles are wanted.

    Raises
    ------
    ColloidsError
        As `detect` does, except that of several volumes those that cannot be searched are left out.
    """
    estimates = {} if estimates is None else estimates
    several_channels = len({part.channel for part in parts}) > 1
    skipped = set(done)
    total = len(parts) * _STEPS_PER_VOLUME
    for number, part in enumerate(parts):
        if part in skipped:
            continue
        label = _label(stack, number, len(parts))
        steps, course = iter_detect(stack, options, region, estimates.get(part.channel), part), Course(options)
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                table = end.value
                break
            except UnusableVolumeError as error:
                if len(parts) == 1:
                    raise
                table = unusable_table(stack, options, region, Unusable(*part, error.reason))
                break
            except ColloidsError as error:
                raise ColloidsError(of_volume(str(error), part, parts)) from error
            done_here = int(_STEPS_PER_VOLUME * course.share(step))
            yield Progress(number * _STEPS_PER_VOLUME + done_here, total, label + step.message)
        record = Record.from_attrs(table.attrs)
        if record.searched and part.channel not in estimates:
            estimates[part.channel] = DiameterEstimate.of_record(record, part.frame)
        keep(part, labelled(table, part, stack, several_channels))
        yield Progress((number + 1) * _STEPS_PER_VOLUME, total, label + "done")


def unusable_table(stack: Stack, options: Options, region: Region | None, volume: Unusable) -> pd.DataFrame:
    """Return the table of a volume that cannot be searched: without rows, with a record that says why.

    Parameters
    ----------
    stack, options, region
        As in `iter_detect_series`.
    volume
        Which one, and why.
    """
    table = particle_table([], radius=[], confidence=[], voxel_size=stack.voxel_size)
    record = Record(
        diameter=math.nan,
        diameter_estimated=not options.gives_diameter,
        diameter_certain=options.gives_diameter,
        negative_certain=False,
        threshold=options.effective_threshold,
        dark=options.dark,
        method=options.method,
        device="cpu",
        seconds=0.0,
        mvoxel_per_s=0.0,
        version=__version__,
        weights_sha256=weights_digest(options.weights),
        settings=settings_record(options),
        region=region_record(region or Region()),
        voxel_size=stack.voxel_size,
        assumed=stack.assumed,
        unusable=(volume,),
    )
    table.attrs.update(record.to_attrs())
    return table


def of_volume(message: str, part: Part, parts: Sequence[Part]) -> str:
    """Return a message with the volume that it is about, where there are several."""
    return message if len(parts) == 1 else f"frame {part.frame}, channel {part.channel}: {message}"


def labelled(table: pd.DataFrame, part: Part, stack: Stack, several_channels: bool) -> pd.DataFrame:
    """Return the table of a volume with the columns ``frame`` and ``channel``, where a series has several."""
    attrs = table.attrs
    if several_channels:
        table.insert(0, "channel", part.channel)
        known = channel_notices(stack, part)  # of the channels that are searched, too
        attrs["notices"] = [notice for notice in attrs.get("notices", ()) if notice not in known]
    if "t" in stack.axes:
        table.insert(0, "frame", part.frame)
    table.attrs = attrs
    return table


def _label(stack: Stack, number: int, total: int) -> str:
    if total == 1:
        return ""
    several = [word for word, count in (("frame", stack.n_frames), ("channel", stack.n_channels)) if count > 1]
    word = several[0] if len(several) == 1 else "volume"
    return f"{word} {number + 1} of {total}, "
