"""Stacks of many files: a folder, a pattern or a list of slices, or of frames."""

import os
import re

import numpy as np
import pytest
import tifffile

from napari_colloids.errors import ColloidsError
from napari_colloids.io import list_series, read_stack
from napari_colloids.io.many_files import groups_of, natural_order, several_files


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "run 1.5"
    made.mkdir()
    return made


@pytest.fixture
def write(folder, volume):
    """Write planes into files that a pattern names, the axes as in the array; return the array."""

    def planes(pattern, shape, *, start=0, but=(), **kind):
        data = volume(*shape)
        for where in np.ndindex(*shape[:-2]):
            name = pattern.format(*(number + start for number in where))
            if name not in but:
                tifffile.imwrite(folder / name, data[where], **kind)
        return data

    return planes


def ways(folder, pattern):
    """A folder, a pattern and a list that is in disorder."""
    return folder, folder / pattern, [str(file) for file in sorted(folder.iterdir(), key=lambda file: file.name[::-1])]


@pytest.mark.parametrize("name", ["stack_z{:03}.tif", "slice{}.tiff", "{}.TIF", "Series007_Z{:02}.ome.tif"])
def test_slices_are_one_stack_in_every_way(write, folder, name, holds):
    data = write(name, (12, 8, 9))
    pattern = re.sub(r"\{.*\}", "*", name)
    for way in ways(folder, pattern):
        stack = holds(way, data, "zyx")
        assert stack.notices == (f"12 files '{pattern}': z from 0 to 11.",)
        (series,) = list_series(way)
        assert (series.axes, series.shape, series.notices) == ("ZYX", (12, 8, 9), stack.notices)
    assert read_stack(folder).name == "run 1.5"
    assert read_stack(folder / pattern, voxel_size=(0.3, 0.1, 0.1)).voxel_size == (0.3, 0.1, 0.1)


def test_slices_in_numpy_files(folder, volume, holds):
    data = volume(11, 8, 9)
    for z, plane in enumerate(data):
        np.save(folder / f"z{z}.npy", plane)
    holds(folder, data, "zyx")


@pytest.mark.parametrize(
    ("name", "start", "channels"),
    [
        ("beads_Series001_t{0}_z{2:03}_ch{1:02}.tif", 0, ()),
        ("img_channel{1:03}_position000_time{0:09}_z{2:03}.tif", 0, ()),
        ("T-01_Cycle{0:05}_Ch{1}_{2:06}.ome.tif", 1, ()),
        ("exp_z{2}c{1}t{0}.tif", 1, ()),
    ],
)
def test_frames_and_channels(write, folder, holds, name, start, channels):
    data = write(name, (3, 2, 11, 8, 9), start=start)
    stack = holds(folder, data, "tczyx", channel_names=channels)
    (notice,) = stack.notices
    assert f"t from {start} to {start + 2}, c from {start} to {start + 1}, z from {start} to {start + 10}" in notice


def test_words_of_micro_manager_are_the_names_of_channels(folder, volume, holds):
    data = volume(2, 3, 8, 9)
    for c, word in enumerate(["Cy5", "DAPI 405"]):
        for z in range(3):
            tifffile.imwrite(folder / f"img_000000000_{word}_{z:03}.tif", data[c, z])
    (folder / "metadata.txt").write_text("{}")
    holds(folder, data, "czyx", channel_names=("Cy5", "DAPI 405"))


def test_volumes_of_several_frames_are_one_series(folder, volume, holds):
    data = volume(11, 3, 8, 9)
    for t in range(11):
        tifffile.imwrite(
            folder / f"v_t{t}.tif",
            data[t],
            imagej=True,
            metadata={"axes": "ZYX", "unit": "um", "spacing": 0.3},
            resolution=(10, 10),
        )
    holds(folder, data, "tzyx", voxel_size=(0.3, 0.1, 0.1))
    assert read_stack(folder / "v_t*.tif").n_frames == 11


def test_a_missing_part_of_a_volume_that_is_a_frame_is_known(folder, volume):
    data = volume(3, 4, 8, 9)
    for t in (0, 1, 3):
        tifffile.imwrite(folder / f"v_t{t}.tif", data[t - 1], metadata={"axes": "ZYX"})
    with pytest.raises(ColloidsError, match=r"lacks 4 of 16 slices .*'v_t2\.tif'"):
        read_stack(folder)
    stack = read_stack(folder, allow_missing=True)
    assert stack.recorded.tolist() == [[True] * 4, [True] * 4, [False] * 4, [True] * 4]


def test_volumes_without_a_number_of_their_frame_are_stacks_of_their_own(folder, volume):
    for k in range(3):
        tifffile.imwrite(folder / f"sample{k}.tif", volume(3, 8, 9) + np.uint16(k), metadata={"axes": "ZYX"})
    assert [series.name for series in list_series(folder)] == [f"sample{k}.tif" for k in range(3)]
    stack = read_stack(folder, index=2)
    assert (stack.name, stack.axes) == ("sample2", "zyx")
    with pytest.raises(ColloidsError, match="holds 3 volumes"):
        read_stack(folder, index=3)


def test_runs_in_one_folder_are_told_apart(write, folder, holds):
    first, second = (write(f"run{r}_z{{}}.tif", (n, 8, 9)) for r, n in ((1, 5), (2, 7)))
    assert [series.name for series in list_series(folder)] == ["run2_z*.tif", "run1_z*.tif"]
    holds(folder, second, "zyx", index=0)
    holds(folder, first, "zyx", index=1)
    assert read_stack(folder, index=1).name == "run1"


def test_what_is_no_image_is_left_out(write, folder, holds):
    data = write("stack_z{:03}.tif", (5, 8, 9))
    for name in ("Thumbs.db", ".DS_Store", "notes.txt", "._stack_z000.tif", "out.h5", "out.h5.json", "overview.png"):
        (folder / name).write_bytes(b"\0\1\2")
    (folder / "old").mkdir()
    tifffile.imwrite(folder / "old" / "stack_z005.tif", data[0])
    assert holds(folder, data, "zyx").notices == ("5 files 'stack_z*.tif': z from 0 to 4.",)


def test_a_damaged_file_beside_the_stack_is_told(write, folder):
    write("stack_z{:03}.tif", (5, 8, 9))
    (folder / "overview.tif").write_bytes(b"II*\0")
    stack = read_stack(folder)
    assert stack.shape == (5, 8, 9)
    assert "Left out: " in stack.notices[1]
    assert "overview.tif" in stack.notices[1]


def test_gaps_are_refused_or_known(write, folder):
    but = {f"stack_z{z:03}.tif" for z in range(14, 25)}
    data = write("stack_z{:03}.tif", (40, 8, 9), but=but)
    message = r"^'stack_z\*\.tif' lacks 11 of 40 slices \(the first is slice 14\), .*'stack_z014\.tif'"
    for way in ways(folder, "stack_z*.tif"):
        with pytest.raises(ColloidsError, match=message):
            read_stack(way)
        assert "stack_z014.tif" in list_series(way)[0].gaps
        stack = read_stack(way, allow_missing=True)
        np.testing.assert_array_equal(np.flatnonzero(~stack.recorded), range(14, 25))
        np.testing.assert_array_equal(stack.data[stack.recorded], data[stack.recorded])
        assert "stack_z014.tif" in stack.notices[1]


def test_a_missing_combination_of_frame_channel_and_slice_is_named(write, folder):
    write("a_t{}_ch{}_z{:02}.tif", (2, 2, 3, 8, 9), but=["a_t0_ch1_z01.tif"])
    with pytest.raises(ColloidsError, match=r"lacks 1 of 12 slices .*'a_t0_ch1_z01\.tif'"):
        read_stack(folder)
    assert not read_stack(folder, allow_missing=True).recorded[0, 1, 1]


def test_a_frame_at_which_the_acquisition_was_stopped_is_cut(write, folder):
    data = write("a_t{}_z{:02}.tif", (3, 6, 8, 9), but=[f"a_t2_z{z:02}.tif" for z in range(2, 6)])
    stack = read_stack(folder)
    np.testing.assert_array_equal(stack.data, data[:2])
    assert stack.recorded is None
    assert "2 were written completely" in stack.notices[1]


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (np.zeros((7, 9), np.uint16), "7 x 9 uint16"),
        (np.zeros((8, 9), np.uint8), "8 x 9 uint8"),
        (np.zeros((2, 8, 9), np.uint16), "2 x 8 x 9 uint16"),
    ],
)
def test_files_that_differ_are_told_in_one_line(write, folder, other, words):
    write("a_z{:02}.tif", (5, 8, 9))
    tifffile.imwrite(folder / "a_z03.tif", other, metadata={"axes": "ZYX"[-other.ndim :]})
    for read in (read_stack, list_series):
        with pytest.raises(ColloidsError, match=rf"'a_z00\.tif' is 8 x 9 uint16 .*'a_z03\.tif' is {words}") as caught:
            read(folder)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"II*\0\xff\xff\xff\xff", b"no image at all"])
@pytest.mark.parametrize("number", [0, 3])
def test_an_empty_or_damaged_file_is_named(write, folder, content, number):
    write("a_z{:02}.tif", (5, 8, 9))
    (folder / f"a_z{number:02}.tif").write_bytes(content)
    with pytest.raises(ColloidsError, match=rf"a_z{number:02}\.tif"):
        read_stack(folder)


def test_colours_are_refused_as_in_a_single_file(folder, volume):
    for z in range(3):
        tifffile.imwrite(folder / f"a_z{z}.tif", volume(8, 9, 3, dtype=np.uint8), photometric="rgb")
    with pytest.raises(ColloidsError, match="colour"):
        read_stack(folder)


def test_frames_of_2d_images_are_no_stack_unless_said_so(write, folder):
    data = write("frame{:03}.tif", (12, 8, 9))
    with pytest.raises(ColloidsError, match="time series of 2D images") as caught:
        read_stack(folder)
    assert 'axes="zyx"' in str(caught.value)
    np.testing.assert_array_equal(read_stack(folder, axes="zyx").data, data)


def test_one_slice_points_to_the_others(write, folder):
    write("stack_z{:03}.tif", (12, 8, 9))
    with pytest.raises(ColloidsError, match=r"single 2D image, one of 12 .*the pattern 'stack_z\*\.tif'"):
        read_stack(folder / "stack_z003.tif")


def ome(folder, names, shape, *, describing=None):
    """Write an OME set of one slice per file; only the named files hold the description, the others refer to it."""
    uuids = [f"urn:uuid:00000000-0000-0000-0000-{k:012}" for k in range(len(names))]
    data = "".join(
        f'<TiffData FirstZ="{z}" IFD="0" PlaneCount="1"><UUID FileName="{name}">{uuid}</UUID></TiffData>'
        for z, (name, uuid) in enumerate(zip(names, uuids, strict=True))
    )
    pixels = "".join(f'Size{axis}="{n}" ' for axis, n in zip("CTZYX", (1, 1, *shape), strict=True))
    root = '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="{}">{}</OME>'
    pixels = f'<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" {pixels}>{data}</Pixels>'
    image = f'<Image ID="Image:0">{pixels}</Image>'
    planes = np.random.default_rng(0).integers(0, 200, shape).astype(np.uint16)
    for name, uuid, plane in zip(names, uuids, planes, strict=True):
        own = image
        if describing is not None and name != describing:
            own = f'<BinaryOnly MetadataFile="{describing}" UUID="{uuids[names.index(describing)]}"/>'
        tifffile.imwrite(folder / name, plane, description=root.format(uuid, own), metadata=None)
    return planes


@pytest.mark.parametrize("describing", [None, "s_z00.ome.tif", "s_z03.ome.tif"])
def test_an_ome_set_is_one_stack_once(folder, holds, describing):
    names = [f"s_z{z:02}.ome.tif" for z in range(5)]
    data = ome(folder, names, (5, 8, 9), describing=describing)
    for way in ways(folder, "s_z*.tif"):
        assert len(list_series(way)) == 1
        np.testing.assert_array_equal(read_stack(way).data, data)
    (group,) = groups_of(several_files(folder), join_volumes=False)
    assert [file.name for file in group.files] == names


def test_an_ome_set_beside_other_stacks(folder, volume):
    ome(folder, [f"s_z{z:02}.ome.tif" for z in range(5)], (5, 8, 9))
    ome(folder, [f"s_z{z:02}.ome.tif" for z in range(5, 9)], (4, 8, 9))
    tifffile.imwrite(folder / "other.tif", volume(6, 8, 9), metadata={"axes": "ZYX"})
    assert [series.shape for series in list_series(folder)] == [(5, 8, 9), (4, 8, 9), (6, 8, 9)]


def test_lazy_slices_stay_in_their_files_and_are_read_elsewhere(write, folder, read_elsewhere):
    data = write("stack_z{:03}.tif", (300, 8, 9), compression="zlib")
    stack = read_stack(folder, lazy=True)
    box = (slice(150, 152), slice(2, 7), slice(3, 8))
    np.testing.assert_array_equal(read_elsewhere(stack.data, box), data[box])


def test_each_file_is_opened_once(write, folder, monkeypatch):
    write("stack_z{:03}.tif", (30, 8, 9))
    opened = []
    original = tifffile.TiffFile.__init__

    def counting(self, file, *args, **kwargs):
        opened.append(os.path.basename(file))
        original(self, file, *args, **kwargs)

    monkeypatch.setattr(tifffile.TiffFile, "__init__", counting)
    stack = read_stack(folder, lazy=True)
    # The first one also tells whether it is a part of an OME set.
    assert max(opened.count(f"stack_z{z:03}.tif") for z in range(1, 30)) == 1
    list_series(folder)
    assert len(opened) <= 33
    opened.clear()
    stack.data[7:9].compute()
    assert set(opened) <= {f"stack_z{z:03}.tif" for z in range(30)}


def test_a_slice_that_was_written_anew_is_read_anew(write, folder):
    write("stack_z{}.tif", (4, 8, 9))
    before = read_stack(folder, lazy=True)
    tifffile.imwrite(folder / "stack_z2.tif", np.full((8, 9), 7, np.uint16))
    os.utime(folder / "stack_z2.tif", ns=(1, 1))
    after = read_stack(folder, lazy=True)
    assert (after.data[2].compute() == 7).all()
    assert before.data.name != after.data.name


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "empty"),
        ([3], "not by 3"),
        (["nowhere.tif", "stack_z0.tif"], "no file 'nowhere.tif'"),
        ("nothing*.tif", r"No file matches 'nothing\*\.tif'"),
        (".", "is a folder without a stack in it"),
    ],
)
def test_what_is_not_there_is_told(tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    for read in (read_stack, list_series):
        with pytest.raises(ColloidsError, match=message):
            read(given)


def test_natural_order_of_any_names(tmp_path):
    names = ["a10b2.tif", "a2b10.tif", "a2b9.tif", "2.tif", "b.tif", "٣.tif"]
    ordered = natural_order(tmp_path / name for name in reversed(names))
    assert [file.name for file in ordered[:4]] == ["2.tif", "a2b9.tif", "a2b10.tif", "a10b2.tif"]


def test_a_file_whose_name_looks_like_a_pattern_is_itself(folder, volume, holds):
    data = volume(4, 8, 9)
    tifffile.imwrite(folder / "beads[1].tif", data, metadata={"axes": "ZYX"})
    holds(folder / "beads[1].tif", data, "zyx")
