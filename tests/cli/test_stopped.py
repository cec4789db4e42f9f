"""Commands that are asked to end, or that have nobody to talk to."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from napari_colloids.io import read_particles

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and descriptors are those of Unix")


def command(*arguments):
    code = f"import sys; from napari_colloids.cli import main; sys.exit(main({list(arguments)}))"
    return [sys.executable, "-c", code]


def test_nothing_half_written_is_left_by_a_command_that_is_asked_to_end(tmp_path):
    arguments = ["simulate", "out.h5", "--count", "500", "--shape", "24", "24", "24", "--radius", "4"]
    process = subprocess.Popen(command(*arguments), cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    while not list(tmp_path.iterdir()) and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert said.split() == ["Stopped."]
    assert not list(tmp_path.iterdir())


def test_a_table_is_written_where_nobody_hears_of_it(tmp_path):
    image = np.random.default_rng(0).normal(size=(16, 24, 24)).astype(np.float32)
    np.save(tmp_path / "stack.npy", image)
    arguments = command("detect", "stack.npy", "-o", "found.csv", "--diameter", "8", "--threshold", "0.05")
    shell = ["sh", "-c", '"$@" 2>&-', "sh", *arguments]
    assert subprocess.run(shell, cwd=tmp_path, check=False).returncode == 0
    read_particles(tmp_path / "found.csv")
