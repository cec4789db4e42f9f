"""Score of a detection against the ground truth or another one: matching, precision, recall, localisation error."""

from napari_colloids.scoring.challenge import ChallengeCurve, challenge_ap, challenge_curve
from napari_colloids.scoring.comparison import Comparison, compare
from napari_colloids.scoring.matching import Matching, match
from napari_colloids.scoring.ranking import PrecisionRecallCurve
from napari_colloids.scoring.score import Score, score

__all__ = [
    "ChallengeCurve",
    "Comparison",
    "Matching",
    "PrecisionRecallCurve",
    "Score",
    "challenge_ap",
    "challenge_curve",
    "compare",
    "match",
    "score",
]
