"""Shared by the tests of readers and writers."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from napari_colloids.errors import ColloidsError
from napari_colloids.io.stacks import list_series, read_stack
from napari_colloids.simulation import simulate


@pytest.fixture(scope="session")
def simulations():
    """Three small volumes, all different, the last one polydisperse and 16 bit."""
    return [
        simulate(shape=(20, 22, 24), radius=4, volume_fraction=0.3, seed=1, voxel_size=0.05, snr=3, cnr=2),
        simulate(shape=(20, 22, 24), radius=5, volume_fraction=0.2, seed=2, voxel_size=0.05, voxel_aspect=2),
        simulate(shape=(20, 22, 24), radius=4, volume_fraction=0.3, seed=3, polydispersity=0.1, bits=16),
    ]


@pytest.fixture(scope="session")
def volume():
    """Make an array of random integers."""

    def make(*shape, dtype=np.uint16):
        return np.random.default_rng(0).integers(0, 200, shape).astype(dtype)

    return make


@pytest.fixture
def holds():
    """Check that a series of a file is what was written, read at once as well as lazily."""

    def check(path, data, axes, *, index=0, dataset=None, given=None, **expected):
        expected = {"voxel_size": None, "channel_names": (), "frame_interval": None, **expected}
        series = list_series(path)[index]
        assert bool(series.problem) == (given is not None)
        eager, lazy = (read_stack(path, index=index, dataset=dataset, axes=given, lazy=lazy) for lazy in (False, True))
        assert isinstance(eager.data, np.ndarray)
        for stack in (eager, lazy):
            assert stack.axes == axes
            assert stack.data.dtype == data.dtype
            np.testing.assert_array_equal(np.asarray(stack.data), data)
        for one in (eager, lazy, series):
            assert one.channel_names == expected["channel_names"]
            for value in ("voxel_size", "frame_interval"):
                wanted = expected[value]
                found = getattr(one, value)
                assert found == (None if wanted is None else pytest.approx(wanted, rel=1e-6))
        for chunks, axis in zip(lazy.data.chunks, axes, strict=True):
            assert axis in "zyx" or set(chunks) == {1}, "a box must not need other frames and channels"
        return lazy

    return check


@pytest.fixture
def read_elsewhere():
    """Send a box of lazy data to a fresh process, which reads it."""

    def read(data, box):
        code = (
            "import pickle, sys; box = pickle.load(sys.stdin.buffer); "
            "pickle.dump(box.compute(scheduler='sync'), sys.stdout.buffer)"
        )
        sent = pickle.dumps(data[box])
        assert len(sent) < 50_000, "the pixels were sent, not the way to them"
        answer = subprocess.run([sys.executable, "-c", code], input=sent, capture_output=True, check=True, cwd="/")
        return pickle.loads(answer.stdout)

    return read


@pytest.fixture
def refused(caplog, capfd):
    """Check that a file is refused in one line, whatever the library behind it says."""

    def check(path, match):
        for reader in (read_stack, list_series):
            with pytest.raises(ColloidsError, match=match) as caught:
                reader(path)
            assert "\n" not in str(caught.value)
            assert path.name in str(caught.value)
        assert caplog.records == []
        assert capfd.readouterr() == ("", "")

    return check


@pytest.fixture
def refused_when_cut(refused):
    """Check that a file is refused once its end is missing, and that one with foreign content is."""

    def check(path, kept=(0.0005, 0.3, 0.7, 0.98)):
        whole = path.read_bytes()
        for share in kept:
            path.write_bytes(whole[: max(int(share * len(whole)), 1)])
            refused(path, "damaged|cut short")
        for content in (b"z,y,x\n1,2,3\n", b"\0" * 5000, whole[: len(whole) // 3][::-1]):
            path.write_bytes(content)
            refused(path, "is not a")
        path.write_bytes(b"")
        refused(path, "0 bytes")

    return check


@pytest.fixture
def cut_while_read():
    """Check that a file which is cut in the middle of reading is told: a map beyond its end would end the process."""

    def check(path):
        lazy = read_stack(path, lazy=True)
        lazy.data[0].compute(scheduler="sync")
        status = path.stat()
        os.truncate(path, status.st_size // 2)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        with pytest.raises(ColloidsError, match="cut short"):
            lazy.data[-1].compute(scheduler="sync")

    return check
