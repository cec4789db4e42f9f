"""Memory that was freed goes back to the system."""

import sys

import numpy as np
import psutil
import pytest

from napari_colloids.widgets.parts.free_memory import give_back_free_memory


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of the C library of Linux")
def test_what_is_free_between_pieces_in_use_is_given_back():
    pieces = [np.ones(12_000) for _ in range(2000)]  # just below the size that the library asks the system for
    kept = pieces[::50]
    del pieces
    before = psutil.Process().memory_info().rss
    give_back_free_memory()
    assert before - psutil.Process().memory_info().rss > 50e6
    assert all(one.sum() == 12_000 for one in kept)
