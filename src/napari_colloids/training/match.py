"""`train_matched`: fine-tunes the network on scenes in the image of one stack, and says what that has gained."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_colloids.assessment import iter_assess
from napari_colloids.detection import Options, Part, Record
from napari_colloids.detection.inputs import input_stack
from napari_colloids.detection.weights import network_of, weights_digest
from napari_colloids.errors import ColloidsError
from napari_colloids.io.atomic import atomic_write
from napari_colloids.jsonable import jsonable
from napari_colloids.progress import result_of
from napari_colloids.settings import changed
from napari_colloids.simulation import Parameters
from napari_colloids.training.domain import Domain
from napari_colloids.training.gain import Accuracy, accuracy_on_twins
from napari_colloids.training.loop import run_training
from napari_colloids.training.matched import MatchedScenes, MixedScenes
from napari_colloids.training.tuning import Tuning

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

    from numpy.typing import ArrayLike

    from napari_colloids.detection.network import CentreNet
    from napari_colloids.stack import Stack

#: Files beside the weights: the twin that the scenes are like, and what was gained.
TWIN, GAIN = "twin.json", "gain.json"
#: Number of simulated stacks that are scored for the parameters of the twin: its prediction is not used.
_N_TWINS = 2
#: Difference of F1 up to which there is none: a few particles in a thousand.
_SAME_F1 = 0.003


@dataclass(frozen=True)
class MatchedTraining:
    """Result of a fine-tuning on the twin of one stack.

    Attributes
    ----------
    weights
        The file of the weights, for ``detect(weights=...)``.
    before, after
        What the network found in held-out twins before and after.
    twin
        Parameters of the twins.
    reasons
        In which way the twins do not describe the stack, in words; empty where they do.
    """

    weights: Path
    before: Accuracy
    after: Accuracy
    twin: Parameters
    reasons: tuple[str, ...] = ()

    @property
    def gain(self) -> float:
        """F1 after less F1 before."""
        return self.after.f1 - self.before.f1

    @property
    def verdict(self) -> str:
        """What was gained, in a sentence."""
        if self.gain < -_SAME_F1:
            return "It has become worse on stacks like this one: use the weights that it began from."
        if self.gain > _SAME_F1:
            return "It has become better on stacks like this one."
        return "On stacks like this one it finds the same as before."


@dataclass(frozen=True)
class _Match:
    """The twin that a run is matched to, as its folder keeps it.

    Attributes
    ----------
    asked
        What decides on the twin and on the scenes: stack, search, first weights.
    diameter
        That is searched for, in lateral voxels.
    twin
        Its parameters.
    reasons
        In which way it does not describe the stack.
    before
        What the first weights find in held-out twins.
    """

    asked: dict[str, object]
    diameter: float
    twin: Parameters
    reasons: tuple[str, ...]
    before: Accuracy

    def write(self, folder: Path) -> None:
        with atomic_write(folder / TWIN) as path:
            path.write_text(json.dumps(jsonable(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> _Match:
        try:
            values = json.loads((folder / TWIN).read_text(encoding="utf-8"))
            twin = {name: tuple(value) if isinstance(value, list) else value for name, value in values["twin"].items()}
            parameters = changed(Parameters(), twin, "simulation parameter")
            before = Accuracy.from_json(values["before"])
            return cls(values["asked"], values["diameter"], parameters, tuple(values["reasons"]), before)
        except (OSError, ValueError, TypeError, KeyError, ColloidsError) as error:
            raise ColloidsError(f"There is no training on a twin in {folder} to resume; start anew.") from error


def train_matched(
    stack: Stack | ArrayLike | str | PathLike[str],
    output: str | PathLike[str],
    options: Options | None = None,
    tuning: Tuning | None = None,
    *,
    voxel_size: Sequence[float] | None = None,
    frame: int = 0,
    channel: int = 0,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> MatchedTraining:
    """Fine-tune the network on simulated scenes in the image of one stack, its digital twin.

    The stack is assessed; scenes are simulated with the parameters of its twin, each drawn about its value as widely as
    it is uncertain, and with some of all kinds among them. The training begins from the bundled weights, or those of
    the options. What it has gained is told by twins that it has not seen.

    Parameters
    ----------
    stack
        A `Stack`, an array ``(z, y, x)``, or the name of a file.
    output
        Folder for the weights ``weights.safetensors``, ``twin.json`` with the parameters of the twin, ``gain.json``
        with the figures before and after, the log, and the checkpoint.
    options
        How the stack is searched: diameter, dark particles, threshold; ``weights`` are those to begin from.
    tuning
        Length of the training, learning rate, share of general scenes.
    voxel_size
        Micrometres ``(z, y, x)``, in place of that of the stack or file.
    frame, channel
        Which volume of a time series or of several channels.
    resume
        Continue from the last checkpoint in the folder.
    progress
        Called with the number of steps of the assessment that are done, and their total.

    Returns
    -------
    MatchedTraining
        The weights, and what was found in held-out twins before and after.

    Raises
    ------
    ColloidsError
        If the stack or a setting cannot be used, no twin of it can be simulated, or there is no checkpoint to resume
        from, or one of another stack or of other settings.

    See Also
    --------
    napari_colloids.assess : measures the stack.
    """
    options, tuning = options or Options(), tuning or Tuning()
    if options.method != "network":
        raise ColloidsError(f"Only the network can be trained, not {options.method}.")
    folder = Path(output)
    network = network_of(options.weights)
    opened, part = input_stack(stack, voxel_size), Part(frame, channel)
    asked = _asked(opened, part, options, tuning)
    if resume:
        match = _Match.read(folder)
        _check_same(match.asked, asked)
    else:
        match = _matched(opened, part, options, tuning, asked, progress)
        folder.mkdir(parents=True, exist_ok=True)
        match.write(folder)
    for reason in match.reasons:
        print(f"note: the twin does not describe this stack: {reason}", flush=True)
    print(f"before, on {tuning.held_out} held-out twins: {match.before}", flush=True)
    weights = _trained(network, match, tuning, options, folder, resume=resume)
    after = _on_twins(match.twin, replace(options, weights=str(weights)), match.diameter, tuning)
    print(f"after, on the same twins: {after}", flush=True)
    result = MatchedTraining(weights, match.before, after, match.twin, match.reasons)
    with atomic_write(folder / GAIN) as path:
        figures = {"before": result.before, "after": after, "held_out": tuning.held_out, "verdict": result.verdict}
        path.write_text(json.dumps(jsonable(figures), indent=1) + "\n", encoding="utf-8")
    return result


def _asked(stack: Stack, part: Part, options: Options, tuning: Tuning) -> dict[str, object]:
    """Return what decides on the twin and on the scenes, beside what the checkpoint has."""
    names = ("diameter", "diameter_um", "dark", "threshold")
    return {
        "stack": stack.name,
        "voxel_size": None if stack.voxel_size is None else list(stack.voxel_size),
        "frame": part.frame,
        "channel": part.channel,
        **{name: getattr(options, name) for name in names},
        "weights": weights_digest(options.weights),
        "general": tuning.general,
        "held_out": tuning.held_out,
    }


def _check_same(before: dict[str, object], now: dict[str, object]) -> None:
    """Refuse to resume what was begun for another stack, or otherwise."""
    for name, value in now.items():
        if before.get(name) != value:
            raise ColloidsError(
                f"The training was begun with {name} = {before.get(name)!r}, which is now {value!r}: set it back, or "
                "start anew."
            )


def _matched(
    stack: Stack,
    part: Part,
    options: Options,
    tuning: Tuning,
    asked: dict[str, object],
    progress: Callable[[int, int], None] | None,
) -> _Match:
    """Measure the twin of a stack, and what the first weights find in others like it."""
    assessment = result_of(iter_assess(stack, options, part, twins=_N_TWINS, seed=tuning.seed), progress)
    if assessment.twin is None:
        raise ColloidsError(
            f"No twin of '{stack.name}' can be simulated, so there is nothing to train on: "
            f"{'; '.join(assessment.reasons)}."
        )
    diameter = Record.from_attrs(assessment.particles.attrs).diameter
    twin = replace(assessment.twin.parameters, seed=None)
    return _Match(asked, diameter, twin, assessment.reasons, _on_twins(twin, options, diameter, tuning))


def _on_twins(twin: Parameters, options: Options, diameter: float, tuning: Tuning) -> Accuracy:
    return accuracy_on_twins(twin, options, diameter, tuning.held_out)


def _trained(
    network: CentreNet, match: _Match, tuning: Tuning, options: Options, folder: Path, *, resume: bool
) -> Path:
    """Train a copy of a network on scenes like the twin; return the weights."""
    copied = copy.deepcopy(network).train().requires_grad_(requires_grad=True)
    config = tuning.config(network.channels, options.device)
    scenes = MatchedScenes(match.twin, match.diameter, config.seed, config.packings)
    mixed = MixedScenes(scenes, Domain(config.seed, config.packings), tuning.general, config.seed)
    return run_training(config, folder, copied, mixed, scenes, resume=resume)
