"""Undo and redo of what is edited in a layer of particles, and the record of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, ref

import numpy as np
import pandas as pd
from napari.layers.base import ActionType

from napari_colloids.widgets.layers import layers
from napari_colloids.widgets.layers.by_hand import (
    AS_FOUND,
    BY_HAND,
    changed_by_hand,
    reset_edited_features,
    set_features,
)
from napari_colloids.widgets.layers.hidden import slice_hidden

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.layers import Points
    from napari.utils.events import Event
    from numpy.typing import ArrayLike, NDArray

#: Edits of a layer that can be undone.
_MAX_EDITS = 100
#: Decimals of positions and radii (voxels) in the record.
_RECORDED_DECIMALS = 4
#: Key of the record in the metadata of a layer, and beside its table.
EDITS = "edits"

#: Kinds of edits.
ADD, DELETE, MOVE, RESIZE, REFINE = "add", "delete", "move", "resize", "refine"

_histories: WeakKeyDictionary[Points, EditHistory] = WeakKeyDictionary()


def history_of(layer: Points) -> EditHistory:
    """Return the history of a layer, which begins with the first call."""
    if layer not in _histories:
        _histories[layer] = EditHistory(layer)
    return _histories[layer]


def resize(layer: Points, which: Sequence[int], radius: ArrayLike) -> None:
    """Set the radius (lateral voxels) of some particles by hand, as an edit that can be undone."""
    index = np.unique(np.asarray(which, dtype=np.intp))
    if len(index):
        features = changed_by_hand(layer.features, index)
        history_of(layer).change(RESIZE, index, {**features, "radius": np.broadcast_to(radius, len(index))})


@dataclass(frozen=True)
class _Rows:
    """Some particles of a layer: where they stand in it, their positions and features."""

    index: NDArray[np.intp]
    data: NDArray[np.float64]
    features: pd.DataFrame

    @classmethod
    def of(cls, layer: Points, which: Sequence[int] | NDArray[np.intp]) -> _Rows:
        index = np.unique(np.asarray(which, dtype=np.intp) % max(len(layer.data), 1))
        return cls(index, np.array(layer.data, dtype=float)[index], layer.features.iloc[index].copy())

    def recorded(self) -> list[list[float]]:
        """Return positions and radius as plain numbers."""
        rows = np.column_stack([self.data, layers.radii_of(self.features)])
        return [[float(value) for value in row] for row in np.round(rows, _RECORDED_DECIMALS)]


@dataclass(frozen=True)
class _Edit:
    """Particles that an edit took away, and those that it put in their place."""

    kind: str
    before: _Rows
    after: _Rows
    #: Entries of the layer's metadata before and after it.
    note_before: Mapping[str, object] = field(default_factory=dict)
    note_after: Mapping[str, object] = field(default_factory=dict)

    @property
    def words(self) -> str:
        count = max(len(self.before.index), len(self.after.index))
        return f"{self.kind} {count} particle{'s' if count > 1 else ''}"

    def recorded(self) -> dict[str, object]:
        """Return it as plain values: kind, and z, y, x, radius (after a frame, if any) before and after it."""
        if self.kind == REFINE:
            return {"edit": self.kind, "particles": len(self.after.index)}
        return {"edit": self.kind, "before": self.before.recorded(), "after": self.after.recorded()}


class EditHistory:
    """The edits of one Points layer, which is held weakly.

    Its owner passes on the events of the layer's ``data`` (`on_data`), and draws the layer anew after them; edits that
    napari has no event for go through `change`.
    """

    def __init__(self, layer: Points) -> None:
        self._layer = ref(layer)
        self._before: _Rows | None = None
        self._undone: list[_Edit] = []
        self._done: list[_Edit] = []
        #: Whether an undo, redo or change is under way, whose events are no edits.
        self._busy = False
        #: Records of edits from before, or too long ago to be undone.
        known = layers.note_of(layer).get(EDITS)
        self._earlier: list[object] = list(known) if isinstance(known, list) else []
        #: Grows with every edit, undone or not.
        self.version = 0

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to undo."""
        return bool(self._done)

    @property
    def can_redo(self) -> bool:
        """Whether there is an edit to redo."""
        return bool(self._undone)

    def on_data(self, event: Event) -> None:
        """Record an edit by mouse or key, and reset what no longer holds of the particles edited."""
        layer, action = event.source, event.action
        if self._busy:
            return
        if action in (ActionType.REMOVING, ActionType.CHANGING):
            self._before = _Rows.of(layer, event.data_indices)
            return
        if action not in (ActionType.ADDED, ActionType.CHANGED, ActionType.REMOVED):
            return
        reset_edited_features(event)
        before, self._before = self._before, None
        none = _Rows.of(layer, [])
        if action == ActionType.ADDED:
            self._push(_Edit(ADD, none, _Rows.of(layer, event.data_indices)))
        elif before is None:  # changed by a script, of which nobody told before
            self._done, self._undone = [], []
            self.version += 1
        elif action == ActionType.REMOVED:
            self._push(_Edit(DELETE, before, none))
        else:
            self._push(_Edit(MOVE, before, _Rows.of(layer, event.data_indices)))

    def change(
        self,
        kind: str,
        which: Sequence[int] | NDArray[np.intp],
        features: Mapping[str, ArrayLike],
        positions: NDArray[np.float64] | None = None,
        note: Mapping[str, object] | None = None,
    ) -> None:
        """Change features, and maybe positions (z, y, x in voxels of the layer), of some particles as one edit.

        A further change of the radius of the same particles joins the one before, as while a slider is moved. `note`
        holds entries of the layer's metadata that change with them; None removes one.
        """
        layer = self._layer()
        if layer is None:
            return
        before = _Rows.of(layer, which)
        data = before.data.copy()
        if positions is not None:
            data[:, -3:] = positions
        table = before.features.copy()
        for name, values in features.items():
            table[name] = np.asarray(values)
        after = _Rows(before.index, data, table)
        was = layers.note_of(layer)
        old = {key: was.get(key) for key in note or {}}
        edit = _Edit(kind, before, after, old, dict(note or {}))
        self._replace(layer, edit.before, edit.after, edit.note_after)
        last = self._done[-1] if self._done and not self._undone else None
        if kind == RESIZE and last is not None and last.kind == RESIZE and _same(last.after, before):
            self._done.pop()
            edit = replace(edit, before=last.before)
        self._push(edit)

    def undo(self) -> str:
        """Undo the last edit, and return in words what was undone; empty where there was nothing."""
        layer = self._layer()
        if layer is None or not self._done:
            return ""
        edit = self._done.pop()
        self._undone.append(edit)
        self._replace(layer, edit.after, edit.before, edit.note_before)
        self._record(layer)
        return edit.words

    def redo(self) -> str:
        """Do the last edit that was undone again, and return in words what it was; empty where there was nothing."""
        layer = self._layer()
        if layer is None or not self._undone:
            return ""
        edit = self._undone.pop()
        self._done.append(edit)
        self._replace(layer, edit.before, edit.after, edit.note_after)
        self._record(layer)
        return edit.words

    def _push(self, edit: _Edit) -> None:
        layer = self._layer()
        if layer is None:
            return
        self._done.append(edit)
        self._undone = []
        while len(self._done) > _MAX_EDITS:
            self._earlier.append(self._done.pop(0).recorded())
        self._record(layer)

    def _record(self, layer: Points) -> None:
        """Write the edits into the metadata of the layer, from where they come beside its table."""
        self.version += 1
        recorded = [*self._earlier, *(edit.recorded() for edit in self._done)]
        _update_note(layer, {EDITS: recorded or None})

    def _replace(self, layer: Points, gone: _Rows, new: _Rows, note: Mapping[str, object]) -> None:
        """Put particles in the place of others, and tell the layer's listeners."""
        kept = np.ones(len(layer.data), bool)
        kept[gone.index] = False
        is_new = np.zeros(int(kept.sum()) + len(new.index), bool)
        is_new[new.index] = True
        # Both, one below the other, in the order in which they are to stand.
        order = np.argsort(np.argsort(is_new, kind="stable"), kind="stable")
        data = np.concatenate([layer.data[kept], new.data])[order]
        features = _joined(layer.features[kept], new.features).iloc[order].reset_index(drop=True)
        shown = np.append(layer.shown[kept], np.ones(len(new.index), bool))[order]
        self._busy = True
        try:
            if not np.array_equal(gone.index, new.index):
                layer.selected_data = set()
            # napari assigns features by their place in the table: nobody is to see those of others meanwhile.
            with layer.events.data.blocker(), layer.events.features.blocker():
                layer.data = data
                slice_hidden(layer)
                set_features(layer, features)
                _update_note(layer, note)
                layer.shown = shown
                threshold = layers.note_of(layer).get("threshold")
                if isinstance(threshold, float) and layers.is_result(layer):
                    layers.show_above(layer, threshold)
            layer.events.features()
            layer.events.data(
                value=layer.data,
                action=ActionType.CHANGED,
                data_indices=tuple(int(one) for one in new.index),
                vertex_indices=((),),
            )
        finally:
            self._busy = False


def _update_note(layer: Points, entries: Mapping[str, object]) -> None:
    """Set entries of this plugin in the metadata of a layer; None removes one."""
    merged = {**layers.note_of(layer), **entries}
    layer.metadata[layers.KEY] = {key: value for key, value in merged.items() if value is not None}


def _joined(kept: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Return features below each other; a column that one of them lacks holds there what is unknown of a particle."""
    columns = list(dict.fromkeys([*kept, *new]))
    parts = []
    for part in (kept, new):
        unknown = layers.added_by_hand(pd.concat([kept, new]))
        lacking: dict[str, float | NDArray[np.float64]] = {
            name: value for name, value in unknown.items() if name not in part
        }
        if BY_HAND in lacking:
            lacking[BY_HAND] = AS_FOUND
        if "particle" in lacking:
            lacking["particle"] = unknown["particle"] + np.arange(float(len(part)))
        parts.append(part.assign(**lacking).reindex(columns=columns))
    return pd.concat([part for part in parts if len(part)] or parts[:1], ignore_index=True)


def _same(one: _Rows, other: _Rows) -> bool:
    return np.array_equal(one.index, other.index) and np.array_equal(one.data, other.data)
