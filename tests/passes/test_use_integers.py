"""int8 weights: layers of integers, which spike bit for bit as T explicit timesteps in NumPy do."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from onnx import numpy_helper

import onnx2snn
from onnx2snn.errors import OptionError
from onnx2snn.runtime.session import SpikingSession
from tests.helpers import normal, parse, relative_error, run
from tests.layered import DRAWN, constants, net, run_both

#: How close to a tie float32 may decide either way, in the few layers that compute in floats.
TIE = 1e-4

#: name → nodes behind the neuron r [N,4,6,6]; how many QLinearConv and MatMulInteger they become
CHAINS: dict[str, tuple[str, int, int]] = {
    "chain": ("c = Conv<pads=[1,1,1,1]>(r, w, b) s = Relu(c) d = Conv(s, w, b) z = Relu(d)", 2, 0),
    "depthwise": ("c = Conv<pads=[1,1,1,1], group=4>(r, deep, b) z = Relu(c)", 1, 0),
    "strided": ("c = Conv<strides=[2,2], pads=[1,0,0,1], dilations=[2,1]>(r, w, b) z = Relu(c)", 1, 0),
    "no bias": ("c = Conv(r, w) z = Relu(c)", 1, 0),
    "pooled": ("m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r) c = Conv(m, one, b) z = Relu(c)", 1, 0),
    "averaged": ("m = AveragePool<kernel_shape=[2,2]>(r) c = Conv(m, w, b) z = Relu(c)", 0, 0),
    "padded": ("p = Pad(r, around) c = Conv(p, w, b) z = Relu(c)", 1, 0),
    "residual": ("c = Conv<pads=[1,1,1,1]>(r, w, b) a = Add(c, r) z = Relu(a)", 1, 0),
    "residual on the left": ("c = Conv<pads=[1,1,1,1]>(r, w, b) a = Add(r, c) z = Relu(a)", 1, 0),
    "constant summand": ("c = Conv<pads=[1,1,1,1]>(r, w, b) a = Add(c, place) z = Relu(a)", 1, 0),
    "padded, read twice": (
        "p = Pad(r, around) c = Conv(p, w, b) d = Conv(p, w2, b) a = Add(c, d) z = Relu(a)",
        0,
        0,
    ),
    "padded, pooled": (
        "p = Pad(r, around) m = AveragePool<kernel_shape=[2,2]>(p) c = Conv(m, w, b) z = Relu(c)",
        0,
        0,
    ),
    "two summands": ("c = Conv(r, w, b) d = Conv(r, w2, b) a = Add(c, d) z = Relu(a)", 0, 0),
    "BatchNormalization": (
        "n = BatchNormalization(r, gamma, beta, mean, var) c = Conv<pads=[1,1,1,1]>(n, w, b) z = Relu(c)",
        1,
        0,
    ),
    "products": ("f = Flatten(r) g = Gemm<transB=1>(f, rows, b) s = Relu(g) z = MatMul(s, square)", 0, 2),
    "scaled product": ("f = Flatten(r) g = Gemm<alpha=0.5, beta=2.0>(f, columns, b) z = Relu(g)", 0, 1),
    "product at the end": ("f = Flatten(r) z = Gemm<alpha=-0.5, beta=2.0>(f, columns, b)", 0, 1),
    "scalar bias": ("f = Flatten(r) g = Gemm(f, columns, half) z = Relu(g)", 0, 1),
    "product of rows": ("m = MatMul(r, six) z = Relu(m)", 0, 0),
    "read along two axes": (
        "s = Sigmoid(r) c = Conv<pads=[1,1,1,1]>(s, w, b) v = MatMul(s, six) a = Add(c, v) z = Relu(a)",
        0,
        0,
    ),
}


def weights(rng: np.random.Generator) -> dict[str, np.ndarray]:
    drawn = normal(rng, w=(4, 4, 3, 3), w2=(4, 4, 3, 3), one=(4, 4, 1, 1), deep=(4, 1, 3, 3), b=(4,))
    drawn |= normal(
        rng, rows=(4, 144), columns=(144, 4), square=(4, 4), place=(4, 6, 6), w1=(4, 3, 3, 3), six=(6, 6)
    )
    drawn |= normal(rng, gamma=(4,), beta=(4,), mean=(4,))
    return drawn | {
        "var": rng.uniform(0.5, 2, 4).astype(np.float32),
        "half": np.float32(0.5),
        "around": np.int64([0, 0, 1, 0, 0, 0, 0, 1]),
    }


def chain(nodes: str, rng: np.random.Generator) -> onnx.ModelProto:
    text = f"(float[N,3,6,6] x) => (float[N,k] y) {{ h = Conv<pads=[1,1,1,1]>(x, w1, b) r = Relu(h) {nodes} "
    return _parse(text + "y = Flatten(z) }", weights(rng))


def _parse(text: str, values: dict[str, np.ndarray]) -> onnx.ModelProto:
    read = {name for node in parse(text).graph.node for name in node.input}
    return parse(text, **{name: value for name, value in values.items() if name in read})


def images(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.standard_normal((count, 3, 6, 6)).astype(np.float32)


def compiled(model: onnx.ModelProto, data: np.ndarray, **options) -> onnx.ModelProto:
    options = {"code": "radix", "timesteps": 4, "correct_bias": False} | options
    return onnx2snn.compile(model, data, schedule="layer", weights="int8", **options).model


def operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


# --- bit for bit ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["radix", "burst"])
@pytest.mark.parametrize("name", CHAINS)
def test_spikes_are_those_of_explicit_timesteps(name, code, rng):
    nodes, convolutions, products = CHAINS[name]
    model = compiled(chain(nodes, rng), images(rng, 32), code=code)
    assert operators(model).count("QLinearConv") == convolutions
    assert operators(model).count("MatMulInteger") == products
    assert "Sub" not in operators(model)  # the half of every neuron is in a bias
    twins = run_both(model, images(rng, 16), TIE)
    free = ~np.any(list(twins.near_ties.values()), axis=0)
    assert free.sum() > 12
    twins.spikes_agree(free)
    twins.outputs_agree(free, 1e-6)
    assert all(sent.any() for sent in twins.flat.spikes.values())


def test_any_net_spikes_as_in_explicit_timesteps():
    compared: list[bool] = []

    @settings(deadline=None, max_examples=30)
    @given(**DRAWN)
    def compare(steps, given_out, timesteps, code, seed):
        rng = np.random.default_rng(seed)
        model = net(steps, given_out, constants(rng))
        calibration, x = (rng.standard_normal((count, 4, 4, 4)).astype(np.float32) for count in (16, 4))
        twins = run_both(compiled(model, calibration, timesteps=timesteps, code=code), x, TIE)
        free = ~np.any(list(twins.near_ties.values()), axis=0)
        twins.spikes_agree(free)
        twins.outputs_agree(free, 1e-5)
        compared.extend(free)

    compare()
    assert np.mean(compared) > 0.5
    assert len(compared) > 100


# --- close to the network of floats -----------------------------------------------------------------------


@pytest.mark.parametrize("timesteps", [5, 7])
@pytest.mark.parametrize("name", CHAINS)
def test_rounding_weights_changes_hardly_more_than_a_level(name, timesteps, rng):
    """Of the network of floats: rounding to 8 bits, and to the steps in which residual layers add."""
    model, calibration, x = chain(CHAINS[name][0], rng), images(rng, 256), images(rng, 64)
    options = {"schedule": "layer", "code": "radix", "timesteps": timesteps, "correct_bias": False}
    floats = run(onnx2snn.compile(model, calibration, **options).model, {"x": x})
    found = run(compiled(model, calibration, timesteps=timesteps), {"x": x})
    assert relative_error(found, floats) < max(2 / (2**timesteps - 1), 0.03)


def test_a_summand_beyond_its_range_saturates_the_neuron_either_way(rng):
    """The layer's own result is much larger than what its 256 steps hold."""
    nodes = "c = Conv<pads=[1,1,1,1]>(r, w, b) a = Add(c, r) z = Relu(a)"
    model = chain(nodes, rng)
    large = {item.name: item for item in model.graph.initializer}["w"]
    large.CopyFrom(numpy_helper.from_array(40 * numpy_helper.to_array(large), "w"))
    made = compiled(model, images(rng, 64), threshold="percentile", percentile=30.0)
    twin = onnx2snn.compile(
        model, images(np.random.default_rng(5), 64), schedule="layer", code="radix", timesteps=4,
        correct_bias=False, threshold="percentile", percentile=30.0,
    ).model  # fmt: skip
    x = images(rng, 32)
    counts = [_counts(SpikingSession(item), x) for item in (made, twin)]
    assert (counts[0] == 15).mean() > 0.1
    assert (counts[0] == 0).mean() > 0.1
    assert (counts[0] == counts[1]).mean() > 0.7


def _counts(session: SpikingSession, x: np.ndarray) -> np.ndarray:
    last = list(session.run(x, record=True).spikes.values())[-1]
    return np.tensordot([8, 4, 2, 1], last, 1)


@pytest.mark.parametrize(("offset", "gain"), [(-1, 3), (-4, 4), (12, 4)])
def test_a_summand_that_never_is_zero_lets_the_other_reach_every_level(offset, gain, rng):
    nodes = "c = Conv<pads=[1,1,1,1]>(r, w) a = Add(c, place) z = Relu(a)"
    values = weights(rng) | {"place": np.float32(offset + 0.1 * rng.random((4, 6, 6)))}
    values["w"] = gain * values["w"]
    text = "(float[N,3,6,6] x) => (float[N,k] y) { h = Conv<pads=[1,1,1,1]>(x, w1, b) r = Relu(h) "
    model = _parse(text + nodes + " y = Flatten(z) }", values)
    options = {"granularity": "layer", "threshold": "percentile", "percentile": 90.0, "timesteps": 5}
    options |= {"schedule": "layer", "code": "radix", "correct_bias": False}
    x, data = images(rng, 32), images(rng, 64)
    made, twin = (onnx2snn.compile(model, data, weights=kind, **options).model for kind in ("int8", "float"))
    assert "QLinearConv" in operators(made)
    assert relative_error(run(made, {"x": x}), run(twin, {"x": x})) < 2.5 / 31


def test_one_large_bias_or_small_weights_leave_other_channels_as_they_are(rng):
    """The steps follow the weights of their own channel, in whatever unit these are."""
    for scale, largest in ((1.0, -1e6), (1e-6, 1e-6)):
        values = weights(rng)
        values |= {"columns": scale * values["columns"], "b": np.float32([largest, *scale * values["b"][1:]])}
        text = "(float[N,3,6,6] x) => (float[N,4] y) { h = Conv<pads=[1,1,1,1]>(x, w1) r = Relu(h) "
        model = _parse(text + "f = Flatten(r) y = Gemm(f, columns, b) }", values)
        x = images(rng, 32)
        found, expected = run(compiled(model, x, timesteps=6), {"x": x})[0], run(model, {"x": x})[0]
        assert relative_error([found[:, 1:]], [expected[:, 1:]]) < 0.03


def test_layers_in_one_and_three_dimensions(rng):
    for dims in (1, 3):
        size = ",".join("4" * dims)
        text = f"""(float[N,4,{size}] x) => (float[N,4,{size}] y) {{ h = Conv(x, o, b) r = Relu(h)
            c = Conv<pads={[1] * 2 * dims}>(r, w, b) s = Relu(c) d = Conv(s, o, b) y = Relu(d) }}"""
        shapes = {"w": (4, 4, *[3] * dims), "o": (4, 4, *[1] * dims), "b": (4,)}
        data = rng.standard_normal((16, 4, *[4] * dims)).astype(np.float32)
        model = compiled(parse(text, **normal(rng, **shapes)), data)
        assert operators(model).count("QLinearConv") == 1  # nothing rounds for a neuron that gives an output
        counted = [
            SpikingSession(model, backend=b).run_counted(data, [4])[0] for b in ("onnxruntime", "numpy")
        ]
        for name, expected in counted[0].spikes.items():
            np.testing.assert_array_equal(counted[1].spikes[name], expected)


def test_a_batch_of_fixed_size_is_enough_for_the_moments(rng):
    text = "(float[300,3] x) => (float[300,2] y) { h = Gemm(x, w1) r = Relu(h) y = Gemm(r, w2) }"
    model = parse(text, **normal(rng, w1=(3, 5), w2=(5, 2)))
    data = rng.standard_normal((640, 3)).astype(np.float32)
    assert operators(compiled(model, data)).count("MatMulInteger") == 1


def test_weights_use_int8_and_fewer_bits_where_two_products_would_overflow(rng):
    for timesteps, most in ((4, 127), (8, 64)):
        model = compiled(chain(CHAINS["chain"][0], rng), images(rng, 32), timesteps=timesteps)
        values = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
        whole = [values[node.input[3]] for node in model.graph.node if node.op_type == "QLinearConv"]
        assert all(weight.dtype == np.int8 for weight in whole)
        assert max(np.abs(weight.astype(int)).max() for weight in whole) == most


def test_a_trained_quantiser_computes_in_integers_as_well(rng):
    steps = {"q": np.float32(0.25), "zero": np.float32(0), "top": np.float32(15)}
    nodes = "d = Div(r, q) e = Round(d) f = Clip(e, zero, top) g = Mul(f, q) c = Conv(g, w, b) z = Relu(c)"
    text = f"(float[N,3,6,6] x) => (float[N,k] y) {{ r = Conv(x, w1, b) {nodes} y = Flatten(z) }}"
    model = _parse(text, weights(rng) | steps)
    x, data = images(rng, 16), images(rng, 64)
    made = compiled(model, data)
    assert operators(made).count("QLinearConv") == 1
    options = {"schedule": "layer", "code": "radix", "timesteps": 4, "correct_bias": False}
    twin = onnx2snn.compile(model, data, **options).model
    assert relative_error(run(made, {"x": x}), run(twin, {"x": x})) < 2 / 15


# --- counting and reporting -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["chain", "residual", "pooled", "products", "averaged"])
def test_counts_are_those_of_the_recorded_spikes(name, rng):
    model = chain(CHAINS[name][0], rng)
    session = SpikingSession(compiled(model, images(rng, 32)))
    x = images(rng, 4)
    spikes = session.run(x, record=True).spikes
    (checkpoint,) = session.run_counted(x, [4])
    assert not session.uncounted
    for neuron, sent in spikes.items():
        np.testing.assert_array_equal(checkpoint.spikes[neuron], sent.sum(axis=0).reshape(4, -1).sum(axis=1))
    twin = SpikingSession(
        onnx2snn.compile(model, x, schedule="layer", code="radix", timesteps=4, correct_bias=False).model
    )
    assert checkpoint.synaptic_operations.keys() == twin.run_counted(x, [4])[0].synaptic_operations.keys()
    assert session.macs_per_sample(x) == twin.macs_per_sample(x)


def test_the_report_says_which_layers_compute_in_integers(rng):
    model = chain(
        CHAINS["two summands"][0].replace("z = Relu(a)", "s = Relu(a) e = Conv(s, one, b) z = Relu(e)"), rng
    )
    for number, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{number}"
    report = onnx2snn.compile(
        model, images(rng, 16), schedule="layer", timesteps=2, weights="int8"
    ).report.to_dict()
    assert report["layers"] == {
        "Conv_2": "it is added to what has no known bounds",
        "Conv_3": "it is added to what has no known bounds",
        "Conv_6": "integer",
    }
    assert {neuron["op"] for neuron in report["neurons"].values()} == {"IntegerAccumulateFire"}


def test_same_input_same_bytes(rng):
    model, data = chain(CHAINS["residual"][0], rng), images(rng, 32)
    first, second = (compiled(model, data, correct_bias=True).SerializeToString() for _ in range(2))
    assert first == second


def test_other_float_types_are_refused(rng):
    model = parse(
        "(float16[N,4] x) => (float16[N,3] y) { h = Gemm(x, w1) r = Relu(h) y = Gemm(r, w2) }",
        **{name: value.astype(np.float16) for name, value in normal(rng, w1=(4, 6), w2=(6, 3)).items()},
    )
    with pytest.raises(OptionError, match=r"--weights: expected float for a net of float16, found int8"):
        compiled(model, rng.standard_normal((8, 4)).astype(np.float16))
