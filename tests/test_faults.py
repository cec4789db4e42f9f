"""What happens where the disk is full, files are odd and values are extreme; docs/faults.md lists all cases."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import dask.array
import numpy as np
import pytest

import napari_colloids as nc
from napari_colloids import ColloidsError
from napari_colloids.io import atomic_write, list_series, write_challenge, write_challenge_website
from napari_colloids.simulation import simulate

ROOT = Path(__file__).parent.parent
unix = pytest.mark.skipif(sys.platform == "win32", reason="of Unix")


@pytest.fixture(scope="module")
def simulation():
    return simulate(shape=(16, 24, 24), radius=4, volume_fraction=0.2, seed=0)


@contextmanager
def small_disk(size):
    """Let no file grow beyond so many bytes: the system says so as it does when the disk is full.

    Only while the block lasts, as what pytest itself writes may go to a file.
    """
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


class TestFullDiskWhileVolumesAreWritten:
    """The HDF5 library brings the process down where a write fails and is not caught by us."""

    @pytest.mark.parametrize("size", [0, 100, 3000, 20_000, 30_000])
    def test_one_file(self, simulation, tmp_path, size):
        (tmp_path / "old.h5").write_bytes(b"old")
        with (
            small_disk(size),
            pytest.raises(ColloidsError, match=r"old\.(h5|json)' could not be written: File too large"),
        ):
            write_challenge(tmp_path / "old.h5", [simulation] * 3)
        assert [path.name for path in tmp_path.iterdir()] == ["old.h5"]
        assert (tmp_path / "old.h5").read_bytes() == b"old"

    @pytest.mark.parametrize(
        ("size", "name"),
        [(0, "x_train.hdf5"), (100, "x_train.hdf5"), (20_000, "x_train.hdf5"), (40_000, "y_train.csv")],
    )
    def test_website(self, simulation, tmp_path, size, name):
        with small_disk(size), pytest.raises(ColloidsError, match=rf"{name}' could not be written: File too large"):
            write_challenge_website(tmp_path, [simulation] * 3)
        assert list(tmp_path.iterdir()) == []


@unix
class TestOutputs:
    def test_of_a_killed_process_are_removed_by_the_next(self, tmp_path):
        code = (
            "import os, signal, sys\n"
            "from napari_colloids.io import atomic_write\n"
            "with atomic_write('found.csv') as temporary:\n"
            "    temporary.write_text('half')\n"
            "    os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
        (left,) = tmp_path.iterdir()
        assert left.read_text() == "half"
        with atomic_write(tmp_path / "other.csv") as temporary:
            temporary.write_text("whole")
        assert [path.name for path in tmp_path.iterdir()] == ["other.csv"]

    def test_of_a_process_that_lives_stay(self, tmp_path):
        with atomic_write(tmp_path / "found.csv") as first:
            with atomic_write(tmp_path / "other.csv"):
                assert first.exists()
            from napari_colloids.io import atomic

            atomic._remove_left_behind.__wrapped__(tmp_path)
            assert first.exists()

    @pytest.mark.parametrize("ending", ["csv", "h5", "json"])
    def test_that_are_pipes_are_refused_and_stay(self, tmp_path, ending):
        path = tmp_path / f"pipe.{ending}"
        os.mkfifo(path)
        with pytest.raises(ColloidsError, match=r"pipe\..* is no file, but a device or a pipe"), atomic_write(path):
            pass
        assert path.is_fifo()

    @pytest.mark.parametrize("ending", ["csv", "h5", "xyz", "parquet"])
    def test_on_a_full_disk_are_named_and_not_their_temporary_files(self, tmp_path, ending):
        from napari_colloids.cli.output import check_table_can_be_written

        path = tmp_path / f"found.{ending}"
        said = rf"'.*found\.{ending}'.* written.*File too large"
        with small_disk(0), pytest.raises(ColloidsError, match=said) as caught:
            check_table_can_be_written(path)
        assert ".napari-colloids" not in str(caught.value)
        assert list(tmp_path.iterdir()) == []


@unix
@pytest.mark.parametrize("beside", ["volumes.json", "volumes_metadata.csv"])
def test_a_pipe_beside_volumes_is_not_waited_for(simulation, tmp_path, beside):
    write_challenge(tmp_path / "volumes.h5", [simulation])
    (tmp_path / "volumes.json").unlink()
    os.mkfifo(tmp_path / beside)
    (series,) = list_series(tmp_path / "volumes.h5")
    assert series.problem == ""
    assert nc.read_stack(tmp_path / "volumes.h5").metadata == {}


def test_deep_nesting_beside_volumes_is_no_metadata(simulation, tmp_path):
    write_challenge(tmp_path / "volumes.h5", [simulation])
    (tmp_path / "volumes.json").write_text("[" * 100_000)
    assert nc.read_stack(tmp_path / "volumes.h5").metadata == {}


@pytest.fixture(scope="module")
def dense():
    return simulate(shape=(24, 32, 32), radius=4, volume_fraction=0.25, seed=0, snr=10, cnr=8)


class TestExtremeGreyLevels:
    @pytest.mark.parametrize(
        ("scaled", "reason"),
        [
            (lambda image: image * np.float32(1e36), "are too large for a fit"),
            (lambda image: image.astype(np.int64) * 2**54, "are too large for a fit"),
            (lambda image: image.astype(np.uint64) * 2**55, "are too large for a fit"),
            (lambda image: image * np.float32(1e-14), "are too small for a fit"),
            (lambda image: image.astype(np.int64) + 2**40, "differ by too little for 32 bits"),
            (lambda image: image.astype(float) - 1e12, "differ by too little for 32 bits"),
        ],
    )
    def test_are_not_fitted_and_it_is_said_why(self, dense, scaled, reason):
        refined = nc.refine(scaled(dense.stack.data), dense.particles, diameter=8)
        assert not refined["refined"].any()
        assert reason in refined.attrs["notices"][0]

    def test_are_fitted_up_to_there(self, dense):
        plain = nc.refine(dense.stack.data, dense.particles, diameter=8)
        large = nc.refine(dense.stack.data * np.float32(2.0**50), dense.particles, diameter=8)
        assert large["refined"].mean() == plain["refined"].mean() == 1
        np.testing.assert_allclose(large[["z", "y", "x"]], plain[["z", "y", "x"]], atol=0.01)

    def test_in_a_search_that_refines(self, dense):
        found = nc.detect(dense.stack.data * np.float32(1e36), diameter=8, refine=True)
        assert len(found) > 15
        assert any("too large for a fit" in notice for notice in found.attrs["notices"])

    @pytest.mark.parametrize(
        "scaled",
        [
            lambda image: image.astype(np.int64) + 2**62,
            lambda image: image.astype(float) + 1e12,
            lambda image: image.astype(float) * 1e-322,
        ],
    )
    def test_that_32_bits_cannot_tell_apart_are_not_called_constant(self, dense, scaled):
        with pytest.raises(ColloidsError, match="differ by too little for 32 bits"):
            nc.detect(scaled(dense.stack.data), diameter=8, method="log")

    def test_that_are_the_same_are_called_constant(self):
        with pytest.raises(ColloidsError, match="constant"):
            nc.detect(np.full((16, 16, 16), 2**62), diameter=8, method="log")


class TestMasks:
    @pytest.mark.parametrize("lazy", [False, True])
    def test_hide_particles(self, dense, lazy):
        mask = np.zeros(dense.stack.shape, bool)
        mask[:12] = True
        image = np.ma.array(dense.stack.data, mask=mask)
        found = nc.detect(dask.array.from_array(image, chunks=(7, 32, 32)) if lazy else image, diameter=8, method="log")
        assert found["z"].min() > 10
        assert any("Masked voxels" in notice for notice in found.attrs["notices"])

    def test_without_a_masked_voxel_change_nothing(self, dense):
        stack = nc.Stack(np.ma.array(dense.stack.data, mask=False))
        assert stack.data.dtype == dense.stack.data.dtype
        assert stack.notices == ()

    def test_of_positions_and_properties(self):
        positions = np.ma.array([[1.0, 2, 3], [4, 5, 6]], mask=[[1, 0, 0], [0, 0, 0]])
        table = nc.particle_table(positions, radius=np.ma.array([4, 5], mask=[0, 1]))
        assert np.isnan(table["z"][0])
        assert np.isnan(table["radius"][1])
        with pytest.raises(ColloidsError, match="whole numbers"):
            nc.particle_table(positions, frame=np.ma.array([4, 5], mask=[0, 1]))


@pytest.mark.parametrize("frame", [np.inf, -np.inf, 1e300, 2.0**63, np.uint64(2**63), [1e19]])
def test_a_frame_beyond_64_bits_is_refused(frame):
    with pytest.raises(ColloidsError, match="'frame' must hold whole numbers"):
        nc.particle_table([[1, 2, 3]], frame=frame)


class TestPairCorrelation:
    @pytest.mark.parametrize("wrong", [{"diameter": 0}, {"diameter": np.nan}, {"diameter": 1e-300}, {"cutoff": 1e-9}])
    def test_refuses_lengths_that_are_none(self, dense, wrong):
        with pytest.raises(ColloidsError, match=r"positive|finite|cannot be computed"):
            nc.pair_correlation(dense.particles, **wrong)

    @pytest.mark.parametrize("shape", [(0, 0, 0), (24, 32, 0), (1, 1, 1), (32, 32, 8)])
    def test_refuses_a_shape_that_does_not_hold_the_particles(self, dense, shape):
        with pytest.raises(ColloidsError, match="cannot hold: give the shape of the stack"):
            nc.pair_correlation(dense.particles, shape=shape)

    def test_takes_one_that_some_are_a_little_outside(self, dense):
        particles = dense.particles.copy()
        particles.loc[0, "z"] = -3.0
        assert nc.pair_correlation(particles, shape=(24, 32, 32)).g.max() > 1


def test_a_graphics_card_that_fails_is_replaced_by_the_processor(dense, monkeypatch):
    """As one that is lost during a search; none is needed for the test."""
    import torch

    from napari_colloids.detection import device, search

    by_tiles = search._tile_by_tile

    def lost(*given):
        if given[-1] == "cuda":
            raise RuntimeError("CUDA error: device is lost")
        return (yield from by_tiles(*given))

    def unknown():
        raise RuntimeError("CUDA error: device is lost")

    monkeypatch.setattr(torch.cuda, "mem_get_info", unknown)
    monkeypatch.setattr(device, "choose_device", lambda _requested: "cuda")
    monkeypatch.setattr(search, "_tile_by_tile", lost)
    found = nc.detect(dense.stack.data, diameter=8)
    assert len(found) > 15
    assert found.attrs["device"] == "cpu"
    assert any("device is lost" in notice and "the CPU was used" in notice for notice in found.attrs["notices"])


def test_a_graphics_card_whose_memory_is_full_is_replaced_by_the_processor(dense, monkeypatch):
    """Simulated, as above: however small the tiles, there is no memory."""
    import torch

    from napari_colloids.detection import device, search

    by_tiles, tried = search._tile_by_tile, []

    def full(*given):
        tried.append(given[-1])
        if given[-1] == "cuda":
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return (yield from by_tiles(*given))

    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (1 << 33, 1 << 34))
    monkeypatch.setattr(device, "choose_device", lambda _requested: "cuda")
    monkeypatch.setattr(search, "_tile_by_tile", full)
    found = nc.detect(dense.stack.data, diameter=8)
    assert len(found) > 15
    assert tried[0] == "cuda"
    assert found.attrs["device"] == tried[-1] == "cpu"
    assert "Memory ran out on cuda: the CPU was used instead." in found.attrs["notices"]


def test_a_graphics_card_that_was_asked_for_and_fails_is_told(dense, monkeypatch):
    import torch

    from napari_colloids.detection import device, search

    def lost(*_given):
        raise RuntimeError("CUDA error: device is lost")

    monkeypatch.setattr(torch.cuda, "mem_get_info", lost)
    monkeypatch.setattr(device, "choose_device", lambda _requested: "cuda")
    monkeypatch.setattr(search, "_tile_by_tile", lost)
    with pytest.raises(ColloidsError, match="The network failed on cuda: CUDA error: device is lost"):
        nc.detect(dense.stack.data, diameter=8, device="cuda")


@pytest.mark.parametrize("voxel_size", [(1e-9, 1, 1), (1e9, 1, 1), (1e-320, 1, 1), (1, 1e-6, 1)])
def test_voxels_of_absurd_proportions_are_refused(dense, voxel_size):
    with pytest.raises(ColloidsError, match=r"is the voxel size .* right\?"):
        nc.detect(dense.stack.data, diameter=8, voxel_size=voxel_size, method="log")


def test_every_case_of_the_table_is_backed_by_a_test_that_exists():
    text = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "---" not in line][1:]
    assert len(rows) > 15
    for row in rows:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)(?:::(\w+))?`", row)
        assert named, row
        for file, *names in named:
            code = (ROOT / file).read_text(encoding="utf-8")
            for name in filter(None, names):
                assert re.search(rf"^ *(def|class) {name}\b", code, re.MULTILINE), f"{file}::{name}"
