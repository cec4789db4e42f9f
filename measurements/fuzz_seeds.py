"""Small whole files of every format for `fuzz.py`, written by the libraries and by the helpers of the tests."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import h5py
import numpy as np
import tifffile

from napari_colloids import particle_table, simulate, write_particles
from napari_colloids.io import write_challenge, write_challenge_website

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from napari_colloids.simulation import Simulation

TESTS = Path(__file__).parents[1] / "tests" / "io"
SEED = 0


@dataclass(frozen=True)
class Seed:
    """A whole input: the file or folder that is opened, and all of its files."""

    kind: str
    opened: Path
    folder: Path

    @property
    def files(self) -> list[Path]:
        """All files, relative to the folder."""
        return sorted(path.relative_to(self.folder) for path in self.folder.rglob("*") if path.is_file())


def seeds(folder: Path, kinds: list[str] | None = None) -> list[Seed]:
    """Write the seeds of some kinds, or all, each into a folder of its own; what lacks a library is left out."""
    made = []
    for kind, writers in WRITERS.items():
        if kinds and kind not in kinds:
            continue
        for number, write in enumerate(writers):
            here = folder / f"{kind}_{number}"
            here.mkdir()
            try:
                opened = write(here)
            except ImportError as error:
                print(f"{kind} is left out: {error}")
                continue
            made.append(Seed(kind, opened.relative_to(here), here))
    return made


def _helpers(name: str) -> ModuleType:
    """Import a module of the tests."""
    spec = importlib.util.spec_from_file_location(name, TESTS / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(name)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException as error:  # pytest skips where a library is missing, which is no Exception
        raise ImportError(str(error)) from error
    return module


def _image(*shape: int, dtype: str = "uint16") -> np.ndarray:
    return np.random.default_rng(SEED).integers(0, 200, shape).astype(dtype)


def _tiff(name: str = "a.tif", shape: tuple[int, ...] = (4, 6, 8), **how: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        tifffile.imwrite(folder / name, _image(*shape), **how)
        return folder / name

    return write


def _ome_set(folder: Path) -> Path:
    """Write two OME-TIFF files of which each describes both."""
    data = _image(2, 4, 6, 8)
    uuids = [f"urn:uuid:0000000{k}-0000-4000-8000-000000000000" for k in (1, 2)]
    blocks = "".join(
        f'<TiffData IFD="0" FirstT="{k}" PlaneCount="4"><UUID FileName="{k}.ome.tif">{uuid}</UUID></TiffData>'
        for k, uuid in enumerate(uuids)
    )
    for k, uuid in enumerate(uuids):
        xml = (
            f'<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{uuid}">'
            '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZTC" Type="uint16" SizeX="8" SizeY="6" '
            'SizeZ="4" SizeC="1" SizeT="2" PhysicalSizeX="0.1" PhysicalSizeZ="0.3"><Channel ID="Channel:0:0" '
            f'SamplesPerPixel="1"/>{blocks}</Pixels></Image></OME>'
        )
        tifffile.imwrite(folder / f"{k}.ome.tif", data[k], description=xml.encode(), metadata=None)
    return folder / "0.ome.tif"


def _slices(folder: Path) -> Path:
    """Write a folder with a file per slice."""
    (folder / "slices").mkdir()
    for k in range(4):
        tifffile.imwrite(folder / "slices" / f"a_z{k:02d}.tif", _image(6, 8))
    return folder / "slices"


def _hdf5(folder: Path, **how: object) -> Path:
    with h5py.File(folder / "a.h5", "w", **how) as file:
        dataset = file.create_dataset("raw/stack", data=_image(2, 4, 6, 8), chunks=(1, 2, 6, 8), compression="gzip")
        dataset.attrs["element_size_um"] = (0.3, 0.1, 0.1)
        dataset.attrs["axistags"] = json.dumps({"axes": [{"key": axis} for axis in "tzyx"]})
        file["raw/plain"] = _image(4, 6, 8, dtype="uint8")
        file["alias"] = h5py.SoftLink("/raw/plain")
        layout = h5py.VirtualLayout((4, 6, 8), "uint8")
        layout[:] = h5py.VirtualSource(".", "raw/plain", (4, 6, 8))
        file.create_virtual_dataset("virtual", layout)
        file["name"] = "text"
    return folder / "a.h5"


def _challenge(folder: Path) -> Path:
    write_challenge(folder / "a.h5", [_simulated()])
    return folder / "a.h5"


def _website(folder: Path) -> Path:
    write_challenge_website(folder, [_simulated()], split="a")
    table = folder / "y_a.csv"
    table.write_text("".join(line for line in table.read_text().splitlines(keepends=True)[:12]))
    return folder / "x_a.hdf5"


def _simulated() -> Simulation:
    return simulate(shape=(12, 14, 16), radius=3, volume_fraction=0.1, seed=0, voxel_size=0.1)


def _npy(folder: Path) -> Path:
    np.save(folder / "a.npy", _image(4, 6, 8))
    return folder / "a.npy"


def _imaris(folder: Path) -> Path:
    _helpers("test_hdf5").write_ims(folder / "a.ims", _image(2, 2, 5, 6, 7), channels=("a", "b"))
    return folder / "a.ims"


def _czi(compression: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        data, names = _image(2, 3, 6, 8), ("a", "b")
        _helpers("test_czi").write_czi(folder / "a.czi", data, "CZ", channels=names, compression=compression)
        return folder / "a.czi"

    return write


def _leica(ending: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        helpers, path = _helpers("test_leica"), folder / f"a.{ending}"
        if ending == "lof":
            helpers.write_lof(path, "a", _image(4, 6, 8), "ZYX")
        else:
            images = [("b", _image(4, 6, 8), "ZYX", ()), ("c", _image(2, 2, 4, 5, 6), "TCZYX", ("d", "e"))]
            getattr(helpers, f"write_{ending}")(path, images)
        return path

    return write


def _nikon(folder: Path) -> Path:
    _helpers("test_nd2").write_nd2(folder / "a.nd2", _image(2, 3, 2, 5, 6), "TZCYX", channels=("a", "b"))
    return folder / "a.nd2"


def _zarr(version: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        helpers = _helpers("test_zarr")
        group = helpers.zarr.open_group(folder / "a.ome.zarr", mode="w", zarr_format=3 if version == "0.5" else 2)
        units = {"z": "micrometer", "y": "micrometer", "x": "micrometer"}
        helpers.write_image(group, version, _image(2, 4, 6, 8), "czyx", (1, 0.3, 0.1, 0.1), units, ("a", "b"))
        return folder / "a.ome.zarr"

    return write


def _table(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        positions = np.random.default_rng(SEED).uniform(0, 50, (12, 3))
        frames = np.repeat([0, 1, 2], 4)
        table = particle_table(positions, radius=4.0, confidence=0.5, frame=frames, voxel_size=(0.3, 0.1, 0.1))
        write_particles(
            folder / name, table, metadata={"input": "a.tif", "shape": (50, 50, 50), "voxel_size": (1, 2, 3)}
        )
        return folder / name

    return write


WRITERS: dict[str, list[Callable[[Path], Path]]] = {
    "tiff": [
        _tiff(imagej=True, metadata={"axes": "ZYX", "spacing": 0.3, "unit": "um"}, resolution=(10, 10)),
        _tiff("a.ome.tif", (2, 4, 6, 8), metadata={"axes": "CZYX", "PhysicalSizeZ": 0.3, "PhysicalSizeX": 0.1}),
        _tiff(compression="zlib", tile=(16, 16)),
        _tiff(bigtiff=True, byteorder=">"),
        _ome_set,
    ],
    "folder": [_slices],
    "hdf5": [_hdf5, lambda folder: _hdf5(folder, libver="latest"), _challenge, _website],
    "imaris": [_imaris],
    "npy": [_npy],
    "czi": [_czi("uncompressed:"), _czi("zstd1:")],
    "leica": [_leica("lif"), _leica("lof"), _leica("xlef")],
    "nikon": [_nikon],
    "zarr": [_zarr("0.4"), _zarr("0.5")],
    "csv": [_table("a.csv")],
    "xyz": [_table("a.xyz")],
    "table_hdf5": [_table("a.h5")],
    "parquet": [_table("a.parquet")],
    "truth": [_challenge, _website],
}
#: Kinds that are read as particle tables; the others are stacks.
TABLES = ("csv", "xyz", "table_hdf5", "parquet", "truth")
