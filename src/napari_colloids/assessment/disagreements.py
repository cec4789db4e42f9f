"""Where the checks of a detection disagree with each other beyond their errors, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_colloids.assessment.injection import Injection
    from napari_colloids.assessment.prediction import Prediction
    from napari_colloids.assessment.thinning import Thinning

#: Factors from which localisation errors differ. The contact edge has only the errors of particles that touch, most of
#: which are not the gross ones that raise a root mean square.
_RMSE_FACTOR, _LOW_EDGE_FACTOR = 1.5, 3.0
#: Factor by which the error of noise alone may exceed the whole: both are estimates.
_NOISE_FACTOR = 1.25


def disagreements(
    prediction: Prediction | None = None,
    edge_errors: Mapping[str, float] | None = None,
    thinning: Thinning | None = None,
    injection: Injection | None = None,
) -> list[str]:
    """Say where the digital twins and the checks beside them disagree.

    Recalls disagree where their intervals do not overlap; localisation errors where they differ by more than a factor.

    Parameters
    ----------
    prediction
        Of the digital twins.
    edge_errors
        Localisation errors of the contact edge of g(r) by ``z`` and ``lateral``, in voxels.
    thinning
        Bound of the recall, and errors that noise alone makes.
    injection
        Recall and errors of particles drawn into the image.

    Returns
    -------
    list of str
        A sentence for each disagreement; empty where there is none. What is None is left out.

    Examples
    --------
    >>> from napari_colloids.assessment import Injection, Interval, Thinning, chapman, disagreements
    >>> thinning = Thinning(100, chapman(80, 80, 50), {"z": 0.5, "y": 0.2, "x": 0.2})
    >>> injection = Injection(Interval(0.98, 0.96, 0.99), {"z": 0.6, "y": 0.2, "x": 0.2}, 300)
    >>> for words in disagreements(thinning=thinning, injection=injection):
    ...     print(words)
    Injection finds a recall of at least 0.960, data thinning allows at most 0.855: what is missed is not like what is
    found.
    """
    said: list[str] = []
    if prediction is not None and thinning is not None and prediction.recall.low > thinning.recall_bound.high:
        said.append(
            f"The twins predict a recall of at least {prediction.recall.low:.3f}, data thinning allows at most "
            f"{thinning.recall_bound.high:.3f}: more particles are missed than the twins know of."
        )
    if injection is not None and thinning is not None and injection.recall.low > thinning.recall_bound.high:
        said.append(
            f"Injection finds a recall of at least {injection.recall.low:.3f}, data thinning allows at most "
            f"{thinning.recall_bound.high:.3f}: what is missed is not like what is found."
        )
    if prediction is not None and injection is not None:
        twins, drawn = prediction.recall, injection.recall
        if drawn.high < twins.low:
            said.append(
                f"Particles drawn into the image are found less often ({drawn!r}) than the twins predict ({twins!r}): "
                "the image is harder than the twins."
            )
        if drawn.low > twins.high:
            said.append(
                f"Particles drawn into the image are found more often ({drawn!r}) than the twins predict ({twins!r}): "
                "what is missed is not like what is found, or the twins are harder than the image."
            )
    errors = {
        "the twins": None if prediction is None else prediction.rmse,
        "injection": None if injection is None else injection.rmse,
    }
    known = {name: _by_direction(rmse) for name, rmse in errors.items() if rmse is not None}
    if len(known) == 2:
        said += _different(known["injection"], known["the twins"], "injection", "the twins", _RMSE_FACTOR, _RMSE_FACTOR)
    for name, reference in list(known.items())[:1]:
        if edge_errors is not None:
            edge = dict(edge_errors)
            said += _different(edge, reference, "the contact edge of g(r)", name, _RMSE_FACTOR, _LOW_EDGE_FACTOR)
        if thinning is not None:
            said += _different(_by_direction(thinning.rmse), reference, "noise alone", name, _NOISE_FACTOR, np.inf)
    return said


def _by_direction(rmse: Mapping[str, float]) -> dict[str, float]:
    """Return errors along z, and the root mean square of those along y and x."""
    return {"z": rmse["z"], "lateral": float(np.sqrt((rmse["y"] ** 2 + rmse["x"] ** 2) / 2))}


def _different(
    errors: Mapping[str, float], reference: Mapping[str, float], name: str, other: str, above: float, below: float
) -> list[str]:
    """Say in which directions errors are above, or below, others by more than a factor."""
    return [
        f"Localisation errors ({axis}) are {error:.2g} voxels by {name}, and {expected:.2g} by {other}."
        for axis, error, expected in ((axis, errors[axis], reference[axis]) for axis in ("z", "lateral"))
        if error > above * expected or error < expected / below
    ]
