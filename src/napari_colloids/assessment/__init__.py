"""Assessment of a detection without ground truth: quality of the image, digital twin, prediction, refusal."""

from napari_colloids.assessment.arrested import ArrestedRecall, arrested_recall
from napari_colloids.assessment.capture_recapture import CaptureRecapture, chapman
from napari_colloids.assessment.disagreements import disagreements
from napari_colloids.assessment.injection import Injection
from napari_colloids.assessment.prediction import Prediction
from napari_colloids.assessment.quality import ImageQuality, image_quality
from napari_colloids.assessment.result import Assessment
from napari_colloids.assessment.run import N_TWINS, assess, iter_assess
from napari_colloids.assessment.thinning import Thinning
from napari_colloids.interval import Interval

__all__ = [
    "N_TWINS",
    "ArrestedRecall",
    "Assessment",
    "CaptureRecapture",
    "ImageQuality",
    "Injection",
    "Interval",
    "Prediction",
    "Thinning",
    "arrested_recall",
    "assess",
    "chapman",
    "disagreements",
    "image_quality",
    "iter_assess",
]
