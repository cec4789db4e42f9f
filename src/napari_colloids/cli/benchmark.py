"""``napari-colloids benchmark``: the network beside tuned trackpy and LoG, on volumes that no training has seen."""

from pathlib import Path
from typing import Annotated

import typer

from napari_colloids.cli.output import made_folder, progress_bar
from napari_colloids.errors import ColloidsError


def benchmark(
    suites: Annotated[
        list[str] | None, typer.Argument(metavar="[SUITE]...", help="Which suites, or 'refinement'; all if none.")
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            metavar="FOLDER", help="For benchmark.json, benchmark.md and a picture of each suite; refinement.json, .md."
        ),
    ] = Path("benchmark"),
    volumes: Annotated[int, typer.Option(metavar="N", min=1, help="Volumes per point.")] = 2,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Seed of the first volume.")] = 731_000_000,
    methods: Annotated[
        str,
        typer.Option(
            metavar="A,B",
            help="network, trackpy, log; 'estimated': the network without the diameter; 'refined': fitted.",
        ),
    ] = "network,trackpy,log",
    weights: Annotated[
        str | None, typer.Option(metavar="FILE", help="Weights that 'train' made, instead of the bundled ones.")
    ] = None,
    tune: Annotated[bool, typer.Option(help="Tune the reference methods on other volumes of each suite first.")] = True,
    metadata: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Table of the challenge for its two suites; else built-in rows.")
    ] = None,
) -> None:
    """Measure accuracy and speed on simulated volumes, side by side with trackpy and LoG."""
    from napari_colloids import benchmark as core
    from napari_colloids.benchmark import plots, refinement, report
    from napari_colloids.benchmark.suites import suite
    from napari_colloids.detection.weights import network_of
    from napari_colloids.io import atomic_write

    known = [*core.SUITES, refinement.NAME]
    names = suites or known
    unknown = set(names) - set(known)
    if unknown:
        raise ColloidsError(f"There is no suite {', '.join(sorted(unknown))}; the suites are: {', '.join(known)}.")
    chosen = _methods(methods)
    if weights is not None:
        network_of(weights)  # refused at once, and not after the reference methods were tuned
    for name in set(names) - {refinement.NAME}:
        suite(name, metadata)
    made_folder(output)
    results = []
    for name in names:
        if name == refinement.NAME:
            _refinement(output, volumes, seed, weights, tune=tune)
            continue
        with progress_bar(name, unit="volume") as show:
            result = core.run(
                name,
                methods=chosen,
                volumes=volumes,
                seed=seed,
                metadata=metadata,
                weights=weights,
                tune=tune,
                progress=show,
            )
        results.append(result)
        # After every suite: what is done is not lost when the next one is stopped.
        with atomic_write(output / "benchmark.json") as path:
            path.write_text(report.as_json(results), encoding="utf-8")
        with atomic_write(output / "benchmark.md") as path:
            path.write_text(report.as_markdown(results), encoding="utf-8")
        with atomic_write(output / f"{name}.png") as path:
            plots.draw(result).savefig(path, dpi=110, format="png")
        typer.echo(report.as_markdown([result]))


def _refinement(output: Path, volumes: int, seed: int, weights: str | None, *, tune: bool) -> None:
    """Measure errors against the Cramer-Rao bound: always the network, refined and not, and trackpy."""
    from napari_colloids.benchmark import refinement, refinement_report
    from napari_colloids.io import atomic_write

    with progress_bar(refinement.NAME, unit="volume") as show:
        result = refinement.run(volumes=volumes, seed=seed, weights=weights, tune=tune, progress=show)
    text = refinement_report.as_markdown(result)
    with atomic_write(output / f"{refinement.NAME}.json") as path:
        path.write_text(refinement_report.as_json(result), encoding="utf-8")
    with atomic_write(output / f"{refinement.NAME}.md") as path:
        path.write_text(text, encoding="utf-8")
    typer.echo(text)


def _methods(text: str) -> list[str]:
    from napari_colloids.benchmark import METHODS

    words = [word.strip() for word in text.split(",") if word.strip()]
    wrong = [word for word in words if word not in METHODS]
    if wrong or not words:
        raise ColloidsError(f"There is no method '{', '.join(wrong)}'; the methods are: {', '.join(METHODS)}.")
    return list(dict.fromkeys(words))
