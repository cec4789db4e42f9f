"""Image stacks: an array, the meaning of its axes, and the voxel size."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from napari_colloids.errors import ColloidsError, UnusableVolumeError, brief
from napari_colloids.formatting import voxel_size_words
from napari_colloids.volumes import Filled, Inverted, read_box

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike, NDArray

    from napari_colloids.volumes import Volume

#: Axes that a stack may have, in their order: time, channel, then space.
AXES = "tczyx"

#: Edges of a voxel ``(z, y, x)`` in micrometres.
VoxelSize = tuple[float, float, float]

#: Largest relative difference of the edges along y and x of voxels that count as laterally square.
_SQUARE_TOLERANCE = 0.02
#: Notice about a masked array.
_MASKED = "Masked voxels count as unknown (NaN)."


def checked_voxel_size(voxel_size: Sequence[float] | None) -> VoxelSize | None:
    """Return the voxel size as a ``(z, y, x)`` tuple of floats, or None where it is unknown.

    Parameters
    ----------
    voxel_size
        Three lengths in micrometres, or None.

    Raises
    ------
    ColloidsError
        If there are not three values or one is not a positive, finite number.
    """
    if voxel_size is None:
        return None
    try:
        z, y, x = (float(length) for length in voxel_size)
    except (TypeError, ValueError):
        z = y = x = math.nan
    if not all(0 < length < math.inf for length in (z, y, x)):
        raise ColloidsError(
            f"The voxel size must be three positive lengths in micrometres (z, y, x), not {brief(voxel_size)}."
        )
    return (z, y, x)


def proportions_of(voxel_size: VoxelSize | None) -> VoxelSize:
    """Return the edges ``(z, y, x)`` of anisotropic voxels over the one along x; ones where they are unknown."""
    if voxel_size is None:
        return (1.0, 1.0, 1.0)
    z, y, x = voxel_size
    return (z / x, y / x, 1.0)


def aspect_of(voxel_size: VoxelSize | None) -> float:
    """Return the axial over the lateral edge of anisotropic voxels; 1 where they are unknown.

    Raises
    ------
    ColloidsError
        If the edges along y and x differ.
    """
    axial, lateral, _ = proportions_of(voxel_size)
    if abs(lateral - 1) > _SQUARE_TOLERANCE:
        raise ColloidsError(
            f"Refinement and residual need voxels that are as long along y as along x; here they are {lateral:.3g} "
            "times as long. Resample the stack, or do without."
        )
    return axial


def checked_frame_interval(frame_interval: float | None) -> float | None:
    """Return the time between frames in seconds as a float, or None where it is unknown.

    Raises
    ------
    ColloidsError
        If it is not a positive, finite number.
    """
    if frame_interval is None:
        return None
    try:
        seconds = float(frame_interval)
    except (TypeError, ValueError):
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ColloidsError(f"The frame interval must be a positive number of seconds, not {brief(frame_interval)}.")
    return seconds


@dataclass(frozen=True, eq=False)
class Stack:
    """A 3D image, or a series of them in time and channel.

    Attributes
    ----------
    data
        Array-like (NumPy, memory map or dask) whose dimensions are those of `axes`.
    axes
        One letter per dimension, out of ``"tczyx"`` and in that order; ``z``, ``y`` and ``x`` are required.
    voxel_size
        Edge lengths of a voxel in micrometres ``(z, y, x)``, or None where they are unknown.
    name
        Name of the stack in layer lists and messages.
    channel_names
        A name per channel, or empty.
    metadata
        Further metadata of the file.
    frame_interval
        Seconds from one frame to the next, or None where they are unknown.
    assumed
        Axes whose edge in `voxel_size` was assumed, as neither the file nor the user says it: letters of ``"zyx"``.
    recorded
        Which slices were recorded: of the shape of the data without y and x. None for all. What the data holds in the
        others is never looked at.
    notices
        What the user has to know of how it was read: what was assumed, chosen among several, or missing.
    index
        Number of the series in the file that it was read from, from 0; None for others.

    Raises
    ------
    ColloidsError
        If the axes do not fit the data, or the data is empty, complex, or not numeric; if voxel size or frame
        interval are not positive, finite numbers; or if `recorded` does not fit the data.

    See Also
    --------
    read_stack : reads one from a file.

    Examples
    --------
    >>> import numpy as np
    >>> import napari_colloids as nc
    >>> stack = nc.Stack(np.zeros((5, 20, 64, 64), np.uint8), "tzyx", voxel_size=(0.2, 0.1, 0.1), frame_interval=2)
    >>> stack
    Stack('stack', t 5 x z 20 x y 64 x x 64, uint8, voxel size 0.2 x 0.1 x 0.1 µm, 2 s per frame)
    >>> stack.volume(frame=4).shape
    (20, 64, 64)
    """

    data: Volume
    axes: str = "zyx"
    voxel_size: VoxelSize | None = None
    name: str = "stack"
    channel_names: tuple[str, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    frame_interval: float | None = None
    assumed: str = ""
    recorded: NDArray[np.bool_] | None = None
    notices: tuple[str, ...] = ()
    index: int | None = None

    def __post_init__(self) -> None:
        if is_masked(self.data):
            object.__setattr__(self, "data", without_mask(self.data))
            object.__setattr__(self, "notices", (*self.notices, _MASKED))
        shape = tuple(int(n) for n in np.shape(self.data))
        order = [AXES.find(letter) for letter in self.axes] if isinstance(self.axes, str) else [-1]
        if -1 in order or order != sorted(set(order)) or not self.axes.endswith("zyx"):
            raise ColloidsError(
                f"Axes {brief(self.axes)} are not understood: use letters of 'tczyx' in that order, ending in 'zyx'."
            )
        if len(shape) != len(self.axes):
            raise ColloidsError(
                f"'{self.name}' has shape {shape}, which does not fit the axes '{self.axes}'. "
                "A 3D stack (z, y, x) is needed; a single 2D image cannot be analysed."
            )
        if 0 in shape:
            raise ColloidsError(f"'{self.name}' is empty: its shape is {shape}.")
        dtype = np.dtype(self.data.dtype)
        if dtype.kind not in "uifb" or dtype.itemsize > 8:
            raise ColloidsError(
                f"'{self.name}' holds values of type {dtype}; integers or real floats of at most 64 bits are needed."
            )
        if self.recorded is not None and np.shape(self.recorded) != shape[:-2]:
            raise ColloidsError(
                f"'{self.name}' has {shape[:-2]} slices, but `recorded` has the shape {np.shape(self.recorded)}."
            )
        object.__setattr__(self, "voxel_size", checked_voxel_size(self.voxel_size))
        object.__setattr__(self, "frame_interval", checked_frame_interval(self.frame_interval))

    def __repr__(self) -> str:
        lengths = " x ".join(f"{letter} {n}" for letter, n in zip(self.axes, np.shape(self.data), strict=True))
        if self.voxel_size is None:
            size = "voxel size unknown"
        else:
            size = f"voxel size {voxel_size_words(self.voxel_size, self.assumed)}"
        interval = "" if self.frame_interval is None else f", {self.frame_interval:g} s per frame"
        return f"Stack('{self.name}', {lengths}, {np.dtype(self.data.dtype)}, {size}{interval})"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one volume ``(z, y, x)`` in voxels."""
        z, y, x = np.shape(self.data)[-3:]
        return int(z), int(y), int(x)

    @property
    def n_frames(self) -> int:
        """Number of time points (1 without a time axis)."""
        return self._length("t")

    @property
    def n_channels(self) -> int:
        """Number of channels (1 without a channel axis)."""
        return self._length("c")

    def volume(self, frame: int = 0, channel: int = 0, *, dark: bool = False) -> Volume:
        """Return one 3D volume ``(z, y, x)`` without reading it into memory.

        Slices that were never recorded are `Filled`.

        Parameters
        ----------
        frame, channel
            Numbers of the frame and of the channel, counted from 0.
        dark
            Whether to return the inverted view of a volume with dark particles, in which they are bright.

        Raises
        ------
        ColloidsError
            If there is no such frame or channel.
        UnusableVolumeError
            If no slice of it was recorded.
        """
        volume, recorded = self.data, self.recorded
        for axis, index, word in (("t", frame, "frame"), ("c", channel, "channel")):
            length = self._length(axis)
            if not _is_whole(index):
                raise ColloidsError(f"{word} must be a whole number, not {brief(index)}.")
            if not 0 <= index < length:
                raise ColloidsError(
                    f"'{self.name}' has {length} {word}{'s' if length > 1 else ''}; there is no {word} {index}."
                )
            if axis in self.axes:
                volume = volume[index]
                recorded = None if recorded is None else recorded[index]
        if recorded is not None and not recorded.all():
            if not recorded.any():
                raise UnusableVolumeError(f"Nothing of frame {frame}, channel {channel} was recorded.", "not recorded")
            volume = Filled.of(volume, recorded)
        return Inverted(volume) if dark else volume

    def plot(self, ax: Axes | None = None, *, frame: int = 0, channel: int = 0, z: int | None = None) -> Axes:
        """Draw a slice in grey levels; its axes are in voxels.

        Parameters
        ----------
        ax
            Axes to draw on; None for those of a new figure.
        frame, channel
            Numbers of the frame and of the channel, counted from 0.
        z
            Number of the slice; None for the middle one.

        Returns
        -------
        matplotlib.axes.Axes
            Those that were drawn on.

        Raises
        ------
        ColloidsError
            If there is no such frame, channel or slice.
        """
        from napari_colloids.plotting import axes_or_new

        volume = self.volume(frame, channel)
        depth, height, width = self.shape
        number = depth // 2 if z is None else z
        if not 0 <= number < depth:
            raise ColloidsError(f"'{self.name}' has {depth} slices; there is no slice {number}.")
        (image,) = read_box(volume, (slice(number, number + 1), slice(height), slice(width)))
        ax = axes_or_new(ax)
        _, y, x = proportions_of(self.voxel_size)
        ax.imshow(image, cmap="gray", aspect=y / x)
        ax.set(xlabel="x (voxels)", ylabel="y (voxels)", title=f"z = {number}")
        return ax

    def with_voxel_size(self, voxel_size: Sequence[float] | None) -> Stack:
        """Return the same stack with another voxel size in micrometres ``(z, y, x)``, which is then not assumed."""
        return replace(self, voxel_size=checked_voxel_size(voxel_size), assumed="")

    def scaled_along_z(self, factor: float) -> Stack:
        r"""Return the same stack with its voxel size along z multiplied by a factor.

        Parameters
        ----------
        factor
            Displacement of the focus over that of the stage. The two differ where immersion and sample have different
            refractive indices :math:`n`; for paraxial rays

            .. math:: \mathrm{factor} = n_\mathrm{sample} / n_\mathrm{immersion}

            With high apertures this is off by several per cent and depends on depth [1]_: measure it with a sample of
            known height.

        Raises
        ------
        ColloidsError
            If the factor is not positive or the voxel size is unknown.

        References
        ----------
        .. [1] Hell et al., J. Microsc. 169, 391 (1993).
        """
        if not 0 < factor < float("inf"):
            raise ColloidsError(f"The correction along z must be a positive factor, not {factor:g}.")
        if self.voxel_size is None:
            raise ColloidsError(f"'{self.name}' has no voxel size that could be corrected along z: give one.")
        z, y, x = self.voxel_size
        return replace(self, voxel_size=(z * factor, y, x))

    def _length(self, axis: str) -> int:
        return int(np.shape(self.data)[self.axes.index(axis)]) if axis in self.axes else 1


def as_stack(data: Stack | ArrayLike, axes: str = "zyx") -> Stack:
    """Wrap an array in a `Stack`; a `Stack` is passed through.

    Parameters
    ----------
    data
        A `Stack`, or an array (NumPy, memory map or dask).
    axes
        Meaning of the dimensions of an array.

    Raises
    ------
    ColloidsError
        If the array is not a non-empty array of real numbers with these axes.
    """
    if isinstance(data, Stack):
        return data
    return Stack(cast("Volume", data if hasattr(data, "dtype") else np.asanyarray(data)), axes)


def is_masked(data: Volume) -> bool:
    """Return whether an array (NumPy or dask) has masked voxels; one that is read later may have."""
    return np.ma.is_masked(data) or isinstance(getattr(data, "_meta", None), np.ma.MaskedArray)


def without_mask(data: Volume) -> Volume:
    """Return a masked array (NumPy or dask) as floats, with NaN in place of masked voxels."""
    if isinstance(data, np.ma.MaskedArray):
        return _filled(data)
    kind = _float_of(data.dtype)
    return cast("Volume", cast("Any", data).map_blocks(_filled, dtype=kind, meta=np.empty(0, kind)))


def _filled(part: NDArray[np.generic]) -> NDArray[np.generic]:
    return np.ma.filled(part.astype(_float_of(part.dtype)), np.nan)


def _float_of(dtype: np.dtype[np.generic]) -> np.dtype[np.generic]:
    """Return the float type that holds grey levels of a type."""
    return np.result_type(dtype, np.float32)


def _is_whole(number: object) -> bool:
    return isinstance(number, Integral)
