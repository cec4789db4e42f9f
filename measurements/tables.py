"""Write the tables by scene of docs/benchmarks.md anew: python measurements/tables.py DOCUMENT BENCHMARK.JSON ...

A section's title is its suite, a row's first cell its scene. Reference methods that did not run keep their figures; a
scene that is not in the files stays as it is, and is named.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import pandas as pd

from napari_colloids.benchmark.formatting import table_row
from napari_colloids.benchmark.report import COLUMNS, FIRST_METHOD_COLUMNS

#: Columns of the reference methods in such a table, and number of its columns.
_REFERENCE_COLUMNS = {2: "trackpy", 3: "log"}
_N_COLUMNS = 7


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("document", type=Path)
    parser.add_argument("files", type=Path, nargs="+", help="benchmark.json of 'napari-colloids benchmark'")
    given = parser.parse_args()
    means = _means(given.files)
    lines = given.document.read_text(encoding="utf-8").splitlines()
    suite = ""
    for number, line in enumerate(lines):
        if title := re.match(r"#+ ([\w-]+)", line):
            suite = title[1]
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and len(cells) == _N_COLUMNS and suite in means:
            if cells[0] in means[suite]:
                lines[number] = _row(cells, means[suite][cells[0]])
            elif not lines[number + 1].startswith("|---"):
                print(f"{suite}: {cells[0]} was not measured")
    given.document.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _means(files: list[Path]) -> dict[str, dict[str, pd.DataFrame]]:
    """Return the mean figures per method by suite and scene."""
    suites = {}
    for path in files:
        for name, suite in json.loads(path.read_text(encoding="utf-8"))["suites"].items():
            volumes = pd.DataFrame(suite["volumes"])
            suites[name] = {
                str(scene): part.groupby("method").mean(numeric_only=True) for scene, part in volumes.groupby("point")
            }
    return suites


def _row(cells: list[str], means: pd.DataFrame) -> str:
    """Return a row with the figures that are known."""
    own = means.loc["network"]
    cells = [cells[0], COLUMNS["F1"](own), *cells[2:4], *(COLUMNS[name](own) for name in FIRST_METHOD_COLUMNS)]
    for column, method in _REFERENCE_COLUMNS.items():
        if method in means.index:
            cells[column] = COLUMNS["F1"](means.loc[method])
    return table_row(cells)


if __name__ == "__main__":
    main()
