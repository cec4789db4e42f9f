"""The registries of formats: what napari's manifest and the docs must list, and what a format must bring."""

import ast
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from napari_colloids.errors import ColloidsError
from napari_colloids.io import list_series, particle_writer, read_particles, read_stack
from napari_colloids.io.format import dialog_filter
from napari_colloids.io.formats import registry as stacks
from napari_colloids.io.formats.registry import STACK_ENDINGS, STACK_FORMATS, companion_files, is_stack_folder
from napari_colloids.io.isolated.process import run_isolated
from napari_colloids.io.tables import registry as tables
from napari_colloids.io.tables.registry import PARTICLE_ENDINGS, READ_ENDINGS, TABLE_FORMATS

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "napari_colloids"
FORMATS = [*STACK_FORMATS, *TABLE_FORMATS]
MANIFEST = "src/napari_colloids/napari.yaml"


@pytest.fixture(scope="module")
def contributions():
    npe2 = pytest.importorskip("npe2")
    return npe2.PluginManifest.from_file(PACKAGE / "napari.yaml").contributions


@pytest.mark.parametrize("form", STACK_FORMATS, ids=lambda form: form.label)
def test_napari_opens_every_stack(form, contributions):
    readers = [
        reader
        for reader in contributions.readers
        if reader.command == "napari-colloids.read_stacks" and reader.accepts_directories == form.folder
    ]
    patterns = {pattern for reader in readers for pattern in reader.filename_patterns}
    missing = {f"*{ending}" for ending in form.endings} - patterns
    kind = "true" if form.folder else "false"
    assert not missing, (
        f"{form.label}: add {sorted(missing)} to filename_patterns of read_stacks with accepts_directories: {kind} "
        f"in {MANIFEST}"
    )


def test_napari_opens_and_saves_every_table(contributions):
    readers = [reader for reader in contributions.readers if reader.command == "napari-colloids.read_particles"]
    patterns = {pattern for reader in readers for pattern in reader.filename_patterns}
    # A file that may be a stack is opened by the reader of stacks, which falls back on tables.
    missing = {f"*{ending}" for ending in READ_ENDINGS if ending not in STACK_ENDINGS} - patterns
    assert not missing, f"add {sorted(missing)} to filename_patterns of read_particles in {MANIFEST}"
    (writer,) = contributions.writers
    missing = {form.endings[0] for form in TABLE_FORMATS} - set(writer.filename_extensions)
    assert not missing, f"add {sorted(missing)} to filename_extensions of write_points in {MANIFEST}"


def test_napari_opens_nothing_that_is_not_read(contributions):
    patterns = {pattern for reader in contributions.readers for pattern in reader.filename_patterns}
    unknown = {pattern for pattern in patterns if pattern.lower().removeprefix("*") not in STACK_ENDINGS + READ_ENDINGS}
    assert not unknown, f"{sorted(unknown)} in {MANIFEST} are the endings of no format"


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.label)
def test_docs_list_every_ending(form):
    text = (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")
    missing = [ending for ending in form.endings if f"`{ending}`" not in text]
    assert not missing, f"{form.label}: add {missing} to docs/tables.md"


@pytest.mark.parametrize("endings", [STACK_ENDINGS, PARTICLE_ENDINGS])
def test_an_ending_has_one_format(endings):
    assert len(set(endings)) == len(endings)
    assert all(ending == ending.lower() and ending[0] == "." for ending in endings)


@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.label)
def test_the_module_of_a_format_has_what_is_called(form):
    module = form.load()
    if form in STACK_FORMATS:
        assert callable(module.series_readers)
        assert hasattr(module, "companion_files") or not form.companions
    else:
        assert callable(module.read)
        assert callable(module.Writer)


def test_importing_the_formats_imports_no_package_that_may_be_missing():
    code = "import sys; from napari_colloids.io import *; print(*sys.modules)"
    modules = set(subprocess.check_output([sys.executable, "-c", code], text=True).split())
    assert not modules & {"liffile", "nd2", "zarr", "imagecodecs", "tifffile", "dask"}


def imported_by_formats():
    """Packages other than the standard library's and our own that the modules of the formats import."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (PACKAGE / "io").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    packages = {name.partition(".")[0] for name in names}
    return packages - set(sys.stdlib_module_names) - {"napari_colloids", "_typeshed"}


def test_packages_of_the_formats_are_dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = [*project["dependencies"], *project["optional-dependencies"]["formats"]]
    known = {requirement.partition(">")[0].partition("[")[0].replace("-", "_") for requirement in required}
    assert imported_by_formats() <= known


@pytest.fixture
def without(monkeypatch):
    """Make a package look as if it were not installed, to a format that is used for the first time."""

    blocked = []

    def block(package, form):
        assert find_spec(package) is not None
        module = f"{form.package}.{form.module}"
        monkeypatch.delitem(sys.modules, module, raising=False)
        monkeypatch.setitem(sys.modules, package, None)
        if getattr(form, "isolated", False):  # in the process that reads it
            run_isolated("", exec, f"import sys; sys.modules.pop({module!r}, 0); sys.modules[{package!r}] = None")
            blocked.append(package)

    yield block
    for package in blocked:
        run_isolated("", exec, f"import sys; del sys.modules[{package!r}]")


@pytest.mark.parametrize(
    ("name", "package"), [("a.lif", "liffile"), ("a.xlef", "liffile"), ("a.nd2", "nd2"), ("a.zarr", "zarr")]
)
def test_missing_package_of_a_stack_is_told(name, package, tmp_path, without):
    form = stacks.stack_format(name)
    path = tmp_path / name
    path.mkdir() if form.folder else path.write_bytes(b"0")
    without(package, form)
    with pytest.raises(ColloidsError, match=rf'^{form.label} files need .*{package}.*"napari-colloids\[formats\]"'):
        list_series(path)


def test_missing_package_of_a_table_is_told(tmp_path, without):
    (tmp_path / "a.parquet").write_bytes(b"0")
    without("pyarrow", tables.table_format("a.parquet"))
    message = r'^Parquet files need .*pyarrow.*"napari-colloids\[formats\]"'
    with pytest.raises(ColloidsError, match=message):
        read_particles(tmp_path / "a.parquet")
    with pytest.raises(ColloidsError, match=message), particle_writer(tmp_path / "b.parquet"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_an_entry_of_the_registry_is_enough_to_read_a_format(tmp_path, monkeypatch):
    with (tmp_path / "a.bin").open("wb") as file:
        np.save(file, np.arange(24).reshape(2, 3, 4))
    with pytest.raises(ColloidsError, match=r"no known ending; stacks are read from \.tif, .*\.zarr files"):
        read_stack(tmp_path / "a.bin")
    monkeypatch.setattr(stacks, "STACK_FORMATS", (*STACK_FORMATS, stacks.StackFormat("Binary", (".bin",), "npy")))
    assert read_stack(tmp_path / "a.bin").data[1, 2, 3] == 23
    assert companion_files(tmp_path / "a.bin") == []
    assert not is_stack_folder(tmp_path / "a.bin")


def test_only_a_folder_in_the_format_of_one_is_a_stack(tmp_path):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "b.tif").mkdir()
    assert [is_stack_folder(tmp_path / name) for name in ("a.zarr", "b.tif", "c.zarr")] == [True, False, False]


def test_a_file_dialog_offers_each_format():
    assert (
        dialog_filter(STACK_FORMATS[:3])
        == "TIFF (*.tif *.tiff *.btf *.tf2 *.tf8 *.lsm *.stk *.ome);;HDF5 (*.h5 *.hdf5);;NumPy (*.npy)"
    )
