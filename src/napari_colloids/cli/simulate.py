"""``napari-colloids simulate``: stacks with their true particles, in the challenge's file layouts."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from napari_colloids.cli.output import made_folder, progress_bar
from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    from napari_colloids.simulation import Parameters, Simulation

_Three = tuple[float, float, float]


def simulate(
    output: Annotated[
        Path, typer.Argument(metavar="OUT.h5", help="File to write (website layout: a folder, or a file).")
    ],
    count: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Number of volumes  [default: 1, or one per metadata row]")
    ] = None,
    shape: Annotated[tuple[int, int, int] | None, typer.Option(metavar="Z Y X", help="Shape in voxels.")] = None,
    volume_fraction: Annotated[
        float | None, typer.Option(metavar="PHI", help="Volume fraction, 0-0.6 (gels, strings: to 0.3).")
    ] = None,
    radius: Annotated[float | None, typer.Option(metavar="PX", help="Particle radius in lateral voxels.")] = None,
    snr: Annotated[float | None, typer.Option(metavar="S", help="Signal-to-noise ratio before clipping.")] = None,
    cnr: Annotated[float | None, typer.Option(metavar="C", help="Contrast-to-noise ratio before clipping.")] = None,
    polydispersity: Annotated[
        float | None, typer.Option(metavar="P", help="Standard deviation / mean of the radii; crystals take less.")
    ] = None,
    size_ratio: Annotated[
        float | None, typer.Option(metavar="Q", help="Large / small radius of a binary mixture, half of each.")
    ] = None,
    psf_sigma: Annotated[_Three | None, typer.Option(metavar="Z Y X", help="Sigmas of the blur in voxels.")] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="S", help="Seed of the first volume; the next ones have S+1, S+2, ...")
    ] = None,
    arrangement: Annotated[
        Literal["random", "crystal", "gel", "strings"] | None, typer.Option(help="How the particles lie.")
    ] = None,
    shell: Annotated[float | None, typer.Option(metavar="R", help="Dark core's radius / particle radius.")] = None,
    brightness: Annotated[float | None, typer.Option(metavar="B", help="Grey level of the particles, 0-255.")] = None,
    brightness_spread: Annotated[
        float | None, typer.Option(metavar="CV", help="Standard deviation / mean of the particles' brightness.")
    ] = None,
    photon_noise: Annotated[
        float | None, typer.Option(metavar="F", help="Fraction of the noise variance that is photon noise.")
    ] = None,
    psf_tail: Annotated[
        float | None, typer.Option(metavar="F", help="Fraction of the light in a halo of twice the width.")
    ] = None,
    psf_skew: Annotated[
        float | None, typer.Option(metavar="S", help="Shift of the halo along z in axial sigmas: spherical aberration.")
    ] = None,
    psf_tilt: Annotated[
        tuple[float, float] | None, typer.Option(metavar="Y X", help="Lean of the blur, voxels per slice.")
    ] = None,
    shading: Annotated[float | None, typer.Option(metavar="F", help="Strength of uneven illumination, 0-1.")] = None,
    depth_loss: Annotated[
        float | None, typer.Option(metavar="F", help="Fraction of the light lost at the last slice.")
    ] = None,
    bits: Annotated[int | None, typer.Option(metavar="8|16", help="Bits per voxel.")] = None,
    voxel_aspect: Annotated[float | None, typer.Option(metavar="A", help="Axial / lateral voxel size.")] = None,
    voxel_size: Annotated[float | None, typer.Option(metavar="UM", help="Lateral voxel size in micrometres.")] = None,
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Start from: dense, dilute, polydisperse, 'nano, low light'.")
    ] = None,
    metadata: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Take the parameters from a metadata table of the challenge.")
    ] = None,
    layout: Annotated[
        Literal["challenge", "website"], typer.Option(help="One HDF5 file with everything, or the website's files.")
    ] = "challenge",
) -> None:
    """Simulate stacks of colloids whose true positions are known."""
    from napari_colloids import io

    given = {
        "shape": shape,
        "volume_fraction": volume_fraction,
        "radius": radius,
        "snr": snr,
        "cnr": cnr,
        "polydispersity": polydispersity,
        "size_ratio": size_ratio,
        "psf_sigma": psf_sigma,
        "arrangement": arrangement,
        "shell": shell,
        "brightness": brightness,
        "brightness_spread": brightness_spread,
        "photon_noise": photon_noise,
        "psf_tail": psf_tail,
        "psf_skew": psf_skew,
        "psf_tilt": psf_tilt,
        "shading": shading,
        "depth_loss": depth_loss,
        "bits": bits,
        "voxel_aspect": voxel_aspect,
        "voxel_size": voxel_size,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    parameters = _parameters(preset, metadata, changes, count, seed)
    made: list[tuple[float, float]] = []
    if layout == "website":
        if not output.suffix:
            made_folder(output)
        io.write_challenge_website(output, _volumes(parameters, made))
    else:
        io.write_challenge(output, _volumes(parameters, made))
    fractions, spreads = (_span(values) for values in zip(*made, strict=True))
    number = f"{len(parameters)} volume{'s' * (len(parameters) > 1)}"
    typer.echo(f"{output}: {number}, volume fraction {fractions}, polydispersity {spreads}", err=True)


def _parameters(
    preset: str | None, metadata: Path | None, changes: dict[str, Any], count: int | None, seed: int | None
) -> list["Parameters"]:
    """Return the parameters of every volume; the rows of a metadata table are used again when there are too few."""
    from napari_colloids import simulation

    if preset is not None and metadata is not None:
        raise ColloidsError("Give either --preset or --metadata, not both.")
    if metadata is not None:
        rows = simulation.challenge_parameters(metadata)
    elif preset is not None:
        if preset not in simulation.PRESETS:
            raise ColloidsError(f"There is no preset '{preset}'; the presets are: {', '.join(simulation.PRESETS)}.")
        rows = [simulation.PRESETS[preset]]
    else:
        rows = [simulation.Parameters()]
    return [
        replace(rows[number % len(rows)], **changes, seed=_seed_of(number, rows, seed))
        for number in range(len(rows) if count is None else count)
    ]


def _seed_of(number: int, rows: list["Parameters"], seed: int | None) -> int | None:
    """Return a seed that no other volume has: also where the same row is used again."""
    if seed is not None:
        return seed + number
    row = rows[number % len(rows)]
    return None if row.seed is None else row.seed + number - number % len(rows)


def _span(values: tuple[float, ...]) -> str:
    """Say between which values all lie."""
    return "-".join(dict.fromkeys(f"{value:.3f}" for value in (min(values), max(values))))


def _volumes(parameters: list["Parameters"], made: list[tuple[float, float]]) -> Iterator["Simulation"]:
    """Yield the volumes, and note the volume fraction and polydispersity that each came to."""
    from napari_colloids import simulation

    with progress_bar("simulate", unit="volume") as show:
        for number, row in enumerate(parameters):
            show(number, len(parameters))
            volume = simulation.simulate(row)
            made.append((volume.volume_fraction, volume.polydispersity))
            yield volume
