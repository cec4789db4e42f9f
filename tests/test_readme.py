"""What the README shows must run."""

import re
import shlex
from pathlib import Path

import pytest

from napari_colloids import cli

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
SHELL = re.findall(r"```sh\n(.*?)```", README, flags=re.DOTALL)
COMMANDS = re.findall(r"^napari-colloids (.*?)(?:  +#.*)?$", "".join(SHELL), flags=re.MULTILINE)


def test_python_example(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (example,) = PYTHON
    exec(compile(example, "README.md", "exec"), {})
    shown = capsys.readouterr().out
    precision, recall = (float(re.search(rf"{word} ([\d.]+)", shown)[1]) for word in ("precision", "recall"))
    assert precision > 0.9
    assert recall > 0.9
    assert (tmp_path / "particles.csv").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # where the files are missing, so that each command stops at once
    name, *_ = arguments = shlex.split(command)
    if name in ("detect", "link", "structure", "dynamics", "score", "assess", "labels", "train", "benchmark"):
        assert cli.main(arguments) == 2
        missing = r"There is no (file|folder)|No file matches|cannot be (read|opened)|does not exist"
        assert re.search(missing, capsys.readouterr().err)
    elif name == "simulate":
        assert cli.main([*arguments, "--count", "1", "--shape", "12", "16", "16"]) == 0
    else:
        assert cli.main(arguments) == 0
