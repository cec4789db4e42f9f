"""Tile sizes to try."""

from __future__ import annotations

from napari_colloids.detection.memory import attempts, is_out_of_memory
from napari_colloids.detection.scale import Scale


def test_a_small_stack_is_one_tile():
    scale = Scale.for_diameter(10, (60, 70, 80))
    device, core = next(attempts(scale, 56, "cpu", None))
    assert device == "cpu"
    assert all(edge >= n for edge, n in zip(core, scale.canonical_shape, strict=True))


def test_large_stacks_are_cut_and_wide_particles_more_so():
    small = next(attempts(Scale.for_diameter(10, (5000,) * 3), 56, "cpu", None))[1]
    wide = next(attempts(Scale.for_diameter(80, (5000,) * 3), 56, "cpu", None))[1]
    assert 8 <= max(wide) < max(small) < 400


def test_ever_smaller_and_at_last_the_cpu():
    tries = list(attempts(Scale.for_diameter(10, (300,) * 3), 56, "cuda", 200))
    assert tries[0] == ("cuda", (200, 200, 200))
    places = [place for place, _ in tries]
    assert places == sorted(places, reverse=True)
    for place in ("cuda", "cpu"):
        cores = [core for where, core in tries if where == place]
        assert cores == sorted(set(cores), reverse=True)
        assert cores[-1] == (16, 16, 16)


def test_what_counts_as_out_of_memory():
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"))
    assert not is_out_of_memory(RuntimeError("shape mismatch"))
