"""Graded spikes in nets of many kinds: every multiplication behind the first layer is fed by spikes."""

from __future__ import annotations

from itertools import cycle

import numpy as np
import pytest

import onnx2snn
from benchmarks.topologies import FIXTURES, example_feeds, load
from onnx2snn import SpikingSession
from onnx2snn.report.tables import macs_line
from tests.helpers import normal, parse, relative_error, run

IMAGE = "(float[N,3,8,8] x) => (float[N,5] y)"
TOKENS = "(float[N,6,8] x) => (float[N,6,5] y)"
#: Exports that compile in seconds; of one of two exporters where both give the same operators.
QUICK = (
    "convnext.s",
    "deeplab.d",
    "googlenet.s",
    "keras_functional.t",
    "pointnet.d",
    "prelu",
    "tf_cnn",
    "unet.s",
)
QUICK += ("shufflenet_v2.d", "vgg_bn.s", "vit", "yolo.d")
POOL = "g = GlobalAveragePool(z) f = Flatten(g) y = Gemm(f, o)"
#: Blocks of the nets whose names they have, with inputs and outputs, and the shapes of their weights.
BLOCKS = {
    "MobileNetV2": (
        IMAGE,
        f"""a = Conv<pads=[1,1,1,1]>(x, w) r = Clip(a, zero, six) b = Conv(r, u) d = Conv(b, v)
        e = Clip(d, zero, six) h = Conv<group=8, pads=[1,1,1,1]>(e, dw) i = Clip(h, zero, six) k = Conv(i, t)
        z = Add(b, k) {POOL}""",
        {
            "w": (8, 3, 3, 3),
            "u": (4, 8, 1, 1),
            "v": (8, 4, 1, 1),
            "dw": (8, 1, 3, 3),
            "t": (4, 8, 1, 1),
            "o": (4, 5),
        },
    ),
    "MobileNetV3, HardSwish of many nodes": (
        IMAGE,
        f"""a = Conv<pads=[1,1,1,1]>(x, w) p = Add(a, three) c = Clip(p, zero, six) m = Mul(a, c)
        r = Div(m, six) z = Conv(r, u) {POOL}""",
        {"w": (8, 3, 3, 3), "u": (4, 8, 1, 1), "o": (4, 5)},
    ),
    "EfficientNet": (
        IMAGE,
        f"""a = Conv<pads=[1,1,1,1]>(x, w) s = Sigmoid(a) r = Mul(a, s)
        h = Conv<group=8, pads=[1,1,1,1]>(r, dw) k = Sigmoid(h) i = Mul(h, k)
        q = GlobalAveragePool(i) l = Conv(q, u) m = Sigmoid(l) n = Mul(l, m)
        p = Conv(n, v) e = Sigmoid(p) b = Mul(e, i) z = Conv(b, t) {POOL}""",
        {
            "w": (8, 3, 3, 3),
            "dw": (8, 1, 3, 3),
            "u": (2, 8, 1, 1),
            "v": (8, 2, 1, 1),
            "t": (4, 8, 1, 1),
            "o": (4, 5),
        },
    ),
    "YOLO": (
        IMAGE,
        f"""a = Conv<pads=[1,1,1,1]>(x, w) s = Sigmoid(a) r = Mul(a, s) l, m = Split<axis=1, num_outputs=2>(r)
        b = Conv<pads=[1,1,1,1]>(m, u) t = Sigmoid(b) q = Mul(b, t) h = Add(m, q) c = Concat<axis=1>(l, m, h)
        p = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(c) e = Concat<axis=1>(c, p) z = Conv(e, v) {POOL}""",
        {"w": (8, 3, 3, 3), "u": (4, 4, 3, 3), "v": (4, 24, 1, 1), "o": (4, 5)},
    ),
    "ConvNeXt": (
        IMAGE,
        f"""a = Conv<strides=[2,2]>(x, w) b = Conv<group=8, pads=[1,1,1,1]>(a, dw)
        c = Transpose<perm=[0,2,3,1]>(b) n = LayerNormalization(c, scale, shift) d = MatMul(n, up) e = Gelu(d)
        h = MatMul(e, down) i = Mul(h, scale) j = Transpose<perm=[0,3,1,2]>(i) z = Add(a, j) {POOL}""",
        {
            "w": (8, 3, 2, 2),
            "dw": (8, 1, 3, 3),
            "scale": (8,),
            "shift": (8,),
            "up": (8, 16),
            "down": (16, 8),
            "o": (8, 5),
        },
    ),
    "ViT": (
        TOKENS,
        """a = MatMul(x, w) n = LayerNormalization(a, scale, shift) q = MatMul(n, u) k = MatMul(n, v)
        e = MatMul(n, t) l = Transpose<perm=[0,2,1]>(k) b = MatMul(q, l) c = Mul(b, tenth) s = Softmax(c)
        h = MatMul(s, e) i = MatMul(h, p) j = Add(a, i) m = LayerNormalization(j, scale, shift)
        d = MatMul(m, up) z = Div(d, root) r = Erf(z) g = Add(r, one) pq = Mul(d, g) hh = Mul(pq, half)
        o1 = MatMul(hh, down) o2 = Add(j, o1) y = MatMul(o2, o)""",
        {
            **dict.fromkeys("wuvtp", (8, 8)),
            "scale": (8,),
            "shift": (8,),
            "up": (8, 16),
            "down": (16, 8),
            "o": (8, 5),
        },
    ),
    "policy of Tanh": (
        "(float[N,8] x) => (float[N,5] y)",
        "a = MatMul(x, w) r = Tanh(a) b = MatMul(r, u) s = Tanh(b) y = MatMul(s, o)",
        {"w": (8, 16), "u": (16, 16), "o": (16, 5)},
    ),
    "policy of ELU": (
        "(float[N,8] x) => (float[N,5] y)",
        "a = MatMul(x, w) r = Elu(a) b = MatMul(r, u) s = Elu(b) y = MatMul(s, o)",
        {"w": (8, 16), "u": (16, 16), "o": (16, 5)},
    ),
}
NUMBERS = {"zero": 0, "three": 3, "six": 6, "one": 1, "half": 0.5, "tenth": 0.1, "root": np.sqrt(2)}


def block(name, rng):
    """The net, with weights that keep values about as large as they are, and samples."""
    header, body, shapes = BLOCKS[name]
    weights = {}
    for key, value in normal(rng, **shapes).items():
        meets = {1: 1, 2: len(value), 4: value[0].size}[value.ndim]
        weights[key] = np.float32(value / np.sqrt(meets))
    numbers = {
        key: np.float32(value) for key, value in NUMBERS.items() if f"{key})" in body or f"{key}," in body
    }
    model = parse(f"{header} {{ {body} }}", **numbers, **weights)
    sizes = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim][1:]
    return model, rng.standard_normal((48, *sizes)).astype(np.float32)


@pytest.mark.parametrize("schedule", ["stream", "layer"])
@pytest.mark.parametrize("name", BLOCKS)
def test_behind_the_first_layer_spikes_feed_every_multiplication(name, schedule, rng):
    model, x = block(name, rng)
    options = {"timesteps": 3, "correct_bias": False, "schedule": schedule, "code": "graded"}
    compiled = onnx2snn.compile(model, x, **options)
    macs = compiled.report.macs
    assert macs.not_fed == 0
    assert macs.per_sample == macs.first + macs.fed_by_spikes
    assert macs_line(macs).endswith("; 100.0 % of those behind the first layer")
    session = SpikingSession(compiled.model)
    assert session.uncounted == ()
    (found,) = session.run_counted(x[:2], [3])
    weighted = {node.output[0] for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")}
    work = session.work_per_sample(x[:2])
    assert (work.analog_macs, work.head_macs) == (0, 0)
    assert weighted - found.synaptic_operations.keys() <= {"a"}
    assert all(count.all() for count in found.synaptic_operations.values())


@pytest.mark.parametrize("schedule", ["stream", "layer"])
@pytest.mark.parametrize("backend", ["onnxruntime", "numpy"])
def test_neurons_behind_a_trained_quantiser_send_its_levels(backend, schedule, rng):
    text = """(float[N,4] x) => (float[N,3] y, float[N,6] m) { h = Gemm(x, v) d = Div(h, step) f = Round(d)
        c = Clip(f, low, high) m = Mul(c, step) y = Gemm(m, w) }"""
    numbers = {"low": np.float32(0), "high": np.float32(7), "step": np.float32(0.25)}
    model = parse(text, **normal(rng, v=(4, 6), w=(6, 3)), **numbers)
    x = rng.normal(size=(32, 4)).astype(np.float32)
    options = {"code": "graded", "schedule": schedule, "timesteps": 12, "exponents": 12}
    found = SpikingSession(onnx2snn.compile(model, x, **options).model, backend).run(x).outputs
    y, levels = run(model, {"x": x})
    assert relative_error([found["m"], found["y"]], [levels, y]) < 0.005


@pytest.mark.parametrize("schedule", ["stream", "layer"])
@pytest.mark.parametrize("name", BLOCKS)
def test_the_error_falls_with_the_number_of_sizes(name, schedule, rng):
    model, x = block(name, rng)
    expected, errors = run(model, {"x": x[:8]}), []
    for exponents in (4, 8, 12):
        options = {"timesteps": 8, "schedule": schedule, "exponents": exponents, "threshold": "max"}
        compiled = onnx2snn.compile(model, x, code="graded", correct_bias=False, **options)
        errors.append(relative_error([SpikingSession(compiled.model).run(x[:8]).outputs["y"]], expected))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.005


@pytest.mark.parametrize(
    ("name", "schedule"),
    [*zip((name for name in FIXTURES if name.startswith(QUICK)), cycle(["stream", "layer"]), strict=False)],
)
def test_exported_nets_compile_and_are_counted(name, schedule):
    """Schedules take turns: the blocks above have both."""
    model = load(name)
    data = example_feeds(model, 16, seed=1)
    options = {"timesteps": 2, "schedule": schedule, "code": "graded", "correct_bias": False}
    compiled = onnx2snn.compile(model, data, **options)
    session = SpikingSession(compiled.model)
    assert session.uncounted == ()
    assert compiled.report.macs.not_fed in (0, None)  # None where the model leaves sizes open
    (found,) = session.run_counted({key: value[:2] for key, value in data.items()}, [2])
    assert sum(count.sum() for count in found.synaptic_operations.values()) > 0


@pytest.mark.parametrize(
    "name", ["convnext.script", "keras_functional.torch", "unet.dynamo", "vit_gelu.script"]
)
def test_exported_nets_come_as_close_as_their_sizes_reach(name):
    model = load(name)
    x = example_feeds(model, 4, seed=2)
    expected, errors = run(model, x), []
    data = example_feeds(model, 16, seed=1)
    for exponents in (4, 8, 12):
        options = {"timesteps": 8, "schedule": "layer", "code": "graded", "exponents": exponents}
        compiled = onnx2snn.compile(model, data, correct_bias=False, threshold="max", **options)
        found = SpikingSession(compiled.model).run(x).outputs
        pairs = zip([item.name for item in model.graph.output], expected, strict=True)
        errors.append(max(np.linalg.norm(found[key] - ann) / np.linalg.norm(ann) for key, ann in pairs))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.005
