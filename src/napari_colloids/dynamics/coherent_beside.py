"""The coherent scattering function beside a relaxation: at its wave number, and in one table with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_colloids.dynamics.coherent_scattering import coherent_scattering

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from napari_colloids.dynamics.coherent_result import CoherentScattering
    from napari_colloids.dynamics.relaxation_result import Relaxation
    from napari_colloids.dynamics.relaxation_settings import RelaxationSettings

#: Columns of the coherent function in a table of both.
COHERENT_COLUMNS = ("f_coherent", "f_coherent_raw", "f_coherent_err")


def coherent_beside(
    found: Relaxation,
    particles: pd.DataFrame,
    settings: RelaxationSettings,
    *,
    frame_interval: float | None = None,
    voxel_size: Sequence[float] | None = None,
) -> CoherentScattering:
    """Compute the coherent scattering function of particles at the wave number of their relaxation.

    Parameters
    ----------
    found
        The relaxation, which `relaxation` computed of the particles.
    particles, settings, frame_interval, voxel_size
        As it was computed.

    Raises
    ------
    ColloidsError
        As `coherent_scattering` does.
    """
    return coherent_scattering(
        particles,
        q=None if found.unit == "um" else found.q,
        q_um=found.q if found.unit == "um" else None,
        axes=settings.axes,
        errors=settings.errors,
        subtract_drift=settings.subtract_drift,
        frame_interval=frame_interval,
        voxel_size=voxel_size,
        max_lag=settings.max_lag,
    )


def curves_of(found: Relaxation, coherent: CoherentScattering | None) -> pd.DataFrame:
    """Return all curves with a row a lag; the coherent function is empty (NaN) at lags that it has not."""
    table = found.to_frame()
    if coherent is None:
        return table
    return table.join(coherent.to_frame().set_index("lag")[list(COHERENT_COLUMNS)], on="lag")
