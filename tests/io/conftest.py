import pytest

from napari_colloids.simulation import simulate


@pytest.fixture(scope="session")
def simulations():
    """Three small volumes, all different, the last one polydisperse and 16 bit."""
    return [
        simulate(shape=(20, 22, 24), radius=4, volume_fraction=0.3, seed=1, voxel_size=0.05, snr=3, cnr=2),
        simulate(shape=(20, 22, 24), radius=5, volume_fraction=0.2, seed=2, voxel_size=0.05, voxel_aspect=2),
        simulate(shape=(20, 22, 24), radius=4, volume_fraction=0.3, seed=3, polydispersity=0.1, bits=16),
    ]
