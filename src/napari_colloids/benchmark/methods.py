"""The compared methods: the network in several modes, and the reference methods."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from napari_colloids import detection
from napari_colloids.benchmark import reference_methods
from napari_colloids.benchmark.microscope import Scene, make_volume
from napari_colloids.detection.methods import FLOOR, Method

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import pandas as pd

    from napari_colloids.benchmark.measure import Find
    from napari_colloids.benchmark.microscope import Volume
    from napari_colloids.benchmark.reference_methods import Tuned
    from napari_colloids.stack import Stack


@dataclass(frozen=True)
class ComparedMethod:
    """A detection method and how it is used.

    Attributes
    ----------
    label
        Name in tables and figures.
    method
        The detection method.
    colour
        In figures.
    diameter_given
        Whether it is given the diameter.
    refine
        Whether its positions are refined.
    """

    label: str
    method: Method
    colour: str
    diameter_given: bool = True
    refine: bool = False


#: The compared methods by the word for each in ``--methods``.
METHODS = {
    **{name: ComparedMethod(name, method, method.colour) for name, method in detection.METHODS.items()},
    "estimated": ComparedMethod(
        "network, diameter estimated", detection.METHODS["network"], "C3", diameter_given=False
    ),
    "refined": ComparedMethod("network, refined", detection.METHODS["network"], "C4", refine=True),
}


@dataclass(frozen=True)
class Finder:
    """A method that is ready to be measured.

    Attributes
    ----------
    find
        Returns all particles that it finds, of any confidence.
    threshold
        Minimum confidence that it is used with.
    tuned
        Settings of a reference method.
    """

    find: Find
    threshold: float
    tuned: Tuned | None = None

    def timed(self, stack: Stack, diameter: float) -> tuple[pd.DataFrame, float]:
        """Return all particles that it finds, and the seconds that it took."""
        started = time.perf_counter()
        found = self.find(stack, diameter)
        return found, time.perf_counter() - started


def prepared(
    words: Iterable[str],
    *,
    weights: str | None = None,
    tuning_volumes: Callable[[], Sequence[Volume]] | None = None,
    by_ap: bool = False,
) -> dict[str, Finder]:
    """Return methods that are ready to be measured by label: reference methods are tuned, and each has run once.

    Parameters
    ----------
    words
        Of `METHODS`.
    weights
        A file of weights for the network; None: the bundled ones.
    tuning_volumes
        Makes the volumes to tune the reference methods on; None: they run with the default settings.
    by_ap
        Whether to tune for the challenge's average precision.
    """
    finders = {}
    for word in words:
        compared = METHODS[word]
        name = compared.method.name
        if compared.method.tiled:
            find: Find = partial(_network, compared=compared, weights=weights)
            finders[compared.label] = Finder(find, compared.method.default_threshold)
            continue
        if tuning_volumes is None:
            tuned = reference_methods.shipped(name)
        else:
            tuned = reference_methods.tune(name, tuning_volumes(), by_ap=by_ap)
        find = partial(reference_methods.find, tuned=tuned)
        finders[compared.label] = Finder(find, tuned.threshold, tuned)
    # The first call loads libraries and weights and compiles code, which must not be timed.
    volume = make_volume(Scene(shape=(48, 48, 48), volume_fraction=0.4), seed=1)
    for finder in finders.values():
        finder.find(volume.stack, volume.diameter)
    return finders


def _network(stack: Stack, diameter: float, *, compared: ComparedMethod, weights: str | None) -> pd.DataFrame:
    given = diameter if compared.diameter_given else None
    return detection.detect(stack, diameter=given, refine=compared.refine, weights=weights, threshold=FLOOR)
