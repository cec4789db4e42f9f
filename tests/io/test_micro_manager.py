"""Stacks of Micro-Manager: its multi-page TIFF, and NDTiff, which lists the planes of all files in one more.

Sources
-------
https://micro-manager.org/Micro-Manager_File_Formats and https://github.com/micro-manager/NDTiffStorage
"""

import json
import os
import struct

import numpy as np
import pytest

from napari_colloids.errors import ColloidsError
from napari_colloids.io.stacks import read_stack

#: Codes of the parts of the header and of what they point to.
INDEX, DISPLAY, COMMENTS, SUMMARY, INDEX_MAP, NDTIFF = 54773648, 483765892, 99384722, 2355492, 3453623, 483729
SIZES = {"z-step_um": 0.3, "PixelSize_um": 0.1}
VOXEL_SIZE = (0.3, 0.1, 0.1)


def write_planes(file, planes):
    """Write planes with their 13 tags as Micro-Manager does, linked from byte 4 on; returns where they begin."""
    link, begin = 4, []
    for plane in planes:
        start = file.seek(0, os.SEEK_END)
        start += start % 2
        pixels = start + 2 + 13 * 12 + 4
        after = pixels + plane.nbytes
        metadata = json.dumps({"Width": plane.shape[1]}).encode()
        tags = [
            (256, 4, 1, plane.shape[1]),
            (257, 4, 1, plane.shape[0]),
            (258, 3, 1, 8 * plane.itemsize),
            (259, 3, 1, 1),
            (262, 3, 1, 1),
            (273, 4, 1, pixels),
            (277, 3, 1, 1),
            (278, 3, 1, plane.shape[0]),
            (279, 4, 1, plane.nbytes),
            (282, 5, 1, after),
            (283, 5, 1, after + 8),
            (296, 3, 1, 3),
            (51123, 2, len(metadata), after + 16),
        ]
        file.seek(start)
        file.write(struct.pack("<H", 13) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4))
        file.write(plane.tobytes() + struct.pack("<4I", 100_000, 1, 100_000, 1) + metadata)
        file.seek(link)
        file.write(struct.pack("<I", start))
        link = pixels - 4
        begin.append(start)
    file.seek(0, os.SEEK_END)
    return begin


def write_stack(path, data, *, planes=None, **summary):
    """Write a multi-page stack (T, Z, C, Y, X), of which the first planes, in the order of acquisition."""
    frames, slices, channels = data.shape[:3]
    about = {"MicroManagerVersion": "2.0", "Frames": frames, "Slices": slices, "Channels": channels, "Positions": 1}
    text = json.dumps({**about, "TimeFirst": True, "SlicesFirst": True, **summary}).encode()
    places = list(np.ndindex(frames, slices, channels))[:planes]
    with path.open("wb+") as file:
        file.write(
            b"II*\0" + bytes(4) + struct.pack("<8I", INDEX, 0, DISPLAY, 0, COMMENTS, 0, SUMMARY, len(text)) + text
        )
        begin = write_planes(file, [data[place] for place in places])
        ends = []
        for code, content in ((347834724, b"[]"), (84720485, b"{}")):
            ends.append(file.tell())
            file.write(struct.pack("<II", code, len(content)) + content)
        entries = [(c, z, t, 0, start) for (t, z, c), start in zip(places, begin, strict=True)]
        index = file.tell()
        file.write(struct.pack("<II", INDEX_MAP, len(entries)) + b"".join(struct.pack("<5I", *one) for one in entries))
        file.seek(12)
        file.write(struct.pack("<I", index))
        for place, end in zip((20, 28), ends, strict=True):
            file.seek(place)
            file.write(struct.pack("<I", end))


def write_ndtiff(folder, data, *, files=1, listed=None, **summary):
    """Write an NDTiff of version 3 (T, Z, Y, X) in several files; `listed` are their names in the index."""
    text = json.dumps(summary).encode()
    places = list(np.ndindex(data.shape[:2]))
    index = b""
    for number, some in enumerate(np.array_split(np.arange(len(places)), files)):
        path = folder / ("NDTiffStack.tif" if number == 0 else f"NDTiffStack_{number}.tif")
        with path.open("wb+") as file:
            file.write(b"II*\0" + bytes(4) + struct.pack("<5I", NDTIFF, 3, 3, SUMMARY, len(text)) + text)
            begin = write_planes(file, [data[places[k]] for k in some])
        name = (listed[number] if listed else path.name).encode()
        for k, start in zip(some, begin, strict=True):
            axes = json.dumps(dict(zip(("time", "z"), map(int, places[k]), strict=True))).encode()
            pixels = start + 162
            about = (pixels, data.shape[3], data.shape[2], 1, 0, pixels + data[places[k]].nbytes + 16, 12, 0)
            index += struct.pack("<I", len(axes)) + axes + struct.pack("<I", len(name)) + name
            index += struct.pack("<IiiiiIii", *about)
    (folder / "NDTiff.index").write_bytes(index)
    return folder / "NDTiffStack.tif"


@pytest.mark.parametrize("shape", [(2, 4, 2, 6, 8), (1, 5, 1, 6, 8), (3, 4, 1, 6, 8)])
def test_multi_page_stacks(tmp_path, volume, holds, shape):
    path = tmp_path / "a_MMStack.ome.tif"
    write_stack(path, volume(*shape), **SIZES)
    data = np.moveaxis(volume(*shape), 2, 1)
    wanted = "".join(axis for axis, n in zip("tczyx", data.shape, strict=True) if n > 1)
    holds(path, data.reshape([n for n in data.shape if n > 1]), wanted, voxel_size=VOXEL_SIZE)


def test_a_stack_that_was_stopped_is_read_up_to_there(tmp_path, volume):
    path = tmp_path / "a_MMStack.ome.tif"
    data = volume(3, 4, 1, 6, 8)
    write_stack(path, data, planes=8, **SIZES)
    stack = read_stack(path)
    np.testing.assert_array_equal(stack.data, data[:2, :, 0])
    promised = "'a_MMStack.ome.tif' promises 3 frames, 4 slices, of which 8 planes are here: only these are read."
    assert stack.notices == (promised,)


def test_a_stack_without_the_distance_of_slices_says_so(tmp_path, volume):
    write_stack(tmp_path / "a_MMStack.ome.tif", volume(1, 4, 1, 6, 8), PixelSize_um=0.1)
    stack = read_stack(tmp_path / "a_MMStack.ome.tif")
    assert stack.voxel_size is None
    assert "not how far slices are apart" in stack.notices[0]


@pytest.mark.parametrize("files", [1, 2, 3])
def test_ndtiff(tmp_path, volume, holds, files):
    data = volume(2, 4, 6, 8)
    holds(write_ndtiff(tmp_path, data, files=files, **SIZES), data, "tzyx", voxel_size=VOXEL_SIZE)


def test_ndtiff_whose_second_file_is_missing(tmp_path, volume):
    path = write_ndtiff(tmp_path, volume(2, 4, 6, 8), files=2)
    (tmp_path / "NDTiffStack_1.tif").unlink()
    with pytest.raises(
        ColloidsError, match=r"NDTiffStack_1\.tif', a file of the set of 'NDTiffStack\.tif', is missing"
    ):
        read_stack(path)


@pytest.mark.parametrize("name", ["../NDTiffStack_1.tif", "/dev/zero", "pipe"])
def test_ndtiff_follows_files_beside_it_only(tmp_path, volume, name):
    path = write_ndtiff(tmp_path, volume(2, 4, 6, 8), files=2, listed=("NDTiffStack.tif", name))
    if name == "pipe":
        os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ColloidsError, match=f"refers to '{name}', which is no file beside it"):
        read_stack(path)


def test_ndtiff_whose_index_is_a_pipe(tmp_path, volume):
    path = write_ndtiff(tmp_path, volume(2, 4, 6, 8))
    (tmp_path / "NDTiff.index").unlink()
    os.mkfifo(tmp_path / "NDTiff.index")
    with pytest.raises(ColloidsError, match=r"NDTiff\.index' is no file, but"):
        read_stack(path)
