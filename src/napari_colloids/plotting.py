"""Matplotlib axes and unit symbols for the ``plot`` methods of results."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def axes_or_new(ax: Axes | None) -> Axes:
    """Return the axes to draw on: the given ones, or those of a new figure.

    The new figure is none of pyplot's. It therefore needs no graphical backend, is not kept alive by pyplot, and is
    shown or saved through ``ax.figure``.

    Parameters
    ----------
    ax
        Axes, or None for new ones.

    Examples
    --------
    >>> axes_or_new(None).figure
    <Figure size 640x480 with 1 Axes>
    """
    if ax is not None:
        return ax
    from matplotlib.figure import Figure

    return Figure(layout="constrained").add_subplot()


def unit_symbol(unit: str) -> str:
    """Return how a unit is written for people.

    Parameters
    ----------
    unit
        In plain ASCII, as tables and files have it.

    Examples
    --------
    >>> unit_symbol("um^2/s")
    'µm²/s'
    """
    return unit.replace("um", "µm").replace("^2", "²")
