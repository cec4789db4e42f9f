"""Conversion of stacks and particle tables to napari layers, and back.

Kept in one place because napari's points and units still change between releases.

Sources
-------
napari layer data tuples: https://napari.org/stable/plugins/building_a_plugin/guides.html#the-layerdata-tuple
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
import pandas as pd
from napari.layers import Image, Points
from napari.utils.colormaps import Colormap

from napari_colloids.errors import ColloidsError
from napari_colloids.particles import COLUMNS, FEATURES, POSITION, check_particles, particle_table
from napari_colloids.stack import Stack
from napari_colloids.widgets.layers.places import into_voxels, voxel_size_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.layers import Layer
    from numpy.typing import NDArray

    from napari_colloids.widgets.layers.places import Place


LayerData = tuple[Any, dict[str, Any], str]

#: Key of our own entries in ``layer.metadata``.
KEY = "napari_colloids"
#: Confidence 0 to 1. Bright from end to end, so that rings show on grey images; tells apart without red and green.
CONFIDENCE_COLOURS = ["#ff5a36", "#ffd23f", "#35e0ff"]
#: The columns that particles are coloured by, the first that a table has: values at both ends, and the colours between.
COLOUR_SCALES: dict[str, tuple[tuple[float, float], list[str]]] = {"confidence": ((0.0, 1.0), CONFIDENCE_COLOURS)}
#: Plain colours of the layers that are not coloured by a column.
COLOURS = {
    **{"truth": "#d58bff", "true positives": "#4d8dff", "false positives": "#ff5a36", "missed": "#ffd23f"},
    **{"in both": "#35e0ff", "only in the first": "#ff5a36", "only in the second": "#ffd23f"},
}
#: Radius (lateral voxels) drawn where nothing says how large a particle is.
DEFAULT_RADIUS = 3.0
#: Thickness of a ring as a fraction of the median diameter.
_RING_WIDTH_FRACTION = 0.05


def image_layer_data(stack: Stack) -> list[LayerData]:
    """Describe the image layers of a stack: one per channel, scaled by the voxel size and the time between frames.

    Time stays an axis of the layer, and lazy data stays lazy.
    """
    axes = stack.axes.replace("c", "")
    before = len(axes) - 3
    spatial = stack.voxel_size or (1.0, 1.0, 1.0)
    attributes: dict[str, Any] = {
        "scale": (stack.frame_interval or 1.0,) * before + spatial,
        "axis_labels": tuple(axes),
        "metadata": {KEY: _as_read_note(stack)},
        # The slices are thick for the sake of the spheres; the image must not be averaged over them.
        "projection_mode": "none",
        # In 3D, scraps of an image with depth would poke through the spheres.
        "blending": "translucent_no_depth",
    }
    lengths = ("pixel" if stack.voxel_size is None else "um",) * 3
    attributes["units"] = ("pixel" if stack.frame_interval is None else "s",) * before + lengths
    if "c" not in stack.axes:
        return [(stack.data, {**attributes, **_contrast(stack, 0), "name": stack.name}, "image")]
    layers: list[LayerData] = []
    axis = stack.axes.index("c")
    colours = ["gray"] if stack.n_channels == 1 else ["green", "magenta", "cyan", "yellow", "red", "blue"]
    for channel in range(stack.n_channels):
        given = stack.channel_names[channel] if channel < len(stack.channel_names) else f"channel {channel}"
        layers.append(
            (
                stack.data[(slice(None),) * axis + (channel,)],
                {
                    **attributes,
                    "metadata": {KEY: _as_read_note(stack, channel)},
                    **_contrast(stack, channel),
                    "name": f"{stack.name} {given}",
                    "colormap": colours[channel % len(colours)],
                    "blending": "additive",
                },
                "image",
            )
        )
    return layers


def _as_read_note(stack: Stack, channel: int | None = None) -> dict[str, Any]:
    """Return what a layer keeps of how its stack was read, for `stack_of` and `series_of`."""
    recorded = stack.recorded
    if recorded is not None and channel is not None:
        recorded = recorded[(slice(None),) * stack.axes.index("c") + (channel,)]
    return {
        "file": dict(stack.metadata),
        "voxel_size": stack.voxel_size,
        "assumed": stack.assumed,
        "recorded": recorded,
        "notices": stack.notices,
    }


def particle_layer_data(
    particles: pd.DataFrame,
    place: Place | None = None,
    *,
    name: str = "particles",
    kind: str = "particles",
    leading: Sequence[float] = (),
    note: Mapping[str, object] | None = None,
) -> LayerData:
    """Describe the Points layer of a particle table.

    Parameters
    ----------
    particles
        Particle table; positions in voxels, radius in lateral voxels.
    place
        Scale, translate, units and axis labels of the image (see `places.place_of`); None for voxels.
    kind
        ``"particles"`` is coloured by a column of `COLOUR_SCALES` where there is one; the others are keys of `COLOURS`.
    leading
        Index of the image along the axes before z (the time step) that the particles belong to. A table with a
        ``frame`` column brings its own.
    note
        Kept in the layer's metadata (diameter used, method, ...).
    """
    table = check_particles(particles)
    positions = table[POSITION].to_numpy(dtype=float, copy=True)  # napari moves points in place
    if "frame" in table and not leading:
        positions = np.column_stack([table["frame"].to_numpy(dtype=float), positions])
    elif leading:
        positions = np.column_stack([np.tile(np.asarray(leading, dtype=float), (len(table), 1)), positions])
    its_place = _with_axes(place or {}, positions.shape[1])
    radius = radii_of(table)
    features = pd.DataFrame({"radius": radius})
    for column in [column for column in FEATURES if column in table and column != "radius"]:
        features[column] = table[column].to_numpy(dtype=int if COLUMNS[column].whole else float)
    scales = [column for column in COLOUR_SCALES if column in features]
    colour_by = scales[0] if scales and kind == "particles" and len(table) else ""
    middle = float(np.median(radius)) if len(radius) else DEFAULT_RADIUS
    attributes: dict[str, Any] = {
        **its_place,
        "ndim": positions.shape[1],
        "name": name,
        "features": features,
        "feature_defaults": added_by_hand(features),
        "size": 2 * radius if len(radius) else 2 * middle,
        "symbol": "disc",
        "canvas_size_limits": (0, 10000),
        "border_width_is_relative": False,
        "projection_mode": "rescale_spherical",
        "metadata": {KEY: {"kind": kind, "colour_by": colour_by, **(note or {})}},
        **flat_look(kind, colour_by, middle),
    }
    return positions, attributes, "points"


def tracks_layer_data(
    tracks: pd.DataFrame, place: Place, *, name: str, note: Mapping[str, object] | None = None
) -> LayerData:
    """Describe the Tracks layer of linked particles in voxels, at the place of the points that were linked."""
    table = tracks.sort_values(["particle", "frame"])
    frames = int(np.ptp(table["frame"])) + 1
    attributes = {
        **{key: tuple(values)[-4:] for key, values in place.items()},
        "name": name,
        "features": table[["confidence"]].reset_index(drop=True) if "confidence" in table else None,
        # The whole path so far, within reason.
        "tail_length": min(frames, 300),
        "tail_width": 3,
        "blending": "translucent",
        "metadata": {KEY: {"kind": "tracks", **(note or {})}},
    }
    return table[["particle", "frame", *POSITION]].to_numpy(dtype=float), attributes, "tracks"


def added_by_hand(features: pd.DataFrame) -> dict[str, float]:
    """Return the features of a point that is added by hand to points with these.

    Until it is linked such a point is a trajectory of its own, as is in `link` what nothing follows. Tables know only
    whole numbers, so it cannot go without; and if all such points had the same one, they would pass for one particle.
    """
    given = {name: COLUMNS[name].by_hand for name in features if name in COLUMNS}
    values = {name: value for name, value in given.items() if value is not None}
    if "radius" in features:
        values["radius"] = float(np.median(radii_of(features))) if len(features) else DEFAULT_RADIUS
    if "channel" in features:
        values["channel"] = next(iter(features["channel"].mode()), 0)
    if "particle" in features:
        values["particle"] = int(features["particle"].max()) + 1 if len(features) else 0
    return values


def _with_axes(place: Place, ndim: int) -> Mapping[str, object]:
    """Fit the place of an image to points with more axes (particles of a series) or fewer (of a single volume)."""
    fillers = {"scale": 1.0, "translate": 0.0, "units": "pixel", "axis_labels": "t"}
    return {
        key: (fillers[key],) * (ndim - len(values)) + tuple(values)[max(len(values) - ndim, 0) :]
        for key, values in place.items()
    }


def flat_look(kind: str, colour_by: str, radius: float) -> dict[str, Any]:
    """Attributes of thin rings, for 2D: the sphere underneath stays in sight."""
    return {
        "face_color": "transparent",
        "border_width": max(2 * radius * _RING_WIDTH_FRACTION, 0.3),
        "shading": "none",
        **_colours("border", kind, colour_by),
    }


def solid_look(kind: str, colour_by: str) -> dict[str, Any]:
    """Attributes of shaded spheres, for 3D."""
    return {"border_width": 0.0, "shading": "spherical", **_colours("face", kind, colour_by)}


def _colours(part: str, kind: str, colour_by: str) -> dict[str, Any]:
    if not colour_by:
        return {f"{part}_color": COLOURS.get(kind, CONFIDENCE_COLOURS[-1])}
    limits, colours = COLOUR_SCALES[colour_by]
    colormap = Colormap(colours, name=colour_by)
    return {f"{part}_color": colour_by, f"{part}_colormap": colormap, f"{part}_contrast_limits": limits}


def _contrast(stack: Stack, channel: int) -> dict[str, Any]:
    """Return the limits of the contrast by the percentiles that detection uses: weak signals are seen at once."""
    from napari_colloids.detection.normalise import GreyLevels
    from napari_colloids.detection.overview import quick_sample

    try:
        levels = GreyLevels.of(quick_sample(stack.volume(channel=channel)))
    except ColloidsError:  # constant, or all NaN: whatever napari makes of it
        return {}
    return {"contrast_limits": (levels.low, levels.high)}


def note_of(layer: Layer) -> dict[str, Any]:
    """Return this plugin's entries in the layer's metadata (empty for other layers)."""
    return dict(layer.metadata.get(KEY, {}))


def add_to_note(layer: Layer, **entries: object) -> None:
    """Add entries of this plugin to the layer's metadata; they are written beside its table, too."""
    layer.metadata[KEY] = {**note_of(layer), **entries}


def stack_of(layer: Image, index: Sequence[int] = ()) -> Stack:
    """Return one volume of an image layer, at an index along the axes before z, without reading it into memory.

    Raises a `ColloidsError` if the layer is a 2D or an RGB image.
    """
    if layer.rgb:
        raise ColloidsError(f"'{layer.name}' is a colour (RGB) image: split it into its channels first.")
    if layer.ndim < 3:
        raise ColloidsError(f"'{layer.name}' is a 2D image: a 3D stack (z, y, x) is needed.")
    data = layer.data[0] if layer.multiscale else layer.data
    return Stack(
        data[tuple(index)] if index else data,
        voxel_size=voxel_size_of(layer),
        name=layer.name,
        **_as_read(layer, tuple(index)),
    )


def series_of(layer: Image) -> Stack:
    """Return an image layer of four axes as a time series, without reading it into memory.

    Raises a `ColloidsError` if the layer has other axes.
    """
    if layer.rgb or layer.ndim != 4:
        raise ColloidsError(f"'{layer.name}' is no time series of 3D stacks.")
    data = layer.data[0] if layer.multiscale else layer.data
    return Stack(data, "tzyx", voxel_size=voxel_size_of(layer), name=layer.name, **_as_read(layer))


class _AsRead(TypedDict):
    """What a layer keeps of the reading of its file, as fields of a `Stack`."""

    assumed: str
    recorded: NDArray[np.bool_] | None
    notices: tuple[str, ...]


def _as_read(layer: Image, index: tuple[int, ...] = ()) -> _AsRead:
    """Return what a layer keeps of the reading of its file; what was changed since no longer holds."""
    note = note_of(layer)
    recorded = note.get("recorded")
    if recorded is not None and np.shape(recorded) == np.shape(layer.data)[:-2]:
        recorded = np.asarray(recorded)[index] if index else np.asarray(recorded)
    else:
        recorded = None
    same_size = note.get("voxel_size") == voxel_size_of(layer)
    return {
        "assumed": str(note.get("assumed", "")) if same_size else "",
        "recorded": recorded,
        "notices": tuple(note.get("notices", ())),
    }


def table_of(layer: Points, *, shown_only: bool = True) -> pd.DataFrame:
    """Return the particle table of a Points layer, without the points that the threshold hides if these are left out.

    Columns: ``frame`` (series only), ``z, y, x``, ``radius``, the other features of `particles.COLUMNS` that the layer
    has, and those in micrometres where its scale is known. Raises a `ColloidsError` if it has fewer than three axes.
    """
    if layer.ndim < 3:
        raise ColloidsError(f"'{layer.name}' holds 2D points: particles need z, y, x.")
    chosen = np.asarray(layer.shown, dtype=bool) if shown_only else np.ones(len(layer.data), dtype=bool)
    data = np.asarray(layer.data, dtype=float)[chosen]
    features = layer.features.loc[chosen]
    given = {name: _feature(name, features[name]) for name in FEATURES if name in features}
    columns = {name: values for name, values in given.items() if values is not None}
    if "radius" not in columns:
        columns["radius"] = np.asarray(layer.size, dtype=float)[chosen] / 2
    return particle_table(
        data[:, -3:], frame=np.rint(data[:, -4]) if layer.ndim > 3 else None, voxel_size=voxel_size_of(layer), **columns
    )


def in_voxels(points: Points, image: Image, index: tuple[int, ...], *, shown_only: bool = True) -> pd.DataFrame:
    """Return the particles of a layer, at a time step, with positions and radii in (lateral) voxels of an image.

    Raises a `ColloidsError` if the points are of several frames and the image is of one, or one of the two does not lie
    straight.
    """
    table = table_of(points, shown_only=shown_only)
    data = np.asarray(points.data, dtype=float)
    if shown_only:
        data = data[np.asarray(points.shown, dtype=bool)]
    if points.ndim > 3 and index:
        now = np.all(np.rint(data[:, -3 - len(index) : -3]) == index, axis=1)
        table, data = table[now].reset_index(drop=True), data[now]
    elif "frame" in table and table["frame"].nunique() > 1:
        raise ColloidsError(f"'{points.name}' holds particles of several frames, but '{image.name}' is one volume.")
    scale, shift = into_voxels(points, image)
    table[POSITION] = data[:, -3:] * scale + shift
    table["radius"] *= abs(float(scale[-1]))
    return table.drop(columns="frame", errors="ignore")


def is_stack(layer: object) -> bool:
    """Whether a layer is a 3D image or a time series of them, and not a residual."""
    image = isinstance(layer, Image) and not layer.rgb and layer.ndim >= 3
    return image and note_of(layer).get("kind") != "residual"


def refusal(layer: object) -> str:
    """Return why an image layer is no stack, and what to do; empty for a stack, and for what is no image."""
    if not isinstance(layer, Image) or is_stack(layer) or note_of(layer).get("kind") == "residual":
        return ""
    if layer.rgb:
        return f"'{layer.name}' is a colour image: split it into channels (right click on it, Split RGB), choose one."
    return f"'{layer.name}' is a single 2D image: particles are found in 3D stacks (z, y, x)."


def is_result(layer: object) -> bool:
    """Whether a layer is a Points layer with a confidence per point, and not an outcome of scoring."""
    particles = isinstance(layer, Points) and layer.ndim >= 3 and _is_number(layer.features.get("confidence"))
    return particles and note_of(layer).get("kind", "particles") not in COLOURS


def confidences_of(layer: Points) -> NDArray[np.float64]:
    """Return the confidence of every point of the layer, hidden or not; points added by hand count as certain."""
    return layer.features["confidence"].fillna(1.0).to_numpy(dtype=float)


def show_above(layer: Points, threshold: float) -> None:
    """Show the points with at least this confidence, and hide the others."""
    layer.shown = confidences_of(layer) >= threshold


def _is_number(values: pd.Series | None) -> bool:
    return values is not None and pd.api.types.is_numeric_dtype(values)


def _feature(name: str, values: pd.Series) -> NDArray[np.generic] | None:
    """Return a column of a table; None where another plugin's layer has something else under this name."""
    if not _is_number(values):
        return None
    column = COLUMNS[name]
    if not column.whole:
        return values.to_numpy(dtype=float)
    numbers = values.to_numpy(dtype=float) if column.by_hand is None else values.fillna(column.by_hand).to_numpy(float)
    return numbers.astype(int) if np.array_equal(numbers, np.rint(numbers)) else None


def radii_of(table: pd.DataFrame) -> NDArray[np.float64]:
    """Return the radius of every particle (or of a layer's features) in lateral voxels; the median where it lacks."""
    if "radius" not in table:
        return np.full(len(table), DEFAULT_RADIUS)
    radius = table["radius"].to_numpy(dtype=float)
    good = np.isfinite(radius) & (radius > 0)
    return np.where(good, radius, np.median(radius[good]) if good.any() else DEFAULT_RADIUS)
