"""``napari-colloids detect``: stacks in, particle tables out."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from napari_colloids.cli.output import check_table_can_be_written, made_folder, progress_bar, summary
from napari_colloids.errors import ColloidsError

if TYPE_CHECKING:
    import pandas as pd

    from napari_colloids.detection import Options
    from napari_colloids.stack import Stack


def detect(
    inputs: Annotated[list[Path], typer.Argument(metavar="INPUT", help="Stacks: TIFF, HDF5, NumPy.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Table (.csv .xyz .h5 .parquet), or a folder for one CSV per input.")
    ],
    diameter: Annotated[
        float | None, typer.Option(metavar="PX", help="Particle diameter in lateral voxels  [default: estimated]")
    ] = None,
    diameter_um: Annotated[
        float | None, typer.Option(metavar="UM", help="Particle diameter in micrometres (needs the voxel size).")
    ] = None,
    voxel_size: Annotated[
        tuple[float, float, float] | None,
        typer.Option(metavar="Z Y X", help="Voxel size in micrometres  [default: from the file]"),
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(metavar="T", help="Least confidence, 0-1  [default: the method's own]")
    ] = None,
    method: Annotated[
        Literal["network", "trackpy", "log"] | None, typer.Option(help="How to look  [default: network]")
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"] | None, typer.Option(help="Where to compute  [default: auto]")
    ] = None,
    index: Annotated[int, typer.Option(metavar="K", help="Which volume of a file that holds several.")] = 0,
    channel: Annotated[int, typer.Option(metavar="C", help="Which channel.")] = 0,
    frames: Annotated[
        str | None, typer.Option(metavar="A:B", help="Frames A to B-1 of a time series  [default: all]")
    ] = None,
    tile: Annotated[
        int | None, typer.Option(metavar="N", help="Advanced: voxels per tile edge  [default: from free memory]")
    ] = None,
    border: Annotated[
        float | None, typer.Option(metavar="PX", help="Advanced: drop centres this near to the stack's edge.")
    ] = None,
    z_range: Annotated[
        tuple[int, int] | None, typer.Option(metavar="A B", help="Advanced: search slices A to B-1 only.")
    ] = None,
) -> int:
    """Find the particles of one or several stacks."""
    from napari_colloids.detection import Options

    given: dict[str, Any] = {
        "diameter": diameter,
        "diameter_um": diameter_um,
        "threshold": threshold,
        "method": method,
        "device": device,
        "tile": tile,
        "border": border,
        "z_range": z_range,
    }
    options = Options(channel=channel, **{name: value for name, value in given.items() if value is not None})
    status = 0
    for source, target in _targets(inputs, output):
        try:
            _detect_file(source, target, options, index=index, frames=frames, voxel_size=voxel_size)
        except ColloidsError as error:
            if len(inputs) == 1:
                raise
            typer.echo(f"Error: {source}: {error}", err=True)
            status = 2
    return status


def _targets(inputs: Sequence[Path], output: Path) -> list[tuple[Path, Path]]:
    """Pair each input with the table to write, once it is certain that all of them can be."""
    for source in inputs:
        if not source.exists():
            raise ColloidsError(f"There is no file '{source}'.")
    into_folder = output.is_dir() or not output.suffix
    if into_folder:
        made_folder(output)
        targets = [output / f"{source.name.removesuffix(source.suffix).removesuffix('.ome')}.csv" for source in inputs]
    elif len(inputs) == 1:
        targets = [output]
    else:
        raise ColloidsError(f"There are {len(inputs)} inputs, so --output must be a folder, not the file {output}.")
    if len(set(targets)) < len(targets):
        raise ColloidsError("Two inputs have the same name and would write the same table; detect them one by one.")
    for target in targets:
        if any(target.resolve() == source.resolve() for source in inputs):
            raise ColloidsError(f"The output {target} is also an input; choose another name.")
        check_table_can_be_written(target)
    return list(zip(inputs, targets, strict=True))


def _detect_file(
    source: Path,
    target: Path,
    options: "Options",
    *,
    index: int,
    frames: str | None,
    voxel_size: tuple[float, float, float] | None,
) -> None:
    from napari_colloids import __version__
    from napari_colloids.io import read_stack, write_particles

    stack = read_stack(source, index=index, voxel_size=voxel_size)
    chosen = _frame_range(frames, stack.n_frames)
    particles, facts = _detect_frames(stack, options, chosen, label=source.name)
    provenance = {
        "program": f"napari-colloids {__version__}",
        "input": source.name,
        "shape": stack.shape,
        "voxel_size": stack.voxel_size,
        "options": asdict(options) | {"index": index, "frames": [chosen.start, chosen.stop]},
        **facts,
    }
    write_particles(target, particles, metadata=provenance)
    for notice in facts["notices"]:
        typer.echo(f"{source.name}: {notice}", err=True)
    if not facts["diameter_certain"]:
        typer.echo(f"{source.name}: to be sure, measure one particle and run again with --diameter PX.", err=True)
    typer.echo(f"{target}: {summary(len(particles), facts)}", err=True)


def _detect_frames(
    stack: "Stack", options: "Options", frames: range, label: str
) -> tuple["pd.DataFrame", dict[str, Any]]:
    """Detect frame after frame; a diameter estimated in the first one serves for all."""
    from dataclasses import replace

    import pandas as pd

    from napari_colloids import detection

    tables: list[pd.DataFrame] = []
    facts: dict[str, Any] = {}
    for frame in frames:
        name = f"{label} frame {frame}" if len(frames) > 1 else label
        with progress_bar(name, unit="tile") as show:
            table = detection.detect(stack, replace(options, frame=frame), progress=show)
        if facts:
            facts["seconds"] += table.attrs["seconds"]
            facts["notices"] += [notice for notice in table.attrs["notices"] if notice not in facts["notices"]]
        else:
            facts = {str(name): value for name, value in table.attrs.items()}
            options = replace(options, diameter=facts["diameter"], diameter_um=None)
        if stack.n_frames > 1:
            table.insert(0, "frame", frame)
        table.attrs = {}
        tables.append(table)
    voxels = len(frames) * stack.shape[0] * stack.shape[1] * stack.shape[2]
    facts["mvoxel_per_s"] = voxels / 1e6 / max(facts["seconds"], 1e-9)
    return pd.concat(tables, ignore_index=True), facts


def _frame_range(text: str | None, n_frames: int) -> range:
    """Read ``A:B`` (either may be left out) or a single frame as a range of frames."""
    if text is None:
        return range(n_frames)
    start, colon, stop = text.partition(":")
    try:
        first = int(start) if start else 0
        last = (int(stop) if stop else n_frames) if colon else first + 1
    except ValueError:
        raise ColloidsError(f"--frames takes A:B with whole numbers, for example 0:10, not '{text}'.") from None
    if not 0 <= first < last <= n_frames:
        raise ColloidsError(f"--frames {text} does not fit: the stack has {n_frames} frame{'s' * (n_frames > 1)}.")
    return range(first, last)
