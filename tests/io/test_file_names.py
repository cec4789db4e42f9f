"""Which numbers in file names are slices, frames and channels."""

import pytest

from napari_colloids.errors import ColloidsError
from napari_colloids.io.file_names import families_of, grids_of


def grids(names, *, flat=True):
    """Grids of the names by their patterns."""
    return {
        grid.pattern: grid
        for family in families_of(names)
        for _, grid in grids_of([names[place] for place in family], flat=flat)
    }


def product(pattern, **ranges):
    """Names of all combinations, the last range fastest."""
    names = [{}]
    for key, values in ranges.items():
        names = [{**name, key: value} for name in names for value in values]
    return [pattern.format(**name) for name in names]


#: Names as programs write them, with the axes and the first and last numbers along each.
PROGRAMS = {
    "Leica": (product("Project_Series001_t{t}_z{z:03}_ch{c:02}.tif", t=range(3), c=range(2), z=range(4)), "tcz"),
    "Leica, one volume": (product("Project_Series001_z{z:03}_ch00.tif", z=range(4)), "z"),
    "Zeiss": (product("ex_2024-05-01_z{z:02}c{c}t{t}_ORG.tif", t=range(1, 4), c=(1, 2), z=range(1, 5)), "tcz"),
    "Zeiss, tiles' edges": (product("a_b0t{t}z{z}c0x0-512y0-512.tif", t=range(3), z=range(12)), "tz"),
    "Bruker": (product("Z-007_Cycle{t:05}_Ch{c}_{z:06}.ome.tif", t=range(1, 4), c=(1, 2), z=range(1, 5)), "tcz"),
    "Bruker, one cycle": (product("Z-007_Cycle00001_Ch1_{z:06}.ome.tif", z=range(1, 5)), "z"),
    "Micro-Manager 1": (product("img_{t:09}_{c}_{z:03}.tif", t=range(3), c=("Cy5", "DAPI"), z=range(4)), "tcz"),
    "Micro-Manager 1, one channel": (product("img_000000000_Default_{z:03}.tif", z=range(4)), "z"),
    "Micro-Manager 2": (
        product("img_channel{c:03}_position000_time{t:09}_z{z:03}.tif", t=range(3), c=range(2), z=range(4)),
        "tcz",
    ),
    "Olympus": (product("s_C{c:03}Z{z:03}T{t:03}.tif", t=range(1, 4), c=(1, 2), z=range(1, 5)), "tcz"),
    "MetaMorph": (product("exp_w{c}_t{t}_z{z}.TIF", t=range(1, 4), c=("1CFP", "2YFP 514"), z=range(1, 5)), "tcz"),
    "hand": (product("T={t} Z={z}.tif", t=range(3), z=range(12)), "tz"),
    "hand, words": (product("beads frame{t} slice {z}.tiff", t=range(3), z=range(12)), "tz"),
    "hand, capitals": (product("beadsT{t}Ch{c}Z{z:03}.tif", t=range(3), c=range(2), z=range(4)), "tcz"),
    "hand, number alone": (product("{z:04}.tif", z=range(4)), "z"),
    "Windows": (product("image ({z}).tif", z=range(1, 12)), "z"),
    "unpadded": (product("slice{z}.tif", z=range(12)), "z"),
    "a letter that means no axis": (product("s{z}.tif", z=range(12)), "z"),
}


@pytest.mark.parametrize(("names", "axes"), PROGRAMS.values(), ids=PROGRAMS)
def test_names_of_programs(names, axes):
    (grid,) = grids(sorted(names)).values()
    assert grid.axes == axes
    assert grid.missing == ()
    # The files are asked for in the order t, c, z, whatever the order of the names.
    assert [sorted(names)[cell] for cell in grid.cells] == names


def test_numbers_are_in_their_natural_order():
    (grid,) = grids(["a_z1.tif", "a_z10.tif", "a_z2.tif", *(f"a_z{z}.tif" for z in range(3, 10))]).values()
    assert grid.cells == (0, 2, 3, 4, 5, 6, 7, 8, 9, 1)
    assert grid.words() == "10 files 'a_z*.tif': z from 1 to 10"


def test_words_of_channels_are_told():
    (grid,) = grids(product("img_000000000_{c}_{z:03}.tif", c=("DAPI", "Cy5"), z=range(3))).values()
    assert grid.values == (("Cy5", "DAPI"), (0, 1, 2))
    assert grid.words() == "6 files 'img_000000000_*_*.tif': c: Cy5, DAPI, z from 0 to 2"


def test_a_time_of_day_beside_the_slice_tells_nothing():
    names = [f"beads_z{z:03}_20240105_{143201 + 2 * z}.tif" for z in range(5)]
    (grid,) = grids(names).values()
    assert (grid.axes, grid.missing) == ("z", ())
    for pattern in ("{time}_{z:03}.tif", "{z:03}_{time}.tif"):
        (grid,) = grids([pattern.format(time=143201 + 7 * z * z, z=z) for z in range(5)]).values()
        assert grid.values == ((0, 1, 2, 3, 4),)


@pytest.mark.parametrize("pattern", ["run{r}_z{z}.tif", "{r}_{z:03}.tif", "a_s{r}z{z}.tif", "a_pos{r}_{z}.tif"])
def test_runs_and_positions_are_stacks_of_their_own(pattern):
    found = grids(product(pattern, r=(1, 2, 5), z=range(4)))
    assert list(found) == [pattern.replace("{r}", r).replace("{z}", "*").replace("{z:03}", "*") for r in "125"]
    assert all(grid.axes == "z" and grid.missing == () for grid in found.values())


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        ([f"a_z{z:03}.tif" for z in range(40) if not 15 <= z < 25], [f"a_z{z:03}.tif" for z in range(15, 25)]),
        ([f"a{z}.tif" for z in range(1, 13) if z != 9], ["a9.tif"]),
        ([f"a_z{z:04}.tif" for z in (0, 200, 400, 800)], ["a_z0600.tif"]),
        (
            [
                name
                for name in product("a_t{t}_z{z:02}_ch{c}.tif", t=(0, 1), c=(0, 1), z=range(3))
                if name != "a_t0_z02_ch1.tif"
            ],
            ["a_t0_z02_ch1.tif"],
        ),
    ],
)
def test_missing_files_are_named(names, missing):
    (grid,) = grids(names).values()
    assert list(grid.missing) == missing
    assert sum(cell is None for cell in grid.cells) == len(missing)


def test_steps_are_no_gaps():
    (grid,) = grids([f"a_z{z}.tif" for z in (0, 200, 400, 600)]).values()
    assert (grid.missing, grid.values) == ((), ((0, 200, 400, 600),))
    assert grid.words().endswith("z from 0 to 600 in steps of 200")


def test_positions_of_the_stage_are_slices():
    (grid,) = grids([f"beads_z{0.5 * k:.2f}um.tif" for k in range(8) if k != 3]).values()
    assert grid.missing == ("beads_z1.50um.tif",)
    assert grid.words() == "7 files 'beads_z*um.tif': z from 0.00 to 3.50 in steps of 0.50"
    assert grid.axes == "z"


def test_endings_in_capitals_are_of_the_same_stack():
    (grid,) = grids(["a1.tif", "a2.TIF", "a3.tif"]).values()
    assert grid.missing == ()


def test_frames_of_volumes_are_joined_and_nothing_else():
    (grid,) = grids(product("a_t{t}_ch{c}.tif", t=range(12), c=(0, 1)), flat=False).values()
    assert grid.axes == "tc"
    assert grids([f"sample{k}.tif" for k in range(3)], flat=False) == {}
    assert grids([f"block_z{k}.tif" for k in range(3)], flat=False) == {}
    assert len(grids(product("sample{s}_t{t}.tif", s=(1, 2), t=range(3)), flat=False)) == 2


def test_the_same_slice_twice_is_refused():
    with pytest.raises(ColloidsError, match=r"'a_z01\.tif' and 'a_z1\.tif' are the same slice"):
        grids(["a_z01.tif", "a_z1.tif", "a_z2.tif"])


def test_numbers_far_apart_are_refused():
    with pytest.raises(ColloidsError, match="far apart"):
        grids(["a_z0.tif", "a_z1.tif", "a_z999999999999.tif"])
    with pytest.raises(ColloidsError, match="far apart"):
        grids([f"{10**40 + k}.tif" for k in range(3)])


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("stack_z{z:03}.tif", "stack"),
        ("beads 1.5um_t0_z{z}_ch00.ome.tif", "beads 1.5um_t0_ch00"),
        ("beadsZ{z}.tif", "beads"),
        ("image ({z}).tif", "image"),
        ("slice{z}.tif", ""),
        ("{z}.tif", ""),
    ],
)
def test_the_label_is_what_names_have_in_common(name, label):
    (grid,) = grids([name.format(z=z) for z in range(3)]).values()
    assert grid.label == label
