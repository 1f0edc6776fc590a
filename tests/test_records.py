"""Records: written as JSON and read from it again, field for field, with other records inside."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest

from onnx2snn.records import Record


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
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'name'"):
        Leaf.from_dict({"size": 3})
