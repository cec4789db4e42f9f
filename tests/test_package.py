"""What users get: light imports, floors without Qt, a wheel that has everything."""

import ast
import graphlib
import subprocess
import sys
import zipfile
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

import napari_colloids

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "src" / "napari_colloids"
SOURCES = sorted(PACKAGE.rglob("*.py"))
CORE = [path for path in SOURCES if path.relative_to(PACKAGE).parts[0] != "widgets"]
GUI = {"qtpy", "PyQt5", "PyQt6", "PySide2", "PySide6", "superqt", "magicgui", "napari", "vispy"}

#: From the ground floor up. A room knows of the floors below, and those on the ground floor of each other.
FLOORS = [
    {
        "errors",
        "settings",
        "stack",
        "volumes",
        "particles",
        "positions",
        "progress",
        "jsonable",
        "formatting",
        "plotting",
        "compiled",
        "table_limits",
        "interval",
    },
    {"io", "simulation", "scoring", "structure", "refinement"},
    {"detection", "dynamics"},
    {"benchmark", "assessment"},
    {"batch", "training"},
    {"widgets"},
    {"cli"},
]


def floor_of(room: str) -> int:
    """Number of the floor that a module or folder of the package is on."""
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def imported_by(statement: str) -> set[str]:
    """Top-level names of the modules that a fresh interpreter holds after a statement."""
    code = f"{statement}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    return set(subprocess.check_output([sys.executable, "-c", code], text=True).split())


def imports_of(path: Path) -> set[str]:
    """Full names of what a file imports, anywhere in it, those for the types included."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_importing_the_package_is_light():
    assert not imported_by("import napari_colloids") & (GUI | {"torch", "numpy", "pandas", "scipy", "h5py"})


@pytest.mark.parametrize(
    "module", ["cli", "io", "scoring", "simulation", "structure", "dynamics", "stack", "particles"]
)
def test_importing_a_floor_brings_neither_torch_nor_a_window(module):
    assert not imported_by(f"import napari_colloids.{module}") & (GUI | {"torch"})


def test_importing_the_detector_brings_no_window():
    assert not imported_by("from napari_colloids import detect, simulate, score, read_stack") & GUI


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_widgets_know_of_qt_and_napari(path):
    assert not {name for name in imports_of(path) if name.partition(".")[0] in GUI}


def test_every_room_is_on_a_floor():
    rooms = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert rooms - {"__init__"} == set().union(*FLOORS)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_arrow_runs_back_up(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room == "__init__":  # has all public names, which it imports when they are asked for
        return
    below = set().union(*FLOORS[: max(1, floor_of(room))])
    known = {name.split(".")[1] for name in imports_of(path) if name.startswith("napari_colloids.")}
    assert known & set().union(*FLOORS) <= below | {room}


def test_no_two_files_need_each_other_types_included():
    files = {".".join(("napari_colloids", *path.relative_to(PACKAGE).with_suffix("").parts)): path for path in SOURCES}
    files = {name.removesuffix(".__init__"): path for name, path in files.items()}
    needs = {}
    for name, path in files.items():
        wanted = imports_of(path)
        needs[name] = {one if one in files else one.rpartition(".")[0] for one in wanted} & files.keys() - {name}
    # These have names that others export, and import them when they are asked for.
    for lazy in ("napari_colloids", "napari_colloids.detection", "napari_colloids.simulation"):
        assert not needs[lazy]
    graphlib.TopologicalSorter(needs).prepare()  # which raises CycleError


def test_public_names():
    assert len(napari_colloids.__all__) == len(set(napari_colloids.__all__)) > 30
    for name in napari_colloids.__all__:
        assert getattr(napari_colloids, name) is not None
    assert set(napari_colloids.__all__) <= set(dir(napari_colloids))
    with pytest.raises(AttributeError, match="detekt"):
        napari_colloids.detekt  # noqa: B018


def test_version_and_entry_points():
    assert napari_colloids.__version__ == version("napari-colloids")
    (manifest,) = (point for point in entry_points(group="napari.manifest") if point.name == "napari-colloids")
    assert manifest.value == "napari_colloids:napari.yaml"
    (command,) = (point for point in entry_points(group="console_scripts") if point.name == "napari-colloids")
    assert callable(command.load())


def test_manifest_at_the_top_is_the_packaged_one():
    assert (ROOT / "napari.yaml").read_bytes() == (PACKAGE / "napari.yaml").read_bytes()


def test_manifest_is_valid():
    npe2 = pytest.importorskip("npe2")
    manifest = npe2.PluginManifest.from_distribution("napari-colloids")
    manifest.validate_imports()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = ["pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run([sys.executable, "-m", *command], check=True)
    (path,) = folder.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


def test_wheel_holds_every_file_of_the_package(wheel):
    files = {path.relative_to(PACKAGE.parent).as_posix() for path in PACKAGE.rglob("*") if path.is_file()}
    expected = {name for name in files if "__pycache__" not in name}
    assert {"napari_colloids/napari.yaml", "napari_colloids/py.typed"} <= expected
    assert any(
        name.startswith("napari_colloids/detection/weights/") for name in expected if name.endswith(".safetensors")
    )
    packed = {name for name in wheel.namelist() if name.startswith("napari_colloids/")}
    docs = {f"napari_colloids/docs/{page.name}" for page in (ROOT / "docs").glob("*.md")}
    assert "napari_colloids/docs/inspect.md" in docs
    assert packed == expected | docs


def test_wheel_metadata(wheel):
    (folder,) = {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    metadata = wheel.read(f"{folder}/METADATA").decode()
    assert "Classifier: Framework :: napari" in metadata
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:") and "extra ==" not in line]
    assert not [line for line in required if "qt6" in line.lower() or "pyside" in line.lower()]  # users choose their Qt
    assert f"{folder}/licenses/LICENSE" in wheel.namelist()
