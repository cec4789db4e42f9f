"""Structure of hard spheres in a window against theory, and of detections against the truth, at SNR 3 and 10.

python measurements/structure.py fluids       # windows of 12 diameters against theory, at three volume fractions
python measurements/structure.py detections   # found by the network and refined, beside the true positions
python measurements/structure.py detections --tcc PROGRAM   # the same, and topological clusters
python measurements/structure.py fractions    # volume fraction of detections beside that of the true particles
python measurements/structure.py clusters --tcc PROGRAM     # what errors and missed particles do to clusters
python measurements/structure.py bands        # intervals from errors made once more, beside the exact figures
python measurements/structure.py large        # 500,000 particles: seconds and memory, beside freud's own
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

import napari_colloids as nc
from napari_colloids.particles import particle_table
from napari_colloids.simulation import hard_sphere_fluid
from napari_colloids.simulation.arrangement import Arrangement, Composition, arrange
from napari_colloids.simulation.hard_spheres import HardSpheres
from napari_colloids.structure import (
    degraded,
    hard_sphere_contact_value,
    hard_sphere_structure_factor,
    local_structure,
    measure_structure,
    pair_correlation,
    structure_factor,
    topological_clusters,
    volume_fraction,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Window in voxels, diameter of the spheres in it, and independent windows of each fluid.
WINDOW, DIAMETER, WINDOWS = 120, 10, 96
#: Topological clusters whose populations are told.
CLUSTERS = ("8B", "9B", "10B", "11F", "12E", "FCC")


def boxes(phi: float, count: int, seed: int) -> Iterator[Arrangement]:
    """Yield periodic boxes of 16 diameters of independent equilibrium fluids; lengths are in diameters."""
    for number in range(count):
        rng = np.random.default_rng(seed + number)
        spheres = HardSpheres(arrange("random", (16.0,) * 3, Composition(phi, 0.5), rng))
        spheres.move(0.7, rng)
        yield spheres.arrangement()


def window_of(box: Arrangement, number: int) -> pd.DataFrame:
    """Return the window of 12 diameters that is seen of a box, as a frame."""
    inside = np.all(box.positions < WINDOW / DIAMETER, axis=1)
    return particle_table(DIAMETER * box.positions[inside] - 0.5, frame=number)


def periodic_g(all_boxes: Sequence[Arrangement], edges: np.ndarray) -> np.ndarray:
    """Return g(r) of whole periodic boxes in bins of the distance, in diameters."""
    counted, expected = np.zeros(len(edges) - 1), np.zeros(len(edges) - 1)
    for box in all_boxes:
        tree = cKDTree(box.positions, boxsize=box.box)
        counted += np.diff(tree.count_neighbors(tree, edges))
        number = len(box.positions)
        expected += number * (number - 1) / np.prod(box.box) * 4 / 3 * np.pi * np.diff(edges**3)
    return counted / expected


def periodic_s(all_boxes: Sequence[Arrangement], edges: np.ndarray) -> np.ndarray:
    """Return S(q) of whole periodic boxes, averaged over all their wave vectors in bins of q, per diameter."""
    length = float(all_boxes[0].box[0])
    most = int(np.ceil(edges[-1] * length / (2 * np.pi)))
    # Opposite wave vectors scatter alike: half of them will do.
    waves = (np.arange(most + 1), np.arange(-most, most + 1), np.arange(-most, most + 1))
    scattered = np.zeros([len(along) for along in waves])
    for box in all_boxes:
        z, y, x = (
            np.exp(2j * np.pi / length * np.outer(n, along)) for n, along in zip(waves, box.positions.T, strict=True)
        )
        scattered += np.abs(np.stack([(phases * y) @ x.T for phases in z])) ** 2 / len(box.positions)
    q = np.sqrt(sum(n**2 for n in np.meshgrid(*waves, indexing="ij"))) * 2 * np.pi / length
    counted = np.histogram(q, edges)[0]
    return np.histogram(q, edges, weights=scattered / len(all_boxes))[0] / np.maximum(counted, 1)


def in_bins(values: np.ndarray, q: np.ndarray, bins: int) -> np.ndarray:
    """Return the mean of S(q) over the wave vectors of coarser bins, of which there are as q squared."""
    values, weights = values.reshape(bins, -1), (q**2).reshape(bins, -1)
    return (values * weights).sum(axis=1) / weights.sum(axis=1)


def theoretical_g(r: np.ndarray, phi: float) -> np.ndarray:
    """Return g(r) after Percus and Yevick, Verlet and Weis, from their S(q), beyond contact; r in diameters."""
    q = np.arange(0.005, 250, 0.01)
    part = (hard_sphere_structure_factor(q, phi, 1.0) - 1) * q**2 * np.exp(-((q / 125) ** 2))
    return 1 + np.sinc(np.outer(r, q) / np.pi) @ part * 0.01 / (2 * np.pi**2 * 6 * phi / np.pi)


def fluids(seed: int) -> None:
    """Compare fluids in a window with their periodic boxes and with theory."""
    print(
        "| volume fraction | found | g at contact, theory | found | g(r) against the periodic box, mean | "
        "against theory | S(q) from g(r) against the periodic box, mean | largest | against theory, mean | largest | "
        "direct, mean |"
    )
    print("|" + "---|" * 11)
    shape = (WINDOW,) * 3
    for phi in (0.1, 0.3, 0.45):
        every = list(boxes(phi, WINDOWS, seed))
        table = pd.concat([window_of(box, number) for number, box in enumerate(every)], ignore_index=True)
        local = local_structure(table, shape=shape, diameter=DIAMETER)
        fraction = volume_fraction(local, shape=shape, diameter=DIAMETER)
        g = pair_correlation(table, shape=shape, cutoff=4 * DIAMETER, bins=400)
        near = (g.r > DIAMETER) & (g.r < 1.08 * DIAMETER)
        contact = np.exp(np.polyfit(g.r[near] - DIAMETER, np.log(g.g[near]), 1)[1])
        bins, finer = 40, 10
        s = structure_factor(table, shape=shape, max_q=1.5, bins=bins * finer)
        coarse_s = structure_factor(table, shape=shape, max_q=1.5, bins=bins)
        counted = coarse_s.q * DIAMETER > 4
        transformed, theory = (
            in_bins(values, s.q, bins)[counted] for values in (s.s, hard_sphere_structure_factor(s.q, phi, DIAMETER))
        )
        periodic = periodic_s(every, np.linspace(0, 1.5 * DIAMETER, bins + 1))[counted]
        off_box, off_theory, off_direct = (
            np.abs(values / reference - 1)
            for values, reference in (
                (transformed, periodic), (transformed, theory), (coarse_s.direct[counted], periodic)
            )
        )  # fmt: skip
        cells = [phi, f"{fraction.value:.4f}", f"{hard_sphere_contact_value(phi):.3f}", f"{contact:.3f}"]
        edges = np.linspace(0, 4, 41)
        coarse = pair_correlation(table, shape=shape, cutoff=4 * DIAMETER, bins=40)
        r = coarse.r / DIAMETER
        within = (r > 1.1) & (r < 4)
        for reference in (periodic_g(every, edges), theoretical_g(r, phi)):
            cells.append(f"{np.abs(coarse.g[within] / reference[within] - 1).mean():.1%}")
        for off in (off_box, off_theory):
            cells += [f"{off.mean():.1%}", f"{off.max():.1%}"]
        cells.append(f"{off_direct.mean():.1%}")
        print("|", " | ".join(map(str, cells)), "|", flush=True)


def detections(seed: int, tcc: str | None) -> None:
    """Compare the structure of detections with that of the true positions, with clusters where TCC is given."""
    heading = ["SNR", "positions", "P", "R", "RMSE z, lateral (d)", "volume fraction", "g(r) highest", "averaged q6"]
    heading += ["spread of Voronoi volumes", *(CLUSTERS if tcc else ())]
    print("|", " | ".join(heading), "|")
    print("|" + "---|" * len(heading))
    for snr in (3.0, 10.0):
        made = nc.simulate(
            shape=(120, 120, 120), volume_fraction=0.55, radius=6, polydispersity=0.05, psf_sigma=(3, 1.3, 1.3),
            snr=snr, cnr=0.8 * snr, seed=seed,
        )  # fmt: skip
        found = nc.detect(made.stack, diameter=12, device="cpu")
        for name, table in (
            ("true", made.particles),
            ("network", found),
            ("refined", nc.refine(made.stack, found)),
        ):
            score = nc.score(made.particles, table, diameter=12, shape=made.stack.shape)
            result = measure_structure(table, shape=made.stack.shape)
            inside = result.inside
            spread = inside["voronoi_volume"].std() / inside["voronoi_volume"].mean()
            fraction = result.volume_fraction
            z, y, x = (score.rmse[axis] / 12 for axis in "zyx")
            cells = [f"{snr:g}", name, f"{score.precision:.3f}", f"{score.recall:.3f}"]
            cells += [f"{z:.3f}, {np.hypot(y, x) / 2**0.5:.3f}", f"{fraction.value:.3f}"]
            cells += [f"{result.g.g.max():.2f}", f"{inside['q6_averaged'].mean():.4f}", f"{spread:.3f}"]
            notices = result.notices
            if tcc:
                clusters = topological_clusters(table, tcc, shape=made.stack.shape, recall=score.recall)
                cells += [f"{clusters.populations[cluster]:.3f}" for cluster in CLUSTERS]
                notices = tuple(dict.fromkeys((*notices, *clusters.notices)))
            print("|", " | ".join(cells), "|", flush=True)
            for notice in notices:
                print(f"  {name}: {notice}")


def fractions(seed: int) -> None:
    """Compare the volume fraction of detections with that of the true positions and radii in the same window."""
    print("| volume fraction | SNR | of true particles | network | refined |")
    print("|---|---|---|---|---|")
    for phi in (0.1, 0.3, 0.45):
        for snr in (3.0, 5.0, 10.0):
            made = nc.simulate(
                shape=(120, 120, 120), volume_fraction=phi, radius=6, psf_sigma=(3, 1.3, 1.3), snr=snr, cnr=0.8 * snr,
                seed=seed,
            )  # fmt: skip
            found = nc.detect(made.stack, diameter=12, device="cpu")
            tables = (made.particles, found, nc.refine(made.stack, found))
            values = (volume_fraction(local_structure(table, shape=made.stack.shape)) for table in tables)
            print(f"| {phi} | {snr:g} | " + " | ".join(f"{value.value:.4f}" for value in values) + " |", flush=True)


def clusters(seed: int, tcc: str) -> None:
    """Measure what localisation errors, missed and false particles do to the populations of clusters."""
    rng = np.random.default_rng(seed)
    made = arrange("random", (22.0,) * 3, Composition(0.55, 0.5, 0.08), rng)
    spheres = HardSpheres(made)
    spheres.move(0.7, rng)
    places = DIAMETER * spheres.arrangement().positions
    count, edge = len(places), 22 * DIAMETER
    shown = ("8B", "9B", "10B", "11F", "12E", "13A")
    print("| what is wrong | " + " | ".join(shown) + " |")
    print("|---" * (1 + len(shown)) + "|")
    cases = {"nothing": places}
    for error in (0.01, 0.02, 0.05, 0.1):
        cases[f"errors of {error} diameters"] = places + rng.normal(0, error * DIAMETER, places.shape)
    for part in (0.02, 0.05, 0.1):
        cases[f"{part:.0%} missed"] = places[rng.random(count) >= part]
    cases["3% false"] = np.concatenate([places, rng.uniform(0, edge, (round(0.03 * count), 3))])
    for name, given in cases.items():
        found = topological_clusters(given - 0.5, tcc, shape=(edge,) * 3, diameter=DIAMETER)
        cells = [f"{found.populations[cluster]:.3f}" for cluster in shown]
        print("|", " | ".join([name.replace("%", " %"), *cells]), f"| {found.inside} inside", flush=True)


def bands(seed: int) -> None:
    """Compare the intervals of a structure with its exact figures, for three sizes of the errors."""
    print("| errors / d | | exact | measured | interval |")
    print("|---|---|---|---|---|")
    shape = (WINDOW,) * 3
    exact = hard_sphere_fluid(shape, volume_fraction=0.52, radius=DIAMETER / 2, polydispersity=0.05, seed=seed)
    true = measure_structure(exact, shape=shape)
    for part in (0.02, 0.05, 0.1):
        sigma = part * DIAMETER
        table = degraded(exact, errors=[sigma] * 3, seed=seed).assign(z_err=sigma, y_err=sigma, x_err=sigma)
        found = measure_structure(table, shape=shape)
        for name in ("neighbours", "q6", "q6_averaged", "voronoi_spread"):
            band, value = found.bands()[name], true.figures()[name]
            print(
                f"| {part:g} | {name} | {value:.3f} | {band.value:.3f} | {band.low:.3f} to {band.high:.3f} |",
                flush=True,
            )
        low, high = found.g_band()
        held = np.mean((true.g.g >= low) & (true.g.g <= high))
        peaks = [f"{curve.max():.2f}" for curve in (true.g.g, found.g.g, high)]
        print(f"| {part:g} | g(r), highest | {peaks[0]} | {peaks[1]} | to {peaks[2]}; holds {held:.0%} of g(r) |")


def large(seed: int) -> None:
    """Measure seconds and memory of many particles, beside freud's order parameters and cells alone."""
    import freud

    places = np.random.default_rng(seed).random((500_000, 3)) * 640
    box = freud.box.Box.cube(640)
    started = time.perf_counter()
    freud.locality.Voronoi().compute((box, places - 320))
    for degree in (4, 6):
        freud.order.Steinhardt(degree, average=True).compute((box, places - 320), neighbors={"num_neighbors": 12})
    theirs = time.perf_counter() - started
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    started = time.perf_counter()
    measure_structure(particle_table(places - 0.5), shape=(640, 640, 640), diameter=8)
    ours = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"freud: Voronoi, averaged q4, q6 {theirs:.0f} s; all of the structure {ours:.0f} s, ratio {ours / theirs:.2f}"
    )
    print(f"peak memory {before:.1f} GB before, {peak:.1f} GB after")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["fluids", "detections", "fractions", "clusters", "bands", "large"])
    parser.add_argument("--seed", type=int, default=17_000)
    parser.add_argument("--tcc", metavar="PROGRAM", help="a TCC program of your own")
    given = parser.parse_args()
    if given.what == "detections":
        detections(given.seed, given.tcc)
    elif given.what == "clusters":
        clusters(given.seed, given.tcc or parser.error("clusters needs --tcc"))
    else:
        {"fluids": fluids, "fractions": fractions, "bands": bands, "large": large}[given.what](given.seed)
