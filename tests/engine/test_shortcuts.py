"""Shortcuts as convolutions in blocks: which there are, and that they pick the same values."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from onnx2snn.engine.blocked import BLOCKED_DOMAIN
from onnx2snn.engine.engines import _block_size
from onnx2snn.engine.shortcuts import convolve_shortcuts
from tests.helpers import parse, run

SLICE = "s = Slice(x, start, end, space, by)"
HALVED = {
    "start": np.int64([0, 0]),
    "end": np.int64([6, 9]),
    "space": np.int64([2, 3]),
    "by": np.int64([2, 3]),
}
MORE = np.int64([0, 16, 0, 0, 0, 32, 0, 0])
#: What lies between x and y, its constants, and the strides of the convolution.
CONVOLVED = {
    "zeros alone": ("y = Pad(x, more)", {}, [1, 1]),
    "zeros behind alone": ("y = Pad(x, more)", {"more": np.int64([0, 0, 0, 0, 0, 16, 0, 0])}, [1, 1]),
    "a mode that says so": ('y = Pad<mode="constant">(x, more)', {}, [1, 1]),
    "a zero that says so": ("y = Pad(x, more, nil)", {"nil": np.float32(0)}, [1, 1]),
    "pixels and zeros": (f"{SLICE} y = Pad(s, more)", HALVED, [2, 3]),
    "past the end": (f"{SLICE} y = Pad(s, more)", HALVED | {"end": np.int64([99, 10])}, [2, 3]),
    "one axis": (
        f"{SLICE} y = Pad(s, more)",
        {"start": np.int64([0]), "end": np.int64([9]), "space": np.int64([3]), "by": np.int64([4])},
        [1, 4],
    ),
    "one axis after the other": (
        "s = Slice(x, nil, six, high, two) t = Slice(s, nil, nine, wide, three) y = Pad(t, more)",
        {
            name: np.int64([value])
            for name, value in {
                "nil": 0,
                "six": 6,
                "nine": 9,
                "high": 2,
                "wide": 3,
                "two": 2,
                "three": 3,
            }.items()
        },
        [2, 3],
    ),
    "first zeros, then pixels": ("p = Pad(x, more) y = Slice(p, start, end, space, by)", HALVED, [1, 1]),
}
KEPT = {
    "pixels of zeros": ("y = Pad(x, more)", {"more": np.int64([0, 16, 1, 0, 0, 16, 1, 0])}),
    "samples of zeros": ("y = Pad(x, more)", {"more": np.int64([1, 16, 0, 0, 0, 16, 0, 0])}),
    "fewer channels": ("y = Pad(x, more)", {"more": np.int64([0, -8, 0, 0, 0, 8, 0, 0])}),
    "ones": ("y = Pad(x, more, one)", {"one": np.float32(1)}),
    "edges": ('y = Pad<mode="edge">(x, more)', {}),
    "axes of its own": (
        "y = Pad(x, few, nil, axis)",
        {"few": np.int64([16, 16]), "nil": np.float32(0), "axis": np.int64([1])},
    ),
    "channels that fill no block": ("y = Pad(x, more)", {"more": np.int64([0, 1, 0, 0, 0, 0, 0, 0])}),
}


def convolved(body, constants, block, dims=(2, 16, 6, 9)):
    """The model before and after."""
    constants = {"more": MORE} | constants
    read = {name: value for name, value in constants.items() if f" {name}" in body or f"({name}" in body}
    model = parse(f"(float[{','.join(map(str, dims))}] x) => (float[] y) {{ {body} }}", **read)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    model.opset_import.append(helper.make_opsetid(BLOCKED_DOMAIN, 1))
    changed = type(model)()
    changed.CopyFrom(model)
    known = {"x": list(dims), "s": [dims[0], dims[1], -(-dims[2] // 2), dims[3]]}
    convolve_shortcuts(changed.graph, known, block)
    return model, changed


@pytest.mark.parametrize("name", CONVOLVED)
def test_it_picks_the_same_values(name, rng):
    body, constants, strides = CONVOLVED[name]
    model, changed = convolved(body, constants, _block_size(), (2, 16, 6, 9))
    (found,) = [node for node in changed.graph.node if node.op_type == "Conv"]
    assert {item.name: helper.get_attribute_value(item) for item in found.attribute} == {
        "kernel_shape": [1, 1],
        "strides": strides,
    }
    assert "Pad" not in [node.op_type for node in changed.graph.node]
    x = {"x": rng.standard_normal((2, 16, 6, 9)).astype(np.float32)}
    (expected,), (values,) = run(model, x), run(changed, x)
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("name", KEPT)
def test_what_does_more_stays(name):
    model, changed = convolved(*KEPT[name], 8)
    assert changed == model


@pytest.mark.parametrize("place", [0, 2, 3, 4, 6, 7])
def test_any_other_axis_that_is_padded(place):
    pads = [0, 8, 0, 0, 0, 8, 0, 0]
    pads[place] = 1
    model, changed = convolved("y = Pad(x, more)", {"more": np.int64(pads)}, 8)
    assert changed == model


@pytest.mark.parametrize("text", ["(float[2,16,6,9] x, int64[8] more)", "(float[2,16,6] x)"])
def test_pads_that_are_not_known_or_of_fewer_axes(text):
    known = {} if "more" in text else {"more": np.int64([0, 8, 0, 0, 8, 0])}
    model = parse(f"{text} => (float[] y) {{ y = Pad(x, more) }}", **known)
    before = model.SerializeToString(deterministic=True)
    convolve_shortcuts(model.graph, {"x": [2, 16, 6, 9]}, 8)
    assert model.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize(
    ("channels", "added", "block", "becomes"),
    [
        (16, 16, 16, True),
        (64, 16, 16, True),
        (64, 1, 1, True),
        (65, 1, 1, False),
        (80, 16, 16, False),
        (24, 8, 16, False),
        (16, 8, 16, False),
        (24, 8, 8, True),
    ],
)
def test_few_channels_in_whole_blocks(channels, added, block, becomes):
    more = {"more": np.int64([0, added, 0, 0, 0, 0, 0, 0])}
    _, changed = convolved("y = Pad(x, more)", more, block, (1, channels, 2, 2))
    assert (changed.graph.node[0].op_type == "ReorderInput") == becomes


@pytest.mark.parametrize(
    "constants",
    [
        HALVED | {"start": np.int64([1, 0])},
        HALVED | {"end": np.int64([5, 9])},
        HALVED | {"space": np.int64([1, 3])},
        HALVED | {"start": np.int64([-1, 0]), "end": np.int64([-99, 9]), "by": np.int64([-1, 1])},
    ],
)
def test_other_slices_stay_before_the_convolution(constants):
    _, changed = convolved(f"{SLICE} y = Pad(s, more)", constants, 8)
    strides = {item.name: list(item.ints) for node in changed.graph.node for item in node.attribute}[
        "strides"
    ]
    assert [node.op_type for node in changed.graph.node] == ["Slice", "ReorderInput", "Conv", "ReorderOutput"]
    assert changed.graph.node[1].input[0] == "s"
    assert strides == [1, 1]


@pytest.mark.parametrize("before", ["Neg(x)", "Slice(x, start, end, space)", "Slice(x, start, end)"])
def test_what_else_stands_before_stays(before):
    _, changed = convolved(f"s = {before} y = Pad(s, more)", HALVED, 8)
    kept = before.split("(")[0]
    assert [node.op_type for node in changed.graph.node] == [kept, "ReorderInput", "Conv", "ReorderOutput"]


def test_a_slice_that_others_read_stays():
    body = f"{SLICE} z = Neg(s) p = Pad(s, more) y = Concat<axis=1>(p, z)"
    _, changed = convolved(body, HALVED, 8)
    assert [node.op_type for node in changed.graph.node][:2] == ["Slice", "Neg"]
    assert next(node for node in changed.graph.node if node.op_type == "ReorderInput").input[0] == "s"


def test_a_slice_that_is_an_output_stays():
    model, _ = convolved(f"{SLICE} y = Pad(s, more)", HALVED, 8)
    model.graph.output.append(helper.make_empty_tensor_value_info("s"))
    convolve_shortcuts(model.graph, {"x": [2, 16, 6, 9], "s": [2, 16, 3, 3]}, 8)
    assert [node.op_type for node in model.graph.node] == ["Slice", "ReorderInput", "Conv", "ReorderOutput"]


@pytest.mark.parametrize("dims", [{}, {"x": [2, None, 6, 9]}, {"x": [2, 16, 6]}])
def test_of_unknown_shape_nothing_changes(dims):
    model, _ = convolved("y = Pad(x, more)", {}, 8)
    before = model.SerializeToString(deterministic=True)
    convolve_shortcuts(model.graph, dims, 8)
    assert model.SerializeToString(deterministic=True) == before
