"""``napari-colloids benchmark``: the network beside tuned trackpy and LoG, on volumes that no training has seen."""

from pathlib import Path
from typing import Annotated

import typer

from napari_colloids.cli.output import made_folder, progress_bar
from napari_colloids.errors import ColloidsError


def benchmark(
    suites: Annotated[list[str] | None, typer.Argument(metavar="[SUITE]...", help="Which suites; all if none.")] = None,
    output: Annotated[
        Path, typer.Option(metavar="FOLDER", help="For benchmark.json, benchmark.md and a picture of each suite.")
    ] = Path("benchmark"),
    volumes: Annotated[int, typer.Option(metavar="N", min=1, help="Volumes per point.")] = 2,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Seed of the first volume.")] = 731_000_000,
    methods: Annotated[
        str, typer.Option(metavar="A,B", help="network, trackpy, log; 'estimated': the network not told the diameter.")
    ] = "network,trackpy,log",
    tune: Annotated[bool, typer.Option(help="Tune the rivals on other volumes of each suite first.")] = True,
    metadata: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Table of the challenge for its two suites; else built-in rows.")
    ] = None,
) -> None:
    """Measure accuracy and speed on simulated volumes, side by side with trackpy and LoG."""
    from napari_colloids import benchmark as core
    from napari_colloids.benchmark import plots, report
    from napari_colloids.io import replacing

    names = suites or list(core.SUITES)
    unknown = set(names) - set(core.SUITES)
    if unknown:
        raise ColloidsError(
            f"There is no suite {', '.join(sorted(unknown))}; the suites are: {', '.join(core.SUITES)}."
        )
    chosen = _methods(methods)
    made_folder(output)
    results = []
    for name in names:
        with progress_bar(name, unit="volume") as show:
            results.append(
                core.run(name, methods=chosen, volumes=volumes, seed=seed, metadata=metadata, tune=tune, progress=show)
            )
        # After every suite: what is done is not lost when the next one is stopped.
        with replacing(output / "benchmark.json") as path:
            path.write_text(report.as_json(results), encoding="utf-8")
        with replacing(output / "benchmark.md") as path:
            path.write_text(report.as_markdown(results), encoding="utf-8")
        with replacing(output / f"{name}.png") as path:
            plots.draw(results[-1]).savefig(path, dpi=110, format="png")
        typer.echo(report.as_markdown(results[-1:]))


def _methods(text: str) -> list[str]:
    from napari_colloids.benchmark.run import METHODS

    known = {"network": METHODS[0], "trackpy": METHODS[1], "log": METHODS[2], "estimated": METHODS[3]}
    words = [word.strip() for word in text.split(",") if word.strip()]
    wrong = [word for word in words if word not in known]
    if wrong or not words:
        raise ColloidsError(f"There is no method '{', '.join(wrong)}'; the methods are: {', '.join(known)}.")
    return [known[word] for word in dict.fromkeys(words)]
