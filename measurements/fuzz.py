"""Read many damaged files of every format, and count how each ends: only a `ColloidsError` is right beside a result.

python measurements/fuzz.py --count 7000                              (of each format)
python measurements/fuzz.py --count 500 --formats tiff csv --out findings
python measurements/fuzz.py --replay csv:123                          (one damaged file again, with its traceback)

Files are read in processes that may take 3 GB and compute for 10 s a file, and are replaced when they die. Those of
HDF5 and Zarr they have read in a further one, as the program does everywhere: it may compute for a fifth of the time
without a sign of progress. A file follows from the seed, its format and its number alone. Findings are kept with their
files, three of each kind.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path

import psutil
from fuzz_mutations import damaged
from fuzz_seeds import TABLES, WRITERS, Seed, seeds

from napari_colloids import ColloidsError, list_series, read_particles, read_stack
from napari_colloids.io import stacks  # noqa: F401  (before the processes are made)
from napari_colloids.io.isolated import process as isolated
from napari_colloids.volumes import read_box

#: Memory of a process in bytes, and the most files that it reads.
MEMORY, FILES = 3 * 2**30, 3000
#: Times as long as it may compute may a file take: the machine may be busy.
WAITING = 20
#: Findings of one sort that are kept.
KEPT = 3
#: How a file may end.
OUTCOMES = ("clean", "refused", "foreign", "hang", "abort")
TEXT_ENDINGS = {".csv", ".xyz", ".json", ".xlef", ".xlif", ".zattrs", ".zgroup", ".zarray", ""}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="damaged files of each format")
    parser.add_argument("--formats", nargs="+", choices=list(WRITERS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="of computing, after which a file counts as endless"
    )
    parser.add_argument("--out", type=Path, help="folder for the findings")
    parser.add_argument("--replay", metavar="FORMAT:NUMBER")
    given = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="fuzz", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))
    kind, _, number = (given.replay or "").partition(":")
    isolated.COMPUTING_SECONDS = given.seconds / 5
    try:
        made = seeds(scratch, [kind] if kind else given.formats)
        if kind:
            _replay(_Mutant(given.seed, kind, int(number), made), given)
        else:
            _report(_run(made, given, scratch), given.out)
    finally:
        shutil.rmtree(scratch)


@dataclass(frozen=True)
class _Mutant:
    """A damaged input."""

    seed: int
    kind: str
    number: int
    seeds: list[Seed]

    def made(self) -> tuple[Seed, Path, bytes]:
        """Return the whole input, the one of its files that is damaged, and the damaged content."""
        chance = random.Random(f"{self.seed}/{self.kind}/{self.number}")
        of_kind = [seed for seed in self.seeds if seed.kind == self.kind]
        seed = of_kind[self.number % len(of_kind)]
        file = (
            chance.choice([seed.opened] * len(seed.files) + seed.files)
            if seed.opened in seed.files
            else (chance.choice(seed.files))
        )
        content = (seed.folder / file).read_bytes()
        return seed, file, damaged(content, chance, text=file.suffix in TEXT_ENDINGS)


@dataclass
class _Findings:
    """How many files of each kind ended how, and examples of what is wrong."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    examples: dict[tuple[str, str, str], list[tuple[_Mutant, str]]] = field(default_factory=dict)
    slowest: dict[str, float] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, mutant: _Mutant, outcome: str, what: str = "", details: str = "") -> None:
        self.counts[mutant.kind, outcome] += 1
        if outcome not in ("clean", "refused"):
            same = self.examples.setdefault((mutant.kind, outcome, what), [])
            if len(same) < KEPT:
                same.append((mutant, details))


class _Process:
    """A process that reads one file after the other."""

    def __init__(self, made: list[Seed], folder: Path, seconds: float) -> None:
        self._arguments = (made, folder)
        self._seconds = seconds
        self.mutant: _Mutant | None = None
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context("fork")
        self.pipe, inner = context.Pipe()
        self._process = context.Process(target=_serve, args=(inner, *self._arguments), daemon=True)
        self._process.start()
        inner.close()
        self._files = 0

    def give(self, mutant: _Mutant) -> None:
        """Let it read a file."""
        if self._files >= FILES:
            self.stop()
            self._start()
        self._files += 1
        self.mutant, self._since, self._before = mutant, time.monotonic(), 0.0
        self._before = self._computed()
        self.pipe.send((mutant.seed, mutant.kind, mutant.number))

    def take(self, findings: _Findings) -> None:
        """Note how its file ended, if it has, and replace the process if it died or takes too long."""
        if self.mutant is None:
            return
        if self.pipe.poll():
            try:
                outcome, what, details, seconds, memory = self.pipe.recv()
            except (EOFError, ConnectionResetError):
                self._process.join()
                code = self._process.exitcode or 0
                name = signal.Signals(-code).name if code < 0 else f"exit {code}"
                findings.add(self.mutant, "abort", name)
                self._start()
            else:
                kind = self.mutant.kind
                findings.add(self.mutant, outcome, what, details)
                findings.slowest[kind] = max(findings.slowest.get(kind, 0.0), seconds)
                findings.memory[kind] = max(findings.memory.get(kind, 0), memory)
            self.mutant = None
        elif self._computed() > self._seconds or time.monotonic() - self._since > WAITING * self._seconds:
            findings.add(self.mutant, "hang")
            self.stop()
            self._start()
            self.mutant = None

    def _computed(self) -> float:
        """Return the seconds that it and the processes it started have computed since it was given its file."""
        try:
            process = psutil.Process(self._process.pid)
            times = [sum(process.cpu_times()[:4]), *(sum(child.cpu_times()[:2]) for child in process.children())]
        except psutil.NoSuchProcess:
            return 0.0
        return sum(times) - self._before

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.join()
        self.pipe.close()


def _run(made: list[Seed], given: argparse.Namespace, scratch: Path) -> _Findings:
    """Read all damaged files."""
    findings, started = _Findings(), time.monotonic()
    kinds = list(dict.fromkeys(seed.kind for seed in made))
    waiting = (_Mutant(given.seed, kind, number, made) for kind in kinds for number in range(given.count))
    processes = [_Process(made, scratch / f"worker{k}", given.seconds) for k in range(given.workers)]
    left = True
    while left or any(process.mutant for process in processes):
        for process in processes:
            if left and process.mutant is None:
                mutant = next(waiting, None)
                left = mutant is not None
                if mutant is not None:
                    process.give(mutant)
        wait([process.pipe for process in processes if process.mutant], timeout=0.5)
        for process in processes:
            process.take(findings)
    for process in processes:
        process.stop()
    findings.seconds = time.monotonic() - started
    return findings


def _serve(pipe: Connection, made: list[Seed], folder: Path) -> None:
    """Read files whose numbers come through a pipe, and answer how each ended."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    warnings.simplefilter("ignore")
    while True:
        mutant = _Mutant(*pipe.recv(), seeds=made)
        seed, file, content = mutant.made()
        here = folder / seed.folder.name
        if not here.exists():
            shutil.copytree(seed.folder, here)
        (here / file).write_bytes(content)
        started = time.monotonic()
        what = details = ""
        try:
            _read(here / seed.opened, table=seed.kind in TABLES)
            outcome = "clean"
        except ColloidsError as error:
            outcome = "refused"
            if "\n" in str(error):
                outcome, what = "foreign", "a message of several lines"
        except BaseException as error:
            outcome, what, details = "foreign", _sort_of(error), traceback.format_exc()
        seconds = time.monotonic() - started
        used = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        pipe.send((outcome, what, details, seconds, max(used)))
        shutil.copyfile(seed.folder / file, here / file)


def _read(path: Path, *, table: bool) -> None:
    """Read a table, or list and open a stack and read its first slice."""
    if table:
        read_particles(path)
        return
    list_series(path)
    stack = read_stack(path)
    _, height, width = stack.shape
    read_box(stack.volume(), (slice(1), slice(height), slice(width)))


def _read_aloud(path: Path, *, table: bool) -> None:
    try:
        _read(path, table=table)
    except ColloidsError as error:
        print(f"refused: {error}", flush=True)


def _sort_of(error: BaseException) -> str:
    """Return the class of an error, and where in this program it passed last."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "napari_colloids" in frame.filename]
    place = f"{Path(own[-1].filename).name}:{own[-1].lineno}" if own else "?"
    return f"{type(error).__name__} at {place} from {Path(frames[-1].filename).name}"


def _replay(mutant: _Mutant, given: argparse.Namespace) -> None:
    """Read one damaged file in a process of its own, and let it say how it ends."""
    seed, file, content = mutant.made()
    (seed.folder / file).write_bytes(content)
    if given.out is not None:
        shutil.copytree(seed.folder, given.out, dirs_exist_ok=True)
    print(f"{seed.folder.name}, damaged: {file}", flush=True)
    process = multiprocessing.get_context("fork").Process(
        target=_read_aloud, args=(seed.folder / seed.opened,), kwargs={"table": seed.kind in TABLES}
    )
    process.start()
    process.join(WAITING * given.seconds)
    print("endless" if process.exitcode is None else f"ended with {process.exitcode}")
    process.kill()
    process.join()


def _report(findings: _Findings, out: Path | None) -> None:
    """Print the counts and the findings, and keep the files of these."""
    kinds = list(dict.fromkeys(kind for kind, _ in findings.counts))
    print(f"{'format':12}{''.join(f'{name:>9}' for name in OUTCOMES)}{'slowest s':>11}{'peak MB':>9}")
    for kind in kinds:
        counts = "".join(f"{findings.counts[kind, name]:9}" for name in OUTCOMES)
        print(f"{kind:12}{counts}{findings.slowest.get(kind, 0):11.2f}{findings.memory.get(kind, 0) // 1024:9}")
    total = findings.counts.total()
    print(f"{total} files in {findings.seconds:.0f} s ({total / max(findings.seconds, 1e-9):.0f} a second)")
    for (kind, outcome, what), examples in findings.examples.items():
        print(f"{outcome} {kind}: {what} ({', '.join(f'{kind}:{mutant.number}' for mutant, _ in examples)})")
        for mutant, details in examples if out is not None else []:
            seed, file, content = mutant.made()
            folder = out / f"{kind}_{mutant.seed}_{mutant.number}"
            shutil.copytree(seed.folder, folder, dirs_exist_ok=True)
            (folder / file).write_bytes(content)
            (folder / "finding.txt").write_text(f"{outcome}: {what}\nopened: {seed.opened}\n{details}")
    sys.exit(1 if findings.examples else 0)


if __name__ == "__main__":
    main()
