"""What the first search of a process needs beside the image: libraries, network, compiled loops."""

from __future__ import annotations

import threading
from contextlib import suppress

import numpy as np

from napari_colloids.errors import ColloidsError
from napari_colloids.progress import result_of

#: Edge of the noise that is searched once, and the diameter looked for in it.
_EDGE_VOXELS, _DIAMETER_PX = 16, 8.0
_started = threading.Event()


def warm_up() -> None:
    """Load in the background, once, what a search needs: the first one then takes little longer than the next."""
    if not _started.is_set():
        _started.set()
        threading.Thread(target=_search_noise, name="napari-colloids warm-up").start()


def _search_noise() -> None:
    from napari_colloids.detection.detector import iter_detect
    from napari_colloids.detection.options import Options

    noise = np.random.default_rng(0).integers(0, 255, (_EDGE_VOXELS,) * 3, dtype=np.uint8)
    with suppress(ColloidsError):  # told by the search that is asked for
        result_of(iter_detect(noise, Options(diameter=_DIAMETER_PX, device="cpu")))
