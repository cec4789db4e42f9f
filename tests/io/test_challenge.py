import json

import h5py
import numpy as np
import pandas as pd
import pytest

from napari_colloids.errors import ColloidsError
from napari_colloids.io import (
    list_series,
    read_particles,
    read_stack,
    read_truth,
    write_challenge,
    write_challenge_website,
)
from napari_colloids.particles import POSITION, implied_voxel_size, positions_of
from napari_colloids.simulation import simulate


@pytest.fixture(params=["one file", "website"])
def written(request, tmp_path, simulations):
    if request.param == "one file":
        write_challenge(tmp_path / "out.h5", iter(simulations))
        return tmp_path / "out.h5"
    write_challenge_website(tmp_path, iter(simulations))
    return tmp_path / "x_train.hdf5"


def test_round_trip(written, simulations):
    assert len(list_series(written)) == 3
    for index, simulation in enumerate(simulations):
        stack = read_stack(written, index=index)
        assert stack.data.dtype == simulation.stack.data.dtype
        np.testing.assert_array_equal(stack.data, simulation.stack.data)
        assert stack.voxel_size == simulation.stack.voxel_size
        assert stack.name.endswith(f" {index}")
        assert stack.metadata["r"] == simulation.parameters.radius
        assert stack.metadata["snr"] == simulation.parameters.snr
        assert stack.metadata["n_particles"] == len(simulation.particles)
        truth = read_truth(written, index)
        np.testing.assert_array_equal(positions_of(truth), positions_of(simulation.particles))
        assert list(truth.columns) == list(simulation.particles.columns)
        assert implied_voxel_size(truth) == (None if stack.voxel_size is None else pytest.approx(stack.voxel_size))
        pd.testing.assert_frame_equal(read_particles(written, index=index), truth)
    np.testing.assert_array_equal(read_truth(written, 0)["radius"], simulations[0].particles["radius"])


def test_radii_of_each_particle_in_one_file(tmp_path, simulations):
    write_challenge(tmp_path / "out.hdf5", simulations)
    radii = read_truth(tmp_path / "out.hdf5", 2)["radius"]
    assert radii.std() > 0
    np.testing.assert_array_equal(radii, simulations[2].particles["radius"])


def test_one_file_is_laid_out_as_the_challenge_has_it(tmp_path, simulations):
    write_challenge(tmp_path / "out.h5", simulations[:1])
    with h5py.File(tmp_path / "out.h5") as file:
        assert sorted(file) == ["0", "0_diameters", "0_labels", "0_positions"]
        assert file["0"].dtype == np.uint8
        assert file["0_labels"].dtype.kind == "f"
        np.testing.assert_array_equal(file["0_labels"], simulations[0].labels())
        assert file["0_positions"].shape == (len(simulations[0].particles), 3)
        np.testing.assert_array_equal(file["0_diameters"], 2 * simulations[0].particles["radius"])
    metadata = json.loads((tmp_path / "out.json").read_text())
    assert metadata["0"]["volfrac"] == 0.3
    assert metadata["0"]["achieved_volfrac"] == simulations[0].volume_fraction
    assert metadata["0"]["achieved_polydispersity"] == simulations[0].polydispersity
    assert metadata["0"]["particle_size"] == pytest.approx(4 * 0.05)
    assert metadata["0"]["parameters"]["seed"] == 1


def test_website_is_laid_out_as_the_challenge_has_it(tmp_path, simulations):
    write_challenge_website(tmp_path, simulations, split="test")
    with h5py.File(tmp_path / "x_test.hdf5") as file:
        assert sorted(file) == ["0", "1", "2"]
    table = pd.read_csv(tmp_path / "y_test.csv", index_col=0)
    assert list(table.columns) == ["image_index", "Z", "X", "Y"]
    assert (table.groupby("image_index").size() == 2000).all()
    assert len(table) == 3 * 2000
    assert list(table.index) == list(range(6000))
    rows = table[table["image_index"] == 1].dropna()
    np.testing.assert_allclose(rows[["Z", "Y", "X"]], positions_of(simulations[1].particles), rtol=1e-12)
    metadata = pd.read_csv(tmp_path / "x_test_metadata.csv", index_col=0)
    assert {"dataset", "n", "type", "volfrac", "r", "snr", "cnr", "brightness", "n_particles"} <= set(metadata)
    assert list(metadata["n_particles"]) == [len(s.particles) for s in simulations]
    assert set(metadata["type"]) == {"test"}


def test_website_truth_is_read_from_its_own_file(tmp_path, simulations):
    write_challenge_website(tmp_path / "x_mine.h5", simulations)
    for index, simulation in enumerate(simulations):
        table = read_particles(tmp_path / "y_mine.csv", index=index)
        np.testing.assert_array_equal(positions_of(table), positions_of(simulation.particles))
    with pytest.raises(ColloidsError, match="no particles of image 3; it has images 0 to 2"):
        read_particles(tmp_path / "y_mine.csv", index=3)


def test_website_truth_with_x_and_y_exchanged_is_put_where_the_particles_are(tmp_path):
    """The challenge's own scripts name the second array axis X."""
    clear = simulate(shape=(40, 40, 40), radius=4, volume_fraction=0.2, seed=8, snr=10, cnr=10)
    write_challenge_website(tmp_path, [clear])
    table = tmp_path / "y_train.csv"
    rows = pd.read_csv(table, index_col=0)
    rows.rename(columns={"X": "Y", "Y": "X"}).to_csv(table)
    truth = read_truth(tmp_path / "x_train.hdf5")
    np.testing.assert_allclose(truth[POSITION], clear.particles[POSITION])
    np.testing.assert_allclose(read_particles(table)[POSITION], clear.particles[POSITION])


def test_website_table_without_index_column(tmp_path):
    (tmp_path / "y.csv").write_text("image_index,Z,X,Y\n0,1,2,3\n0,,,\n1,4.5,5.5,6.5\n1,,,\n")
    table = read_particles(tmp_path / "y.csv", index=1)
    assert table.to_dict("records") == [{"z": 4.5, "y": 6.5, "x": 5.5}]


def test_changed_truth_is_read_again(tmp_path, simulations):
    write_challenge_website(tmp_path, simulations[:1])
    read_truth(tmp_path / "x_train.hdf5")
    write_challenge_website(tmp_path, simulations[1:2])
    np.testing.assert_array_equal(
        positions_of(read_truth(tmp_path / "x_train.hdf5")), positions_of(simulations[1].particles)
    )


def test_volumes_go_by_number_not_by_name(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for n in (1, 2, 10):
            file[str(n)] = np.full((2, 3, 4), n, np.uint8)
            file[f"{n}_positions"] = np.full((n, 3), n, np.float32)
    (tmp_path / "a.json").write_text('{"10": {"r": 7}}')
    assert [int(read_stack(tmp_path / "a.h5", index=k).data.max()) for k in range(3)] == [1, 2, 10]
    assert len(read_truth(tmp_path / "a.h5", 2)) == 10
    assert (read_truth(tmp_path / "a.h5", 2)["radius"] == 7).all()
    assert "radius" not in read_truth(tmp_path / "a.h5", 0)


def test_metadata_as_attributes(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["0"] = np.zeros((2, 3, 4), np.uint8)
        file["0"].attrs["r"] = 5.5
        file["0"].attrs["element_size_um"] = (0.0, 0.0, 0.0)  # none
        file["0_positions"] = np.ones((2, 3))
    assert read_stack(tmp_path / "a.h5").metadata == {"r": 5.5}
    assert list(read_truth(tmp_path / "a.h5")["radius"]) == [5.5, 5.5]


def test_volumes_without_truth(tmp_path, simulations):
    write_challenge_website(tmp_path, simulations)
    (tmp_path / "y_train.csv").unlink()
    assert read_truth(tmp_path / "x_train.hdf5") is None
    with pytest.raises(ColloidsError, match="no particles"):
        read_particles(tmp_path / "x_train.hdf5")
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 4)))
    assert read_truth(tmp_path / "a.npy") is None


def test_damaged_truth_is_told(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["0"] = file["1"] = np.zeros((2, 3, 4), np.uint8)
        file["0_positions"] = np.ones((2, 2))
        file["1_positions"] = np.ones((2, 3))
        file["1_diameters"] = np.ones(3)
    with pytest.raises(ColloidsError, match=r"must be \(N, 3\)"):
        read_truth(tmp_path / "a.h5", 0)
    with pytest.raises(ColloidsError, match="2 positions but 3 diameters"):
        read_truth(tmp_path / "a.h5", 1)
    (tmp_path / "a.h5").rename(tmp_path / "x_a.h5")
    with h5py.File(tmp_path / "x_a.h5", "a") as file:
        del file["0_positions"]
    (tmp_path / "y_a.csv").write_text("image,z\n1,2\n")
    with pytest.raises(ColloidsError, match="not a truth table"):
        read_truth(tmp_path / "x_a.h5", 0)


def test_foreign_volumes(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["exported/data"] = np.arange(24.0).reshape(2, 3, 4)
        file["exported/data"].attrs["element_size_um"] = (0.3, 0.1, 0.1)
        file["exported/names"] = "text"
        file["table"] = np.ones((5, 3))
        file["series"] = np.ones((2, 2, 3, 4))
    stack = read_stack(tmp_path / "a.h5")
    assert (stack.shape, stack.voxel_size, stack.name) == ((2, 3, 4), (0.3, 0.1, 0.1), "a exported/data")
    assert [bool(series.problem) for series in list_series(tmp_path / "a.h5")] == [False, True]
    assert read_truth(tmp_path / "a.h5") is None
    assert read_stack(tmp_path / "a.h5", dataset="series", axes="tzyx").n_frames == 2
    with pytest.raises(ColloidsError, match=r"'\?\?\?\?', which is not clear.*axes=\"czyx\""):
        read_stack(tmp_path / "a.h5", index=1)


def test_files_without_volumes_are_told(tmp_path):
    path = tmp_path / "a.h5"
    h5py.File(path, "w").close()
    with pytest.raises(ColloidsError, match=r"holds no volume.*nothing"):
        read_stack(path)
    with h5py.File(path, "w") as file:
        file["table"] = np.ones((5, 3))
    with pytest.raises(ColloidsError, match=r"table \(5, 3\)"):
        read_stack(path)
    with pytest.raises(ColloidsError, match="holds no volume"):
        list_series(path)


@pytest.mark.parametrize("index", [-1, 3])
def test_index_out_of_range_is_told(written, index):
    for reader in (read_stack, read_truth, read_particles):
        with pytest.raises(ColloidsError, match=f"3 volumes; there is no volume {index}"):
            reader(written, index=index)


def test_damaged_hdf5_is_told(written):
    whole = written.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:100], b"not HDF5 at all"):
        written.write_bytes(content)
        for reader in (read_stack, list_series, read_truth, read_particles):
            with pytest.raises(ColloidsError, match="not an HDF5 file") as caught:
                reader(written)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("write", [write_challenge, write_challenge_website])
def test_failure_in_the_middle_leaves_the_old_files(tmp_path, simulations, write):
    path = tmp_path / "x_a.h5"
    write(path, simulations[:1])
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}

    def cut_short():
        yield simulations[1]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write(path, cut_short())
    with pytest.raises(ColloidsError, match="no volumes"):
        write(path, [])
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_wrong_names_are_told(tmp_path, simulations):
    with pytest.raises(ColloidsError, match=r"\.h5"):
        write_challenge(tmp_path / "a.tif", simulations)
    with pytest.raises(ColloidsError, match="begin with 'x_'"):
        write_challenge_website(tmp_path / "a.h5", simulations)
    with pytest.raises(ColloidsError, match="create it first"):
        write_challenge_website(tmp_path / "none", simulations)


def test_too_many_particles_for_the_website(tmp_path, simulations):
    from dataclasses import replace

    crowd = replace(simulations[0], particles=pd.DataFrame(np.ones((2001, 4)), columns=["z", "y", "x", "radius"]))
    with pytest.raises(ColloidsError, match="2001 particles"):
        write_challenge_website(tmp_path, [crowd])
    assert list(tmp_path.iterdir()) == []
