"""Loops that are compiled, and shared out among threads."""

from __future__ import annotations

import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from threadpoolctl import threadpool_info, threadpool_limits

from napari_colloids.refinement.profile import Profile
from napari_colloids.refinement.spheres import Spheres, templates_of
from napari_colloids.refinement.threads import in_chunks, iter_in_order, single_threaded_blas, threads_here


@given(count=st.integers(0, 300), step=st.integers(1, 5))
def test_parts_are_all_in_their_order(count, step):
    found = in_chunks(lambda low, high, by: by * np.arange(low, high), count, step)
    np.testing.assert_array_equal(found, step * np.arange(count))


def test_threads_draw_what_one_draws(allow_threads):
    rng = np.random.default_rng(0)
    spheres = Spheres(rng.uniform(-5, 45, (150, 3)), rng.uniform(4, 6, 150), np.ones(150))
    profile = Profile((4.0, 6.0), (2.0, 1.2))
    values = []
    for threads in (1, 4):
        allow_threads(threads)
        values.append(templates_of(spheres, profile, np.zeros(3, int), (40, 40, 40), 3.0, derivatives=True).values)
    assert values[0].max() > 0.9
    np.testing.assert_array_equal(*values)


def test_an_error_in_a_thread_comes_out(allow_threads):
    def fails(low, high):
        raise MemoryError(f"{low} to {high}")

    allow_threads(2)
    with pytest.raises(MemoryError, match="0 to 50"):
        in_chunks(fails, 100)


def test_loops_are_compiled_where_no_folder_can_keep_them():
    program = """
import numba.core.caching
import numpy as np
numba.core.caching.CacheImpl._locator_classes = []
from napari_colloids.refinement.templates import cut_rows
begin, end, place = np.zeros((3, 25), int)
print(cut_rows(np.full((1, 3), 2.0), np.full((1, 3), 2.0), *np.array([[[0, 0, 0]], [[5, 5, 5]]]),
                np.zeros(1, int), begin, end, place))
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[33]"


@pytest.mark.parametrize(("threads", "items"), [(1, 5), (2, 5), (8, 3), (4, 0)])
def test_items_come_in_their_order_and_share_the_threads(allow_threads, threads, items):
    allow_threads(threads)

    def work(item):
        return item, threads_here()

    found = list(iter_in_order(work, range(items)))
    assert found == [(item, threads // min(threads, items)) for item in range(items)]
    assert threads_here() == threads


def test_items_run_side_by_side_no_more_than_there_are_threads(allow_threads):
    allow_threads(3)
    together = threading.Barrier(3, timeout=20)
    running, most, lock = 0, 0, threading.Lock()

    def work(_):
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait()
        with lock:
            running -= 1

    assert len(list(iter_in_order(work, range(9)))) == 9
    assert most == 3


def test_items_that_have_not_begun_are_left_out_when_the_rest_is_not_wanted(allow_threads):
    allow_threads(1)
    begun, closed = [], threading.Event()

    def work(item):
        begun.append(item)
        if item:
            closed.wait(20)

    steps = iter_in_order(work, range(1000))
    next(steps)
    threading.Timer(0.2, closed.set).start()
    steps.close()
    assert len(begun) < 1000


def test_an_error_of_an_item_comes_out(allow_threads):
    def fails(item):
        raise MemoryError(f"item {item}")

    allow_threads(2)
    with pytest.raises(MemoryError, match="item 0"):
        list(iter_in_order(fails, range(3)))


def threads_of_blas():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_blas_has_its_threads_again_after_the_last_of_those_who_limit_it():
    with threadpool_limits(2, user_api="blas"):
        one, other = single_threaded_blas(), single_threaded_blas()
        one.__enter__()
        other.__enter__()
        assert threads_of_blas() == {1}
        one.__exit__(None, None, None)
        assert threads_of_blas() == {1}
        other.__exit__(None, None, None)
        assert threads_of_blas() == {2}
