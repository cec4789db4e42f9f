"""The examples in docstrings must run, and show what comes out."""

import doctest
import importlib
import inspect
from pathlib import Path

import pytest

import napari_colloids
from napari_colloids import io

PACKAGE = Path(napari_colloids.__file__).parent
#: Packages whose public functions and classes all have an example; it only grows.
COMPLETE = [napari_colloids, io]


def modules_with_examples():
    """Names of all modules with examples, but for those of the window."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] != "widgets" and ">>>" in path.read_text(encoding="utf-8"):
            yield ".".join(("napari_colloids", *parts)).removesuffix(".__init__")


def public_objects():
    """All functions and classes that the complete packages export."""
    for package in COMPLETE:
        for name in package.__all__:
            if inspect.isroutine(getattr(package, name)) or inspect.isclass(getattr(package, name)):
                yield pytest.param(getattr(package, name), id=f"{package.__name__}.{name}")


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_run(name, tmp_path, monkeypatch):
    module = importlib.import_module(name)
    examples = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    assert examples
    for number, test in enumerate(examples):
        folder = tmp_path / str(number)
        folder.mkdir()
        monkeypatch.chdir(folder)
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        complaints = []
        test.globs.pop("annotations", None)  # of the module's __future__: examples are as they are in a console
        doctest.DocTestRunner(optionflags=flags).run(test, out=complaints.append, clear_globs=False)
        assert not complaints, "".join(complaints)


@pytest.mark.parametrize("thing", public_objects())
def test_public_objects_have_an_example(thing):
    assert ">>> " in inspect.cleandoc(thing.__doc__ or "").partition("Examples\n--------\n")[2]
