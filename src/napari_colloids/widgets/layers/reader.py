"""Reader contributions: stacks and particle tables, to scale."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image

from napari_colloids.detection.record import Record
from napari_colloids.errors import ColloidsError, UnknownVoxelSizeError
from napari_colloids.formatting import voxel_size_words
from napari_colloids.particles import implied_voxel_size
from napari_colloids.widgets.layers.layers import LayerData, image_layer_data, is_stack, particle_layer_data
from napari_colloids.widgets.layers.places import place_of, voxel_size_of

if TYPE_CHECKING:
    import pandas as pd
    from napari.components import ViewerModel

    from napari_colloids.stack import Stack, VoxelSize
    from napari_colloids.widgets.layers.places import Place

#: What napari takes for a file that was read and adds no layer.
NoLayers = list[tuple[None]]
Reader = Callable[[str | Sequence[str]], list[LayerData] | NoLayers]

#: What a layer keeps of the file beside its table, next to the record of the search.
_ORIGIN = ("image", "input", "shape", "chosen", "edits")
#: What says where a layer lies, in the attributes of an image.
_PLACE = ("scale", "translate", "units", "axis_labels")


def get_stack_reader(path: str | Sequence[str]) -> Reader | None:
    """Return the reader of image stacks, or None for other files (npe2 entry point)."""
    from napari_colloids.io import STACK_ENDINGS
    from napari_colloids.io.formats.registry import is_stack_folder
    from napari_colloids.io.many_files import several_files

    paths = _paths(path)
    if len(paths) == 1 and paths[0].is_dir() and not is_stack_folder(paths[0]):
        try:
            return read_stacks if several_files(paths[0]) else None
        except ColloidsError:  # no stack in it
            return None
    return read_stacks if paths and all(one.suffix.lower() in STACK_ENDINGS for one in paths) else None


def get_particle_reader(path: str | Sequence[str]) -> Reader | None:
    """Return the reader of particle tables, or None where the table is of another kind (npe2 entry point)."""
    paths = _paths(path)
    return read_tables if paths and all(map(_has_positions, paths)) else None


def _paths(path: str | Sequence[str]) -> list[Path]:
    return [Path(one) for one in ([path] if isinstance(path, str) else path)]


def read_stacks(path: str | Sequence[str]) -> list[LayerData] | NoLayers:
    """Read stacks as napari layers: the first series of each file or folder that is one, with its true particles.

    Several files that belong together, as slices or as an OME set, are one stack, and so is a single one of them with
    the others in its folder. Files that are dropped on napari come one by one: those of a stack that is open already
    add nothing.
    """
    from napari.utils.notifications import show_info

    from napari_colloids.io import list_series
    from napari_colloids.widgets.layers.spheres import watch_all

    layers: list[LayerData] = []
    for one in _stacks_of(_paths(path)):
        if isinstance(one, list) and len(_paths(path)) == 1:
            if _is_open(one):
                return [(None,)]
            name = Path(str(path if isinstance(path, str) else path[0])).name
            show_info(
                f"{name} is one of {len(one)} files of a stack, which is opened. Some of them alone need a folder "
                "of their own."
            )
        try:
            series = list_series(one)
            readable = [number for number, found in enumerate(series) if not found.problem]
            stack, truth = load(one, index=readable[0] if readable else 0)
        except ColloidsError as error:
            try:  # an HDF5 file without an image may be a particle table of ours
                layers += read_tables(str(one))
            except ColloidsError:
                raise error from None
            continue
        layers += layers_of(stack, truth)
        if len(readable) > 1:
            number, name = len(readable), one.name if isinstance(one, Path) else stack.name
            show_info(f"{name} holds {number} stacks; this is the first. The Load widget opens the others.")
        if stack.notices:
            show_info(f"{stack.name}: {' '.join(stack.notices)}")
    watch_all()
    return layers


def _stacks_of(paths: list[Path]) -> list[Path | list[Path]]:
    """Return the files and folders, those that belong together as a list."""
    from napari_colloids.io.many_files import groups_of, natural_order, stack_around

    if len(paths) > 1:
        groups = groups_of(natural_order(paths), join_volumes=True)
    elif paths[0].is_file() and (whole := stack_around(paths[0])):
        groups = [whole]
    else:
        return [*paths]
    return [group.opened if len(group.files) == 1 else list(group.files) for group in groups]


def _is_open(files: list[Path]) -> bool:
    """Return whether a layer of the window holds the stack of these files."""
    from napari import current_viewer

    viewer = current_viewer()
    sources = [] if viewer is None else [layer.source.path for layer in viewer.layers]
    return any(source is not None and Path(source) in files for source in sources)


def read_tables(path: str | Sequence[str]) -> list[LayerData]:
    """Read particle tables as napari Points layers, one per channel as of a stack, scaled as `table_layer` does."""
    from napari import current_viewer

    from napari_colloids.widgets.layers.spheres import watch_all

    layers = []
    viewer = current_viewer()
    for one in _paths(path):
        table, name = table_in(one, viewer), one.stem
        note, image = origin_in(table.attrs, viewer)
        if "channel" not in table or table["channel"].nunique() < 2:
            layers.append(table_layer(table, name, note, image))
            continue
        for channel, part in table.groupby("channel"):
            layers.append(table_layer(part, f"{name} channel {channel}", note, image))
    watch_all()
    return layers


def table_in(path: Path, viewer: ViewerModel | None) -> pd.DataFrame:
    """Read a particle table, and show what was detected or assumed.

    Where its positions are in micrometres alone, and no voxel size comes with them, that of the images of the viewer is
    taken; where these have none, or several, voxels are assumed to be as long as a micrometre, so that places are right
    in micrometres. Raises a `ColloidsError` if it cannot be read.
    """
    from napari.utils.notifications import show_info

    from napari_colloids.io import read_particles

    said: list[str] = []
    try:
        table = read_particles(path)
    except UnknownVoxelSizeError:
        size, how = _voxel_size_on_show(viewer)
        table, said = read_particles(path, voxel_size=size), [how]
    if sentences := [*table.attrs.get("reading", []), *said]:
        show_info(f"{path.name}: {'; '.join(sentences)}")
    return table


def _voxel_size_on_show(viewer: ViewerModel | None) -> tuple[VoxelSize, str]:
    """Return a voxel size for positions in micrometres, and where it comes from."""
    images = [layer for layer in (viewer.layers if viewer else []) if isinstance(layer, Image) and layer.ndim >= 3]
    sizes = {layer.name: size for layer in images if (size := voxel_size_of(layer)) is not None}
    first = next(iter(sizes.values()), None)
    if first is not None and all(np.allclose(size, first, rtol=1e-4) for size in sizes.values()):
        return first, f"the voxel size is not in it: that of '{next(iter(sizes))}' was taken, {voxel_size_words(first)}"
    which = "the images have several" if sizes else "no image with one is open"
    return (1.0, 1.0, 1.0), (
        f"the voxel size is not in it, and {which}: voxels of 1 µm were assumed, so that micrometres are right and "
        "voxels are not; open the image first to have its voxels"
    )


def origin_in(attrs: Mapping[Hashable, object], viewer: ViewerModel | None) -> tuple[dict[str, object], Image | None]:
    """Return what a layer is to know of a table that was found here, and the image of the viewer it was found in.

    That is the one with the name of the layer or of the file that was searched. Other tables have nothing to know.
    """
    try:
        known = Record.from_attrs(attrs).to_attrs()
    except ColloidsError:
        return {}, None
    del known["notices"]
    note = {**known, **{name: attrs[name] for name in _ORIGIN if attrs.get(name) is not None}}
    images = [layer for layer in (viewer.layers if viewer else []) if is_stack(layer)]
    file = str(note.get("input", ""))
    image = next((one for one in images if one.name == note.get("image")), None) or next(
        (one for one in images if file and one.source.path and Path(one.source.path).name == file), None
    )
    if image is not None:
        note["image"] = image.name
    elif file:
        note.setdefault("image", Path(file).stem)
    return note, image


def table_layer(
    table: pd.DataFrame, name: str, note: Mapping[str, object] | None = None, image: Image | None = None
) -> LayerData:
    """Describe the Points layer of a table, in the place of its image, if both agree on the size of a voxel.

    Otherwise it is scaled by the voxel size that its micrometres imply.
    """
    place = _place_of(table)
    if image is not None and (implied_voxel_size(table) is None or _agree(implied_voxel_size(table), image)):
        place = place_of(image)
    return particle_layer_data(table, place, name=name, note=note)


def _agree(size: VoxelSize | None, image: Image) -> bool:
    known = voxel_size_of(image)
    return size is not None and known is not None and bool(np.allclose(size, known, rtol=1e-4))


def _place_of(table: pd.DataFrame) -> Place:
    """Return the scale of a table, as far as it tells the size of a voxel and the time between frames."""
    size, interval = implied_voxel_size(table), table.attrs.get("frame_interval") if "frame" in table else None
    if size is None and interval is None:
        return {}
    place: Place = {
        "scale": size or (1.0, 1.0, 1.0),
        "units": ("pixel" if size is None else "um",) * 3,
        "axis_labels": ("z", "y", "x"),
    }
    if interval is None:
        return place
    return {
        "scale": (float(interval), *place["scale"]),
        "units": ("s", *place["units"]),
        "axis_labels": ("t", *place["axis_labels"]),
    }


def load(
    path: Path | list[Path],
    *,
    index: int = 0,
    voxel_size: tuple[float, float, float] | None = None,
    axes: str | None = None,
    channel: int | None = None,
    frames: tuple[int, int] | None = None,
    allow_missing: bool = False,
) -> tuple[Stack, pd.DataFrame | None]:
    """Read one series of a file, a folder or a list of files, with the true particles that come with it.

    It may be one channel or some frames of it. Voxel size and axes take the place of what the file says; frames are the
    first and the last; `allow_missing` is that of `read_stack`. Raises a `ColloidsError` if the file cannot be read, or
    has no such series, channel or frames.
    """
    from napari_colloids.io import read_stack, read_truth

    stack = _part(
        read_stack(path, index=index, voxel_size=voxel_size, axes=axes, allow_missing=allow_missing), channel, frames
    )
    return stack, None if isinstance(path, list) else read_truth(path, index)


def _part(stack: Stack, channel: int | None, frames: tuple[int, int] | None) -> Stack:
    """Return one channel, and the frames from one to another, of a stack."""
    if frames is not None and "t" in stack.axes:
        first, last = frames
        if not 0 <= first <= last < stack.n_frames:
            raise ColloidsError(
                f"'{stack.name}' has the frames 0 to {stack.n_frames - 1}; those from {first} to {last} are not in it."
            )
        # A single frame is a volume, not a series of one.
        taken: slice | int = slice(first, last + 1) if last > first else first
        axes = stack.axes if last > first else stack.axes.replace("t", "")
        recorded = None if stack.recorded is None else stack.recorded[taken]
        stack = replace(stack, data=stack.data[taken], axes=axes, recorded=recorded)
    if channel is not None and "c" in stack.axes:
        stack.volume(channel=channel)  # complains where there is no such channel
        name = stack.channel_names[channel] if stack.channel_names else f"channel {channel}"
        index = (slice(None),) * stack.axes.index("c") + (channel,)
        stack = replace(
            stack,
            data=stack.data[index],
            axes=stack.axes.replace("c", ""),
            recorded=None if stack.recorded is None else stack.recorded[index],
            channel_names=(name,),
            name=f"{stack.name} {name}",
        )
    return stack


def layers_of(stack: Stack, truth: pd.DataFrame | None) -> list[LayerData]:
    """Describe the layers of a stack and, where known, of its true particles."""
    layers = image_layer_data(stack)
    if truth is not None:
        place = {key: value for key, value in layers[0][1].items() if key in _PLACE}
        layers.append(particle_layer_data(truth, place, name=f"{stack.name} truth", kind="truth"))
    return layers


def _has_positions(path: Path) -> bool:
    """Whether a file is a particle table; texts by their first lines, for other tables are left to other readers."""
    from napari_colloids.io.tables.registry import readable_format
    from napari_colloids.io.tables.text import looks_like_particles

    if path.suffix.lower() in (".xyz", ".parquet"):
        return True
    form = readable_format(path)
    return form is not None and form.is_text and looks_like_particles(path)
