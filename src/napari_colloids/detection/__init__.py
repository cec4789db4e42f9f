"""Detection: stack -> normalise -> tiles -> network -> peaks -> particles."""

from napari_colloids.detection.detector import detect, iter_detect
from napari_colloids.detection.options import DEFAULT_THRESHOLD, FLOOR, Options
from napari_colloids.detection.region import Region
from napari_colloids.detection.series import Part, detect_series, iter_detect_series, joined, merged_facts, parts_of
from napari_colloids.progress import Progress

__all__ = [
    "DEFAULT_THRESHOLD",
    "FLOOR",
    "Options",
    "Part",
    "Progress",
    "Region",
    "detect",
    "detect_series",
    "iter_detect",
    "iter_detect_series",
    "joined",
    "merged_facts",
    "parts_of",
]
