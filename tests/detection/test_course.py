"""One progress over all stages of a search, and the time that is left."""

from itertools import pairwise

import pytest

from napari_colloids.detection import Options, detect_series
from napari_colloids.detection.course import Course
from napari_colloids.detection.measurement import forget
from napari_colloids.formatting import duration_words
from napari_colloids.progress import Progress, TimeLeft
from napari_colloids.simulation import simulate


@pytest.fixture(scope="module")
def stack():
    return simulate(shape=(32, 32, 32), volume_fraction=0.3, radius=5, seed=1).stack


@pytest.mark.parametrize("options", [Options(), Options(diameter=10, refine=True), Options(diameter=10, method="log")])
def test_the_share_rises_from_stage_to_stage_to_the_end(stack, options):
    forget()
    shares = []
    detect_series(stack, options, progress=lambda done, total: shares.append(done / total))
    assert shares == sorted(shares)
    assert shares[0] < 0.3
    assert shares[-1] == 1
    inside = [share for share in shares if 0 < share < 1]
    assert not inside or max(b - a for a, b in pairwise(inside)) < 0.7


def test_what_is_known_already_takes_no_part():
    course = Course(Options())
    assert course.share(Progress(0, 10, "detecting")) == 0
    assert course.share(Progress(5, 10, "detecting")) > 0.3
    before = course.share(Progress(10, 10, "detecting"))
    assert course.share(Progress(0, 10, "estimating the diameter")) == before
    assert course.share(Progress(1, 10, "something else")) == before


def test_time_left_follows_the_pace():
    now = 0.0
    left = TimeLeft(lambda: now)
    assert left.after(50, 100) is None
    now = 10.0
    assert left.after(75, 100) == pytest.approx(10.0)
    assert left.after(51, 100) is None, "too little was done to tell"


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "1 s"), (13.6, "14 s"), (58, "60 s"), (89, "1 min"), (3600, "1 h 0 min")]
)
def test_durations_in_words(seconds, words):
    assert duration_words(seconds) == words
