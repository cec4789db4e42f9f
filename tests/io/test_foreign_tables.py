"""Tables of other programs are read as what they are, or refused in one line that says what to do."""

import numpy as np
import pandas as pd
import pytest

from napari_colloids.errors import ColloidsError
from napari_colloids.io import read_particles, write_particles
from napari_colloids.particles import particle_table

SIZE = (0.3, 0.1, 0.1)
ZYX = ["z", "y", "x"]


@pytest.fixture(scope="module")
def truth():
    return particle_table(np.random.default_rng(0).uniform(1, 60, (30, 3)).round(4))[ZYX]


@pytest.fixture
def read(tmp_path):
    """Write a text or bytes into a file and read it as a table."""

    def read(content, name="points.csv", **options):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return read_particles(path, **options)

    return read


def said(table):
    return "; ".join(table.attrs["reading"])


def in_um(truth):
    return truth * SIZE


def check(table, truth):
    np.testing.assert_allclose(table[ZYX], truth, atol=1e-9)


@pytest.mark.parametrize(
    ("separator", "decimal", "encoding"),
    [
        (";", ",", "utf-8"),
        (";", ".", "utf-8-sig"),
        ("\t", ",", "utf-16"),
        ("\t", ".", "utf-16-be"),
        (" ", ",", "latin-1"),
        ("   ", ".", "utf-16-le"),
        ("|", ",", "cp1252"),
        (", ", ".", "utf-32"),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_layout_of_a_text(read, truth, separator, decimal, encoding, end):
    rows = [separator.join(f"{value}".replace(".", decimal) for value in row) for row in truth.to_numpy()]
    text = end.join([separator.join(ZYX), *rows, ""])
    check(read(text.encode(encoding)), truth)


def test_what_was_detected_is_said(read):
    table = read("z;y;x;note\n1,5;2;3;\xb5m\n".encode("cp1252"))
    assert table.to_dict("records") == [{"z": 1.5, "y": 2, "x": 3, "note": "µm"}]
    assert said(table) == "read with ';' between values, ',' as the decimal sign, encoding cp1252"


def test_thousands_and_quotes(read):
    assert read("z;y;x\n1.234,5;2,25;1.000.000,0\n")[ZYX].to_numpy().tolist() == [[1234.5, 2.25, 1e6]]
    assert read('"z","y","x"\n"1,5","2,5","3,5"\n')[ZYX].to_numpy().tolist() == [[1.5, 2.5, 3.5]]


@pytest.mark.parametrize(
    "names",
    [
        ["Z", "Y", "X"],
        ["pos_z", "pos_y", "pos_x"],
        ["PositionZ", "PositionY", "PositionX"],
        ["z_px", "y_px", "x_px"],
        ["Z [pixel]", "Y [pixel]", "X [pixel]"],
        ["centroid-0", "centroid-1", "centroid-2"],
        ["z center", "y center", "x center"],
        ["zpos", "ypos", "xpos"],
        ["z_slice", "y_px", "x_px"],
    ],
)
def test_names_of_positions_in_voxels(read, truth, names):
    check(
        read(
            truth.set_axis(names, axis=1)[names[::-1]].assign(mass=1.0).to_csv(index=False)
            if "-" not in names[0]
            else truth.set_axis(names, axis=1).to_csv(index=False)
        ),
        truth,
    )


@pytest.mark.parametrize(
    ("names", "per_um"),
    [
        (["z [um]", "y [um]", "x [um]"], 1),
        (["Z (µm)", "Y (µm)", "X (µm)"], 1),
        (["z_nm", "y_nm", "x_nm"], 1000),
        (["Centroid Z (microns)", "Centroid Y (microns)", "Centroid X (microns)"], 1),
        (["Z_UM", "Y_UM", "X_UM"], 1),
        (["z_um", "y_um", "x_um"], 1),
        (["x_mm", "y_mm", "z_mm"][::-1], 1e-3),
    ],
)
def test_names_of_positions_in_a_unit(read, truth, names, per_um):
    text = (in_um(truth) * per_um).set_axis(names, axis=1).to_csv(index=False)
    table = read(text, voxel_size=SIZE)
    check(table, truth)
    np.testing.assert_allclose(table[["z_um", "y_um", "x_um"]], in_um(truth))
    with pytest.raises(ColloidsError, match="give the voxel size"):
        read(text)


def test_units_may_differ_from_axis_to_axis(read, truth):
    table = truth.assign(y=truth["y"] * 0.1, x=truth["x"] * 0.1).set_axis(["z [slice]", "y [um]", "x [um]"], axis=1)
    check(read(table.to_csv(index=False), voxel_size=SIZE), truth)


def test_voxels_are_taken_where_both_are_there(read, truth):
    both = pd.concat([truth.add_suffix(" [px]"), in_um(truth).add_suffix(" [um]")], axis=1)
    table = read(both.to_csv(index=False))
    check(table, truth)
    np.testing.assert_allclose(table[["z_um", "y_um", "x_um"]], in_um(truth))


@pytest.mark.parametrize("comment", ["# unit: um", "# Positions are in micrometres", "% coordinates in µm"])
def test_a_unit_in_a_comment_holds(read, truth, comment):
    text = f"# made by a script\n{comment}\n" + in_um(truth).to_csv(index=False)
    check(read(text, voxel_size=SIZE), truth)
    with pytest.raises(ColloidsError, match="give the voxel size"):
        read(text)


def test_header_in_a_comment(tmp_path, truth):
    np.savetxt(tmp_path / "a.txt", truth, header="z y x")
    check(read_particles(tmp_path / "a.txt"), truth)


def test_spots_of_trackmate(read, truth):
    um = in_um(truth)
    spots = pd.DataFrame({"LABEL": [f"ID{n}" for n in range(30)], "ID": range(30), "TRACK_ID": "None", "QUALITY": 4.5})
    spots = spots.assign(
        POSITION_X=um["x"],
        POSITION_Y=um["y"],
        POSITION_Z=um["z"],
        POSITION_T=np.repeat([0, 2.5], 15),
        FRAME=np.repeat([0, 1], 15),
        RADIUS=0.4,
        VISIBILITY=1,
    )
    header, *rows = spots.to_csv(index=False).splitlines()
    names = "Label,Spot ID,Track ID,Quality,X,Y,Z,T,Frame,Radius,Visibility"
    units = ",,,(quality),(micron),(micron),(micron),(sec),,(micron),"
    text = "\n".join([header, names, names, units, *rows, ""])
    table = read(text, voxel_size=SIZE)
    check(table, truth)
    assert table["frame"].tolist() == [0] * 15 + [1] * 15
    np.testing.assert_allclose(table["radius"], 4)
    assert "TrackMate" in said(table)
    assert "micrometres" in said(table)
    with pytest.raises(ColloidsError, match="give the voxel size"):
        read(text)
    in_pixels = read(text.replace("(micron)", "(pixel)"))
    np.testing.assert_allclose(in_pixels[ZYX], um)
    np.testing.assert_allclose(in_pixels["radius"], 0.4)
    bare = "\n".join([header, *rows, ""])
    with pytest.raises(ColloidsError, match=r"not their unit.*--columns z=POSITION_Z,y=POSITION_Y,x=POSITION_X"):
        read(bare)
    check(read(bare, voxel_size=SIZE), truth)
    np.testing.assert_allclose(read(bare, columns={a: f"POSITION_{a.upper()}" for a in ZYX})[ZYX], um)


def test_spots_of_imaris(read, truth):
    um = in_um(truth)
    rows = pd.DataFrame({"Position X": um["x"], "Position Y": um["y"], "Position Z": um["z"], "Unit": "um"})
    rows = rows.assign(Category="Spot", Collection="Position", Time=np.repeat([1, 2], 15), ID=range(30), last="")
    text = "\n \nPosition\n====================\n" + rows.to_csv(index=False).replace("ID,last", "ID,")
    table = read(text, voxel_size=SIZE)
    check(table, truth)
    assert table["frame"].tolist() == [0] * 15 + [1] * 15
    assert "Imaris" in said(table)
    with pytest.raises(ColloidsError, match="give the voxel size"):
        read(text)


def test_features_of_trackpy(read, truth):
    features = truth.assign(mass=900.5, size=2.1, ecc=np.nan, signal=30, raw_mass=1000, ep=0.1, frame=3)
    table = read(features.to_csv())
    check(table, truth)
    assert set(features) <= set(table)
    assert table["frame"].unique().tolist() == [3]
    assert "reading" not in table.attrs


def test_points_of_napari_saved_by_a_spreadsheet(read, truth):
    points = truth.set_axis([f"axis-{n}" for n in (1, 2, 3)], axis=1)
    points.insert(0, "axis-0", np.repeat([0, 1], 15))
    table = read(points.to_csv(sep=";", decimal=",", index_label="index"))
    check(table, truth)
    assert table["frame"].tolist() == [0] * 15 + [1] * 15


def test_centres_of_pycolloids(read, truth):
    lines = ["1\t30\t1", "64\t64\t64", *("\t".join(map(str, row[::-1])) for row in truth.to_numpy()), ""]
    table = read("\n".join(lines), "a_t000.dat")
    check(table, truth)
    assert "PyColloids" in said(table)


def test_columns_without_names(read, truth):
    text = truth[["x", "y", "z"]].to_csv(header=False, index=False, sep=" ")
    table = read(text, "tracked.dat")
    check(table, truth)
    assert "x, y, z" in said(table)
    for name in ("a.txt", "a.csv"):
        with pytest.raises(ColloidsError, match="--columns z=2,y=1,x=0"):
            read(text, name)
        check(read(text, name, columns={"z": "2", "y": "1", "x": "0"}), truth)


@pytest.mark.parametrize("dtype", ["f8", ">f4", "i2"])
def test_arrays(tmp_path, truth, dtype):
    array = truth.to_numpy().astype(dtype)
    np.save(tmp_path / "a.npy", array)
    np.testing.assert_array_equal(read_particles(tmp_path / "a.npy")[ZYX], array)
    np.save(tmp_path / "a.npy", np.column_stack([np.repeat([0, 1], 15), array]))
    table = read_particles(tmp_path / "a.npy")
    np.testing.assert_array_equal(table[["frame", *ZYX]].to_numpy()[:, 1:], array)
    assert table["frame"].dtype == np.int64
    assert "frame" in said(table)


def test_arrays_with_names(tmp_path, truth):
    np.save(tmp_path / "a.npy", truth.assign(radius=3.0).rename(columns=str.upper).to_records(index=False))
    table = read_particles(tmp_path / "a.npy")
    check(table, truth)
    assert table["radius"].unique().tolist() == [3]


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((5, 2)), "shape"),
        (np.zeros((3, 50)), "transpose"),
        (np.zeros((4, 4, 4)), "shape"),
        (np.random.default_rng(0).random((6, 4)), "--columns"),
        (np.zeros((5, 3), complex), "numbers"),
        (np.array([["a"] * 3]), "numbers"),
    ],
)
def test_other_arrays_are_refused(tmp_path, array, words):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(ColloidsError, match=words):
        read_particles(tmp_path / "a.npy")


def test_radius_and_diameter(read):
    table = read("Z [um],Y [um],X [um],Diameter [um],Frame\n3,2,1,0.8,4\n", voxel_size=SIZE)
    assert table["radius"].tolist() == pytest.approx([4])
    assert table["radius_um"].tolist() == pytest.approx([0.4])
    assert table["frame"].tolist() == [4]


def test_rows_without_a_position_are_counted(read):
    assert said(read("z,y,x\n1,2,3\n1,2,\n4,5,6\n")) == "1 of 3 rows have no position and are left out"


def test_other_ways_of_others(read):
    assert read("sep=;\nz;y;x\n1,5;2;3\n")[ZYX].to_numpy().tolist() == [[1.5, 2, 3]]
    assert read("  z  y  x\n0 1 2 3\n1 4 5 6\n")[ZYX].to_numpy().tolist() == [[1, 2, 3], [4, 5, 6]]
    assert read("Frame,z,y,x\n7,1,2,3\n")["frame"].tolist() == [7]
    assert read("Z;Y;X\n").empty
    with_unit = "z,y,x,unit\n0.3,0.2,0.1,um\n"
    assert "micrometres" in said(read(with_unit, voxel_size=SIZE))
    with pytest.raises(ColloidsError, match="give the voxel size"):
        read(with_unit)
    assert read("# voxel size: 0.3 0.1 0.1 um\nz,y,x\n3,2,1\n")[ZYX].to_numpy().tolist() == [[3, 2, 1]]
    with pytest.raises(ColloidsError, match="several ways"):
        read("z,y [um],x [um]\n3,2,1\n", voxel_size=SIZE)


def test_a_column_map(read):
    text = "t,depth,row,col,size\n0,1,2,3,4\n"
    with pytest.raises(ColloidsError, match=r"t, depth, row, col, size.*--columns"):
        read(text)
    names = {"frame": "t", "z": "depth", "y": "row", "x": "col", "radius": "size"}
    assert read(text, columns=names)[list(names)].to_numpy().tolist() == [[0, 1, 2, 3, 4]]
    in_um = {"z_um": "depth", "y_um": "row", "x_um": "col"}
    assert read(text, columns=in_um, voxel_size=(0.5, 1, 2))[ZYX].to_numpy().tolist() == [[2, 2, 1.5]]
    with pytest.raises(ColloidsError, match="no column 'deep'; it has t, depth"):
        read(text, columns={"z": "deep"})
    with pytest.raises(ColloidsError, match="no column 'height'"):
        read(text, columns={"height": "depth"})
    with pytest.raises(ColloidsError, match="but not y"):
        read(text, columns={"z": "depth"})
    for wrong in ("z=depth", {"z": 1}, ["z"]):
        with pytest.raises(ColloidsError, match="dictionary"):
            read(text, columns=wrong)


def test_a_known_unit_is_not_taken_for_voxels_by_a_column_map(read):
    text = "depth [um],row [um],col [um]\n0.3,0.2,0.1\n"
    names = {"z": "depth [um]", "y": "row [um]", "x": "col [um]"}
    with pytest.raises(ColloidsError, match="give the voxel size"):
        read(text, columns=names)
    np.testing.assert_allclose(read(text, columns=names, voxel_size=SIZE)[ZYX], [[1, 2, 1]])


@pytest.mark.parametrize(
    "text",
    [
        "x,y\n1,2\n3,4\n",
        "z1,y1,x1,z2,y2,x2\n1,2,3,4,5,6\n",
        "z,y,x\n1,5,2,5,3,5\n",
        "pos_z,pos_y,pos_x,center_z,center_y,center_x\n1,2,3,4,5,6\n",
        "z,y,x,z\n1,2,3,4\n",
        "Z;Y;X;Z\n1;2;3;4\n",
        "Z,Y,X\n1,2,deep\n",
        "nothing here\n",
        "{}\n",
        "<html><body>1 2 3</body></html>\n",
    ],
)
def test_what_is_unclear_is_refused(read, text):
    with pytest.raises(ColloidsError, match=r"points\.csv") as refused:
        read(text)
    assert "\n" not in str(refused.value)


def test_the_note_tells_the_voxel_size(tmp_path, truth):
    (tmp_path / "a.csv").write_text(in_um(truth).add_suffix("_um").to_csv(index=False))
    (tmp_path / "a.csv.json").write_text('{"voxel_size": [0.3, 0.1, 0.1]}')
    check(read_particles(tmp_path / "a.csv"), truth)


@pytest.mark.parametrize("ending", [".csv", ".xyz"])
def test_a_table_that_was_cut_is_refused(tmp_path, truth, ending):
    path = tmp_path / f"a{ending}"
    write_particles(path, truth, metadata={"input": "stack.tif"})
    whole = path.read_bytes()
    for end in (1, 2, 10, 60, len(whole) // 2):
        path.write_bytes(whole[:-end])
        with pytest.raises(ColloidsError, match="cut"):
            read_particles(path)
    path.write_bytes(whole)
    check(read_particles(path), truth)


def test_a_row_that_was_cut_is_refused_without_a_note(read):
    with pytest.raises(ColloidsError, match="cut short"):
        read("z,y,x,radius\n1,2,3,4\n1,2,3")
    with pytest.raises(ColloidsError, match="cut short"):
        read("z;y;x;radius\n1;2;3;4\n1;2;3")
    with pytest.raises(ColloidsError, match="fewer values"):
        read("2\nProperties=pos:R:3\n1 2 3\n4 5", "a.xyz")
    assert "no end" in said(read("z,y,x\n1,2,3"))


@pytest.mark.parametrize(
    "note", [b"{", b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b"[1]", b'{"voxel_size": "big"}']
)
def test_a_damaged_note_does_not_matter(tmp_path, truth, note):
    (tmp_path / "a.csv").write_text(truth.to_csv(index=False))
    (tmp_path / "a.csv.json").write_bytes(note)
    check(read_particles(tmp_path / "a.csv"), truth)
