"""Report of an assessment: one HTML page with its pictures in it, for the supplement of a paper."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from napari_colloids import __version__
from napari_colloids.assessment.pictures import draw_slices
from napari_colloids.formatting import voxel_words

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from napari_colloids.assessment.result import Assessment

#: Resolution of the pictures.
_DOTS_PER_INCH = 110
_PLOT_INCHES = (5.0, 3.5)
_STYLE = """
body { font-family: sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; line-height: 1.4; color: #222; }
table { border-collapse: collapse; margin: 1em 0; }
th, td { text-align: left; padding: .2em 1em .2em 0; border-bottom: 1px solid #ddd; vertical-align: top; }
img { max-width: 100%; } .refused { color: #a00; }
"""
_METHOD = """
Optics (point spread function), noise, brightness, background, sizes and density were measured on the middle of the
stack. {twins} stacks were simulated with them, searched with the same settings and scored against their known
positions. Density and spreads of brightness and size were corrected for what is missed, by comparing the measurement on
simulated stacks with that on the stack. The intervals (95 %) include the scatter between the simulated stacks, the
number of particles, and how far predictions were off for stacks of an independent simulator.
"""
_AS_FOUND = """
A random packing of one distribution of sizes does not describe the particles: in the simulated stacks they have the
places and sizes of those that were found, moved by a tenth of a radius. What was missed is not where it was, so that
the intervals are wider.
"""
_LIMITS = """
A simulated stack cannot show what its model does not have: particles that are no spheres, several kinds of them, an
uneven PSF, drift. The comparison below refuses a prediction where image, neighbours or confidences differ; what differs
in none of these is not seen. A wrong voxel size that distorts spheres by less than about a fifth may pass. Positions
share errors of the optical model, e.g. a constant shift, that no comparison shows.
"""


def report(assessment: Assessment, title: str) -> str:
    """Return a self-contained HTML page.

    Parameters
    ----------
    assessment
        What `assess` returned.
    title
        Of the page: the name of the stack.
    """
    parts = [
        f"<h1>{escape(title)}</h1>",
        *_prediction(assessment),
        "<h2>What was found</h2>",
        _picture(
            draw_slices(assessment),
            "Middle slices of the part assessed, with the particles found, and of a twin, with its true ones.",
        ),
    ]
    if assessment.quality is not None:
        parts += ["<h2>The image</h2>", _table(["", "measured"], assessment.quality.verdicts().items())]
    if assessment.describes:
        parts += ["<h2>Threshold</h2>", _picture(_threshold_plot(assessment), _threshold_words(assessment))]
    parts += _checked(assessment)
    parts += ["<h2>How it was got</h2>", f"<p>{escape(_METHOD.format(twins=assessment.n_twins))}</p>"]
    if assessment.arranged_as_found:
        parts.append(f"<p>{escape(_AS_FOUND)}</p>")
    if len(assessment.comparison):
        rows = [
            (str(name), f"{row['sample']:.3f}", f"{row['twins']:.3f}", f"{row['difference']:.2f}")
            for name, row in assessment.comparison.iterrows()
        ]
        header = ["compared", "stack", "simulated", "difference (1 is too much)"]
        parts += ["<h2>Does the model describe the stack?</h2>", _table(header, rows)]
    parts += ["<h2>What cannot be known</h2>", f"<p>{escape(_LIMITS)}</p>"]
    if assessment.notices:
        parts += ["<h2>Notices of the search</h2>", *(f"<p>{escape(notice)}</p>" for notice in assessment.notices)]
    voxels = voxel_words(assessment.sample.voxel_size, assessment.sample.assumed)
    parts.append(f"<p>napari-colloids {__version__}, threshold {assessment.threshold:.2f}, {escape(voxels)}</p>")
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def _prediction(assessment: Assessment) -> list[str]:
    """Return the figures, or why there are none."""
    count = f"<p>{len(assessment.particles)} particles in the part that was assessed.</p>"
    predicted = assessment.prediction
    if predicted is None:
        reasons = "".join(f"<li>{escape(reason)}</li>" for reason in assessment.reasons)
        return [
            count,
            f'<p class="refused">No model here describes this stack, so there is no prediction:</p><ul>{reasons}</ul>',
        ]
    rows = [
        (name, f"{ratio.value:.3f}", f"{ratio.low:.3f} to {ratio.high:.3f}")
        for name, ratio in (("precision", predicted.precision), ("recall", predicted.recall))
    ]
    rows += [(f"localisation error along {axis} (RMSE)", f"{predicted.rmse[axis]:.2f} px", "") for axis in "zyx"]
    return [count, _table(["", "predicted", "95 % interval"], rows)]


def _checked(assessment: Assessment) -> list[str]:
    """Return what is known beside the twins, and where that disagrees."""
    said = assessment.checks.words()
    if not said:
        return []
    words = [f'<p class="refused">{escape(words)}</p>' for words in assessment.checks.disagreements]
    return ["<h2>Checks beside the simulation</h2>", _table(["", "says"], said.items()), *words]


def _threshold_words(assessment: Assessment) -> str:
    lowest = assessment.threshold_for_95
    if lowest is None:
        return "No threshold has a predicted precision of 95 %."
    return (
        f"Predicted precision is 95 % or more from a threshold of {lowest:.2f} on; {assessment.threshold:.2f} was used."
    )


def _picture(figure: Figure, words: str) -> str:
    """Return a figure as a picture within the page."""
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=_DOTS_PER_INCH, format="png")
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    image = f'<img alt="{escape(words)}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{escape(words)}</figcaption></figure>"


def _threshold_plot(assessment: Assessment) -> Figure:
    figure = Figure(figsize=_PLOT_INCHES, layout="constrained")
    assessment.plot(figure.add_subplot())
    return figure


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"
