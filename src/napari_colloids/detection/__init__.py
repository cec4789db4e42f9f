"""Detection: stack -> normalise -> tiles -> network -> peaks -> particles."""

from napari_colloids.detection.detector import detect, iter_detect
from napari_colloids.detection.options import DEFAULT_THRESHOLD, FLOOR, Options
from napari_colloids.detection.progress import Progress

__all__ = ["DEFAULT_THRESHOLD", "FLOOR", "Options", "Progress", "detect", "iter_detect"]
