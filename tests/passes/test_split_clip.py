from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.graph.rectifiers import rectifier
from onnx2snn.passes.split_clip import SplitClip
from tests.helpers import parse, rewrite

CONSTANTS = {
    "zero": np.float32(0),
    "low": np.float32(-1.5),
    "below": np.float32(-0.25),
    "half": np.float32(0.5),
    "half1": np.float32([0.5]),
    "plane": np.float32([[[0.5]]]),
    "row": np.float32([0.5, 1, 2]),
    "two": np.float32(2),
    "low1": np.float32([-1.5]),
    "inf": np.float32(np.inf),
    "big": np.finfo(np.float32).max,
    "w": np.eye(3, dtype=np.float32)[::-1],
}

# Multiples of 1/4 around all the bounds: no sum or difference rounds.
X = np.arange(-30, 30, dtype=np.float32).reshape(20, 3) / 4


def split(
    body, inputs="float[N,3] x", before="a = MatMul(x, w)", after="y = MatMul(c, w)", outputs="float[] y"
):
    model = parse(f"({inputs}) => ({outputs}) {{ {before} {body} {after} }}", **CONSTANTS)
    values = {item.name: X if item.name == "x" else np.asarray(1, np.float32) for item in model.graph.input}
    result = rewrite(SplitClip(), model, values)
    assert result.error == 0
    return result


def ceilings(result):
    return [kind.ceiling for kind in map(rectifier, result.graph.nodes) if kind is not None]


@pytest.mark.parametrize(
    ("body", "ops", "expected"),
    [
        ("c = Clip(a, low, two)", ["Clip", "Neg", "Clip", "Sub"], [2, 1.5]),
        ("c = Clip(a, low1, two)", ["Clip", "Neg", "Clip", "Sub"], [2, 1.5]),
        ("c = Clip(a, low, inf)", ["Relu", "Neg", "Clip", "Sub"], [np.inf, 1.5]),
        ("c = Clip(a, low)", ["Relu", "Neg", "Clip", "Sub"], [np.inf, 1.5]),
        ("c = Clip(a, , two)", ["Clip", "Neg", "Relu", "Sub"], [2, np.inf]),
    ],
)
def test_around_zero_becomes_a_difference(body, ops, expected):
    result = split(body)
    assert result.changed
    assert sorted(result.ops) == sorted(["MatMul", *ops, "MatMul"])
    assert sorted(ceilings(result)) == sorted(expected)
    names = [node.name for node in result.graph.nodes if rectifier(node) is not None]
    assert sorted(names) == ["c", "c/negative"]


@pytest.mark.parametrize(
    ("body", "op", "arithmetic", "ceiling"),
    [
        ("c = Clip(a, half, two)", "Clip", ["Sub", "Add"], 1.5),
        ("c = Clip(a, half1, two)", "Clip", ["Sub", "Add"], 1.5),
        ("c = Clip(a, half)", "Relu", ["Sub", "Add"], np.inf),
        ("c = Clip(a, half, big)", "Relu", ["Sub", "Add"], np.inf),
        ("c = Clip(a, low, below)", "Clip", ["Sub", "Sub"], 1.25),
        ("c = Clip(a, low, zero)", "Clip", ["Sub", "Sub"], 1.5),
        ("c = Clip(a, , below)", "Relu", ["Sub", "Sub"], np.inf),
    ],
)
def test_on_one_side_of_zero_becomes_one_rectifier(body, op, arithmetic, ceiling):
    result = split(body)
    assert result.changed
    assert result.ops == ["MatMul", arithmetic[0], op, arithmetic[1], "MatMul"]
    assert ceilings(result) == [ceiling]
    assert [node.name for node in result.graph.nodes if rectifier(node) is not None] == ["c"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("c = Max(a, half)", [np.inf]),
        ("c = Max(half1, a)", [np.inf]),
        ("c = Max(a, low)", [1.5, np.inf]),
        ("c = Min(a, two)", [2, np.inf]),
        ("c = Min(two, a)", [2, np.inf]),
        ("c = Min(a, low)", [np.inf]),
        ("c = Min(a, zero)", [np.inf]),
    ],
)
def test_a_maximum_or_minimum_with_a_number_has_one_infinite_bound(body, expected):
    result = split(body)
    assert result.changed
    assert not {"Max", "Min"} & set(result.ops)
    assert sorted(ceilings(result)) == expected


@pytest.mark.parametrize("after", ["m = Neg(c) y = MatMul(m, w)", "m = Relu(c) n = Neg(m) y = MatMul(n, w)"])
def test_weights_may_follow_later(after):
    result = split("c = Clip(a, half, two)", after=after)
    assert result.changed
    assert 1.5 in ceilings(result)


def test_one_that_is_an_output_too_keeps_its_value():
    result = split("c = Clip(a, low, two)", outputs="float[] y, float[] c")
    assert result.changed
    assert sorted(ceilings(result)) == [1.5, 2]


@pytest.mark.parametrize(
    ("body", "arguments"),
    [
        ("c = Clip(a, low, two)", {"after": "y = Neg(c)"}),
        ("c = Clip(a, half)", {"after": "m = MatMul(a, w) y = Add(c, m)"}),
        ("c = Clip(x, low, two)", {"before": ""}),
        ("c = Max(x, half)", {"before": ""}),
        ("c = Clip(a, zero, two)", {}),
        ("c = Clip(a, zero)", {}),
        ("c = Clip(a)", {}),
        ("c = Clip(a, , inf)", {}),
        ("c = Max(a, row)", {}),
        ("c = Max(a, plane)", {}),
        ("c = Max(a, half, low)", {}),
        ("c = Max(a, x)", {}),
        ("c = Min(a)", {}),
        ("c = Clip(a, low, top)", {"inputs": "float[N,3] x, float top"}),
        ("c = Max(a, top)", {"inputs": "float[N,3] x, float top"}),
        ("i = Cast<to=6>(a) j = Clip(i, one, three) c = Cast<to=1>(j)", {}),
    ],
)
def test_keeps(body, arguments, monkeypatch):
    monkeypatch.setitem(CONSTANTS, "one", np.int32(1))
    monkeypatch.setitem(CONSTANTS, "three", np.int32(3))
    result = split(body, **arguments)
    assert not result.changed
    assert not result.notes


@pytest.mark.parametrize("bounds", ["half, low", "low, low", "half, half", "two, half"])
def test_a_clip_of_crossed_or_equal_bounds_keeps_its_value(bounds):
    split(f"c = Clip(a, {bounds})")


@pytest.mark.parametrize(("element", "dtype"), [("float16", np.float16), ("double", np.float64)])
def test_bounds_have_the_type_of_the_net(element, dtype):
    constants = {name: value.astype(dtype) for name, value in CONSTANTS.items() if name != "big"}
    model = parse(
        f"""({element}[N,3] x) => ({element}[] y) {{
            a = MatMul(x, w) c = Clip(a, low, two) y = MatMul(c, w) }}""",
        **constants,
    )
    result = rewrite(SplitClip(), model, {"x": X.astype(dtype)})
    assert result.changed
    assert result.error == 0
