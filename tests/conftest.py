"""Shared by all tests."""

import os

# One thread each: tests on small stacks are slower with more, and their sums would depend on the machine.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import pytest  # noqa: E402  (after the variables, which NumPy reads when it is imported)
from hypothesis import Phase, settings  # noqa: E402

# On a busy machine an example may take long; that is no failure.
settings.register_profile("patient", deadline=None)
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
