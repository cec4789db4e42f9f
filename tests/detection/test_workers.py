"""Threads that share the work of a search."""

from __future__ import annotations

import time
from threading import Barrier, Thread

import pytest
import torch

from napari_colloids.detection.workers import Workers


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_the_order_of_the_items(allow_threads, threads):
    allow_threads(threads)
    with Workers() as workers:
        assert workers.count == threads
        assert workers.each(lambda item: 2 * item, range(20)) == list(range(0, 40, 2))


def test_they_work_at_the_same_time_with_one_thread_each(allow_threads):
    allow_threads(3)
    together = Barrier(3)

    def job(_):
        together.wait(20)
        return torch.get_num_threads(), torch.is_inference_mode_enabled()

    with Workers() as workers:
        assert workers.each(job, range(3)) == [(1, True)] * 3


def test_torch_keeps_its_threads_elsewhere(allow_threads):
    allow_threads(3)
    counts = []

    def other():
        counts.append(torch.get_num_threads())

    with Workers() as workers:
        workers.each(abs, range(5))
        for _ in range(2):
            beside = Thread(target=other)
            beside.start()
            beside.join()
        assert torch.get_num_threads() == 3
        assert not torch.is_inference_mode_enabled()
    other()
    assert counts == [3, 3, 3]


@pytest.mark.parametrize("threads", [1, 2])
def test_an_error_in_a_thread_comes_out_and_ends_the_work(allow_threads, threads):
    allow_threads(threads)
    done = []

    def job(item):
        if item == 1:
            raise MemoryError("Memory ran out.")
        time.sleep(0.001)  # or one thread may have done all else before the other has begun
        done.append(item)

    with pytest.raises(MemoryError, match="ran out"), Workers() as workers:
        workers.each(job, range(1000))
    assert len(done) < 999
