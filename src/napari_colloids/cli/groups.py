"""Help of a command, with its options in groups."""

import re
from typing import TYPE_CHECKING

from typer.core import TyperArgument, TyperCommand

from napari_colloids.batch.selection import WHERE
from napari_colloids.detection.options import COMPUTING, WHAT
from napari_colloids.settings import HOW, INPUT
from napari_colloids.simulation.parameters import CAMERA, OPTICS, SAMPLE
from napari_colloids.structure.tcc_settings import CLUSTERS

if TYPE_CHECKING:
    from typer._click import Context, HelpFormatter

OUTPUT = "Output"
#: Heading of what has none.
OTHER = "Options"
#: Headings in the order in which a help lists them.
HEADINGS = (INPUT, WHAT, WHERE, HOW, CLUSTERS, SAMPLE, OPTICS, CAMERA, OUTPUT, COMPUTING, OTHER)
#: Longest help line, in characters, on a wide terminal.
MAX_WIDTH = 100
#: Widest column of option names, in characters; longer names have a line of their own.
_MAX_NAME_WIDTH = 28
#: Space at which no line is wrapped; it is not printed, as not every terminal can show it.
_HARD_SPACE = "\N{NO-BREAK SPACE}"


class GroupedCommand(TyperCommand):
    """A command whose help lists arguments and options under headings (their ``rich_help_panel``), in two columns."""

    def collect_usage_pieces(self, ctx: "Context") -> list[str]:
        """Return the words of the usage line, required ones without brackets, as is usual."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: "Context", formatter: "HelpFormatter") -> None:
        """Write the groups in the order of `HEADINGS`."""
        groups: dict[str, list[tuple[str, str]]] = {heading: [] for heading in HEADINGS}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                name, text = record
                if isinstance(parameter, TyperArgument):  # its type says nothing to users, nor that it is required
                    name, text = parameter.display_name_raw, text.removesuffix("[required]").rstrip()
                groups[getattr(parameter, "rich_help_panel", None) or OTHER].append((name, text))
        width = min(_MAX_NAME_WIDTH, max(len(name) for rows in groups.values() for name, _ in rows))
        for heading, rows in groups.items():
            if rows:
                with formatter.section(heading):
                    formatter.write_dl([(name.ljust(width), _unbroken(text)) for name, text in rows], col_max=width)
        formatter.buffer = [text.replace(_HARD_SPACE, " ") for text in formatter.buffer]


def _unbroken(text: str) -> str:
    """Return a text that is not wrapped within brackets, as in ``[default: 5]``."""
    return re.sub(r"\[.*?\]", lambda found: found[0].replace(" ", _HARD_SPACE), text)
