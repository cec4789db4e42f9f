"""Assessment of a detection without ground truth: quality of the image, digital twin, prediction, refusal."""

from napari_colloids.assessment.interval import Interval
from napari_colloids.assessment.quality import ImageQuality
from napari_colloids.assessment.result import Assessment, Prediction
from napari_colloids.assessment.run import N_TWINS, assess, iter_assess

__all__ = ["N_TWINS", "Assessment", "ImageQuality", "Interval", "Prediction", "assess", "iter_assess"]
