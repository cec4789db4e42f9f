import os
import struct
from pathlib import Path
from xml.sax.saxutils import quoteattr

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

pytest.importorskip("liffile")

from napari_colloids.batch import StackFile
from napari_colloids.errors import ColloidsError
from napari_colloids.io.formats.registry import companion_files
from napari_colloids.io.stacks import list_series, read_stack

#: Files of a real microscope, which lie beside the checkout where there are any.
REAL = Path(__file__).parents[3] / "shared" / "data" / "leica"
DIMENSIONS = {"X": 1, "Y": 2, "Z": 3, "T": 4, "λ": 5}
SIZE = (0.3, 0.1, 0.05)


def image_xml(name, data, axes, lengths, channels=(), memory=""):
    """Describe an image whose dimensions are stored from the last to the first of its axes."""
    increments = dict(zip(axes, np.array(data.strides).tolist(), strict=True))
    described = "".join(
        f'<ChannelDescription DataType="0" ChannelTag="0" Resolution="{8 * data.itemsize}" NameOfMeasuredQuantity="" '
        f'Min="0" Max="1" Unit="" LUTName={quoteattr(channel)} IsLUTInverted="0" '
        f'BytesInc="{number * increments.get("C", 0)}" BitInc="0"/>'
        for number, channel in enumerate(channels or [""])
    )
    dimensions = "".join(
        f'<DimensionDescription DimID="{DIMENSIONS[axis]}" NumberOfElements="{data.shape[axes.index(axis)]}" '
        f'Origin="0" Length="{lengths[axis]!r}" Unit="{"s" if axis == "T" else "m"}" BitInc="0" '
        f'BytesInc="{increments[axis]}"/>'
        for axis in reversed(axes)
        if axis != "C"
    )
    return (
        f"<Element Name={quoteattr(name)}><Data><Image><ImageDescription><Channels>{described}</Channels>"
        f"<Dimensions>{dimensions}</Dimensions></ImageDescription></Image></Data>{memory}</Element>"
    )


def lengths_of(data, axes, size=SIZE, interval=0.5):
    """Return what Leica writes: from the first element to the last, in metres and seconds."""
    steps = dict(zip("ZYX", (length * 1e-6 for length in size), strict=True), T=interval, λ=1e-8)
    return {axis: steps[axis] * (n - 1) for axis, n in zip(axes, data.shape, strict=True) if axis != "C"}


def write_lif(path, images, lacking=0):
    """Write images of (name, array, axes, channel names) into a LIF file; the last may lack some bytes at its end."""
    sizes = [data.nbytes for _, data, *_ in images]
    sizes[-1] -= lacking
    elements = "".join(
        image_xml(
            name, data, axes, lengths_of(data, axes), channels, f'<Memory Size="{sizes[k]}" MemoryBlockID="M{k}"/>'
        )
        for k, (name, data, axes, channels) in enumerate(images)
    )
    header = (
        f'<LMSDataContainerHeader Version="2"><Element Name="all"><Memory Size="0" MemoryBlockID="M"/>'
        f"<Children>{elements}</Children></Element></LMSDataContainerHeader>"
    ).encode("utf-16-le")
    content = struct.pack("<IIBI", 0x70, len(header) + 5, 0x2A, len(header) // 2) + header
    for k, (_, data, _, _) in enumerate(images):
        name = f"M{k}".encode("utf-16-le")
        content += struct.pack("<IIBQBI", 0x70, 14 + len(name), 0x2A, sizes[k], 0x2A, len(name) // 2)
        content += name + data.tobytes()[: sizes[k]]
    path.write_bytes(content)


def write_lof(path, name, data, axes, channels=()):
    """Write a LOF file, which holds one image."""
    title = "LMS_Object_File".encode("utf-16-le")
    xml = (
        '<LMSDataContainerHeader Version="2">'
        + image_xml(name, data, axes, lengths_of(data, axes), channels)
        + "</LMSDataContainerHeader>"
    ).encode("utf-16-le")
    path.write_bytes(
        struct.pack("<IIBI", 0x70, len(title) + 5, 0x2A, len(title) // 2)
        + title
        + struct.pack("<BIBIBQ", 0x2A, 1, 0x2A, 0, 0x2A, data.nbytes)
        + data.tobytes()
        + struct.pack("<IIBI", 0x70, len(xml) + 5, 0x2A, len(xml) // 2)
        + xml
    )


def write_xlef(path, images):
    """Write an XLEF file, and for each image the XLIF that describes it and the LOF that holds it."""
    header = '<?xml version="1.0" encoding="utf-8"?><LMSDataContainerHeader Version="2">'
    for name, data, axes, channels in images:
        write_lof(path.with_name(f"{name}.lof"), name, data, axes, channels)
        memory = f'<Memory Size="{data.nbytes}"><Block File="{name}.lof" Offset="0" Size="{data.nbytes}"/></Memory>'
        xml = header + image_xml(name, data, axes, lengths_of(data, axes), channels, memory)
        path.with_name(f"{name}.xlif").write_text(xml + "</LMSDataContainerHeader>", encoding="utf-8")
    children = "".join(f'<Reference File="{name}.xlif"/>' for name, *_ in images)
    path.write_text(
        f'{header}<Element Name="all"><Data><Experiment/></Data><Children>{children}</Children></Element>'
        "</LMSDataContainerHeader>",
        encoding="utf-8",
    )


def write_tiled(path, name, data, axes):
    """Write an XLEF file whose pixels lie in a TIFF file for each plane."""
    header = '<?xml version="1.0" encoding="utf-8"?><LMSDataContainerHeader Version="2">'
    planes = data.reshape(-1, *data.shape[-2:])
    blocks = ""
    for k, plane in enumerate(planes):
        tifffile.imwrite(path.with_name(f"{name}_{k}.tif"), plane)
        blocks += f'<Frame File="{name}_{k}.tif" Offset="{k * plane.nbytes}" Size="{plane.nbytes}"/>'
    memory = f'<Memory Size="{data.nbytes}">{blocks}</Memory>'
    xml = header + image_xml(name, data, axes, lengths_of(data, axes), (), memory) + "</LMSDataContainerHeader>"
    path.with_name(f"{name}.xlif").write_text(xml, encoding="utf-8")
    refer_to(path, f"{name}.xlif")


def refer_to(path, *names):
    """Write an XLEF file that refers to others."""
    children = "".join(f'<Reference File="{name}"/>' for name in names)
    path.write_text(
        '<?xml version="1.0" encoding="utf-8"?><LMSDataContainerHeader Version="2"><Element Name="all"><Data>'
        f"<Experiment/></Data><Children>{children}</Children></Element></LMSDataContainerHeader>",
        encoding="utf-8",
    )


@pytest.fixture
def images(volume):
    return [
        ("first", volume(4, 5, 6, dtype=np.uint8), "ZYX", ()),
        ("second", volume(3, 2, 4, 5, 6), "TCZYX", ("core", "shell")),
    ]


@pytest.mark.parametrize("kind", ["lif", "xlef"])
def test_series_are_read_whole(tmp_path, images, kind, holds):
    path = tmp_path / f"beads.{kind}"
    (write_lif if kind == "lif" else write_xlef)(path, images)
    assert [series.name for series in list_series(path)] == ["first", "second"]
    assert [series.axes for series in list_series(path)] == ["ZYX", "TCZYX"]
    assert holds(path, images[0][1], "zyx", voxel_size=SIZE).name == "beads first"
    expected = {"voxel_size": SIZE, "channel_names": ("core", "shell"), "frame_interval": 0.5}
    holds(path, images[1][1], "tczyx", index=1, **expected)


def test_box_is_read_in_another_process(tmp_path, images, read_elsewhere):
    write_xlef(tmp_path / "beads.xlef", images)
    lazy = read_stack(tmp_path / "beads.xlef", index=1, lazy=True)
    box = (2, 1, slice(1, 3), slice(None), slice(2, 5))
    np.testing.assert_array_equal(read_elsewhere(lazy.data, box), images[1][1][box])


def test_files_that_hold_the_pixels_belong_to_the_state_of_a_source(tmp_path, images):
    write_xlef(tmp_path / "beads.xlef", images)
    assert [file.name for file in companion_files(tmp_path / "beads.xlef")] == [
        "first.lof",
        "first.xlif",
        "second.lof",
        "second.xlif",
    ]
    source = StackFile(str(tmp_path / "beads.xlef"))
    before = source.state()
    assert source.state() == before
    np.testing.assert_array_equal(source.open().data, images[0][1])
    name, data, axes, channels = images[0]
    lof = tmp_path / "first.lof"
    was = lof.stat()
    os.remove(lof)  # as a program does that writes it anew
    write_lof(lof, name, data[::-1].copy(), axes, channels)
    os.utime(lof, ns=(was.st_atime_ns, was.st_mtime_ns - 10**9))  # older than the other files, and of the same size
    assert lof.stat().st_size == was.st_size
    assert source.state() != before
    np.testing.assert_array_equal(source.open().data, data[::-1])


def test_lof_alone(tmp_path, images, holds):
    name, data, axes, channels = images[1]
    write_lof(tmp_path / "one.lof", name, data, axes, channels)
    holds(tmp_path / "one.lof", data, "tczyx", voxel_size=SIZE, channel_names=("core", "shell"), frame_interval=0.5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(axes=st.permutations("TCZYX"), data=st.data())
def test_any_order_of_scanning(tmp_path, volume, holds, axes, data):
    """Scanned with any axis as the outermost one; the channels can lie anywhere but innermost."""
    axes = "".join(axes[: data.draw(st.integers(3, 5))])
    assume(set("ZYX") <= set(axes) and not axes.endswith("C"))
    sizes = {"T": 2, "C": 3, "Z": 4, "Y": 5, "X": 6}
    written = volume(*(sizes[axis] for axis in axes))
    write_lif(tmp_path / "a.lif", [("a", written, axes, "RGB" if "C" in axes else "G")])
    order = sorted(range(len(axes)), key=lambda k: "TCZYX".index(axes[k]))
    holds(
        tmp_path / "a.lif",
        written.transpose(order),
        "".join(axes[k] for k in order).lower(),
        voxel_size=SIZE,
        channel_names=tuple("RGB" if "C" in axes else "G"),
        frame_interval=0.5 if "T" in axes else None,
    )


@pytest.mark.parametrize(
    ("axes", "shape", "match"),
    [
        ("YX", (5, 6), "single 2D image"),
        ("TCZX", (3, 2, 5, 6), r"time series of 2D images and 2D channels.*'TCZX', without Y"),
        ("λYX", (9, 5, 6), r"emission wavelengths.*'λYX', without Z"),
        ("TλZYX", (2, 3, 4, 5, 6), r"'TλZYX', which is not clear.*emission.*axes=\"tczyx\""),
    ],
)
def test_what_is_no_stack_is_told(tmp_path, volume, axes, shape, match):
    channels = "ab" if "C" in axes else ""
    write_lif(tmp_path / "a.lif", [("flat", volume(*shape), axes, channels), ("good", volume(4, 5, 6), "ZYX", ())])
    flat, good = list_series(tmp_path / "a.lif")
    assert (flat.axes, flat.shape, good.problem) == (axes, shape, "")
    with pytest.raises(ColloidsError, match=match) as caught:
        read_stack(tmp_path / "a.lif", index=0)
    assert str(caught.value) == flat.problem
    assert read_stack(tmp_path / "a.lif").shape == (4, 5, 6)


def test_wavelengths_may_be_given_as_channels(tmp_path, volume, holds):
    data = volume(2, 3, 4, 5, 6)
    write_lif(tmp_path / "a.lif", [("a", data, "TλZYX", ())])
    holds(tmp_path / "a.lif", data, "tczyx", given="tczyx", voxel_size=SIZE, frame_interval=0.5)


def test_cut_off_and_foreign_files(tmp_path, images, refused, refused_when_cut):
    write_lof(tmp_path / "one.lof", *images[1])
    refused_when_cut(tmp_path / "one.lof")
    write_xlef(tmp_path / "b.xlef", images)
    whole = (tmp_path / "second.lof").read_bytes()
    (tmp_path / "second.lof").write_bytes(whole[: len(whole) // 4])
    assert "cut short" in list_series(tmp_path / "b.xlef")[1].problem
    (tmp_path / "second.lof").unlink()
    with pytest.raises(ColloidsError, match=r"second\.lof.*not there"):
        read_stack(tmp_path / "b.xlef", index=1)
    assert "not there" in list_series(tmp_path / "b.xlef")[1].problem
    (tmp_path / "second.xlif").unlink()
    refused(tmp_path / "b.xlef", r"second\.xlif")


def test_cut_off_lif_keeps_the_series_that_are_whole(tmp_path, images, refused):
    path = tmp_path / "a.lif"
    write_lif(path, images)
    whole = path.read_bytes()
    path.write_bytes(whole[:-10])
    assert [bool(series.problem) for series in list_series(path)] == [False, True]
    np.testing.assert_array_equal(read_stack(path).data, images[0][1])
    with pytest.raises(ColloidsError, match="cut short"):
        read_stack(path, index=1)
    for content in (whole[:400], b"no LIF", b"\0" * 5000):
        path.write_bytes(content)
        refused(path, "is not a Leica file")


@pytest.mark.parametrize("written", [6, 7])
def test_series_that_was_stopped_ends_with_its_last_complete_frame(tmp_path, volume, holds, written):
    """Its block of memory is shorter than its description."""
    data = volume(3, 4, 5, 6)
    write_lif(tmp_path / "a.lif", [("one", data, "TZYX", ())], lacking=(12 - written) * 60 - 13)
    lazy = holds(tmp_path / "a.lif", data[: written // 4], "tzyx", voxel_size=SIZE, frame_interval=0.5)
    assert "'a.lif one' promises 3 frames, but 1 was written completely" in lazy.notices[0]


def test_stack_that_was_stopped_ends_with_its_last_complete_slice(tmp_path, volume, holds):
    data = volume(4, 2, 5, 6)
    write_lif(tmp_path / "a.lif", [("one", data, "ZCYX", "RG")], lacking=70)
    expected = {"voxel_size": SIZE, "channel_names": ("R", "G")}
    lazy = holds(tmp_path / "a.lif", data[:3].transpose(1, 0, 2, 3), "czyx", **expected)
    assert "promises 4 slices, but 3 were written" in lazy.notices[0]


def test_file_that_is_cut_while_it_is_read_is_told(tmp_path, volume, cut_while_read):
    write_lif(tmp_path / "a.lif", [("one", volume(40, 50, 60), "ZYX", ())])
    cut_while_read(tmp_path / "a.lif")


@pytest.mark.parametrize("axes", ["YZX", "ZYX"])
def test_stack_without_a_whole_slice_is_damage(tmp_path, volume, axes):
    data = volume(4, 5, 6)
    write_lif(tmp_path / "a.lif", [("one", data, axes, ())], lacking=70 if axes == "YZX" else 200)
    with pytest.raises(ColloidsError, match="damaged, or was stopped in its first slice"):
        read_stack(tmp_path / "a.lif")


def test_planes_whose_files_are_missing_are_refused_or_known(tmp_path, volume, holds):
    data = volume(2, 3, 5, 6)
    path = tmp_path / "a.xlef"
    write_tiled(path, "one", data, "TZYX")
    holds(path, data, "tzyx", voxel_size=SIZE, frame_interval=0.5)
    for number in (1, 5):
        (tmp_path / f"one_{number}.tif").unlink()
    with pytest.raises(ColloidsError, match=r"lacks 2 of 6 slices .*the files 'one_1\.tif', 'one_5\.tif' are missing"):
        read_stack(path)
    for lazy in (False, True):
        stack = read_stack(path, allow_missing=True, lazy=lazy)
        assert np.argwhere(~stack.recorded).tolist() == [[0, 1], [1, 2]]
        np.testing.assert_array_equal(np.asarray(stack.data)[stack.recorded], data[stack.recorded])


@pytest.mark.parametrize("name", ["pipe.xlif", "../away.xlif", "a.xlef", "none.xlif", "x" * 5000, "/dev/zero"])
def test_only_plain_files_beside_a_project_are_followed(tmp_path, images, refused, name):
    write_xlef(tmp_path / "b.xlef", images[:1])
    (tmp_path / "away.xlif").write_bytes((tmp_path / "first.xlif").read_bytes())
    (tmp_path / "in").mkdir()
    os.mkfifo(tmp_path / "in" / "pipe.xlif")
    path = tmp_path / "in" / "a.xlef"
    refer_to(path, name)
    refused(path, "refers to itself" if name == "a.xlef" else "is not there, or no plain file beside it")


def test_pixels_in_a_pipe_are_not_waited_for(tmp_path, volume):
    write_tiled(tmp_path / "a.xlef", "one", volume(3, 5, 6), "ZYX")
    (tmp_path / "one_1.tif").unlink()
    os.mkfifo(tmp_path / "one_1.tif")
    with pytest.raises(ColloidsError, match=r"the file 'one_1\.tif' is missing"):
        read_stack(tmp_path / "a.xlef")
    assert tmp_path / "one_1.tif" not in companion_files(tmp_path / "a.xlef")


def test_series_that_cannot_be_read_does_not_hide_the_others(tmp_path, images):
    """Channels of 8 and of 16 bits."""
    path = tmp_path / "a.lif"
    write_lif(path, images)
    wide, narrow = (f'Resolution="{bits}"'.encode("utf-16-le") for bits in ("16", "08"))
    path.write_bytes(path.read_bytes().replace(wide, narrow, 1))
    first, second = list_series(path)
    assert (first.problem, second.shape) == ("", ())
    assert "different types" in second.problem
    with pytest.raises(ColloidsError, match="different types"):
        read_stack(path, index=1)
    assert read_stack(path).shape == (4, 5, 6)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real files are not here")
def test_real_files():
    path = REAL / "two_channel_xz.lif"
    assert [(series.name, series.axes) for series in list_series(path)] == [
        ("xzt", "TCZX"),
        ("xzy", "YCZX"),
        ("xz", "CZX"),
    ]
    assert list_series(path)[0].frame_interval == pytest.approx(0.53)
    stack = read_stack(path, index=1)
    assert (stack.axes, stack.data.shape) == ("czyx", (2, 128, 23, 128))
    assert stack.voxel_size == pytest.approx((17.8154e-6 / 127 * 1e6, 5.0393539 / 22, 17.81554 / 127), rel=1e-4)
    assert stack.channel_names == ("Green", "Red")
    for index in (0, 2):
        with pytest.raises(ColloidsError, match="without Y"):
            read_stack(path, index=index)
    path = REAL / "wavelength_sweep.lif"
    assert all(series.problem for series in list_series(path))
    stack = read_stack(path, index=2, axes="tczyx")
    assert (stack.n_frames, stack.n_channels, stack.shape) == (2, 10, (11, 64, 64))
    assert stack.voxel_size == pytest.approx((0.5002027, 6.6033090 / 63, 6.6033090 / 63))
