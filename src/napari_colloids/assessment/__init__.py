"""Assessment of a detection without ground truth: quality of the image, digital twin, prediction, refusal."""

from napari_colloids.assessment.assess import assess, iter_assess
from napari_colloids.assessment.interval import Interval
from napari_colloids.assessment.quality import ImageQuality
from napari_colloids.assessment.result import Assessment

__all__ = ["Assessment", "ImageQuality", "Interval", "assess", "iter_assess"]
