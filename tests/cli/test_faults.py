"""Commands where something goes wrong that is nobody's input: one line, and no half-written files."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress

import numpy as np
import pandas as pd
import pytest

from napari_colloids.batch import StackFile
from napari_colloids.cli import failures
from napari_colloids.io import read_particles

#: What file systems take for a name and no text is: é in Latin 1.
NOT_UTF8 = os.fsdecode(b"caf\xe9")
SEARCH = ["--diameter", "8", "--method", "log"]


@pytest.fixture
def image(simulated):
    return simulated.stack.data


def broken(error):
    """Make a reader that fails."""

    def read(*_arguments, **_more):
        raise error

    return read


class TestErrorsOfLibraries:
    @pytest.fixture
    def fail_with(self, monkeypatch, run, stack_file, capsys):
        """Let a command fail, and return its status and the lines on stderr."""

        def fail(error, *words):
            monkeypatch.setattr(StackFile, "open", broken(error))
            status = run("detect", stack_file, "-o", "found.csv", *words)
            return status, capsys.readouterr().err.splitlines()

        return fail

    @pytest.mark.parametrize("error", [ZeroDivisionError("no\nway"), KeyError("a"), AssertionError(), SystemError()])
    def test_are_one_line_that_says_how_to_see_more(self, fail_with, error, folder):
        status, (line,) = fail_with(error)
        assert status == failures.UNEXPECTED
        assert type(error).__name__ in line
        assert "--traceback" in line
        assert not (folder / "found.csv").exists()

    @pytest.mark.parametrize("by", ["option", "variable"])
    def test_are_shown_where_asked_for(self, fail_with, by, monkeypatch):
        if by == "variable":
            monkeypatch.setenv(failures.TRACEBACK_VARIABLE, "1")
        _, lines = fail_with(ZeroDivisionError("no way"), *(["--traceback"] if by == "option" else []))
        assert lines[0].startswith("Traceback")
        assert lines[-1].startswith("Error: ZeroDivisionError: no way")

    @pytest.mark.parametrize(
        "error",
        [
            MemoryError(),
            OSError(12, "Cannot allocate memory"),
            ImportError("libtorch.so: failed to map segment from shared object"),
            RuntimeError("can't start new thread"),
        ],
    )
    def test_of_memory_are_said_to_be(self, fail_with, error, folder):
        status, (line,) = fail_with(error)
        assert status == failures.BAD_INPUT
        assert "too little memory" in line
        assert not (folder / "found.csv").exists()

    def test_of_one_input_do_not_stop_the_others(self, run, stack_file, folder, monkeypatch, capsys):
        opened = StackFile.open
        (folder / "bad.tif").write_bytes((folder / stack_file).read_bytes())

        def open_unless_bad(file):
            if file.path == "bad.tif":
                raise ZeroDivisionError("no way")
            return opened(file)

        monkeypatch.setattr(StackFile, "open", open_unless_bad)
        assert run("detect", "bad.tif", stack_file, "-o", "out", *SEARCH) == 2
        assert "ZeroDivisionError: no way (unexpected" in capsys.readouterr().err
        summary = pd.read_csv("out/summary.csv").set_index("input")
        assert summary["state"].to_dict() == {"bad.tif": "failed", "stack.tif": "done"}
        assert "failed: ZeroDivisionError" in (folder / "out" / "bad.log").read_text()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="all names are text there")
class TestNamesThatAreNotUtf8:
    @pytest.mark.parametrize("ending", ["csv", "h5", "xyz"])
    def test_of_input_and_table(self, run, image, folder, ending, capsys):
        np.save(f"{NOT_UTF8}.npy", image)
        np.save("plain.npy", image)
        assert run("detect", f"{NOT_UTF8}.npy", "-o", f"{NOT_UTF8}.{ending}", *SEARCH) == 0
        assert run("detect", "plain.npy", "-o", f"plain.{ending}", *SEARCH) == 0
        found, same = read_particles(f"{NOT_UTF8}.{ending}"), read_particles(f"plain.{ending}")
        assert found.attrs["input"] == f"{NOT_UTF8}.npy"
        pd.testing.assert_frame_equal(found, same)
        assert len(found) > 0

    def test_in_a_folder_with_its_log_and_summary(self, run, image, folder, capsys):
        for name in (NOT_UTF8, "größe"):
            np.save(f"{name}.npy", image)
        words = [f"{NOT_UTF8}.npy", "größe.npy", "-o", f"out{NOT_UTF8}", *SEARCH]
        assert run("detect", *words) == 0
        out = folder / f"out{NOT_UTF8}"
        assert "done" in (out / f"{NOT_UTF8}.log").read_text(encoding="utf-8")
        assert list(pd.read_csv(out / "summary.csv")["input"]) == [r"caf\udce9.npy", "größe.npy"]
        assert run("detect", *words) == 0
        assert run("detect", "größe.npy", "-o", f"out{NOT_UTF8}", *SEARCH) == 0
        summary = pd.read_csv(out / "summary.csv")
        assert dict(zip(summary["table"], summary["state"], strict=True)) == {
            r"caf\udce9.csv": "skipped",
            "größe.csv": "skipped",
        }

    def test_of_a_mask_and_of_what_is_not_there(self, run, fails, image, folder):
        np.save("plain.npy", image)
        np.save(f"{NOT_UTF8}.npy", np.ones(image.shape, np.uint8))
        assert run("detect", "plain.npy", "--mask", f"{NOT_UTF8}.npy", "-o", "found.csv", *SEARCH) == 0
        assert json.loads((folder / "found.csv.json").read_text(encoding="utf-8"))["options"]["mask"] == (
            f"{NOT_UTF8}.npy"
        )
        assert r"caf\udce9none.npy" in fails("detect", f"{NOT_UTF8}none.npy", "-o", "b.csv")

    @pytest.mark.parametrize("layout", ["challenge", "website"])
    def test_of_what_is_simulated(self, run, folder, layout):
        name = f"x_{NOT_UTF8}.h5"
        assert run("simulate", name, "--layout", layout, "--shape", 16, 16, 16, "--radius", 4) == 0
        assert run("detect", name, "-o", "found.csv", *SEARCH) == 0
        read_particles(name)


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[31mb", "a\u202eb"])
def test_a_message_is_one_line_whatever_a_file_is_called(fails, run, image, folder, name, capsys):
    if sys.platform == "win32":
        pytest.skip("there are no such names")
    line = fails("detect", f"{name}.npy", "-o", "found.csv")
    assert name not in line
    np.save(f"{name}.npy", image)
    assert run("detect", f"{name}.npy", "-o", "found.csv", *SEARCH) == 0
    assert name not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["detect", "stack.tif", "-o", ""], " (-o)"),
        (["detect", "stack.tif", "--output="], " (--output)"),
        (["demo", "-o", ""], " (-o)"),
        (["detect", "", "-o", "a.csv"], ""),
    ],
)
def test_an_empty_name_is_refused(fails, stack_file, arguments, option):
    assert f"is empty{option}: was a variable of the shell not set?" in fails(*arguments)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of Unix")
def test_a_signal_whose_exception_python_drops_still_ends_the_command(run, folder, monkeypatch, capsys):
    """As in a callback, where an exception is only printed."""
    import signal

    from napari_colloids import simulation

    simulate, calls = simulation.simulate, []

    def dropped(parameters):
        calls.append(parameters)
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        return simulate(parameters)

    monkeypatch.setattr(simulation, "simulate", dropped)
    assert run("simulate", "out.h5", "--count", 3, "--shape", 16, 16, 16, "--radius", 4) == 130
    assert len(calls) == 1
    assert list(folder.iterdir()) == []
    assert "Stopped." in capsys.readouterr().err
