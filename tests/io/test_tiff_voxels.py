"""What TIFF files say of the size of a voxel, and what they leave out."""

import struct

import numpy as np
import pytest
import tifffile

from napari_colloids.errors import ColloidsError
from napari_colloids.io import list_series, read_stack

from .tiff_writing import ome, write_pages

NUMBERS = tifffile.TIFF.CZ_LSMINFO


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.tif"


@pytest.mark.parametrize(
    ("description", "resolution", "size", "assumed"),
    [
        ("unit=micron\nspacing=0.2\n", (10, 10), (0.2, 0.1, 0.1), ""),
        ("unit=micron\n", (10, 10), (1.0, 0.1, 0.1), "z"),
        ("unit=nm\n", (0.01, 0.01), (0.001, 0.1, 0.1), "z"),
        ("unit=micron\nspacing=200\nzunit=nm\n", (10, 10), (0.2, 0.1, 0.1), ""),
        ("unit=nm\nspacing=0.2\nzunit=micron\n", (0.01, 0.01), (0.2, 0.1, 0.1), ""),
        ("unit=micron\nspacing=0.2\nyunit=nm\n", (10, 0.005), (0.2, 0.2, 0.1), ""),
        ("unit=micron\nyunit=nm\nzunit=mm\nspacing=0.0003\n", (10, 0.005), (0.3, 0.2, 0.1), ""),
        ("unit=micron\nspacing=0.2\nzunit=pixel\n", (10, 10), None, ""),
        ("unit=pixel\nspacing=0.2\n", (10, 10), None, ""),
        ("spacing=0.2\n", (10, 10), None, ""),
        ("unit=micron\nspacing=0\n", (10, 10), None, ""),
        ("unit=micron\nspacing=NaN\n", (10, 10), None, ""),
        ("unit=micron\nspacing=-0.2\n", (10, 10), (0.2, 0.1, 0.1), ""),
        ("unit=micron\nspacing=0.2\n", (1, 1), (0.2, 1.0, 1.0), "yx"),
        ("unit=micron\n", (1, 1), None, ""),
        ("unit=micron\nspacing=0.2\n", None, None, ""),
    ],
)
def test_imagej(path, description, resolution, size, assumed):
    header = f"ImageJ=1.53t\nimages=7\nslices=7\n{description}"
    kind = {} if resolution is None else {"resolution": resolution, "resolutionunit": "NONE"}
    write_pages(path, np.zeros((7, 5, 6), np.uint8), header, **kind)
    if resolution is None:
        without_tags(path, 282, 283)
    stack = read_stack(path)
    assert stack.assumed == assumed
    assert stack.voxel_size == (None if size is None else pytest.approx(size, rel=1e-6))
    assert list_series(path)[0].voxel_size == stack.voxel_size
    assert read_stack(path, voxel_size=(3, 2, 1)).assumed == ""


def without_tags(path, *codes):
    """Rename tags of a little-endian file, so that nobody knows them."""
    content = path.read_bytes()
    for code in codes:
        for kind in (5, 10):
            content = content.replace(struct.pack("<HH", code, kind), struct.pack("<HH", 65000, kind))
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("sizes", "size", "said"),
    [
        ('PhysicalSizeX="0.1" PhysicalSizeY="0.1"', None, "not how far slices are apart"),
        ('PhysicalSizeX="0.1"', None, ""),
        ('PhysicalSizeZ="0.1"', None, ""),
        ('PhysicalSizeX="0.1" PhysicalSizeY="0.1" PhysicalSizeZ="-0.2"', None, "not how far slices are apart"),
        ('PhysicalSizeX="0.1" PhysicalSizeY="0.1" PhysicalSizeZ="0"', None, "not how far slices are apart"),
        ('PhysicalSizeX="0.1" PhysicalSizeY="0.1" PhysicalSizeZ="NaN"', None, "not how far slices are apart"),
        ('PhysicalSizeX="0.1" PhysicalSizeY="INF" PhysicalSizeZ="0.2"', None, ""),
        ('PhysicalSizeX="0.1" PhysicalSizeY="0.1" PhysicalSizeZ="2" PhysicalSizeZUnit="pixel"', None, "not how far"),
        ('PhysicalSizeX="0.1" PhysicalSizeY="100" PhysicalSizeYUnit="nm" PhysicalSizeZ="0.2"', (0.2, 0.1, 0.1), ""),
    ],
)
def test_ome(path, sizes, size, said):
    text = ome([({"X": 6, "Y": 5, "Z": 7}, "XYZCT", "<TiffData/>")])
    text = text.replace('PhysicalSizeX="0.1" PhysicalSizeY="0.1" PhysicalSizeZ="0.2"', sizes)
    write_pages(path, np.zeros((7, 5, 6), np.uint8), text)
    stack = read_stack(path)
    assert stack.voxel_size == (None if size is None else pytest.approx(size))
    assert stack.assumed == ""
    assert said in " ".join(stack.notices)
    assert bool(said) == bool(stack.notices)


@pytest.mark.parametrize("ending", [".btf", ".tf2", ".tf8", ".TF8"])
def test_other_endings_of_tiff(tmp_path, volume, holds, ending):
    tifffile.imwrite(tmp_path / f"a{ending}", volume(7, 5, 6), bigtiff=True, metadata={"axes": "ZYX"})
    holds(tmp_path / f"a{ending}", volume(7, 5, 6), "zyx")


def test_lsm(tmp_path, volume, holds):
    """Each plane is followed by a small picture of it, which is no series."""
    path, data = tmp_path / "a.lsm", volume(4, 16, 24)
    info = np.zeros(1, np.dtype([(name, f"<{kind}" if isinstance(kind, str) else kind) for name, kind in NUMBERS]))
    info["MagicNumber"], info["StructureSize"], info["ScanType"] = 67127628, info.itemsize, 0
    for axis, n in zip("XYZ", (24, 16, 4), strict=True):
        info[f"Dimension{axis}"], info[f"VoxelSize{axis}"] = n, {"Z": 2e-7}.get(axis, 5e-8)
    info["DimensionChannels"] = info["DimensionTime"] = 1
    with tifffile.TiffWriter(path) as file:
        for number, plane in enumerate(data):
            tag = () if number else ((34412, "B", info.nbytes, info.tobytes(), True),)
            file.write(plane, metadata=None, contiguous=False, extratags=tag)
            file.write(plane[::4, ::4].astype(np.uint8), metadata=None, contiguous=False, subfiletype=1)
    assert len(list_series(path)) == 1
    holds(path, data, "zyx", voxel_size=(0.2, 0.05, 0.05))


def test_stk(tmp_path, volume, holds):
    path, data = tmp_path / "a.stk", volume(4, 16, 24)
    write_stk(path, data, apart=0.25, pixel=0.125)
    holds(path, data, "zyx", voxel_size=(0.25, 0.125, 0.125))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 16 * 24 * 2])
    with pytest.raises(ColloidsError, match="promises 4 slices, of which 3"):
        read_stack(path)


def write_stk(path, data, apart, pixel):
    """Write a MetaMorph stack: one page whose planes follow each other, and how far they are apart in its tags."""
    n, height, width = data.shape

    def ratio(value):
        return struct.pack("<II", round(value * 1000), 1000)

    parts, offset = [], 8
    tags = {256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, 16), 259: (3, 1, 1), 262: (3, 1, 1), 277: (3, 1, 1)}

    def add(content):
        nonlocal offset
        at, offset = offset, offset + len(content)
        parts.append(content)
        return at

    calibration = add(ratio(pixel))
    unit = add(struct.pack("<I", 3) + b"um\0\0")
    # UIC1: calibration along x, along y, its unit.
    tags[33628] = (4, 3, add(struct.pack("<6I", 4, calibration, 5, calibration, 6, unit)))
    tags[33629] = (5, n, add(b"".join(ratio(apart) + struct.pack("<4I", 2458849, 0, 2458849, 0) for _ in range(n))))
    tags[273], tags[278], tags[279] = (4, 1, 0), (4, 1, height), (4, 1, height * width * 2)
    first = offset
    start = first + 2 + 12 * len(tags) + 4
    tags[273] = (4, 1, start)
    directory = struct.pack("<H", len(tags))
    directory += b"".join(struct.pack("<HHII", code, *tags[code]) for code in sorted(tags)) + bytes(4)
    path.write_bytes(struct.pack("<2sHI", b"II", 42, first) + b"".join(parts) + directory + data.tobytes())
