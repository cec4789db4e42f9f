"""The help of the commands, and the options that the documentation names."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import typer

from napari_colloids import cli
from napari_colloids.batch import Cluster, Selection, StackFile
from napari_colloids.cli.groups import HEADINGS, MAX_WIDTH
from napari_colloids.cli.settings import help_of
from napari_colloids.detection import Options
from napari_colloids.settings import settings_of
from napari_colloids.simulation import Parameters
from napari_colloids.training import Tuning

ROOT = Path(__file__).parents[2]
COMMANDS = typer.main.get_command(cli.app).commands
#: Settings from which a command's options are made.
GROUPS = [
    ("detect", Options),
    ("detect", StackFile),
    ("detect", Selection),
    ("detect", Cluster),
    ("simulate", Parameters),
    ("train", Tuning),
]
SETTINGS = [pytest.param(name, one, id=f"{name}-{one.name}") for name, of in GROUPS for one in settings_of(of).values()]
#: What other programs call; an option of these may not go.
CONTRACT = {
    "demo": "--output --gui --no-gui",
    "simulate": "--count --shape --volume-fraction --radius --snr --cnr --polydispersity --psf-sigma --seed",
    "detect": "--output --diameter --diameter-um --voxel-size --threshold --method --device --index --channel --frames",
    "score": "--diameter --shape --json",
    "train": "--match --output --resume --diameter --weights --steps",
    "benchmark": "",
    "link": "--output",
    "dynamics": "--q --q-um --output --json",
}
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: A command in a block of code or between backticks: its name, and its words.
COMMAND_LINE = re.compile(r"(?:^|`)napari-colloids ([a-z]+)((?: [^#\n`]*)?)", re.MULTILINE)


def options_of(command):
    options = [parameter for parameter in COMMANDS[command].params if parameter.param_type_name == "option"]
    return {word for option in options for word in (*option.opts, *option.secondary_opts)}


@pytest.fixture
def help_at(run, monkeypatch, capsys):
    """Text of the help of a command on a terminal of a width."""

    def help_at(command, width):
        monkeypatch.setattr(sys, "argv", ["napari-colloids"])
        monkeypatch.setenv("COLUMNS", str(width))
        assert run(command, "--help") == 0
        return capsys.readouterr().out

    return help_at


def sections(text):
    """Split a help by its headings, each section with single spaces."""
    parts = re.split(r"^(\S.*):\n", text, flags=re.MULTILINE)
    return {heading: " ".join(body.split()) for heading, body in zip(parts[1::2], parts[2::2], strict=True)}


@pytest.mark.parametrize(("command", "setting"), SETTINGS)
def test_every_setting_is_an_option_under_its_heading(command, setting, help_at):
    section = sections(help_at(command, 120))[setting.setting.group]
    option = f"--{setting.name.replace('_', '-')}"
    assert f"{option} " in section
    if setting.name in ("index", "psf"):  # for which the command line has other values, and so other words
        return
    assert " ".join(help_of(setting).split()) in section
    if bool not in setting.value_types:
        values = setting.setting.metavar or "|".join(map(str, setting.setting.choices))
        assert f"{option} {values} " in section


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_fits_the_terminal_and_lists_the_groups_in_order(command, width, help_at):
    text = help_at(command, width)
    assert max(map(len, text.splitlines())) <= min(width, MAX_WIDTH)
    assert text.isascii()
    found = list(sections(text))
    assert found == sorted(found, key=HEADINGS.index)
    assert all(option in text for option in options_of(command))


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_written_in_one_style(command):
    for parameter in COMMANDS[command].params:
        assert re.fullmatch(r"\S.*\.(  \[.*\])?", parameter.help), parameter.name


@pytest.mark.parametrize("width", [80, 120])
def test_a_default_is_shown_once_and_on_one_line(width, help_at):
    text = help_at("simulate", width)
    for setting in settings_of(Parameters).values():
        (part,) = re.findall(
            rf"^  --{setting.name.replace('_', '-')} .*?(?=^  -|^\S|\Z)", text, re.MULTILINE | re.DOTALL
        )
        assert part.count("[default: ") == 1
        assert re.search(r"\[default: [^\n]*\]", part)


@pytest.mark.parametrize("command", CONTRACT)
def test_the_contract_is_kept(command):
    assert set(CONTRACT[command].split()) <= options_of(command)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_documented_options_exist(document):
    """Of commands written out; and, of options named alone in the text, that some command has them."""
    text = document.read_text(encoding="utf-8").replace("\\\n", " ")
    for command, words in COMMAND_LINE.findall(text):
        assert command in COMMANDS
        assert set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", words)) <= options_of(command) | {"--help"}
    every = set().union(*map(options_of, COMMANDS))
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    known = every | {"--help", "--traceback"} | options_of_scripts()
    assert set(re.findall(r"(?<=`)--[a-z][a-z-]*", prose)) <= known


def options_of_scripts():
    """Options of the scripts beside the package, which the documentation of measurements names, too."""
    scripts = [path for path in ROOT.glob("*/*.py") if path.parent.name != "tests"]
    return {word for path in scripts for word in re.findall(r'"(--[a-z-]+)"', path.read_text(encoding="utf-8"))}
