"""Uses of the public face for mypy, which ``make typecheck`` runs: an ignored error that is none fails, too.

Never run.
"""

from pathlib import Path

import numpy as np
import pandas as pd

import napari_colloids as nc

stack = nc.read_stack("stack.tif")
array = np.zeros((32, 32, 32))

table: pd.DataFrame = nc.detect(stack, diameter=10, method="log", device="cpu")
table = nc.detect("stack.tif")
table = nc.detect(Path("stack.tif"), nc.Options(diameter_um=1.2), frame=3, channel=1)
table = nc.detect(array, voxel_size=(0.2, 0.1, 0.1), region=nc.Region(z_range=(3, 9)))
table = nc.detect_series(np.zeros((2, 32, 32, 32)), diameter=10, frames=[1])
table = nc.refine(stack, table)
table = nc.detect(stack, refine=True, psf=nc.PSF.measured(stack))
simulation: nc.Simulation = nc.simulate(volume_fraction=0.5, seed=1)
series: nc.BrownianSimulation = nc.simulate_brownian(frames=3, radius=5)
score: nc.Score = nc.score(simulation.particles, table, diameter=12, shape=stack.shape)
relaxation: nc.Relaxation = nc.relaxation(table, q=0.8, axes="yx", errors=(0.3, 0.1, 0.1), subtract_drift=True)
assessment: nc.Assessment = nc.assess(stack, diameter=10, twins=3)

nc.detect(stack, diametr=10)  # type: ignore[call-arg]
nc.detect(stack, device="gpu")  # type: ignore[arg-type]
nc.detect(stack, diameter="10")  # type: ignore[arg-type]
nc.detect_series(stack, diametr=10)  # type: ignore[call-arg]
nc.assess(stack, diametr=10)  # type: ignore[call-arg]
nc.simulate(volume_fracton=0.5)  # type: ignore[call-arg]
nc.simulate_brownian(radius="6")  # type: ignore[arg-type]
nc.relaxation(table, q="0.8")  # type: ignore[arg-type]
nc.Options(frame=2)  # type: ignore[call-arg]
