import os
import struct

import numpy as np
import pytest
import tifffile

pytest.importorskip("oiffile")

from napari_colloids.errors import ColloidsError
from napari_colloids.io.formats.registry import companion_files
from napari_colloids.io.stacks import list_series, read_stack

SIZE = (0.3, 0.1, 0.05)
END = 0xFFFFFFFE
FREE = 0xFFFFFFFF


def settings(sections):
    """Write settings as FluoView does."""
    lines = [
        line for name, values in sections.items() for line in (f"[{name}]", *(f"{k}={v}" for k, v in values.items()))
    ]
    return "\r\n".join(lines).encode("utf-16")


def main_settings(sizes, size=SIZE, z_unit="nm", interval=0.5):
    """Describe an image whose axes have the given lengths; the distance between slices is negative downwards."""
    steps = {"Z": (-size[0] * (1000 if z_unit == "nm" else 1), z_unit), "T": (interval * 1000, "ms")}
    sections = {
        "ProfileSaveInfo": {"Name": '"a.oif"', "Version": '"2.0.0.0"'},
        "Axis Parameter Common": {"AxisOrder": '"XYCZT"'},
        "Reference Image Parameter": {
            "WidthConvertValue": size[2],
            "WidthUnit": '"um"',
            "HeightConvertValue": size[1],
            "HeightUnit": '"um"',
            "ValidBitCounts": 12,
        },
    }
    for k, axis in enumerate("XYCZT"):
        step, unit = steps.get(axis, (0, ""))
        values = {"AxisCode": f'"{axis}"', "MaxSize": sizes.get(axis, 1), "Interval": step, "UnitName": f'"{unit}"'}
        sections[f"Axis {k} Parameters Common"] = values
    for k, (dye, detector) in enumerate([("FITC", "CH1"), ("None", "TD1")]):
        sections[f"Channel {k + 1} Parameters"] = {"DyeName": f'"{dye}"', "CH Name": f'"{detector}"'}
    for k in range(5, 8):
        sections[f"Axis {k} Parameters Common"] = {"AxisCode": '""', "MaxSize": 0}
    return settings(sections)


def planes_of(data, axes):
    """Return the files of the planes by their names."""
    files = {}
    for where in np.ndindex(data.shape[:-2]):
        name = "s_" + "".join(f"{axis}{k + 1:03}" for axis, k in zip(axes, where, strict=True)) + ".tif"
        files[name] = data[where]
    return files


def tiff(path, plane):
    tifffile.imwrite(path, plane, photometric="minisblack")
    return path.read_bytes()


def write_oif(path, data, axes, **options):
    """Write an array whose last axes are Y, X."""
    path.write_bytes(main_settings(dict(zip(axes + "YX", data.shape, strict=True)), **options))
    folder = path.with_name(path.name + ".files")
    folder.mkdir()
    for name, plane in planes_of(data, axes).items():
        tiff(folder / name, plane)
    tiff(folder / "s_C001-R.tif", data[(0,) * (data.ndim - 2)])  # a preview


def write_oib(path, data, axes, **options):
    """Write the same in one file: a compound file without its small streams."""
    streams = {"a.oif": main_settings(dict(zip(axes + "YX", data.shape, strict=True)), **options)}
    for name, plane in planes_of(data, axes).items():
        streams[f"Storage00001/{name}"] = tiff(path.with_name("plane.tif"), plane)
    names = {f"Stream{k:05}": name for k, name in enumerate(streams)}
    about = {"Version": "2.0.0.0", "Name": path.name, "MainFileName": "Stream00000", "Storage00001": "a.oif.files"}
    contents = {"OibInfo.txt": settings({"OibSaveInfo": {**about, **names}})}
    contents |= dict(zip(names, streams.values(), strict=True))
    table, body, entries = [], b"", [entry("Root Entry", 5, END, 0, child=1)]
    for number, (name, content) in enumerate(contents.items()):
        start, length = len(table), -(-len(content) // 512)
        table += [*range(start + 1, start + length), END]
        body += content.ljust(512 * length, b"\0")
        right = number + 2 if number + 1 < len(contents) else FREE
        entries.append(entry(name, 2, start, len(content), right=right))
    start, length = len(table), -(-len(entries) // 4)
    table += [*range(start + 1, start + length), END]
    body += b"".join(entries).ljust(512 * length, b"\0")
    n_tables = -(-(len(table) + 10) // 127)
    places = [len(table) + k for k in range(n_tables)]
    table += [0xFFFFFFFD] * n_tables
    table += [FREE] * (128 * n_tables - len(table))
    header = struct.pack(
        "<8s16sHHHHH6xIIIIIIIIII",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        bytes(16),
        *(0x3E, 3, 0xFFFE, 9, 6, 0, n_tables, start, 0, 0, END, 0, END, 0),
        places[0],
    )[:-4]
    header += struct.pack("<109I", *places, *[FREE] * (109 - n_tables))
    path.write_bytes(header + body + struct.pack(f"<{len(table)}I", *table))


def entry(name, kind, start, size, child=FREE, right=FREE):
    title = (name + "\0").encode("utf-16-le")
    return struct.pack(
        "<64sHBBIII16sIQQIQ", title, len(title), kind, 1, FREE, right, child, bytes(16), 0, 0, 0, start, size
    )


WRITERS = {"oif": write_oif, "oib": write_oib}


@pytest.mark.parametrize("kind", WRITERS)
def test_series_of_channels(tmp_path, volume, holds, read_elsewhere, kind):
    path, data = tmp_path / f"beads.{kind}", volume(3, 4, 2, 5, 6)
    WRITERS[kind](path, data, "TZC")
    expected = data.transpose(0, 2, 1, 3, 4)
    lazy = holds(path, expected, "tczyx", voxel_size=SIZE, frame_interval=0.5, channel_names=("FITC", "TD1"))
    assert (lazy.name, lazy.notices) == ("beads", ())
    box = (2, 1, slice(1, 3), slice(None), slice(2, 5))
    np.testing.assert_array_equal(read_elsewhere(lazy.data, box), expected[box])


@pytest.mark.parametrize("kind", WRITERS)
def test_single_stack_in_micrometres(tmp_path, volume, holds, kind):
    path, data = tmp_path / f"a [1].{kind}", volume(4, 5, 6, dtype=np.uint8)
    WRITERS[kind](path, data, "Z", z_unit="um")
    holds(path, data, "zyx", voxel_size=SIZE)


def test_slices_that_were_never_recorded(tmp_path, volume, holds):
    path, data = tmp_path / "a.oif", volume(6, 5, 6)
    write_oif(path, data, "Z")
    for number in (5, 6):
        (tmp_path / "a.oif.files" / f"s_Z00{number}.tif").unlink()
    lazy = holds(path, data[:4], "zyx", voxel_size=SIZE)
    assert "promises 6 slices, but 4 were written" in lazy.notices[0]
    (tmp_path / "a.oif.files" / "s_Z002.tif").unlink()
    os.mkfifo(tmp_path / "a.oif.files" / "s_Z002.tif")
    with pytest.raises(ColloidsError, match=r"lacks 3 of 6 slices .the first is slice 1"):
        read_stack(path)
    assert read_stack(path, allow_missing=True).recorded.tolist() == [True, False, True, True]
    assert len(companion_files(path)) == 4


def test_step_that_is_missing_is_told(tmp_path, volume, holds):
    write_oif(tmp_path / "a.oif", volume(4, 5, 6), "Z", size=(0, 0.1, 0.1))
    assert "along z: its voxel size counts as unknown" in holds(tmp_path / "a.oif", volume(4, 5, 6), "zyx").notices[0]


def test_what_is_no_stack_is_told(tmp_path, volume, refused):
    path = tmp_path / "a.oif"
    write_oif(path, volume(2, 5, 6), "T")
    with pytest.raises(ColloidsError, match="time series of 2D images"):
        read_stack(path)
    (tmp_path / "a.oif.files").rename(tmp_path / "away")
    refused(path, "a.oif.files.* is not there; copy it too")
    (tmp_path / "a.oif.files").mkdir()
    refused(path, "holds no planes in 'a.oif.files'; copy this folder too")


def test_planes_of_different_shapes_are_damage(tmp_path, volume):
    path = tmp_path / "a.oif"
    write_oif(path, volume(4, 5, 6), "Z")
    tiff(tmp_path / "a.oif.files" / "s_Z003.tif", volume(50, 60))
    with pytest.raises(ColloidsError, match="damaged"):
        read_stack(path)
    tiff(tmp_path / "a.oif.files" / "s_Z900000.tif", volume(5, 6))
    with pytest.raises(ColloidsError, match="numbered as if there were"):
        list_series(path)


def test_cut_off_and_foreign_files(tmp_path, volume, refused_when_cut):
    write_oib(tmp_path / "a.oib", volume(4, 25, 36), "Z")
    refused_when_cut(tmp_path / "a.oib", kept=(0.0005, 0.3, 0.7, 0.95))


def test_chain_of_sectors_that_goes_round_in_a_circle_is_damage(tmp_path, volume, refused):
    path = tmp_path / "a.oib"
    write_oib(path, volume(4, 25, 36), "Z")
    content = bytearray(path.read_bytes())
    (place,) = struct.unpack_from("<I", content, 76)
    table = 512 * (place + 1)
    number = next(k for k in range(3, 100) if struct.unpack_from("<I", content, table + 4 * k) == (END,))
    struct.pack_into("<I", content, table + 4 * number, number - 1)
    path.write_bytes(content)
    refused(path, "goes round in a circle")
