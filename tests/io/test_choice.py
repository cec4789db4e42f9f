"""Which series is read where none is named, and that it is said."""

import h5py
import numpy as np
import pytest
import tifffile

from napari_colloids import cli
from napari_colloids.batch.stack_file import StackFile
from napari_colloids.detection import Part, Record, detect, detect_series
from napari_colloids.errors import ColloidsError
from napari_colloids.io import read_particles, read_stack
from napari_colloids.simulation import simulate
from napari_colloids.stack import Stack


@pytest.fixture(scope="module")
def particles():
    return simulate(shape=(24, 24, 24), volume_fraction=0.3, radius=4, seed=1).stack.data


@pytest.fixture
def thumbnail_first(tmp_path, particles):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(particles[12, ::4, ::4])
        file.write(particles, photometric="minisblack")
    return path


def test_first_stack_is_read_and_named(thumbnail_first, particles):
    stack = read_stack(thumbnail_first)
    np.testing.assert_array_equal(stack.data, particles)
    assert stack.notices == ("series 1 of 2 is read (the first 3D stack); series 0 is a single 2D image.",)
    assert read_stack(thumbnail_first, index=1).notices == ()
    with pytest.raises(ColloidsError, match="single 2D image"):
        read_stack(thumbnail_first, index=0)


def test_hdf5(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number, shape in enumerate([(5, 6), (7, 6), (4, 5, 6), (4, 5, 6), (4, 5, 6), (9, 5, 6), (9, 5, 6)]):
            file[f"d{number}"] = np.zeros(shape)
    stack = read_stack(tmp_path / "a.h5")
    assert stack.shape == (4, 5, 6)
    (notice,) = stack.notices
    first, others = notice.split("; ", 1)
    assert first.endswith("is read (the first 3D stack)")
    assert others.endswith("and 1 more are 3D stacks.")
    assert read_stack(tmp_path / "a.h5", dataset="d5").notices == ()


def test_axes_that_are_given_choose_what_they_fit(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = np.zeros((4, 5, 6))
        file["b"] = np.zeros((2, 4, 5, 6))
    stack = read_stack(tmp_path / "a.h5", axes="tzyx")
    assert (stack.n_frames, stack.shape) == (2, (4, 5, 6))
    assert "series 1" in stack.notices[0]


def test_one_series_and_none_that_is_a_stack(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((4, 5, 6)))
    assert read_stack(tmp_path / "a.npy").notices == ()
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(np.zeros((5, 6)))
        file.write(np.zeros((7, 6)))
    with pytest.raises(ColloidsError, match="image 0' is a single 2D image"):
        read_stack(tmp_path / "a.tif")


def test_library_batch_and_command_say_it(thumbnail_first, tmp_path, capsys):
    notice = read_stack(thumbnail_first).notices[0]
    found = detect(thumbnail_first, diameter=8, method="log")
    assert Record.from_attrs(found.attrs).notices[0] == notice
    assert StackFile(str(thumbnail_first)).open().notices == (notice,)
    asked = ["detect", str(thumbnail_first), "--diameter", "8", "--method", "log", "-o"]
    assert cli.main([*asked, str(tmp_path / "a.csv")]) == 0
    assert notice in capsys.readouterr().err
    assert len(read_particles(tmp_path / "a.csv")) == len(found)
    assert cli.main([*asked, str(tmp_path / "b.csv"), "--index", "1"]) == 0
    assert "series 1 of 2" not in capsys.readouterr().err
    assert cli.main([*asked, str(tmp_path / "c.csv"), "--index", "0"]) == 2
    assert "single 2D image" in capsys.readouterr().err
    assert cli.main([*asked, str(tmp_path / "d"), "--index", "all"]) == 0
    assert "series 0 is left out" in capsys.readouterr().err


@pytest.mark.parametrize("names", [(), ("core", "shell")])
def test_one_of_several_channels_is_said(particles, names):
    stack = Stack(np.stack([particles, particles]), "czyx", channel_names=names)
    how = {"diameter": 8, "method": "log"}

    def said(table):
        return [notice for notice in Record.from_attrs(table.attrs).notices if "hannel" in notice]

    expected = "Channel 0 of 2 was searched; there is channel 1."
    if names:
        expected = "Channel 0 of 2 ('core') was searched; there is channel 1 ('shell')."
    assert said(detect(stack, **how)) == [expected]
    assert said(detect_series(stack, **how)) == [expected]
    assert said(detect(stack, **how, channel=1)) == []
    assert said(detect_series(stack, **how, channels=[0, 1])) == []
    assert said(detect_series(stack, **how, channels=[1])) == []
    assert said(detect(particles, **how)) == []
    assert Part().channel == 0


def test_command_says_which_channel(tmp_path, particles, capsys):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([particles] * 3, 1), imagej=True, metadata={"axes": "ZCYX"})
    asked = ["detect", str(path), "--diameter", "8", "--method", "log", "-o", str(tmp_path / "a.csv")]
    assert cli.main(asked) == 0
    assert "Channel 0 of 3 was searched; there are channels 1, 2." in capsys.readouterr().err
    assert cli.main([*asked, "--channel", "0", "--channel", "2"]) == 0
    assert "Channel 0 of 3" not in capsys.readouterr().err
