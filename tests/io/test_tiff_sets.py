"""Sets of TIFF files and stopped acquisitions: what was never recorded is not black."""

import os
import tracemalloc
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile

from napari_colloids.batch.stack_file import StackFile
from napari_colloids.errors import ColloidsError
from napari_colloids.io import list_series, read_stack
from napari_colloids.io.formats.tiff_ome import set_of
from napari_colloids.io.many_files import groups_of, several_files
from napari_colloids.stack import Stack

from .tiff_writing import in_file, ome, uuid, write_pages, write_set


@pytest.fixture
def data():
    """Make frames, channels and slices of which each has its own grey level: ``T, C, Z, Y, X``."""

    def make(t=1, c=1, z=1):
        return (np.arange(1, t * c * z + 1, dtype=np.uint16).reshape(t, c, z, 1, 1) * np.ones((5, 6), np.uint16)).copy()

    return make


def both_ways(path, **how):
    """Return a stack that is the same read at once and lazily."""
    eager, lazy = (read_stack(path, lazy=lazy, **how) for lazy in (False, True))
    np.testing.assert_array_equal(eager.data, np.asarray(lazy.data))
    np.testing.assert_array_equal(eager.data, np.asarray(read_stack(path, **how).data))
    assert eager.notices == lazy.notices
    return eager


@pytest.mark.parametrize("order", ["XYZCT", "XYCZT", "XYTZC", "XYZTC"])
@pytest.mark.parametrize("along", "ZCT")
def test_whole_sets_are_one_stack_by_any_of_their_files(tmp_path, data, order, along):
    whole = data(3, 2, 4)
    for path in write_set(tmp_path, whole, order, along):
        stack = both_ways(path)
        assert (stack.axes, stack.notices, stack.recorded) == ("tczyx", (), None)
        np.testing.assert_array_equal(stack.data, whole)


@pytest.mark.parametrize(("along", "gone", "lost"), [("Z", (1, 2), 12), ("T", (1,), 8), ("C", (1,), 12)])
@pytest.mark.parametrize("order", ["XYZCT", "XYCZT"])
def test_missing_files_are_refused_by_name_or_known(tmp_path, data, order, along, gone, lost):
    whole = data(3, 2, 4)
    paths = write_set(tmp_path, whole, order, along, gone)
    for path in (path for number, path in enumerate(paths) if number not in gone):
        with pytest.raises(ColloidsError, match=rf"lacks {lost} of 24 slices.*{paths[gone[0]].name}") as caught:
            read_stack(path)
        assert "\n" not in str(caught.value)
        (series,) = list_series(path)
        assert (series.problem, series.gaps) == ("", str(caught.value))
        stack = both_ways(path, allow_missing=True)
        there = np.ones((3, 2, 4), bool)
        there[tuple(list(gone) if axis == along else slice(None) for axis in "TCZ")] = False
        if along == "C":
            np.testing.assert_array_equal(stack.recorded, there)
        else:
            np.testing.assert_array_equal(stack.recorded, there[: stack.n_frames, :, : stack.shape[0]])
        np.testing.assert_array_equal(np.asarray(stack.data)[stack.recorded], whole[there])
        assert "nothing is searched there" in stack.notices[0]


def test_files_that_come_back_are_read(tmp_path, data):
    whole = data(z=4)
    first, second, *_ = write_set(tmp_path, whole, "XYZCT", "Z")
    away = second.rename(tmp_path / "away.tif")
    stack = read_stack(first, allow_missing=True, lazy=True)
    assert np.asarray(stack.data)[1].max() == 0
    away.rename(second)
    np.testing.assert_array_equal(np.asarray(read_stack(first, lazy=True).data), whole[0, 0])


def test_damaged_file_of_a_set_is_named(tmp_path, data):
    first, second, *_ = write_set(tmp_path, data(z=4), "XYZCT", "Z")
    for content in (b"no TIFF at all", b"", b"II*\0"):
        second.write_bytes(content)
        with pytest.raises(ColloidsError, match=rf"{second.name}.*damaged"):
            read_stack(first)


def test_state_of_a_set_is_that_of_all_its_files(tmp_path, data):
    first, second, *_ = write_set(tmp_path, data(z=4), "XYZCT", "Z")
    before = StackFile(str(first)).state()
    os.utime(second, (1, 1))
    assert StackFile(str(first)).state() != before


@pytest.mark.parametrize("description", ["companion.ome", "s_z00.ome.tif"])
@pytest.mark.parametrize("has_uuid", [True, False])
def test_files_that_leave_the_description_to_another_one(tmp_path, data, description, has_uuid):
    whole = data(z=4)
    paths = write_set(tmp_path, whole, "XYZCT", "Z")
    with tifffile.TiffFile(paths[0]) as file:
        text = file.ome_metadata
    if description == "companion.ome":
        (tmp_path / description).write_text(text.replace(uuid("s_z00.ome.tif"), uuid("companion"), 1))
    for path in paths if description == "companion.ome" else paths[1:]:
        own = f' UUID="{uuid(path.name)}"' if has_uuid else ""
        only = f'<OME{own}><BinaryOnly MetadataFile="{description}" UUID="{uuid(description)}"/></OME>'
        write_pages(path, [tifffile.imread(path, is_ome=False)], only)
    for path in [*paths, *tmp_path.glob("*.ome")]:
        np.testing.assert_array_equal(both_ways(path).data, whole[0, 0])
    paths[2].unlink()
    with pytest.raises(ColloidsError, match=paths[2].name):
        read_stack(paths[1])
    (tmp_path / description).unlink()
    with pytest.raises(ColloidsError, match=description):
        read_stack(paths[1])


def test_image_in_another_file_of_the_set_is_read_from_there(tmp_path, data):
    """Each position has its own file, whose pixels follow each other as those of the first one do."""
    sizes = {"X": 6, "Y": 5, "Z": 4}
    names = ["p0.ome.tif", "p1.ome.tif", "p2.ome.tif"]
    text = [(sizes, "XYZCT", in_file(name, planes=4)) for name in names]
    for number, name in enumerate(names[:2]):
        description = ome(text, f' UUID="{uuid(name)}"')
        tifffile.imwrite(tmp_path / name, data(z=4)[0, 0] + 10 * number, description=description, metadata=None)
    for name in names[:2]:
        for number in range(2):
            stack = both_ways(tmp_path / name, index=number)
            np.testing.assert_array_equal(stack.data, data(z=4)[0, 0] + 10 * number)
            assert stack.voxel_size == pytest.approx((0.2, 0.1, 0.1))
        assert "p2.ome.tif" in list_series(tmp_path / name)[2].problem
        with pytest.raises(ColloidsError, match=r"p2\.ome\.tif.*missing"):
            read_stack(tmp_path / name, index=2)
        assert read_stack(tmp_path / name).notices == (
            "series 0 ('pos 0') of 3 is read (the first 3D stack); series 1 ('pos 1') is a 3D stack; "
            "series 2 ('pos 2') is not readable.",
        )


def test_metadata_are_those_of_the_image(tmp_path, data):
    """An image of which nothing was written does not pass its sizes on to the next one."""
    none = ({"X": 6, "Y": 5, "Z": 3}, "XYZCT", in_file("gone.ome.tif", planes=3))
    here = ({"X": 6, "Y": 5, "Z": 4}, "XYZCT", in_file("here.ome.tif", planes=4))
    text = ome([none, here], f' UUID="{uuid("here.ome.tif")}"').replace('SizeZ="0.2"', 'SizeZ="0.7"', 1)
    write_pages(tmp_path / "here.ome.tif", data(z=4)[0, 0], text)
    stack = read_stack(tmp_path / "here.ome.tif")
    assert stack.voxel_size == pytest.approx((0.2, 0.1, 0.1))
    np.testing.assert_array_equal(stack.data, data(z=4)[0, 0])


def test_single_file_that_was_renamed_is_itself(tmp_path, data):
    for own in ("", f' UUID="{uuid("before.ome.tif")}"'):
        text = ome([({"X": 6, "Y": 5, "Z": 4}, "XYZCT", in_file("before.ome.tif", planes=4))], own)
        write_pages(tmp_path / "after.ome.tif", data(z=4)[0, 0], text)
        np.testing.assert_array_equal(both_ways(tmp_path / "after.ome.tif").data, data(z=4)[0, 0])
        write_pages(tmp_path / "after.ome.tif", data(z=4)[0, 0, :3], text)
        assert "promises 4 slices, but 3 were written" in both_ways(tmp_path / "after.ome.tif").notices[0]


ONE_BY_ONE = "one by one"
STOPPED = [
    # order, sizes, planes written -> frames and slices that are read
    ("XYZCT", {"Z": 8}, 5, (1, 5)),
    ("XYZCT", {"Z": 4, "T": 5}, 9, (2, 4)),
    ("XYZCT", {"Z": 4, "T": 5}, 3, (1, 3)),
    ("XYCZT", {"Z": 4, "C": 2, "T": 3}, 16, (2, 4)),
    ("XYCZT", {"Z": 8, "C": 2}, 7, (1, 3)),
    ("XYZCT", {"Z": 4, "C": 2, "T": 3}, 13, (1, 4)),
]


@pytest.mark.parametrize(("order", "sizes", "written", "read"), STOPPED)
@pytest.mark.parametrize("tiff_data", ["", "<TiffData/>", ONE_BY_ONE])
@pytest.mark.parametrize("kind", [{}, {"compression": "zlib"}, {"byteorder": ">", "bigtiff": True}])
def test_stopped_acquisition_ends_where_it_stopped(tmp_path, data, order, sizes, written, read, tiff_data, kind):
    path = tmp_path / "stopped.ome.tif"
    whole = data(*(sizes.get(axis, 1) for axis in "TCZ"))
    as_stored = np.transpose(whole, ["TCZYX".index(axis) for axis in reversed(order)]).reshape(-1, 5, 6)
    if tiff_data == ONE_BY_ONE:
        lengths = [sizes.get(axis, 1) for axis in reversed(order[2:])]
        places = [dict(zip(reversed(order[2:]), place, strict=True)) for place in np.ndindex(*lengths)]
        tiff_data = "".join(in_file(path.name, ifd=number, **place) for number, place in enumerate(places))
    text = ome([({"X": 6, "Y": 5, **sizes}, order, tiff_data)], f' UUID="{uuid(path.name)}"')
    file_kind = {key: kind.pop(key) for key in ("byteorder", "bigtiff") if key in kind}
    with tifffile.TiffWriter(path, **file_kind) as file:
        for number, plane in enumerate(as_stored[:written]):
            file.write(plane, description=None if number else text, metadata=None, contiguous=False, **kind)
    stack = both_ways(path)
    kind.update(file_kind)
    frames, slices = read
    expected = whole[:frames, :, :slices]
    assert (stack.n_frames, stack.shape[0], stack.recorded) == (frames, slices, None)
    np.testing.assert_array_equal(np.squeeze(stack.data), np.squeeze(expected))
    assert "promises" in stack.notices[0]


def test_one_slice_of_many_is_no_stack(tmp_path, data):
    write_pages(tmp_path / "a.ome.tif", data(z=1)[0, 0], ome([({"X": 6, "Y": 5, "Z": 40}, "XYZCT", "<TiffData/>")]))
    with pytest.raises(ColloidsError, match="promises 40 slices, but only one was written"):
        read_stack(tmp_path / "a.ome.tif")


def test_plane_that_is_left_out_is_a_gap(tmp_path, data):
    tiff_data = "".join(f'<TiffData FirstZ="{z}" IFD="{ifd}" PlaneCount="1"/>' for ifd, z in enumerate((0, 1, 3, 4)))
    text = ome([({"X": 6, "Y": 5, "Z": 5}, "XYZCT", tiff_data)])
    write_pages(tmp_path / "a.ome.tif", data(z=5)[0, 0, [0, 1, 3, 4]], text)
    with pytest.raises(ColloidsError, match="lacks 1 of 5 slices \\(the first is slice 2\\)"):
        read_stack(tmp_path / "a.ome.tif")
    stack = both_ways(tmp_path / "a.ome.tif", allow_missing=True)
    assert stack.recorded.tolist() == [True, True, False, True, True]
    np.testing.assert_array_equal(np.asarray(stack.data)[stack.recorded], data(z=5)[0, 0, [0, 1, 3, 4]])


@pytest.mark.parametrize("imagej", ["images=8\nslices=8\n", "images=8\n", "images=24\nslices=8\nframes=3\n"])
@pytest.mark.parametrize("kind", [{}, {"compression": "zlib"}])
def test_header_of_imagej_that_promises_more_pages(tmp_path, data, imagej, kind):
    path = tmp_path / "a.tif"
    write_pages(path, data(z=5)[0, 0], f"ImageJ=1.53t\n{imagej}", **kind)
    stack = both_ways(path)
    np.testing.assert_array_equal(np.squeeze(stack.data), data(z=5)[0, 0])
    assert "promises" in stack.notices[0]
    assert "5 slices" in stack.notices[0] or "but 5 were written" in stack.notices[0]


@pytest.mark.parametrize("kind", [{}, {"compression": "zlib"}])
def test_header_of_tifffile_that_promises_more_pages(tmp_path, data, kind):
    path = tmp_path / "a.tif"
    write_pages(path, data(z=5)[0, 0], '{"shape": [8, 5, 6], "axes": "ZYX"}', **kind)
    stack = both_ways(path)
    np.testing.assert_array_equal(stack.data, data(z=5)[0, 0])
    assert "promises 8 slices, but 5 were written" in stack.notices[0]


def test_huge_promise_costs_nothing(tmp_path, data):
    text = ome([({"X": 6, "Y": 5, "Z": 10, "T": 20_000}, "XYZCT", '<TiffData PlaneCount="99999999999999"/>')])
    write_pages(tmp_path / "a.ome.tif", data(z=10)[0, 0], text)
    for lazy in (None, True, False):
        assert read_stack(tmp_path / "a.ome.tif", lazy=lazy).data.shape == (1, 10, 5, 6)
    write_pages(tmp_path / "b.ome.tif", data(z=10)[0, 0], text.replace('SizeT="20000"', 'SizeT="200000000000"'))
    with pytest.raises(ColloidsError, match="damaged"):
        read_stack(tmp_path / "b.ome.tif")


@pytest.mark.parametrize("name", ["{folder}/b.tif", "../other/b.tif", "..\\\\other\\\\b.tif", "C:\\\\data\\\\b.tif"])
def test_no_folder_is_followed(tmp_path, data, name):
    """A file of the name beside the first one is taken, whatever folder is named; others never are."""
    here, other = tmp_path / "here", tmp_path / "other"
    here.mkdir()
    other.mkdir()
    name = name.format(folder=other)
    text = ome(
        [({"X": 6, "Y": 5, "Z": 4}, "XYZCT", in_file("a.tif", planes=2) + in_file(name, planes=2, Z=2))],
        f' UUID="{uuid("a.tif")}"',
    )
    ElementTree.fromstring(text)
    write_pages(here / "a.tif", data(z=4)[0, 0, :2], text)
    write_pages(other / "b.tif", data(z=4)[0, 0, 2:] + 100)
    with pytest.raises(ColloidsError, match=r"b\.tif"):
        read_stack(here / "a.tif")
    write_pages(here / "b.tif", data(z=4)[0, 0, 2:])
    np.testing.assert_array_equal(both_ways(here / "a.tif").data, data(z=4)[0, 0])


@pytest.mark.parametrize("make", ["mkfifo", "mkdir"])
@pytest.mark.parametrize("named", ["set", "companion"])
def test_what_is_no_plain_file_is_not_opened(tmp_path, data, make, named):
    if not hasattr(os, make):
        pytest.skip("no such thing on this system")
    getattr(os, make)(tmp_path / "b.tif")
    text = ome([({"X": 6, "Y": 5, "Z": 4}, "XYZCT", in_file("a.tif", planes=2) + in_file("b.tif", planes=2, Z=2))])
    if named == "companion":
        text = '<OME UUID="urn:uuid:a"><BinaryOnly MetadataFile="b.tif" UUID="urn:uuid:b"/></OME>'
    write_pages(tmp_path / "a.tif", data(z=4)[0, 0, :2], text)
    with pytest.raises(ColloidsError, match="no file, but a folder, a device or a pipe"):
        read_stack(tmp_path / "a.tif")


def test_gaps_are_known_to_the_stack_of_a_job(tmp_path, data):
    first, *_ = write_set(tmp_path, data(z=6), "XYZCT", "Z", gone=(2,))
    stack = StackFile(str(first), allow_missing=True).open()
    assert isinstance(stack, Stack)
    assert stack.recorded.sum() == 5


def groups_in(folder):
    """Return the names of the files of each group in a folder."""
    return [[file.name for file in group.files] for group in groups_of(several_files(folder), join_volumes=False)]


@pytest.mark.parametrize("description", ["companion.ome", "run.companion.ome", "s_z00.ome.tif"])
def test_a_set_is_one_stack_of_its_folder_by_whatever_describes_it(tmp_path, data, description):
    whole = data(z=4)
    paths = write_set(tmp_path, whole, "XYZCT", "Z")
    with tifffile.TiffFile(paths[0]) as file:
        text = file.ome_metadata
    apart = description != paths[0].name
    if apart:
        (tmp_path / description).write_text(text.replace(uuid("s_z00.ome.tif"), uuid("companion"), 1))
    for path in paths if apart else paths[1:]:
        only = f'<OME><BinaryOnly MetadataFile="{description}" UUID="{uuid(description)}"/></OME>'
        write_pages(path, [tifffile.imread(path, is_ome=False)], only)
    (names,) = groups_in(tmp_path)
    assert names == sorted([*(path.name for path in paths), *([description] if apart else [])])
    np.testing.assert_array_equal(read_stack(tmp_path).data, whole[0, 0])


@pytest.mark.parametrize("names", [("cell.ome.tif", "copy of cell.ome.tif"), ("cell1.ome.tif", "cell2.ome.tif")])
def test_a_copy_beside_the_file_it_was_copied_from_is_no_set(tmp_path, data, names):
    """The copy still names the first file as the one with its planes."""
    first, copied = (tmp_path / name for name in names)
    sizes = {"X": 6, "Y": 5, "Z": 4}
    text = ome([(sizes, "XYZCT", in_file(first.name, planes=4))], f' UUID="{uuid(first.name)}"')
    write_pages(first, data(z=4)[0, 0], text)
    write_pages(copied, data(z=4)[0, 0] + 100, text)
    assert groups_in(tmp_path) == [[first.name], [copied.name]] or groups_in(tmp_path) == [[copied.name], [first.name]]
    assert sorted(int(read_stack(path).data.min()) for path in (first, copied)) == [1, 101]


def test_names_with_folders_are_those_of_files_beside_the_file(tmp_path, data):
    """As they are when it is opened: sets are described where they were made, and moved."""
    whole = data(z=4)
    paths = write_set(tmp_path, whole, "XYZCT", "Z")
    for path in paths:
        with tifffile.TiffFile(path) as file:
            text = file.ome_metadata
        text = text.replace('FileName="', 'FileName="D:\\run 1\\')
        write_pages(path, [tifffile.imread(path, is_ome=False)], text)
    assert groups_in(tmp_path) == [[path.name for path in paths]]
    np.testing.assert_array_equal(read_stack(tmp_path).data, whole[0, 0])


def test_a_large_file_that_is_said_to_describe_others_is_not_read_whole(tmp_path, data):
    path, large = tmp_path / "a.ome.tif", tmp_path / "large.ome"
    write_pages(path, data(z=1)[0, 0], '<OME><BinaryOnly MetadataFile="large.ome" UUID="urn:uuid:1"/></OME>')
    for head in (b"II*\0", b"<OME>"):
        with large.open("wb") as file:
            file.write(head)
            file.truncate(400_000_000)
        tracemalloc.start()
        assert set_of(path) == (path, frozenset())
        with pytest.raises(ColloidsError, match="damaged"):
            read_stack(path)
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
        tracemalloc.stop()
