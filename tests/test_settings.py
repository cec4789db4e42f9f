"""Settings: what is allowed, and that every face of them says the same."""

import inspect
import math
from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Annotated, Literal, get_args, get_origin, get_type_hints

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import napari_colloids as nc
from napari_colloids import ColloidsError, Options, Parameters
from napari_colloids.detection import METHODS
from napari_colloids.detection.options import OptionChanges
from napari_colloids.dynamics.link_settings import LinkChanges, LinkSettings, Timing
from napari_colloids.dynamics.relaxation_settings import RelaxationChanges, RelaxationSettings
from napari_colloids.settings import PLACEHOLDER, Setting, changed, check_settings, settings_of, takes_settings
from napari_colloids.simulation import ARRANGEMENTS
from napari_colloids.simulation.parameters import ParameterChanges
from napari_colloids.structure import topological_clusters
from napari_colloids.structure.settings import (
    MeasurementChanges,
    MeasurementSettings,
    StructureChanges,
    StructureSettings,
)
from napari_colloids.structure.tcc_settings import TccChanges, TccSettings


@dataclass(frozen=True)
class Group:
    """One setting of every kind."""

    flag: Annotated[bool, Setting(label="Flag", help="A flag.")] = False
    count: Annotated[int, Setting(label="Count", help="A count.", low=1, high=9)] = 1
    width: Annotated[float, Setting(label="Width", help="A width.", unit="px", low=0, high=50)] = 1.0
    limit: Annotated[float | None, Setting(label="Limit", help="A limit.", low=0)] = None
    angle: Annotated[float, Setting(label="Angle", help="An angle.")] = 0.0
    shape: Annotated[tuple[int, int, int], Setting(label="Shape", help="A shape.", low=1, high=64)] = (1, 2, 3)
    sigma: Annotated[tuple[float, float], Setting(label="Sigma", help="Widths.", low=0, high=5)] = (1.0, 1.0)
    kind: Annotated[Literal["a", "b"], Setting(label="Kind", help="A kind.", choices={"a": "A", "b": "B"})] = "a"
    bits: Annotated[int, Setting(label="Bits", help="Bits.", choices={8: "8", 16: "16"})] = 8
    name: Annotated[str, Setting(label="Name", help="A name.")] = ""
    file: Annotated[Path | str | None, Setting(label="File", help="A file.")] = None
    other: int = 0

    def __post_init__(self) -> None:
        check_settings(self)


ALLOWED = [
    ("flag", [True, np.True_, np.False_]),
    ("count", [1, 9, np.int64(3), np.uint8(4)]),
    ("width", [0, 50, 1.5, np.float32(2), np.int16(3)]),
    ("limit", [None, 0, 1e300, np.float64(3)]),
    ("angle", [-1e300, 1e300, 0]),
    ("shape", [(1, 1, 64), [4, 5, 6], np.array([4, 5, 6]), (np.int8(1), 2, 3)]),
    ("sigma", [(0, 5), [1.5, 2], np.array([1.5, 2.0], np.float32)]),
    ("kind", ["a", "b", np.str_("b")]),
    ("bits", [8, 16, np.int64(16)]),
    ("name", ["", "anything"]),
    ("file", [None, "a.tif", Path("a.tif")]),
]
REFUSED = [
    ("flag", [None, "yes", 2, np.array([True]), []]),
    ("count", [None, 0, 10, 1.5, 2.0, "3", math.nan, True, np.float64(3), [3]]),
    ("width", [None, -0.1, 50.1, math.nan, math.inf, 10**400, "1", 1j, True, np.array([1.0]), np.array(1.0)]),
    ("limit", [-1, math.nan, math.inf, "none"]),
    ("angle", [math.nan, -math.inf, -(10**400), None]),
    ("shape", [None, 4, "abc", b"abc", (1, 2), (1, 2, 3, 4), (1, 2, 3.0), (0, 1, 1), (1, 1, 65), {1, 2, 3}]),
    ("shape", [np.ones((3, 3), int), np.array([1.0, 2, 3]), (n for n in (1, 2, 3)), (True, 1, 1), {1: 1, 2: 2, 3: 3}]),
    ("sigma", [(1, math.nan), (math.inf, 1), (-1, 1), (1, "2"), np.array([1, 6])]),
    ("kind", [None, "c", 1, ["a"], np.array(["a", "b"])]),
    ("bits", [12, "8", None, [8]]),
    ("name", [None, 5]),
    ("file", [5, ["a.tif"]]),
]


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in ALLOWED for value in values])
def test_values_of_every_kind(name, value):
    assert getattr(Group(**{name: value}), name) is value


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in REFUSED for value in values])
def test_wrong_values_of_every_kind(name, value):
    with pytest.raises(ColloidsError, match=name):
        Group(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("width", 60, "width must lie between 0 and 50 px, not 60."),
        ("width", "wide", "width must be a number, not 'wide'."),
        ("limit", -1, "limit must be at least 0, not -1."),
        ("angle", math.nan, "angle must be finite, not nan."),
        ("count", 2.5, "count must be a whole number, not 2.5."),
        ("shape", 4, "shape must be 3 whole numbers, not 4."),
        ("kind", "c", "There is no kind 'c'; choose one of a, b."),
        ("file", 5, "file must be a path or a text, not 5."),
    ],
)
def test_messages_say_what_is_allowed(name, value, message):
    with pytest.raises(ColloidsError) as caught:
        Group(**{name: value})
    assert str(caught.value) == message


def test_changes():
    assert changed(Group(), {"width": 3, "other": 5}, "setting") == Group(width=3, other=5)
    with pytest.raises(ColloidsError, match="There is no setting depth, height"):
        changed(Group(), {"height": 1, "depth": 2}, "setting")
    with pytest.raises(ColloidsError, match="width must lie"):
        changed(Group(), {"width": -3}, "setting")


def test_settings_of_a_group_keep_their_order_and_leave_other_fields_out():
    assert list(settings_of(Group)) == [one.name for one in fields(Group)][:-1]
    limit = settings_of(Group)["limit"]
    assert (limit.optional, limit.value_types, limit.default) == (True, (float,), None)


def test_a_function_shows_settings_in_its_signature_and_docstring():
    @takes_settings(Group, but=["name"])
    def function(image, /, *, name="image", **changes):
        """Do it.

        Parameters
        ----------
        {settings}
        """
        return image, name, changes

    parameters = inspect.signature(function).parameters
    assert list(parameters) == ["image", "name", *(name for name in settings_of(Group) if name != "name")]
    assert parameters["limit"].annotation == "float | None"
    assert parameters["shape"].default == (1, 2, 3)
    assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in settings_of(Group))
    documented = inspect.getdoc(function)
    assert PLACEHOLDER not in documented
    assert "width : float, default 1.0\n    A width. Unit: px. It must lie between 0 and 50." in documented
    assert "kind : Literal['a', 'b'], default 'a'\n    A kind. One of ``a``, ``b``." in documented
    assert function(1, width=2.0) == (1, "image", {"width": 2.0})


GROUPS = [
    *(Options, Parameters, LinkSettings, Timing, RelaxationSettings),
    *(StructureSettings, MeasurementSettings, TccSettings),
]
SETTINGS = [
    pytest.param(one, id=f"{group.__name__}.{one.name}") for group in GROUPS for one in settings_of(group).values()
]
NUMBERS = [
    pytest.param(group, one, id=f"{group.__name__}.{one.name}")
    for group in GROUPS
    for one in settings_of(group).values()
    if {float, int} & set(one.value_types) and not one.setting.choices
]


@pytest.mark.parametrize("group", GROUPS)
def test_every_field_is_a_setting(group):
    assert list(settings_of(group)) == [one.name for one in fields(group)]


@pytest.mark.parametrize("one", SETTINGS)
def test_every_setting_is_described(one):
    assert one.setting.label
    assert one.setting.help.endswith(".")
    assert not one.setting.more or one.setting.more.endswith(".")
    assert one.setting.group
    one.check(one.default)


@pytest.mark.parametrize("one", SETTINGS)
def test_choices_are_those_of_the_type(one):
    if one.setting.choices:
        assert one.default in one.setting.choices
        assert all(one.setting.choices.values())
    for kind in one.value_types:
        if get_origin(kind) is Literal:
            assert set(get_args(kind)) == set(one.setting.choices)


@pytest.mark.parametrize(
    ("group", "changes"),
    [
        (Options, OptionChanges),
        (Parameters, ParameterChanges),
        (LinkSettings, LinkChanges),
        (RelaxationSettings, RelaxationChanges),
        (StructureSettings, StructureChanges),
        (MeasurementSettings, MeasurementChanges),
        (TccSettings, TccChanges),
    ],
)
def test_typed_keywords_are_the_fields_with_their_types(group, changes):
    assert get_type_hints(changes) == {name: one.type for name, one in settings_of(group).items()}
    assert not changes.__required_keys__


@pytest.mark.parametrize(
    ("function", "group"),
    [
        (nc.detect, Options),
        (nc.detect_series, Options),
        (nc.simulate, Parameters),
        (nc.simulate_brownian, Parameters),
        (nc.link, LinkSettings),
        (nc.relaxation, RelaxationSettings),
        (nc.local_structure, StructureSettings),
        (nc.measure_structure, MeasurementSettings),
        (topological_clusters, TccSettings),
    ],
)
def test_functions_list_every_setting(function, group):
    parameters = inspect.signature(function).parameters
    documentation = inspect.getdoc(function)
    for name, one in settings_of(group).items():
        assert parameters[name].default == one.default
        assert f"\n{name} : {parameters[name].annotation}, default {one.default!r}\n    {one.setting.help[:40]}" in (
            documentation
        )


def test_methods_and_arrangements_are_the_choices():
    assert {name: method.label for name, method in METHODS.items()} == settings_of(Options)["method"].setting.choices
    assert set(ARRANGEMENTS) == set(settings_of(Parameters)["arrangement"].setting.choices)


@pytest.mark.parametrize(("group", "one"), NUMBERS)
@given(data=st.data())
def test_numbers_within_the_bounds_and_no_others(group, one, data):
    low, high = one.setting.low, one.setting.high
    if float in one.value_types:
        inside = st.floats(low, high, allow_nan=False, allow_infinity=False)
        outside = st.floats().filter(lambda number: not low <= number <= high)
    else:
        inside = st.integers(math.ceil(low), None if high == math.inf else math.floor(high))
        outside = st.integers().filter(lambda number: not low <= number <= high)
    one.check(data.draw(inside))
    if (low, high) != (-math.inf, math.inf):
        with pytest.raises(ColloidsError, match=f"{one.name} must"):
            one.check(data.draw(outside))


@pytest.mark.parametrize(("group", "one"), NUMBERS)
def test_none_is_allowed_where_the_type_has_it(group, one):
    assert (NoneType in get_args(get_type_hints(group)[one.name])) == one.optional
    if not one.optional:
        with pytest.raises(ColloidsError, match=f"{one.name} must be"):
            group(**{one.name: None})
