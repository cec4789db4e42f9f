"""Shared by all tests."""

import os
import sys
from pathlib import Path

# One thread each: tests on small stacks are slower with more, and their sums would depend on the machine.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402  (after the variables, which NumPy reads when it is imported)
import pytest  # noqa: E402
from hypothesis import Phase, settings  # noqa: E402

from napari_colloids.particles import particle_table  # noqa: E402

# On a busy machine an example may take long; that is no failure.
settings.register_profile("patient", deadline=None, max_examples=50)
settings.load_profile("patient")
# For mutants, of which it matters only whether a test fails: no simpler example is looked for.
settings.register_profile("first failure", deadline=None, database=None, phases=[Phase.explicit, Phase.generate])


@pytest.fixture
def blind_weights(tmp_path_factory):
    """A file of weights that see nothing: the bundled ones, but for the confidence."""
    from safetensors.torch import save_file

    from napari_colloids.detection.weights import bundled_network

    state = {name: value.clone().contiguous() for name, value in bundled_network().state_dict().items()}
    state["calibration"][:] = state["calibration"].new_tensor([0.0, 0.0, -20.0])
    path = tmp_path_factory.mktemp("weights") / "blind.safetensors"
    save_file(state, path)
    return str(path)


@pytest.fixture
def allow_threads():
    """Let torch, and so a search or a fit, use this many."""
    import torch

    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def tcc_stand_in(tmp_path_factory):
    """A program in the place of TCC: tests/structure/tcc_stand_in.py as a script that can be run."""
    script = tmp_path_factory.mktemp("tcc") / "tcc"
    text = (Path(__file__).parent / "structure" / "tcc_stand_in.py").read_text()
    script.write_text(f"#!{sys.executable}\n{text}")
    script.chmod(0o755)
    return script


@pytest.fixture(scope="session")
def walks():
    """Return trajectories of free random walks."""
    return random_walks


def random_walks(count=400, frames=40, steps=(0.3, 0.2, 0.1), noise=0.0, seed=0, voxel_size=None):
    """Trajectories of free random walks; `steps` are standard deviations per axis in voxels."""
    rng = np.random.default_rng(seed)
    paths = np.cumsum(rng.normal(0, steps, (frames, count, 3)), axis=0) + 20
    paths += rng.normal(0, noise, paths.shape)
    return particle_table(
        paths.reshape(-1, 3),
        frame=np.repeat(np.arange(frames), count),
        particle=np.tile(np.arange(count), frames),
        voxel_size=voxel_size,
    )


@pytest.fixture(scope="session")
def gas():
    """Return an ideal gas."""
    return random_gas


@pytest.fixture(scope="session")
def fcc():
    """Return a face-centred cubic crystal and its box."""
    return fcc_crystal


def random_gas(count, shape, seed=0, **columns):
    """Independent uniform positions in a box."""
    places = np.random.default_rng(seed).random((count, 3)) * shape - 0.5
    return particle_table(places, **columns)


def fcc_crystal(lattice, cells):
    """Face-centred cubic crystal of `cells` cells each way, and the box it fills."""
    corners = np.stack(np.meshgrid(*[np.arange(cells)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    basis = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    return lattice * (corners + basis).reshape(-1, 3), (lattice * cells,) * 3
