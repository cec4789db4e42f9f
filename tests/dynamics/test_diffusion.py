"""Diffusion coefficient and localisation error, against random walks that are known."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from napari_colloids import ColloidsError
from napari_colloids.dynamics import diffusion_coefficient, mean_squared_displacement


def test_diffusion_and_localisation_error_are_separated(walks):
    truth = (0.3**2 + 0.2**2 + 0.1**2) / 6
    clean = diffusion_coefficient(mean_squared_displacement(walks()))
    noisy = diffusion_coefficient(mean_squared_displacement(walks(noise=0.25)))
    assert clean.coefficient == pytest.approx(truth, rel=0.05)
    assert clean.localisation_error < 0.06
    assert noisy.coefficient == pytest.approx(truth, rel=0.08)
    assert noisy.localisation_error == pytest.approx(0.25, rel=0.08)
    slow = diffusion_coefficient(mean_squared_displacement(walks(), frame_interval=5.0))
    assert slow.coefficient == pytest.approx(clean.coefficient / 5)


@pytest.mark.parametrize(
    ("voxel_size", "frame_interval", "unit", "text"),
    [
        (None, None, "px^2/frame", "px²/frame"),
        ((0.5, 0.1, 0.1), 2.0, "um^2/s", "µm²/s"),
        ((0.5, 0.1, 0.1), None, "um^2/frame", "µm²/frame"),
    ],
)
def test_unit_is_that_of_the_displacements(walks, voxel_size, frame_interval, unit, text):
    msd = mean_squared_displacement(walks(count=20), voxel_size=voxel_size, frame_interval=frame_interval)
    diffusion = diffusion_coefficient(msd)
    assert diffusion.unit == unit
    assert f"{diffusion.coefficient:.4g} {text}" in repr(diffusion)
    assert f"{diffusion.localisation_error:.2g} {text[:2]}" in repr(diffusion)
    assert "\n" not in repr(diffusion)


def test_plot_has_the_displacements_and_the_line(walks):
    diffusion = diffusion_coefficient(mean_squared_displacement(walks(count=50, noise=0.25), frame_interval=0.5))
    ax = diffusion.plot()
    points, line = ax.get_lines()
    np.testing.assert_array_equal(points.get_ydata(), diffusion.msd["msd"])
    np.testing.assert_allclose(line.get_ydata(), diffusion.slope * line.get_xdata() + diffusion.intercept)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [points.get_label(), line.get_label()]
    assert line.get_label() == f"D = {diffusion.coefficient:.3g} px²/s"
    assert ax.get_xlabel() == "lag (s)"


def test_plot_on_given_axes_takes_their_colours_and_leaves_pyplot_alone(walks):
    ax = Figure().add_subplot()
    ax.set_prop_cycle(color=["red", "green"])
    before = plt.get_fignums()
    assert diffusion_coefficient(mean_squared_displacement(walks(count=20))).plot(ax) is ax
    assert [line.get_color() for line in ax.get_lines()] == ["red", "green"]
    assert ax.get_legend() is None
    assert plt.get_fignums() == before


def test_what_cannot_be_fitted_is_refused(walks):
    with pytest.raises(ColloidsError, match="three frames"):
        diffusion_coefficient(mean_squared_displacement(walks(frames=1)))
    with pytest.raises(ColloidsError, match=r"'lag'.*mean_squared_displacement"):
        diffusion_coefficient(walks(frames=5))
    from_file = mean_squared_displacement(walks(frames=5))
    from_file.attrs.clear()
    with pytest.raises(ColloidsError, match="no unit"):
        diffusion_coefficient(from_file)
