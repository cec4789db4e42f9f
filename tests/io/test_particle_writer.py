import gc
import json
import re
import signal
import tracemalloc
from contextlib import contextmanager
from functools import partial
from itertools import pairwise

import h5py
import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from napari_colloids.errors import ColloidsError
from napari_colloids.io import particle_writer, read_particles, write_particles
from napari_colloids.io.tables.hdf5_disk import DeferredErrorFile, delayed_interrupt
from napari_colloids.particles import COLUMNS, ERRORS, WHOLE, particle_table

FORMATS = [".csv", ".xyz", ".h5", ".parquet"]
reused = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def tables_in_parts(draw, text):
    """A table in the order of its frames, and the same rows in parts (their columns in any order)."""
    n = draw(st.integers(0, 50))
    finite = hnp.arrays(float, n, elements=st.floats(allow_nan=False, allow_infinity=False))
    columns = {axis: draw(finite) for axis in "zyx"}
    if draw(st.booleans()):
        columns["frame"] = np.sort(draw(hnp.arrays(np.int64, n, elements=st.integers(0, 5))))
    for name in draw(st.sets(st.sampled_from(["channel", "particle", "label"]))):
        columns[name] = draw(hnp.arrays(np.int64, n, elements=st.integers(-1, 2**62)))
    um = draw(st.sampled_from([[], ["z_um", "y_um", "x_um"], ["z_um", "y_um", "x_um", "radius_um"]]))
    for name in [*um, *draw(st.sets(st.sampled_from(["radius", "confidence", "mass"])))]:
        columns[name] = draw(finite)
    if text and draw(st.booleans()):
        # Letters only behind an underscore: CSV does not tell the text "1" from the number.
        words = st.text(st.characters(exclude_categories=["C"]), max_size=8).map(lambda word: f"_{word}")
        columns["kind"] = draw(st.lists(words, min_size=n, max_size=n))
    table = pd.DataFrame(columns)
    ends = [0, *sorted(draw(st.lists(st.integers(0, n), max_size=6))), n]
    order = draw(st.permutations(list(table.columns)))
    return table, [table.iloc[a:b][order] for a, b in pairwise(ends)]


def write_in_parts(path, parts, **metadata):
    with particle_writer(path, **metadata) as writer:
        for part in parts:
            writer.append(part)


@pytest.mark.parametrize("ending", FORMATS)
@reused
@given(data=st.data())
def test_parts_read_back_as_one_exact_table(tmp_path, ending, data):
    table, parts = data.draw(tables_in_parts(text=ending != ".xyz"))
    path = tmp_path / f"points{ending}"
    write_in_parts(path, parts)
    read = read_particles(path)
    known = [column for column in COLUMNS if column in table]
    assert list(read.columns[: len(known)]) == known
    assert {column: read[column].dtype for column in known} == {c: int if c in WHOLE else float for c in known}
    # The type of other columns does not show without a row.
    pd.testing.assert_frame_equal(read, table, check_exact=True, check_like=True, check_dtype=len(table) > 0)


@pytest.mark.parametrize("ending", [".csv", ".xyz"])
@reused
@given(data=st.data())
def test_parts_make_the_same_file_as_the_whole(tmp_path, ending, data):
    table, parts = data.draw(tables_in_parts(text=False))
    write_in_parts(tmp_path / f"parts{ending}", [part[table.columns] for part in parts])
    write_particles(tmp_path / f"whole{ending}", table)
    assert (tmp_path / f"parts{ending}").read_bytes() == (tmp_path / f"whole{ending}").read_bytes()


@pytest.mark.parametrize("ending", FORMATS)
def test_no_parts_and_empty_parts(tmp_path, ending):
    path = tmp_path / f"points{ending}"
    write_in_parts(path, [])
    assert list(read_particles(path).columns) == ["z", "y", "x"]
    empty, some = particle_table([], frame=[], radius=[]), particle_table([[1, 2, 3]], frame=4, radius=5)
    write_in_parts(path, [empty, empty])
    pd.testing.assert_frame_equal(read_particles(path), empty)
    # Without rows a column has no type of its own: that of the first part with rows counts.
    write_in_parts(path, [empty.assign(label=[]), some.assign(label=7), empty.assign(label=[])])
    pd.testing.assert_frame_equal(read_particles(path), some.assign(label=7))


@pytest.mark.parametrize("ending", FORMATS)
def test_whole_numbers_stay_whole(tmp_path, ending):
    path = tmp_path / f"points{ending}"
    table = particle_table([[1, 2, 3]], frame=4, channel=1, particle=-1)
    write_in_parts(path, [table.astype(float)])
    pd.testing.assert_frame_equal(read_particles(path), table)
    for column, value in [("channel", 0.5), ("particle", float("nan")), ("frame", 1e300)]:
        with pytest.raises(ColloidsError, match="numbers"):
            write_in_parts(path, [table.assign(**{column: value})])


@pytest.mark.parametrize("ending", FORMATS)
def test_metadata_may_change_until_the_end(tmp_path, ending):
    path = tmp_path / f"points{ending}"
    with particle_writer(path, metadata={"input": "stack.tif", "seconds": None}) as writer:
        writer.append(particle_table([[1, 2, 3]]))
        writer.metadata.update(seconds=2.5, count=np.int64(1))
    expected = {"input": "stack.tif", "seconds": 2.5, "count": 1}
    assert json.loads((tmp_path / f"points{ending}.json").read_text()) == {**expected, "table_rows": 1}
    assert read_particles(path).attrs == expected
    with particle_writer(path) as writer:
        writer.metadata["input"] = "other.tif"
    assert read_particles(path).attrs == {"input": "other.tif"}
    write_in_parts(path, [])
    assert list(tmp_path.iterdir()) == [path]


def test_parquet_has_a_row_group_a_part_and_the_provenance(tmp_path):
    parts = [particle_table(np.full((n, 3), float(n)), frame=n) for n in (3, 0, 2)]
    write_in_parts(tmp_path / "a.parquet", parts, metadata={"input": "stäck.tif"})
    with pyarrow.parquet.ParquetFile(tmp_path / "a.parquet") as file:
        assert [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)] == [3, 2]
        assert json.loads(file.metadata.metadata[b"napari-colloids"]) == {"input": "stäck.tif"}


def test_hdf5_can_be_read_without_us(tmp_path):
    write_in_parts(tmp_path / "a.h5", [particle_table([[k, 2, 3]], frame=k) for k in range(3)])
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["particles/frame"][()].tolist() == [0, 1, 2]
        assert file["particles/z"][()].tolist() == [0.0, 1.0, 2.0]
    assert (tmp_path / "a.h5").stat().st_size < 20_000


def blocks_of(text):
    """Take an extended XYZ file apart as its specification says: (header, columns as name -> list of texts)."""
    lines = text.split("\n")
    assert lines.pop() == ""
    while lines:
        count, comment = int(lines[0]), lines[1]
        assert re.fullmatch(r'(\w+=("[^"]*"|\S+)( |$))+', comment)
        header = {key: quoted or plain for key, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|(\S+))', comment)}
        words = header["Properties"].split(":")
        properties = list(zip(words[::3], words[1::3], map(int, words[2::3]), strict=True))
        rows = [line.split(" ") for line in lines[2 : 2 + count]]
        assert {len(row) for row in rows} <= {sum(width for *_, width in properties)}
        columns, start = {}, 0
        for name, kind, width in properties:
            of_kind = {"S": str, "R": float, "I": int}[kind]
            columns[name] = [[of_kind(word) for word in row[start : start + width]] for row in rows]
            start += width
        yield header, columns
        lines = lines[2 + count :]


def test_xyz_has_one_block_a_frame_with_cell_and_radius(tmp_path):
    first, again, last = (
        particle_table(
            [[k, 2, 3], [k + 0.5, 5, 6]],
            radius=[4, 5],
            frame=frame,
            channel=k,
            particle=[2 * k, 7],
            voxel_size=(2, 1, 1),
        )
        for k, frame in enumerate([0, 0, 3])
    )
    write_in_parts(tmp_path / "a.xyz", [first, again, last], metadata={"shape": (10, 20, 30), "voxel_size": (2, 1, 1)})
    blocks = list(blocks_of((tmp_path / "a.xyz").read_text()))
    assert [header["frame"] for header, _ in blocks] == ["0", "3"]
    for header, _ in blocks:
        assert [float(v) for v in header["Lattice"].split()] == [30, 0, 0, 0, 20, 0, 0, 0, 20]
        assert [float(v) for v in header["Origin"].split()] == [-0.5, -0.5, -1]
    columns = blocks[0][1]
    assert columns["pos"] == [[3, 2, 0], [6, 5, 1], [3, 2, 2], [6, 5, 3]]
    assert columns["radius"] == [[4], [5], [4], [5]]
    assert columns["channel"] == [[0], [0], [1], [1]]
    assert columns["id"] == [[0], [7], [2], [7]]
    pd.testing.assert_frame_equal(
        read_particles(tmp_path / "a.xyz"), pd.concat([first, again, last], ignore_index=True), check_like=True
    )


def test_xyz_wants_the_frames_in_order(tmp_path):
    first, second = (particle_table([[1, 2, 3]], frame=k) for k in range(2))
    with pytest.raises(ColloidsError, match="frame 0 comes after frame 1"):
        write_in_parts(tmp_path / "a.xyz", [first, second, first])
    assert list(tmp_path.iterdir()) == []
    write_in_parts(tmp_path / "a.xyz", [pd.concat([second, first])])  # within a part they are sorted
    assert read_particles(tmp_path / "a.xyz")["frame"].tolist() == [0, 1]


@pytest.mark.parametrize("name", ["id", "pos", "species", "voxel", "radius_voxel", "two words"])
def test_xyz_refuses_names_that_would_not_come_back(tmp_path, name):
    with pytest.raises(ColloidsError, match=f"drop column '{name}'"):
        write_particles(tmp_path / "a.xyz", particle_table([[1, 2, 3]]).assign(**{name: 1.0}))


@contextmanager
def nothing_changes(folder):
    before = {file: file.read_bytes() for file in folder.iterdir()}
    assert len(before) == 2  # the table and where it comes from
    yield
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


@pytest.fixture
def old(tmp_path, request):
    path = tmp_path / f"points{request.param}"
    write_particles(path, particle_table([[7, 8, 9]]), metadata={"from": "before"})
    return path


each_format = pytest.mark.parametrize("old", FORMATS, indirect=True)


@each_format
@pytest.mark.parametrize(
    "failure", [OSError(2, "mine"), ValueError("mine"), ColloidsError("mine"), KeyboardInterrupt()]
)
def test_what_fails_inside_the_block_passes_and_leaves_the_old_table(old, failure):
    def write():
        with particle_writer(old, metadata={"from": "after"}) as writer:
            writer.append(particle_table([[1, 2, 3]], frame=0))
            raise failure

    with nothing_changes(old.parent), pytest.raises(type(failure)) as caught:
        write()
    assert caught.value is failure


@each_format
def test_parts_must_have_the_same_columns_and_types(old):
    table = particle_table([[1, 2, 3]]).assign(label=1)
    for part, message in [
        (table.drop(columns="label"), "same columns; the first had z, y, x, label, this one has z, y, x"),
        (table.assign(more=1), "same columns"),
        (table.assign(label=0.5), "'label' was int64 in the first part and is float64 now"),
        (table.assign(label="1"), "'label' was int64 in the first part"),
        (table.drop(columns="x"), "no column x"),
        (pd.concat([table, table["label"]], axis=1), "same name"),
    ]:
        with nothing_changes(old.parent), pytest.raises(ColloidsError, match=message):
            write_in_parts(old, [table, part], metadata={"from": "after"})
    write_in_parts(old, [table.assign(label=0.5), table])
    assert read_particles(old)["label"].tolist() == [0.5, 1.0]


@each_format
def test_a_part_that_failed_is_not_forgotten(old):
    def write():
        with particle_writer(old, metadata={"from": "after"}) as writer:
            writer.append(particle_table([[1, 2, 3]]))
            with pytest.raises(ColloidsError, match="same columns"):
                writer.append(particle_table([[1, 2, 3]], radius=1))
            writer.append(particle_table([[1, 2, 3]]))

    with nothing_changes(old.parent), pytest.raises(ColloidsError, match="same columns"):
        write()


@pytest.fixture
def small_disk():
    """Let no file grow beyond 100 kB: the system says so as it does when the disk is full."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@each_format
def test_full_disk_leaves_the_old_table(old, small_disk):
    rng = np.random.default_rng(0)
    with nothing_changes(old.parent), pytest.raises(ColloidsError, match=r"points\..*written") as caught:
        write_in_parts(
            old, (particle_table(rng.uniform(size=(1000, 3)), frame=k) for k in range(20)), metadata={"a": 1}
        )
    assert "\n" not in str(caught.value)


def test_a_failed_disk_still_reads_as_if_all_was_stored(tmp_path, small_disk):
    with DeferredErrorFile(tmp_path / "a") as disk:
        disk.write(b"start")
        disk.seek(99_998)
        disk.write(b"abcdef")
        disk.seek(3)
        disk.write(b"RT")
        for start, expected in [(0, b"staRT"), (99_998, b"abcdef"), (100_001, b"def"), (99_996, b"\0\0abcd")]:
            disk.seek(start)
            content = bytearray(len(expected))
            assert disk.readinto(content) == len(expected)
            assert content == expected
        with pytest.raises(OSError, match="large"):
            disk.check()


def test_interrupts_wait_while_hdf5_writes(request):
    # A shell that starts the tests in the background has them ignore interrupts.
    request.addfinalizer(partial(signal.signal, signal.SIGINT, signal.getsignal(signal.SIGINT)))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    reached = []

    def work():
        with delayed_interrupt():
            signal.raise_signal(signal.SIGINT)
            reached.append("the end")
        reached.append("too far")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["the end"]
    assert signal.getsignal(signal.SIGINT) is before


def test_protected_provenance_is_told_before_the_work(tmp_path):
    path = tmp_path / "a.csv"
    (tmp_path / "a.csv.json").mkdir()
    with pytest.raises(ColloidsError, match=r"a\.csv\.json' is a folder"), particle_writer(path):
        pytest.fail("the work began")
    assert not path.exists()


@pytest.mark.parametrize("ending", FORMATS)
def test_parts_are_not_kept_in_memory(tmp_path, ending):
    part = particle_table(np.random.default_rng(0).uniform(size=(600, 3)))
    size = int(part.memory_usage().sum())
    used = []
    tracemalloc.start()
    try:
        with particle_writer(tmp_path / f"points{ending}") as writer:
            for frame in range(16):
                writer.append(part.assign(frame=frame))
                if frame in (5, 15):
                    gc.collect()
                used.append(tracemalloc.get_traced_memory()[0] + pyarrow.total_allocated_bytes())
    finally:
        tracemalloc.stop()
    assert used[15] - used[5] < 4 * size  # 10 parts later


def test_xyz_has_all_columns_of_a_structure_with_a_cell_from_what_the_columns_imply(tmp_path):
    rng = np.random.default_rng(4)
    made = {name: rng.integers(0, 2, 5) if column.whole else rng.random(5) for name, column in COLUMNS.items()}
    made |= {"frame": np.array([3, 3, 3, 8, 8]), "z": np.arange(5.0), "y": 2 + np.arange(5.0), "x": 9 - np.arange(5.0)}
    made |= {f"{axis}_um": made[axis] * size for axis, size in zip("zyx", (0.3, 0.1, 0.1), strict=True)}
    table = pd.DataFrame({**made, "my_own": np.linspace(0, 1, 5), "tcc_new": 1})
    table.loc[1, "q6"] = np.nan
    write_particles(tmp_path / "a.xyz", table, metadata={"shape": (16, 32, 64)})
    blocks = list(blocks_of((tmp_path / "a.xyz").read_text()))
    assert [(header["frame"], header["Units"]) for header, _ in blocks] == [("3", "um"), ("8", "um")]
    names = {"radius_um": "radius", "radius": "radius_voxel", "particle": "id"}
    for (header, columns), (_, rows) in zip(blocks, table.groupby("frame"), strict=True):
        assert [float(v) for v in header["Lattice"].split()] == pytest.approx([6.4, 0, 0, 0, 3.2, 0, 0, 0, 4.8])
        assert columns["pos"] == rows[["x_um", "y_um", "z_um"]].to_numpy().tolist()
        assert columns["voxel"] == rows[["x", "y", "z"]].to_numpy().tolist()
        scalars = [name for name in table if name not in ("frame", "z", "y", "x", "z_um", "y_um", "x_um", *ERRORS)]
        for name in scalars:
            np.testing.assert_array_equal(np.ravel(columns[names.get(name, name)]), rows[name])
        for name in ERRORS:
            np.testing.assert_array_equal(np.ravel(columns[f"{name}_voxel"]), rows[name])
    assert not any("Lattice" in header for header, _ in blocks_of(xyz_of(tmp_path, table[["z", "y", "x", "tcc_8B"]])))


def xyz_of(folder, table):
    write_particles(folder / "b.xyz", table)
    return (folder / "b.xyz").read_text()
