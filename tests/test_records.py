"""Records: written as JSON and read from it again, field for field, with other records inside."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from onnx2snn.records import Count, Record, RecordError, Share


@dataclass(frozen=True)
class Leaf(Record):
    name: str
    size: int = 3


@dataclass(frozen=True)
class Tree(Record):
    leaf: Leaf
    leaves: list[Leaf]
    by_name: dict[str, Leaf]
    deep: dict[str, list[Leaf]]
    counts: dict[str, int]
    needed: int | None
    spare: Leaf | None = None
    share: float | None = 0.5
    words: list[str] = field(default_factory=list)


TREE = Tree(
    Leaf("a"), [Leaf("b", 1), Leaf("c")], {"d": Leaf("d")}, {"e": [Leaf("e", 0)]}, {"one": 1}, None, Leaf("f")
)
WRITTEN = {
    "leaf": {"name": "a", "size": 3},
    "leaves": [{"name": "b", "size": 1}, {"name": "c", "size": 3}],
    "by_name": {"d": {"name": "d", "size": 3}},
    "deep": {"e": [{"name": "e", "size": 0}]},
    "counts": {"one": 1},
    "needed": None,
    "spare": {"name": "f", "size": 3},
    "share": 0.5,
    "words": [],
}


def test_it_is_written_in_the_order_of_its_fields():
    assert TREE.to_dict() == WRITTEN
    assert list(TREE.to_dict()) == list(WRITTEN)


def test_it_is_read_as_it_was_written():
    found = Tree.from_dict(json.loads(json.dumps(TREE.to_dict())))
    assert found == TREE
    assert isinstance(found.deep["e"][0], Leaf)
    assert isinstance(found.spare, Leaf)


def test_what_is_none_by_default_is_left_out_and_what_has_no_default_is_not():
    tree = Tree(Leaf("a"), [], {}, {}, {}, None, None, None)
    written = tree.to_dict()
    assert "spare" not in written
    assert written["needed"] is None
    assert Tree.from_dict({**written, "spare": None, "share": None}) == tree


def test_tuples_are_written_as_lists():
    @dataclass(frozen=True)
    class Pair(Record):
        values: tuple[float, ...]
        leaves: tuple[Leaf, ...]

    assert Pair((1.0, 2.0), (Leaf("a"),)).to_dict() == {
        "values": [1.0, 2.0],
        "leaves": [{"name": "a", "size": 3}],
    }


def test_what_it_does_not_know_is_left_out_and_what_it_needs_is_missed():
    assert Leaf.from_dict({"name": "a", "colour": "green"}) == Leaf("a")
    with pytest.raises(RecordError, match=r"^name: expected a value, found none$"):
        Leaf.from_dict({"size": 3})


@dataclass(frozen=True)
class Figures(Record):
    share: Share = 0.5
    count: Count = 0
    pair: tuple[float, float] = (0.0, 0.0)
    many: tuple[float, ...] = ()
    mode: Literal["fast", "slow"] = "fast"
    sure: bool = False
    label: int | str | None = None
    options: dict[str, Any] = field(default_factory=dict)


def test_figures_keep_their_types():
    written = {"share": 1, "count": 3, "pair": [1, 2.5], "many": [0.5], "mode": "slow", "label": "auto"}
    assert Figures.from_dict(written) == Figures(1, 3, (1, 2.5), (0.5,), "slow", label="auto")
    assert Figures.from_dict({"label": 7, "options": {"a": [1, {"b": None}]}}).label == 7


NESTED = [[[[[[[[[1]]]]]]]]]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"share": 1.5}, "share: expected a finite number, from 0 to 1, found 1.5"),
        ({"share": "1"}, "share: expected a finite number, found '1'"),
        ({"share": True}, "share: expected a finite number, found True"),
        ({"share": float("nan")}, "share: expected a finite number, found nan"),
        ({"pair": [1e300, 0]}, "pair: expected a number that float32 holds, found 1e+300"),
        ({"count": -1}, "count: expected a whole number, at least 0, found -1"),
        ({"count": 1.0}, "count: expected a whole number, found 1.0"),
        ({"count": 10**30}, "count: expected a whole number of at most 2^53, found a larger one"),
        ({"pair": [1]}, "pair: expected 2 values, found [1]"),
        ({"pair": 3}, "pair: expected a list, found 3"),
        ({"many": [1, None]}, "many[1]: expected a finite number, found none"),
        ({"mode": "odd"}, "mode: expected one of fast, slow, found 'odd'"),
        ({"mode": ["fast"]}, "mode: expected one of fast, slow, found ['fast']"),
        ({"sure": 1}, "sure: expected true or false, found 1"),
        ({"label": [1]}, "label: expected a text, found [1]"),
        ({"options": 1}, "options: expected names with values, found 1"),
        ({"options": {"a": NESTED}}, "options.a: expected values at most 8 deep, found deeper ones"),
        (
            {"options": {"a": [-(10**30)]}},
            "options.a: expected a whole number of at most 2^53, found a larger one",
        ),
        ({"options": {"a": float("inf")}}, "options.a: expected a finite number, found inf"),
        ([], "expected names with values, found []"),
        ({"mode": "x" * 99}, f"mode: expected one of fast, slow, found '{'x' * 39}…"),
    ],
)
def test_values_that_a_field_cannot_take_are_named(values, said):
    with pytest.raises(RecordError) as caught:
        Figures.from_dict(values)
    assert str(caught.value) == said


def test_inner_records_say_where_they_stand():
    with pytest.raises(RecordError, match=r"^deep\.e\[1\]\.size: expected a whole number, found 'b'$"):
        Tree.from_dict(WRITTEN | {"deep": {"e": [{"name": "a"}, {"name": "a", "size": "b"}]}})
    with pytest.raises(RecordError, match=r"^leaf: expected names with values, found 3$"):
        Tree.from_dict(WRITTEN | {"leaf": 3})
