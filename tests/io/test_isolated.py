"""Files are read in another process, which they may end or stop."""

import json  # noqa: F401  (in texts)
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_colloids.errors import ColloidsError
from napari_colloids.io.isolated import array as arrays
from napari_colloids.io.isolated import process
from napari_colloids.io.isolated.array import IsolatedArray
from napari_colloids.io.isolated.process import EndedError, run_isolated
from napari_colloids.io.lazy import FileArray

ENDLESS = "while True: pass"
#: Python's own loop that holds its lock, as loops in libraries do; takes minutes.
ENDLESS_IN_C = "import re; re.match('(a+)+$', 'a' * 40 + 'b')"
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals")


def pid():
    """Process that reads files now."""
    return run_isolated("a.h5", os.getpid)


@contextmanager
def limits(**seconds):
    """Let a file take less time or memory."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in seconds.items():
            patched.setattr(process, name, value)
        yield


@contextmanager
def ends(match):
    """Check that a file is told to end the process, and that others are read afterwards."""
    before = pid()
    with pytest.raises(EndedError, match=match) as caught:
        yield
    assert str(caught.value).startswith("'a.h5' ")
    assert "\n" not in str(caught.value)
    assert pid() != before
    assert not psutil.pid_exists(before)


def test_one_process_answers_all():
    assert os.getpid() != pid() == pid()
    assert run_isolated("a.h5", divmod, 7, 3) == (2, 1)


@POSIX
def test_a_file_that_ends_the_process():
    with ends(r"is damaged: to read it ends the process \(SIGABRT\); copy it again"):
        run_isolated("a.h5", os.abort)


def test_a_process_that_someone_ended_is_not_the_fault_of_the_file(tmp_path):
    code = f"import os\nif not os.path.exists({str(tmp_path / 'a')!r}): open({str(tmp_path / 'a')!r}, 'w'); os._exit(3)"
    assert run_isolated("a.h5", exec, code) is None
    psutil.Process(pid()).kill()
    assert run_isolated("a.h5", divmod, 7, 3) == (2, 1)


@pytest.mark.parametrize("code", [ENDLESS, ENDLESS_IN_C], ids=["in Python", "in a library"])
def test_a_file_whose_reading_does_not_end(code):
    what = "is damaged: reading it does not end .nothing came in .* s of computing.; copy it again"
    others = []
    beat = threading.Thread(target=lambda: [others.append(time.sleep(0.02)) for _ in range(10)])
    with ends(what), limits(COMPUTING_SECONDS=0.5):
        pid()
        beat.start()
        run_isolated("a.h5", exec, code)
    assert len(others) == 10, "the window of napari would have stood still"


def test_more_pixels_may_take_longer():
    code = "import time\nwhile time.process_time() < {}: pass"
    needed = run_isolated("a.h5", time.process_time) + 0.8
    with limits(COMPUTING_SECONDS=0.3):
        run_isolated("a.h5", exec, code.format(needed), nbytes=10_000_000)
    with ends("does not end"), limits(COMPUTING_SECONDS=0.3):
        run_isolated("a.h5", exec, code.format(needed + 5))


def test_signs_of_progress_are_waited_for():
    code = (
        "import time; from napari_colloids.io.isolated.child import show_progress; end = time.process_time() + 1.2\n"
        "while time.process_time() < end: show_progress()"
    )
    with limits(COMPUTING_SECONDS=0.5):
        assert run_isolated("a.h5", exec, code) is None


def test_a_slow_disk_is_waited_for_but_not_for_ever():
    with limits(COMPUTING_SECONDS=0.3):
        assert run_isolated("a.h5", time.sleep, 0.6) is None
    what = r"does not answer .nothing came for . s.: is its disk or network in order\?"
    with ends(what), limits(WAITING_SECONDS=0.3):
        run_isolated("a.h5", time.sleep, 60)


def test_a_file_that_fills_the_memory():
    with ends("is damaged: to read it takes more than 0.3 GB of memory; copy"), limits(_MEMORY_BYTES=300_000_000):
        run_isolated("a.h5", exec, "import time; full = b'1' * 500_000_000; time.sleep(60)")
    filled = "import time; full = b'1' * 500_000_000; time.sleep(0.3)"
    with limits(_MEMORY_BYTES=300_000_000):
        assert run_isolated("a.h5", exec, filled, nbytes=100_000_000) is None


def test_memory_that_is_kept_of_other_files_does_not_count():
    code = "import builtins, time; builtins.{0} = b'1' * 200_000_000; time.sleep(0.3)"
    with limits(_MEMORY_BYTES=300_000_000):
        for name in ("one", "two"):
            assert run_isolated("a.h5", exec, code.format(name)) is None
    psutil.Process(pid()).kill()


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ("KeyError('two')", "'two'"),
        ("MemoryError()", ""),
        ("OSError(2, 'gone', 'b.h5')", "[Errno 2] gone: 'b.h5'"),
        ("__import__('napari_colloids').ColloidsError('one')", "one"),
        ("__import__('napari_colloids.errors').errors.UnusableVolumeError('one', 'two')", "one"),
    ],
)
def test_errors_are_raised_as_they_were(error, shown):
    before = pid()
    expected = eval(error)
    with pytest.raises(type(expected)) as caught:
        run_isolated("a.h5", exec, f"import json; raise {error}")
    assert str(caught.value) == shown
    assert vars(caught.value).keys() >= vars(expected).keys()
    assert "Traceback" in caught.value.__notes__[0]
    assert pid() == before


def test_errors_of_libraries_are_of_the_class_of_python_that_they_belong_to():
    with pytest.raises(ValueError, match="no value: line 1 column 1"):
        run_isolated("a.h5", exec, "import json; raise json.JSONDecodeError('no value', 'a', 0)")


def test_errors_that_cannot_be_sent_are_told():
    code = "class Odd(Exception):\n    def __init__(self, a, b): super().__init__(f'{a} {b}')\nraise Odd('one', 2)"
    with pytest.raises(RuntimeError, match="Odd: one 2"):
        run_isolated("a.h5", exec, code)


def test_what_cannot_be_sent_is_an_error_and_ends_nothing():
    before = pid()
    with pytest.raises(ValueError, match="cannot be sent"):
        run_isolated("a.h5", threading.Lock)
    assert pid() == before


def test_what_libraries_print_goes_nowhere(capfd):
    code = "import os, sys; print('out'); os.write(1, b'out'); print('err', file=sys.stderr); os.write(2, b'err')"
    assert run_isolated("a.h5", exec, code) is None
    assert capfd.readouterr() == ("", "")


def test_relative_paths_mean_the_same(tmp_path, monkeypatch):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert run_isolated("a.h5", os.path.abspath, ".") == str(tmp_path / name)


def test_arrays_come_as_they_are():
    for shape, order in (((0, 3), "C"), ((3, 4, 5), "F"), ((200, 300, 100), "C")):
        data = np.asarray(np.arange(np.prod(shape)).reshape(shape), order=order)
        found = run_isolated("a.h5", np.add, data, 1)
        np.testing.assert_array_equal(found, data + 1)
        assert found.flags.writeable


def test_threads_get_their_own_answers():
    found = {}

    def ask(number):
        if number == 3:
            with pytest.raises(EndedError):
                run_isolated("a.h5", os._exit, 1)
            return
        for k in range(20):
            found[number, k] = run_isolated("a.h5", divmod, 1000 * number + k, 7)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {(n, k): divmod(1000 * n + k, 7) for n in range(6) if n != 3 for k in range(20)}


@POSIX
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_has_one_of_its_own():
    before = pid()
    receiver, sender = multiprocessing.Pipe()
    forked = multiprocessing.get_context("fork").Process(target=lambda: sender.send(pid()))
    forked.start()
    assert receiver.poll(30)
    assert receiver.recv() not in (before, forked.pid)
    forked.join()
    assert pid() == before


SCRIPT = """
import os, sys, threading, time
from napari_colloids.io.isolated import process
print(process.run_isolated("a.h5", os.getpid), flush=True)
"""


def gone(number, seconds=20.0):
    """Wait for the end of a process."""
    end = time.monotonic() + seconds
    while psutil.pid_exists(number) and psutil.Process(number).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


@pytest.mark.parametrize(
    "last", ["", "time.sleep(60)", "busy()"], ids=["at its end", "killed", "killed while it reads"]
)
def test_the_process_ends_with_the_one_that_started_it(last):
    """A script without ``if __name__ == "__main__"``, from standard input."""
    busy = f"def busy():\n    process.COMPUTING_SECONDS = 1\n    process.run_isolated('a.h5', exec, {ENDLESS_IN_C!r})\n"
    script = subprocess.Popen([sys.executable, "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    script.stdin.write(busy + SCRIPT + last)
    script.stdin.close()
    reader = int(script.stdout.readline())
    if last:
        assert psutil.pid_exists(reader)
        time.sleep(0.2)
        script.kill()
    assert script.stdout.read() == ""
    script.wait()
    script.stdout.close()
    assert gone(reader)


@POSIX
def test_an_interrupt_leaves_no_answer_behind():
    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            run_isolated("a.h5", time.sleep, 60)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert run_isolated("a.h5", divmod, 7, 3) == (2, 1)


def test_a_process_that_does_not_start_is_not_the_fault_of_the_file(monkeypatch):
    psutil.Process(pid()).kill()
    with monkeypatch.context() as patched:
        patched.setattr(process, "_CODE", "import no_such_module")
        with pytest.raises(ColloidsError, match=r"process that reads files does not start \(exit status 1\)"):
            run_isolated("a.h5", os.getpid)
    assert pid()


@given(data=st.data())
def test_boxes_of_arrays(data, tmp_path_factory):
    shape = tuple(data.draw(st.lists(st.integers(0, 7), min_size=1, max_size=4)))
    native = tuple(data.draw(st.integers(1, 9)) for _ in shape)
    limit = data.draw(st.integers(1, 200))
    index = tuple(
        data.draw(st.one_of(st.integers(0, n - 1), st.slices(n)) if n else st.just(slice(None))) for n in shape
    )
    whole = np.arange(np.prod(shape, dtype=int), dtype=np.uint16).reshape(shape)
    path = tmp_path_factory.getbasetemp() / "boxes.npy"
    np.save(path, whole)
    array = IsolatedArray.of(FileArray(np.load, str(path), None, shape, whole.dtype, native, "an array"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(arrays, "CHUNK_BYTES", limit)
        np.testing.assert_array_equal(array[index], whole[index], strict=True)
        smallest = 2 * np.prod([min(n, max(1, m)) for n, m in zip(native, shape, strict=True)])
        for part in array._parts(index):
            assert part.nbytes <= max(limit, smallest) or any(
                isinstance(one, slice) and (one.step or 1) < 0 for one in index
            )
            assert 2 * np.prod(part.shape) <= part.nbytes


def test_pickled_arrays_are_read_elsewhere(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(24).reshape(2, 3, 4))
    array = IsolatedArray.of(
        FileArray(np.load, str(tmp_path / "a.npy"), None, (2, 3, 4), np.dtype(int), (1, 1, 1), "an array")
    )
    copy = pickle.loads(pickle.dumps(array))
    np.testing.assert_array_equal(copy.read(), np.arange(24).reshape(2, 3, 4))
    assert copy.__dask_tokenize__() == array.__dask_tokenize__()


@POSIX
def test_an_array_that_ends_the_process_again_and_again_is_given_up():
    """Of thousands of parts each would take seconds."""
    array = IsolatedArray.of(FileArray(exec, "import os; os.abort()", None, (9, 4), np.dtype(int), (1, 1), "an array"))
    for k in range(3):
        with pytest.raises(EndedError, match="SIGABRT"):
            array[k, :]
    before = pid()
    with pytest.raises(EndedError, match="SIGABRT"):
        array[3, :]
    assert pid() == before


def test_an_array_with_less_than_it_promises_is_damaged(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((1, 4)))
    array = IsolatedArray.of(
        FileArray(np.load, str(tmp_path / "a.npy"), None, (9, 4), np.dtype(float), (1, 1), "an array")
    )
    with pytest.raises(ColloidsError, match=r"damaged or cut short .a part of it has the shape \(1, 4\)"):
        array.read()
