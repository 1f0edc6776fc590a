from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.graph.sections import reduced_axes
from onnx2snn.passes.normalize_pool import NormalizePool
from tests.helpers import feeds, parse, rewrite

CONSTANTS = {
    "bound": np.full((2, 3), 0.25, np.float32),
    "row": np.full(3, 0.25, np.float32),
    "half": np.float32(0.5),
    "ones": np.ones((2, 3), np.int64),
}


def normalize(rng, text):
    model = parse(text, **CONSTANTS)
    result = rewrite(NormalizePool(), model, feeds(rng, model))
    assert result.error == 0
    return result


def node(result, op):
    (found,) = [node for node in result.graph.nodes if node.op == op]
    return found


@pytest.mark.parametrize("shape", ["2,3", "2,3,2,2", "2"])
@pytest.mark.parametrize("count", [2, 3])
def test_a_maximum_of_branches_is_reduced_over_a_new_axis(rng, shape, count):
    names = "abc"[:count]
    branches = "r = Relu(x) a = Neg(r) b = Add(r, r) c = Sub(a, half) "
    result = normalize(
        rng, f"(float[{shape}] x) => (float[] y) {{ {branches} m = Max({', '.join(names)}) y = Relu(m) }}"
    )
    assert result.changed
    assert result.ops.count("Unsqueeze") == count
    axis = shape.count(",") + 1
    assert node(result, "Concat").attrs == {"axis": axis}
    assert reduced_axes(node(result, "ReduceMax")) == [axis]
    assert node(result, "ReduceMax").attrs == {"keepdims": 0}
    assert node(result, "ReduceMax").name == "m"


def test_a_branch_may_be_constant(rng):
    result = normalize(rng, "(float[2,3] x) => (float[] y) { r = Relu(x) m = Max(bound, r) y = Relu(m) }")
    assert result.changed
    assert result.ops == ["Relu", "Unsqueeze", "Concat", "ReduceMax", "Relu"]


def test_a_branch_may_come_twice_and_may_be_the_input(rng):
    result = normalize(rng, "(float[2,3] x) => (float[] y) { r = Relu(x) m = Max(r, x, r) y = Relu(m) }")
    assert result.changed
    assert "Max" not in result.ops


def test_a_maximum_that_is_an_output_too_keeps_its_value(rng):
    result = normalize(
        rng, "(float[2,3] x) => (float[] y, float[] m) { r = Relu(x) n = Neg(r) m = Max(r, n) y = Relu(m) }"
    )
    assert result.changed
    assert "Max" not in result.ops


@pytest.mark.parametrize(
    ("size", "axes"),
    [("N,3,H,W", [2, 3]), ("N,3,L", [2]), ("N,3,4,W", [2, 3]), ("N,3,D,H,W", [2, 3, 4])],
)
def test_global_pooling_of_unknown_size_reduces_the_spatial_axes(rng, size, axes):
    result = normalize(
        rng, f"(float[{size}] x) => (float[] y) {{ r = Relu(x) m = GlobalMaxPool(r) y = Relu(m) }}"
    )
    assert result.changed
    assert result.ops == ["Relu", "ReduceMax", "Relu"]
    assert reduced_axes(node(result, "ReduceMax")) == axes
    assert node(result, "ReduceMax").attrs == {"keepdims": 1}


@pytest.mark.parametrize(
    "text",
    [
        # branches that broadcast, or whose shapes may
        "(float[2,3] x) => (float[] y) { r = Relu(x) m = Max(r, row) y = Relu(m) }",
        "(float[2,3] x) => (float[] y) { r = Relu(x) m = Max(r, half) y = Relu(m) }",
        "(float[2,3] x, float[2,1] z) => (float[] y) { r = Relu(x) s = Relu(z) m = Max(r, s) y = Relu(m) }",
        "(float[2,3] x, float[2,M] z) => (float[] y) { r = Relu(x) s = Relu(z) m = Max(r, s) y = Relu(m) }",
        # before the first neuron, and after the last
        "(float[2,3] x) => (float[] y) { n = Neg(x) m = Max(x, n) y = Relu(m) }",
        "(float[2,3] x) => (float[] y) { r = Relu(x) n = Neg(r) y = Max(r, n) }",
        "(float[N,3,H,W] x) => (float[] y) { m = GlobalMaxPool(x) y = Relu(m) }",
        "(float[N,3,H,W] x) => (float[] y) { n = Neg(x) m = GlobalMaxPool(n) r = Relu(x) y = Add(r, m) }",
        # already what it should be, or nothing to choose from
        "(float[N,3,4,5] x) => (float[] y) { r = Relu(x) m = GlobalMaxPool(r) y = Relu(m) }",
        "(float[2,3] x) => (float[] y) { r = Relu(x) m = Max(r) y = Relu(m) }",
        "(float[2,3] x) => (float[] y) { r = Relu(x) m = Min(r, bound) y = Relu(m) }",
        "(float[2,3] x) => (float[] y) { r = Relu(x) i = Cast<to=7>(r) j = Max(i, ones) m = Cast<to=1>(j) "
        "y = Relu(m) }",
    ],
)
def test_keeps(rng, text):
    model = parse(text, **CONSTANTS)
    values = feeds(rng, model, batch=2)
    values |= {"z": values["z"][:, :1]} if "z" in values else {}
    result = rewrite(NormalizePool(), model, values)
    assert not result.changed
    assert result.error == 0
    assert not result.notes
