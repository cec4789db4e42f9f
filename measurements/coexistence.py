"""Crystal beside fluid at coexistence, imaged and detected, told apart by averaged q6.

python measurements/coexistence.py --output docs/images/coexistence.png

Hard spheres coexist at volume fractions of .494 (fluid) and .545 (crystal). Both fill half of a box, and move until the
interface has settled. The picture shows a slice of the stack, its true and its refined particles coloured by averaged
q6, and the distributions of averaged q6 in the middle of both halves.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import EllipseCollection
from scipy.spatial import cKDTree

import napari_colloids as nc
from napari_colloids.io import atomic_write
from napari_colloids.simulation import Parameters
from napari_colloids.simulation.arrangement import Arrangement, Composition, arrange
from napari_colloids.simulation.hard_spheres import HardSpheres
from napari_colloids.simulation.scene import image_arrangement
from napari_colloids.structure import local_structure

if TYPE_CHECKING:
    import pandas as pd

#: Volume fractions at coexistence (Hoover and Ree, J. Chem. Phys. 49, 3609 (1968)).
FLUID, CRYSTAL = 0.494, 0.545
RADIUS_PX = 5.0
SHAPE = (96, 112, 224)
#: Averaged q6 between fluid and crystal.
BETWEEN = 0.27
#: Distance from the interface and the ends in diameters that is left out where the two are compared.
MARGIN_DIAMETERS = 3.0
#: Distance that the spheres move in diameters, root mean square without neighbours.
STEP_DIAMETERS = 0.5


def coexisting(rng: np.random.Generator) -> Arrangement:
    """Return a crystal in the first half along x and a fluid in the second."""
    box = np.asarray(SHAPE) + 4 * RADIUS_PX
    middle = box[2] / 2
    edge = (4 * 4 / 3 * np.pi * RADIUS_PX**3 / CRYSTAL) ** (1 / 3)
    corners = edge * np.indices(np.ceil(box / edge).astype(int)).reshape(3, -1).T
    basis = edge * np.array([[0.25, 0.25, 0.25], [0.75, 0.75, 0.25], [0.75, 0.25, 0.75], [0.25, 0.75, 0.75]])
    crystal = (corners[:, None] + basis).reshape(-1, 3)
    crystal = crystal[np.all(crystal < box, axis=1) & (crystal[:, 2] < middle)]
    fluid = arrange("random", (box[0], box[1], box[2] - middle), Composition(FLUID, RADIUS_PX), rng).positions
    fluid = fluid + np.array([0, 0, middle])
    apart, _ = cKDTree(crystal).query(fluid)
    positions = np.concatenate([crystal, fluid[apart > 2 * RADIUS_PX]])
    start = Arrangement(positions, np.full(len(positions), RADIUS_PX), tuple(map(float, box)), periodic=False)
    spheres = HardSpheres(start)
    spheres.move(STEP_DIAMETERS * 2 * RADIUS_PX, rng)
    moved = spheres.arrangement()
    return Arrangement(moved.positions - 2 * RADIUS_PX, moved.radii, moved.box, periodic=False)


def halves(table: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Return averaged q6 inside the crystal and inside the fluid."""
    inside = table[table["interior"] == 1]
    middle, margin = SHAPE[2] / 2, MARGIN_DIAMETERS * 2 * RADIUS_PX
    x, q6 = inside["x"], inside["q6_averaged"]
    return q6[x < middle - margin], q6[x > middle + margin]


def slice_of(axes: plt.Axes, table: pd.DataFrame, z: int, title: str) -> EllipseCollection:
    """Draw the cross sections of the particles in a slice, coloured by averaged q6."""
    near = table[np.abs(table["z"] - z) < RADIUS_PX]
    size = 2 * np.sqrt(RADIUS_PX**2 - (near["z"] - z) ** 2)
    spheres = EllipseCollection(
        size, size, np.zeros(len(near)), units="xy", offsets=near[["x", "y"]], transOffset=axes.transData,
        array=near["q6_averaged"], cmap="viridis", clim=(0.1, 0.5),
    )  # fmt: skip
    axes.add_collection(spheres)
    axes.set(xlim=(0, SHAPE[2]), ylim=(SHAPE[1], 0), aspect="equal", title=title, xticks=[], yticks=[])
    return spheres


def main() -> None:
    """Simulate, detect, refine, print the separation, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", default="coexistence.png")
    parser.add_argument("--seed", type=int, default=18_000)
    parser.add_argument("--snr", type=float, default=5.0)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    parameters = Parameters(
        shape=SHAPE, radius=RADIUS_PX, psf_sigma=(2.5, 1.2, 1.2), snr=given.snr, cnr=0.8 * given.snr, seed=given.seed
    )
    made = image_arrangement(coexisting(rng), parameters, rng)
    found = nc.detect(made.stack, diameter=2 * RADIUS_PX, device="cpu")
    tables = {"true": made.particles, "network": found, "refined": nc.refine(made.stack, found)}
    order = {name: local_structure(table, shape=SHAPE) for name, table in tables.items()}
    print("| positions | P | R | averaged q6: crystal | fluid | told apart at .27 |")
    print("|---|---|---|---|---|---|")
    for name, table in order.items():
        score = nc.score(made.particles, tables[name], diameter=2 * RADIUS_PX, shape=SHAPE)
        crystal, fluid = halves(table)
        right = ((crystal > BETWEEN).sum() + (fluid <= BETWEEN).sum()) / (len(crystal) + len(fluid))
        cells = [name, f"{score.precision:.3f}", f"{score.recall:.3f}"]
        cells += [f"{q6.mean():.3f} ± {q6.std():.3f}" for q6 in (crystal, fluid)]
        print("|", " | ".join([*cells, f"{right:.1%} of {len(crystal) + len(fluid)}"]), "|")
    figure, axes = plt.subplots(2, 2, figsize=(11, 6), layout="constrained")
    z = SHAPE[0] // 2
    axes[0, 0].imshow(made.stack.data[z], cmap="gray")
    axes[0, 0].set(title=f"stack, SNR {given.snr:g}", xticks=[], yticks=[])
    slice_of(axes[0, 1], order["true"], z, "true")
    figure.colorbar(slice_of(axes[1, 0], order["refined"], z, "detected, refined"), ax=axes[:, 1], label="averaged q6")
    bins = np.linspace(0, 0.6, 61)
    for name, style in (
        ("true", {"histtype": "stepfilled", "alpha": 0.35}),
        ("refined", {"histtype": "step", "lw": 2}),
    ):
        for part, values, colour in zip(
            ("crystal", "fluid"), halves(order[name]), ("tab:olive", "tab:purple"), strict=True
        ):
            axes[1, 1].hist(values, bins, label=f"{part}, {name}", color=colour, **style)
    axes[1, 1].set(xlabel="averaged q6", ylabel="particles")
    axes[1, 1].legend(frameon=False)
    with atomic_write(given.output) as path:
        figure.savefig(path, dpi=110, format="png")


if __name__ == "__main__":
    main()
