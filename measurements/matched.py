"""What `train --match` gains on a sample type outside the range of the training, on volumes that it has not seen.

python measurements/matched.py --output runs/aspect6              # trains, then scores
python measurements/matched.py --output runs/aspect6 --resume     # goes on where it was stopped

The type: voxels six times as high as wide, so that there is a slice per radius, an axial blur of 1.25 radii and an SNR
of 3.2; the bundled network has learnt voxels up to four times as high. One volume of the second simulator is used as
if it were real, its diameter given: the network is trained on its twin, which the other simulator makes. Then other
volumes of that type are searched with the bundled and with the new weights, and some of other types, to see what is
forgotten.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import napari_colloids as nc
from napari_colloids.benchmark.microscope import Scene, make_volume
from napari_colloids.training import Accuracy, Tuning, train_matched

TYPE = Scene((18, 84, 84), radius=6.0, volume_fraction=0.45, psf=(7.5, 2.0), aspect=6.0, snr=3.2, cnr=2.7)
#: Types within the range of the training.
OTHERS = {
    "dense": Scene((64, 64, 64), radius=6.0, volume_fraction=0.55, psf=(3.0, 1.3), snr=3.0, cnr=3.0),
    "nano": Scene((56, 56, 56), 4.5, 0.45, psf=(5.4, 1.5), snr=3.0, cnr=2.4, brightness_spread=0.3),
    "aspect 3": Scene((30, 72, 72), radius=6.0, volume_fraction=0.45, psf=(5.0, 1.6), aspect=3.0, snr=3.0, cnr=2.5),
    "mixture": Scene((64, 64, 64), 5.0, 0.4, psf=(3.0, 1.3), size_ratio=2.0, large_share=0.2, snr=4.0, cnr=3.5),
    "shells": Scene((64, 64, 64), 6.0, 0.3, psf=(2.4, 1.2), shell=0.7, snr=5.0, cnr=4.0),
}


def accuracy(scene: Scene, seeds: range, weights: str | None) -> Accuracy:
    """Return what is found in volumes of a scene with some weights."""
    scores = []
    for seed in seeds:
        volume = make_volume(scene, seed)
        found = nc.detect(volume.stack, diameter=volume.diameter, weights=weights)
        truth = {"shape": volume.image.shape, "voxel_size": volume.stack.voxel_size}
        scores.append(nc.score(volume.positions, found, diameter=volume.diameter, **truth))
        print(f"    seed {seed}: {len(volume.positions)} particles, F1 {scores[-1].f1:.3f}", flush=True)
    return Accuracy.of(scores)


def main() -> None:
    """Train on the twin of one volume, and score others before and after."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("runs/aspect6"), help="folder of the training")
    parser.add_argument("--steps", type=int, default=Tuning().steps)
    parser.add_argument("--volumes", type=int, default=6, help="held-out volumes")
    parser.add_argument("--seed", type=int, default=1, help="of the volume that is matched; others follow")
    parser.add_argument("--resume", action="store_true")
    given = parser.parse_args()
    stack = make_volume(TYPE, given.seed).stack
    options = nc.Options(diameter=2 * TYPE.radius)
    result = train_matched(stack, given.output, options, Tuning(steps=given.steps), resume=given.resume)
    print(result.verdict)
    held_out = range(given.seed + 1, given.seed + 1 + given.volumes)
    for name, scene in {"the type": TYPE, **OTHERS}.items():
        seeds = held_out if scene is TYPE else held_out[:2]
        for when, weights in (("before", None), ("after", str(result.weights))):
            print(f"{name}, {when}: {accuracy(scene, seeds, weights)}", flush=True)


if __name__ == "__main__":
    main()
