"""Label images of particles: every particle a ball of voxels with its number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.io.atomic import atomic_write
from napari_colloids.io.files import AnyPath, ending
from napari_colloids.particles import check_one_volume, check_particles, implied_voxel_size, positions_of
from napari_colloids.settings import check_value
from napari_colloids.stack import checked_voxel_size, proportions_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from napari_colloids.stack import VoxelSize

#: Voxels that are computed at once.
_SLAB_VOXELS = 1 << 24
#: Size in bytes above which a file of ImageJ cannot be read by others.
_MAX_IMAGEJ_BYTES = 2**32 - 2**25
_ENDINGS = (".tif", ".tiff")


def label_image(
    particles: pd.DataFrame,
    shape: Sequence[int],
    *,
    voxel_size: Sequence[float] | None = None,
    diameter: float | None = None,
) -> NDArray[np.unsignedinteger]:
    """Return the image of the particles of one volume in which every voxel has the number of its particle.

    Each particle is a ball of its radius. A voxel in several goes to the one whose centre is nearest in units of its
    radius, so that every centre has its own number.

    Parameters
    ----------
    particles
        Particle table of one frame, with positions in voxels and radii in lateral voxels.
    shape
        Of the image in voxels: z, y, x.
    voxel_size
        Micrometres ``(z, y, x)``, of which the proportions count. None: as the table implies, else cubic voxels.
    diameter
        Diameter in lateral voxels, where the table has no radius.

    Returns
    -------
    numpy.ndarray
        Of the given shape; 0 where there is no particle, else the number of the row, from 1. 16 bits, or 32 where
        there are more than 65535 particles.

    Raises
    ------
    ColloidsError
        If the table has no radii and no diameter is given, or holds several frames.

    See Also
    --------
    write_labels : Writes the image as a TIFF file.

    Examples
    --------
    >>> from napari_colloids import label_image, particle_table
    >>> label_image(particle_table([[0, 0, 1], [0, 0, 5]], radius=[1, 1.5]), (1, 1, 8)).tolist()
    [[[1, 1, 1, 0, 2, 2, 2, 0]]]
    """
    balls = _Balls(particles, shape, voxel_size, diameter)
    image = np.zeros(balls.shape, balls.dtype)
    for start, slab in balls.slabs():
        image[start : start + len(slab)] = slab
    return image


def write_labels(
    path: AnyPath,
    particles: pd.DataFrame,
    shape: Sequence[int],
    *,
    voxel_size: Sequence[float] | None = None,
    diameter: float | None = None,
) -> None:
    """Write the label image of particles as a TIFF file, a few slices at a time.

    Parameters
    ----------
    path
        File to write, which ends in .tif or .tiff. It is one of ImageJ, with the voxel size; of OME where ImageJ has no
        such numbers (more than 65535 particles in a frame) or no such large files.
    particles
        Particle table. A time series, with a column ``frame``, becomes one of volumes from frame 0 to the last; the
        particles of each are numbered from 1 in their order.
    shape, voxel_size, diameter
        As in `label_image`.

    Raises
    ------
    ColloidsError
        As `label_image`, or if the file cannot be written.

    See Also
    --------
    label_image : Returns the image.

    Examples
    --------
    >>> from napari_colloids import particle_table, read_stack, write_labels
    >>> write_labels("labels.tif", particle_table([[4, 8, 8]], radius=3, voxel_size=(0.2, 0.1, 0.1)), (9, 16, 16))
    >>> stack = read_stack("labels.tif")
    >>> stack.shape, stack.voxel_size
    ((9, 16, 16), (0.2, 0.1, 0.1))
    """
    import tifffile

    if ending(path) not in _ENDINGS:
        raise ColloidsError(f"'{path}' has no known ending; label images are written to {', '.join(_ENDINGS)} files.")
    table = check_particles(particles)
    size = checked_voxel_size(voxel_size) or implied_voxel_size(table)
    frames = _frames(table)
    volumes = [_Balls(one, shape, size, diameter) for one in frames]
    dtype = np.result_type(*(one.dtype for one in volumes))
    extent = (len(volumes), *volumes[0].shape) if len(volumes) > 1 else volumes[0].shape
    n_bytes = int(np.prod(extent, dtype=object)) * dtype.itemsize
    axes = "TZYX" if len(volumes) > 1 else "ZYX"
    metadata: dict[str, object] = {"axes": axes}
    is_imagej = dtype == np.uint16 and n_bytes < _MAX_IMAGEJ_BYTES
    resolution = None if size is None else (1 / size[2], 1 / size[1])
    if size is not None and is_imagej:
        metadata |= {"spacing": size[0], "unit": "um"}
    elif size is not None:
        for axis, length in zip("ZYX", size, strict=True):
            metadata |= {f"PhysicalSize{axis}": length, f"PhysicalSize{axis}Unit": "µm"}

    def slices() -> Iterator[NDArray[np.unsignedinteger]]:
        for one in volumes:
            for _, slab in one.slabs():
                yield from slab.astype(dtype, copy=False)

    with atomic_write(path) as temporary:
        tifffile.imwrite(
            temporary,
            slices(),
            shape=extent,
            dtype=dtype,
            imagej=is_imagej,
            ome=not is_imagej,
            bigtiff=n_bytes >= _MAX_IMAGEJ_BYTES,
            resolution=resolution,
            metadata=metadata,
        )


def _frames(particles: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the particles of each frame from 0 to the last, or all where there is only one."""
    if "frame" not in particles or particles["frame"].nunique() < 2:
        return [particles]
    numbers = particles["frame"].to_numpy()
    last = int(numbers.max())
    if numbers.min() < 0 or last >= len(particles) + 1000:  # a file of nothing but empty volumes
        raise ColloidsError(f"The frames {numbers.min()} to {last} make no series of volumes.")
    return [particles[numbers == frame] for frame in range(last + 1)]


class _Balls:
    """The particles of one volume as balls, in lateral voxels."""

    def __init__(
        self,
        particles: pd.DataFrame,
        shape: Sequence[int],
        voxel_size: Sequence[float] | None,
        diameter: float | None,
    ) -> None:
        check_value("shape", shape, tuple[int, int, int], low=1)
        check_value("diameter", diameter, float | None, low=0)
        table = check_particles(particles)
        check_one_volume(table)
        size: VoxelSize | None = checked_voxel_size(voxel_size) or implied_voxel_size(table)
        z, y, x = (int(n) for n in shape)
        self.shape = (z, y, x)
        self.dtype = np.dtype(np.uint16 if len(table) < 2**16 else np.uint32)
        self._edges = np.array(proportions_of(size))
        self._centres = positions_of(table)
        self._radii = _radii(table, diameter)

    def slabs(self) -> Iterator[tuple[int, NDArray[np.unsignedinteger]]]:
        """Yield the first slice and the labels of one part after the other along z."""
        depth = max(1, _SLAB_VOXELS // (self.shape[1] * self.shape[2]))
        reach = self._radii[:, None] / self._edges
        # The voxel nearest to the centre has the number of even the smallest particle.
        nearest = np.rint(self._centres)
        low = np.minimum(np.ceil(self._centres - reach), nearest)
        high = np.maximum(np.floor(self._centres + reach), nearest) + 1
        low, high = (np.clip(ends, 0, self.shape).astype(int) for ends in (low, high))
        inside = (low < high).all(axis=1)
        for start in range(0, self.shape[0], depth):
            stop = min(start + depth, self.shape[0])
            labels = np.zeros((stop - start, *self.shape[1:]), self.dtype)
            closest = np.full(labels.shape, np.inf, np.float32)
            numbers = np.flatnonzero(inside & (low[:, 0] < stop) & (high[:, 0] > start))
            for number, (z0, y0, x0), (z1, y1, x1) in zip(
                numbers.tolist(), low[numbers].tolist(), high[numbers].tolist(), strict=True
            ):
                first, last = max(z0, start), min(z1, stop)
                relative = self._relative_distance(number, (first, y0, x0), (last, y1, x1))
                part = (slice(first - start, last - start), slice(y0, y1), slice(x0, x1))
                mine = (relative <= 1) & (relative < closest[part])
                labels[part][mine] = number + 1
                closest[part][mine] = relative[mine]
            yield start, labels

    def _relative_distance(
        self, number: int, low: tuple[int, int, int], high: tuple[int, int, int]
    ) -> NDArray[np.float32]:
        """Return the distance of the voxels of a box from the centre of a particle, in units of its radius."""
        centre = self._centres[number].tolist()
        z, y, x = (
            ((np.arange(first, last) - middle) * edge) ** 2
            for first, last, middle, edge in zip(low, high, centre, self._edges, strict=True)
        )
        squared = z[:, None, None] + y[:, None] + x
        relative: NDArray[np.float32] = (np.sqrt(squared) / self._radii[number]).astype(np.float32)
        voxel = tuple(round(middle) - first for middle, first in zip(centre, low, strict=True))
        if all(0 <= place < length for place, length in zip(voxel, relative.shape, strict=True)):
            relative[voxel] = 0
        return relative


def _radii(table: pd.DataFrame, diameter: float | None) -> NDArray[np.float64]:
    """Return the radii in lateral voxels.

    Raises
    ------
    ColloidsError
        If one is unknown, or no positive number.
    """
    if "radius" not in table and diameter is None:
        raise ColloidsError("The particles have no column 'radius'; give their diameter in lateral voxels.")
    given = table["radius"] if "radius" in table else np.full(len(table), float(diameter or 0) / 2)
    radii = np.asarray(given, dtype=float)
    if diameter is not None:
        radii = np.where(np.isfinite(radii), radii, diameter / 2)
    if not (np.isfinite(radii) & (radii > 0)).all():
        raise ColloidsError("Some radii are unknown or not positive; drop those particles, or give a diameter.")
    return radii
