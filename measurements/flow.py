"""Whole tracks in a suspension that flows, by speed and direction of the flow.

python measurements/flow.py                 # volume fraction 0.5, 0 to 9 voxels a frame, seven directions
python measurements/flow.py --seed 5 --missing 0.05

Spheres of radius 5 voxels diffuse and flow through a window of 60 x 90 x 90 voxels: what leaves it is gone, and others
enter. A track is whole if a particle that is in the window in the first and in the last frame has one trajectory, and
that one to itself.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
import spheropack

from napari_colloids.dynamics import link
from napari_colloids.particles import POSITION

RADIUS_PX = 5.0
#: Standard deviation of the displacement along each axis from frame to frame, in voxels.
STEP_PX = 0.4
WINDOW_PX = np.array([60.0, 90.0, 90.0])
SPEEDS_PX_PER_FRAME = tuple(range(10))
DIRECTIONS = ((0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 1, -1), (1, 0, 1), (-1, 1, 0), (1, 1, 1))


def suspension(volume_fraction: float, seed: int) -> np.ndarray:
    """Return the centres of hard spheres in a box as large as the window, repeated around it so that none is alone."""
    count = round(volume_fraction * WINDOW_PX.prod() / (4 / 3 * np.pi * RADIUS_PX**3))
    box = spheropack.PeriodicBox(tuple(WINDOW_PX))
    places = np.asarray(spheropack.pack(radii=np.full(count, RADIUS_PX), container=box, seed=seed).positions)
    images = np.stack(np.meshgrid(*3 * [(-1, 0, 1)], indexing="ij"), axis=-1).reshape(-1, 1, 3)
    return (places + images * WINDOW_PX).reshape(-1, 3)


def series(places: np.ndarray, velocity: np.ndarray, frames: int, missing: float, seed: int) -> pd.DataFrame:
    """Return what is in the window in each frame, with the true number of each particle in the column ``truth``."""
    rng = np.random.default_rng(seed)
    tables = []
    for frame in range(frames):
        seen = np.all((places >= 0) & (places < WINDOW_PX), axis=1) & (rng.random(len(places)) >= missing)
        table = pd.DataFrame(places, columns=POSITION).assign(frame=frame, truth=np.arange(len(places)))
        tables.append(table[seen])
        places = places + velocity + rng.normal(0, STEP_PX, places.shape)
    return pd.concat(tables, ignore_index=True)


def whole_tracks(tracks: pd.DataFrame) -> tuple[int, int]:
    """Return how many particles of both the first and the last frame have a whole track, and how many there are."""
    frames = tracks.groupby("truth")["frame"].agg(["min", "max"])
    there = frames.index[(frames["min"] == tracks["frame"].min()) & (frames["max"] == tracks["frame"].max())]
    alone = tracks.groupby("particle")["truth"].transform("nunique") == 1
    kept = tracks.assign(alone=alone).groupby("truth").agg({"particle": "nunique", "alone": "all"}).loc[there]
    return int(((kept["particle"] == 1) & kept["alone"]).sum()), len(there)


def main() -> None:
    """Print a row for each speed: whole tracks in each direction."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--volume-fraction", type=float, default=0.5)
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--missing", type=float, default=0.0, help="part of the particles not found in a frame")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    places = suspension(given.volume_fraction, given.seed)
    print("px/frame", *("".join(f"{k:+d}" for k in way).rjust(9) for way in DIRECTIONS), "lowest", sep="\t")
    for speed in SPEEDS_PX_PER_FRAME:
        counts = []
        for number, way in enumerate(DIRECTIONS):
            velocity = speed * np.array(way) / np.linalg.norm(way)
            table = series(places, velocity, given.frames, given.missing, given.seed + number)
            counts.append(whole_tracks(link(table, memory=1 if given.missing else 0)))
        lowest = min(kept / there for kept, there in counts)
        print(speed, *(f"{kept}/{there}".rjust(9) for kept, there in counts), f"{lowest:.3f}", sep="\t", flush=True)


if __name__ == "__main__":
    main()
