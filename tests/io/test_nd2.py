import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("nd2")

from napari_colloids.errors import ColloidsError
from napari_colloids.io.stacks import list_series, read_stack

SIZE = (0.3, 0.1, 0.1)
MAGIC = 0x0ABECEDA
FILE_MAP, CHUNK_MAP = b"ND2 FILEMAP SIGNATURE NAME 0001!", b"ND2 CHUNK MAP SIGNATURE 0000001!"


def encoded(values):
    """Encode a mapping as Nikon does: kind, length of the name, name, value."""
    content = b""
    for name, value in values.items():
        title = (name + "\0").encode("utf-16-le")
        kind, body = {
            bool: lambda v: (1, struct.pack("<B", v)),
            int: lambda v: (3, struct.pack("<I", v)),
            float: lambda v: (6, struct.pack("<d", v)),
            str: lambda v: (8, (v + "\0").encode("utf-16-le")),
            bytes: lambda v: (9, struct.pack("<Q", len(v)) + v),
            dict: lambda v: (11, encoded(v)),
        }[type(value)](value)
        head = struct.pack("<BB", kind, len(title) // 2) + title
        if kind == 11:
            body = struct.pack("<IQ", len(value), len(head) + 12 + len(body)) + body + bytes(8 * len(value))
        content += head + body
    return content


def loop(kind, parameters, inner, **more):
    """Describe a loop of the experiment and those inside it."""
    return {"eType": kind, "uLoopPars": parameters, **more, **({"ppNextLevelEx": {"": inner}} if inner else {})}


def write_nd2(
    path, data, axes, size=SIZE, interval=0.5, channels=("",), positions=(), calibrated=True, kept=None, **header
):
    """Write an array, or of its frames those that are kept; its axes are letters of TPZCYX in that order."""
    shape = dict(zip(axes, data.shape, strict=True))
    experiment = {}
    if "Z" in axes:
        experiment = loop(4, {"uiCount": shape["Z"], "dZStep": size[0], "iType": 0}, experiment)
    if "P" in axes:
        points = {f"p{k}": {"dPosX": 0.0, "dPosY": 0.0, "pPosName": name} for k, name in enumerate(positions)}
        experiment = loop(2, {"Points": points}, experiment, pItemValid=b"\1" * len(positions))
    if "T" in axes:
        period = {"dPeriod": interval * 1000, "dStart": 0.0, "dDuration": 0.0, "dAvgPeriodDiff": interval * 1000}
        experiment = loop(1, {"uiCount": shape["T"], **period}, experiment)
    frames = data.reshape(-1, shape.get("C", 1), shape["Y"], shape["X"]).transpose(0, 2, 3, 1)
    attributes = {
        "uiWidth": shape["X"],
        "uiWidthBytes": shape["X"] * shape.get("C", 1) * data.itemsize,
        "uiHeight": shape["Y"],
        "uiComp": shape.get("C", 1),
        "uiBpcInMemory": 8 * data.itemsize,
        "uiBpcSignificant": 8 * data.itemsize,
        "uiSequenceCount": len(frames),
        **header,
    }
    probe = {"pFluorescentProbe": {"m_sName": "dye"}}
    planes = {f"a{k}": {"sDescription": name, "uiCompCount": 1, **probe} for k, name in enumerate(channels)}
    picture = {
        "bCalibrated": calibrated,
        "dCalibration": size[2],
        "sPicturePlanes": {"uiCount": len(channels), "sPlaneNew": planes},
    }
    chunks = {
        "ImageAttributesLV!": encoded({"SLxImageAttributes": attributes}),
        "ImageMetadataSeqLV|0!": encoded({"SLxPictureMetadata": picture}),
        **({"ImageMetadataLV!": encoded({"SLxExperiment": experiment})} if experiment else {}),
        **{
            f"ImageDataSeq|{k}!": bytes(8) + frame.tobytes()
            for k, frame in enumerate(frames)
            if k in (kept or range(len(frames)))
        },
    }
    content = struct.pack("<IIQ32s64s", MAGIC, 32, 64, b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0")
    table = b""
    for name, body in chunks.items():
        table += name.encode() + struct.pack("<QQ", len(content), len(body))
        content += struct.pack("<IIQ", MAGIC, 4072, len(body)) + name.encode().ljust(4072, b"\0") + body
    where = len(content)
    table += CHUNK_MAP + struct.pack("<Q", where)
    path.write_bytes(content + struct.pack("<IIQ", MAGIC, 32, len(table)) + FILE_MAP + table)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "beads.nd2"


def test_series_of_channels(path, volume, holds, read_elsewhere):
    data = volume(3, 4, 2, 5, 6)
    write_nd2(path, data, "TZCYX", channels=("core", "shell"))
    expected = data.transpose(0, 2, 1, 3, 4)
    lazy = holds(path, expected, "tczyx", voxel_size=SIZE, channel_names=("core", "shell"), frame_interval=0.5)
    assert lazy.name == "beads"
    box = (2, 1, slice(1, 3), slice(None), slice(2, 5))
    np.testing.assert_array_equal(read_elsewhere(lazy.data, box), expected[box])


@pytest.mark.parametrize(
    ("axes", "shape", "order"),
    [("ZYX", (4, 5, 6), "zyx"), ("TZYX", (2, 4, 5, 6), "tzyx"), ("ZCYX", (4, 2, 5, 6), "czyx")],
)
def test_other_shapes(path, volume, holds, axes, shape, order):
    data = volume(*shape, dtype=np.uint8)
    names = ("a", "b") if "C" in axes else ("a",)
    write_nd2(path, data, axes, channels=names)
    data = data.transpose(1, 0, 2, 3) if axes == "ZCYX" else data
    interval = 0.5 if "T" in axes else None
    holds(path, data, order, voxel_size=SIZE, channel_names=names, frame_interval=interval)


def test_positions_are_series(path, volume, holds):
    data = volume(2, 3, 4, 5, 6)
    write_nd2(path, data, "TPZYX", positions=("left", "middle", ""))
    assert [series.name for series in list_series(path)] == ["left", "middle", "position 2"]
    for index in range(3):
        lazy = holds(path, data[:, index], "tzyx", index=index, voxel_size=SIZE, frame_interval=0.5)
    assert lazy.name == "beads position 2"


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(z=st.floats(0.005, 20), lateral=st.floats(0.005, 20), interval=st.floats(1e-3, 1e4))
def test_voxel_size_and_interval(path, volume, z, lateral, interval):
    write_nd2(path, volume(2, 3, 4, 5), "TZYX", size=(z, lateral, lateral), interval=interval)
    (series,) = list_series(path)
    assert series.voxel_size == pytest.approx((z, lateral, lateral), rel=1e-6)
    assert series.frame_interval == pytest.approx(interval, rel=1e-6)


def test_without_calibration_the_voxel_size_is_unknown(path, volume, holds):
    write_nd2(path, volume(4, 5, 6), "ZYX", calibrated=False)
    holds(path, volume(4, 5, 6), "zyx", voxel_size=None)


@pytest.mark.parametrize(
    ("kept", "frames", "slices", "notice"),
    [
        (range(9), 2, 4, "promises 3 frames, but 2 were written completely: only that is read"),
        (range(8), 2, 4, "promises 3 frames, but 2 were written: only that is read"),
        (range(3), 1, 3, "promises 3 frames of 4 slices, but 3 slices of the first were written"),
    ],
)
def test_experiment_that_was_stopped_ends_where_it_stopped(path, volume, kept, frames, slices, notice):
    data = volume(3, 4, 5, 6)
    write_nd2(path, data, "TZYX", kept=kept)
    for lazy in (False, True):
        stack = read_stack(path, lazy=lazy)
        assert notice in stack.notices[0]
        assert stack.recorded is None
        np.testing.assert_array_equal(np.asarray(stack.data).reshape(frames, slices, 5, 6), data[:frames, :slices])


def test_each_position_ends_where_it_stopped(path, volume):
    data = volume(2, 2, 4, 5, 6)
    write_nd2(path, data, "TPZYX", positions=("left", "right"), kept=range(13))
    left, right = (read_stack(path, index=k) for k in range(2))
    np.testing.assert_array_equal(left.data, data[:, 0])
    np.testing.assert_array_equal(right.data[0], data[0, 1])
    assert (left.notices, right.n_frames) == ((), 1)
    assert "'beads.nd2 right' promises 2 frames" in right.notices[0]


def test_frames_that_are_missing_in_between_are_refused_or_known(path, volume):
    data = volume(2, 4, 5, 6)
    write_nd2(path, data, "TZYX", kept=(0, 1, 2, 3, 4, 6, 7))
    with pytest.raises(ColloidsError, match=r"lacks 1 of 8 slices .the first is frame 1, slice 1"):
        read_stack(path)
    stack = read_stack(path, allow_missing=True)
    assert np.argwhere(~stack.recorded).tolist() == [[1, 1]]
    np.testing.assert_array_equal(stack.data[stack.recorded], data[stack.recorded])


@pytest.mark.parametrize("header", [{"uiHeight": 70_000}, {"uiHeight": 6}, {"uiWidth": "text"}, {"uiHeight": 0}])
def test_frames_that_do_not_fit_the_file_are_damage(path, volume, refused, header):
    """They would be rows of zeros, or of what belongs to the next frame."""
    write_nd2(path, volume(4, 5, 6), "ZYX", **header)
    refused(path, "damaged")


def test_step_between_slices_that_is_missing_is_told(path, volume, holds):
    write_nd2(path, volume(4, 5, 6), "ZYX", size=(0.0, 0.1, 0.1))
    lazy = holds(path, volume(4, 5, 6), "zyx", voxel_size=None)
    assert lazy.notices == (
        "'beads.nd2' does not say how far apart voxels are along z: its voxel size counts as unknown.",
    )


def test_flat_images_are_told(path, volume):
    write_nd2(path, volume(5, 6), "YX")
    with pytest.raises(ColloidsError, match="single 2D image"):
        read_stack(path)
    write_nd2(path, volume(3, 5, 6), "TYX")
    with pytest.raises(ColloidsError, match="time series of 2D images"):
        read_stack(path)


def test_cut_off_and_foreign_files(path, volume, refused_when_cut):
    write_nd2(path, volume(4, 5, 6), "ZYX")
    refused_when_cut(path)


def test_file_that_vanishes_is_told_when_it_is_read(path, volume):
    write_nd2(path, volume(4, 5, 6), "ZYX")
    stack = read_stack(path, lazy=True)
    path.unlink()
    with pytest.raises(ColloidsError, match=r"beads\.nd2"):
        stack.data.compute(scheduler="sync")
