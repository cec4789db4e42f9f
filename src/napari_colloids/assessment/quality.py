"""Quality of an image: what was measured of sample, optics and camera, with a verdict in words on each."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_colloids.assessment.measurement import MIN_PARTICLES, measured, slice_jitter
from napari_colloids.assessment.sample import MIN_SATURATED_FRACTION, Sample
from napari_colloids.detection.inputs import input_stack
from napari_colloids.detection.record import Record
from napari_colloids.detection.region import Part
from napari_colloids.errors import ColloidsError
from napari_colloids.interval import Interval
from napari_colloids.particles import POSITION, positions_of

if TYPE_CHECKING:
    from os import PathLike

    import pandas as pd
    from numpy.typing import ArrayLike

    from napari_colloids.assessment.measurement import Measurement
    from napari_colloids.stack import Stack


#: Bounds of the verdicts: a good value, and one from which it costs particles.
_GOOD_SNR, _POOR_SNR = 4.0, 2.0
_GOOD_CNR, _POOR_CNR = 3.0, 1.5
_GOOD_AXIAL_RADII, _POOR_AXIAL_RADII = 0.7, 1.2
_GOOD_RADIUS_PX, _POOR_RADIUS_PX = 4.0, 3.0
_MUCH_LIGHT_LOST, _UNEVEN, _POLYDISPERSE = 0.5, 0.3, 0.15
#: Shift of neighbouring slices, in diameters, from which they are shaken.
_SHAKEN_DIAMETERS = 0.1
#: Relative standard deviation of the volume fraction from the radius: 1 % of that makes 3 %, and the PSF can hide as
#: much.
_VOLUME_FRACTION_DEVIATION = 0.05


@dataclass(frozen=True)
class ImageQuality:
    """What was measured of an image.

    Attributes
    ----------
    diameter
        Mean diameter in lateral voxels.
    polydispersity, brightness_spread
        Standard deviation of radius and brightness over their means.
    volume_fraction
        Of the particles: `assess` includes those that are missed, `image_quality` counts what was found.
    psf_sigma
        Axial and lateral standard deviation of the point spread function in lateral voxels.
    snr, cnr
        Signal-to-noise and contrast-to-noise ratio of a typical particle, before light is lost with depth, as those of
        `Parameters`.
    background
        Grey level between the particles over that of a typical one, from the darkest level on.
    light_lost
        Fraction of the light lost from the first to the last slice.
    saturated
        Fraction of the voxels at the highest grey level.
    slice_jitter
        Standard deviation of the shift of neighbouring slices in lateral voxels.
    voxel_aspect
        Height of a voxel over its width, as given.

    See Also
    --------
    image_quality, assess : Measure it.

    Examples
    --------
    >>> import napari_colloids as nc
    >>> from napari_colloids.assessment import Interval
    >>> quality = nc.ImageQuality(
    ...     diameter=12.0,
    ...     polydispersity=0.03,
    ...     brightness_spread=0.1,
    ...     volume_fraction=Interval(0.5, 0.45, 0.55),
    ...     psf_sigma=(3.0, 1.3),
    ...     snr=5.0,
    ...     cnr=2.0,
    ...     background=0.2,
    ...     light_lost=0.1,
    ...     saturated=0.0,
    ...     slice_jitter=0.0,
    ...     voxel_aspect=1.0,
    ... )
    >>> quality.verdicts()["CNR"]
    '2.0: low contrast'
    """

    diameter: float
    polydispersity: float
    brightness_spread: float
    volume_fraction: Interval
    psf_sigma: tuple[float, float]
    snr: float
    cnr: float
    background: float
    light_lost: float
    saturated: float
    slice_jitter: float
    voxel_aspect: float

    @classmethod
    def of(cls, measurement: Measurement, sample: Sample, volume_fraction: Interval) -> ImageQuality:
        """Collect what was measured of a sample."""
        first = measurement.in_first_slice()
        return cls(
            diameter=2 * measurement.radius,
            polydispersity=measurement.polydispersity,
            brightness_spread=measurement.brightness_spread,
            volume_fraction=volume_fraction,
            psf_sigma=measurement.psf_sigma,
            snr=first.snr,
            cnr=first.cnr,
            background=measurement.background / measurement.foreground,
            light_lost=1 - float(np.exp(measurement.decay)),
            saturated=sample.saturated,
            slice_jitter=slice_jitter(sample.image),
            voxel_aspect=sample.aspect,
        )

    def verdicts(self) -> dict[str, str]:
        """Return what each measurement means, in words.

        Returns
        -------
        dict of str
            By the name of what was measured, with its unit.
        """
        radius = self.diameter / 2
        axial, lateral = self.psf_sigma
        blur = axial / radius
        return {
            "Diameter": f"{self.diameter:.2f} px: "
            + _graded(radius, _GOOD_RADIUS_PX, _POOR_RADIUS_PX, "large enough", "small", "too few voxels a particle"),
            "Polydispersity": f"{self.polydispersity:.1%}: "
            + ("several sizes" if self.polydispersity > _POLYDISPERSE else "nearly one size"),
            "Volume fraction": f"{self.volume_fraction!r}",
            "Axial blur (PSF sigma)": f"{axial:.2f} px, {blur:.2f} radii: "
            + _graded(
                -blur,
                -_GOOD_AXIAL_RADII,
                -_POOR_AXIAL_RADII,
                "particles on top of each other are told apart",
                "particles on top of each other begin to merge",
                "particles on top of each other merge: expect to miss some",
            ),
            "Lateral blur (PSF sigma)": f"{lateral:.2f} px, {lateral / radius:.2f} radii",
            "SNR": f"{self.snr:.1f}: " + _graded(self.snr, _GOOD_SNR, _POOR_SNR, "good", "noisy", "very noisy"),
            "CNR": f"{self.cnr:.1f}: "
            + _graded(self.cnr, _GOOD_CNR, _POOR_CNR, "good", "low contrast", "poor contrast"),
            "Background": f"{self.background:.0%} of the light of a particle",
            "Light lost with depth": f"{self.light_lost:.0%}"
            + (": bleaching or absorption; the last slices are noisier" if self.light_lost > _MUCH_LIGHT_LOST else ""),
            "Brightness spread": f"{self.brightness_spread:.0%}: "
            + ("the faint ones may be missed" if self.brightness_spread > _UNEVEN else "even"),
            "Saturation": f"{self.saturated:.2%} of the voxels at the highest grey level"
            + (": brighter ones are cut off" if self.saturated > MIN_SATURATED_FRACTION else ""),
            "Slice jitter": f"{self.slice_jitter:.2f} px: " + ("slices are shaken" if self.is_shaken else "steady"),
        }

    @property
    def is_shaken(self) -> bool:
        """Whether slices are shifted against each other by a good part of a particle."""
        return self.slice_jitter > _SHAKEN_DIAMETERS * self.diameter

    def as_dict(self) -> dict[str, object]:
        """Return the measurements by name, the PSF as ``z`` and ``lateral``, and the ``verdicts``."""
        axial, lateral = self.psf_sigma
        return {**asdict(self), "psf_sigma": {"z": axial, "lateral": lateral}, "verdicts": self.verdicts()}


def image_quality(
    stack: Stack | ArrayLike | str | PathLike[str], particles: pd.DataFrame, /, *, frame: int = 0, channel: int = 0
) -> ImageQuality:
    """Measure the quality of an image on the particles that were found in it.

    Optics, noise and sizes are fitted to the middle of the volume, as `assess` does, but nothing is simulated: this
    takes seconds, and what is missed stays unknown.

    Parameters
    ----------
    stack
        What was searched: a `Stack`, an array ``(z, y, x)``, or the name of a file.
    particles
        Table of `detect` or `detect_series`, with its record (``attrs``).
    frame, channel
        Which volume of a time series or of several channels.

    Returns
    -------
    ImageQuality

    Raises
    ------
    ColloidsError
        If the table has no record, only a part of each volume was searched, or the particles are too few or do not fit
        the image.

    See Also
    --------
    assess : Also what was missed, and how far off positions are.

    Examples
    --------
    >>> import napari_colloids as nc
    >>> simulated = nc.simulate(shape=(32, 40, 40), volume_fraction=0.3, radius=4, psf_sigma=(2, 1, 1), seed=1)
    >>> found = nc.detect(simulated.stack, diameter=8, device="cpu")
    >>> quality = nc.image_quality(simulated.stack, found)
    >>> abs(quality.diameter - 8) < 0.4
    True
    >>> quality.verdicts()["Slice jitter"]
    '0.00 px: steady'
    """
    record = Record.from_attrs(particles.attrs)
    if record.region or record.settings.get("border"):
        raise ColloidsError(
            "The quality of an image is measured where all of it was searched: search without a region and a border."
        )
    part = Part(frame, channel)
    opened = input_stack(stack)
    if not record.searched:
        raise ColloidsError(f"Frame {frame} was not searched: there is nothing to measure the quality of the image on.")
    sample = Sample.of(opened, part, record.diameter, dark=record.dark)
    found = _within(sample, _of_part(particles, part))
    if len(found) < MIN_PARTICLES:
        raise ColloidsError(
            f"{len(found)} particles were found in the middle of the image: too few to measure its quality on."
        )
    measurement = measured(sample.stack, found, record.diameter)
    if isinstance(measurement, str):
        raise ColloidsError(f"The quality of the image cannot be measured: {measurement}.")
    volume_fraction = measurement.density * measurement.mean_particle_volume
    if measurement.polydispersity > _POLYDISPERSE:  # a mixture, whose mean the fit of one distribution does not know
        radii = found["radius"].to_numpy(dtype=float)
        mean, spread = float(radii.mean()), float(radii.std())
        measurement = replace(measurement, radius=mean, polydispersity=spread / mean)
        volume_fraction = measurement.density * float(np.mean(4 / 3 * np.pi * radii**3))
    return ImageQuality.of(
        measurement, sample, volume_fraction_interval(volume_fraction, volume_fraction / len(found) ** 0.5)
    )


def volume_fraction_interval(value: float, deviation: float) -> Interval:
    """Return the interval of a volume fraction with this standard deviation, and that of the radius."""
    return Interval.of_normal(value, float(np.hypot(deviation, _VOLUME_FRACTION_DEVIATION * value)))


def _of_part(particles: pd.DataFrame, part: Part) -> pd.DataFrame:
    """Return the particles of a volume."""
    for column, number in zip(("frame", "channel"), part, strict=True):
        if column in particles:
            particles = particles[particles[column] == number]
    return particles


def _within(sample: Sample, particles: pd.DataFrame) -> pd.DataFrame:
    """Return the particles in a sample, in its voxels."""
    positions = positions_of(particles) - np.array(sample.corner)
    inside = np.all((positions >= -0.5) & (positions < np.array(sample.image.shape) - 0.5), axis=1)
    found = particles[inside].copy()
    found[POSITION] = positions[inside]
    return found


def _graded(value: float, good: float, poor: float, *words: str) -> str:
    """Return the first of three words for a good value, the last for a poor one."""
    best, middle, worst = words
    return best if value >= good else worst if value < poor else middle
