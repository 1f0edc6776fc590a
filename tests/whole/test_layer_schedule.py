"""The schedule `layer`: its flat graph sends the spikes that T explicit timesteps of every layer would."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import onnx2snn
from benchmarks.topologies import example_feeds, load
from onnx2snn.emit.layer import emit_layer
from onnx2snn.emit.metadata import add_metadata
from onnx2snn.engine.engines import OnnxruntimeEngine
from onnx2snn.passes import replace_relu
from onnx2snn.runtime.explicit import simulate
from tests.helpers import feeds, graph_of, normal, parse, relative_error, run
from tests.layered import DRAWN, STEPS, constants, net, run_both

#: How close to a tie float32 may decide either way.
TIE = 1e-5
#: Sums of few float32 terms, once timestep by timestep and once all at once.
TOLERANCE = 1e-5


#: A convolution with a bias: sums of a few spikes alone would often be ties.
BEHIND = "u{i} = Conv<pads=[1,1,1,1]>({a}, w33, channel) {y} = Relu(u{i})"


def layered(model: onnx.ModelProto, data: np.ndarray, **options) -> onnx.ModelProto:
    return onnx2snn.compile(
        model, data, schedule="layer", correct_bias=False, **{"code": "burst", **options}
    ).model


def code_options(code: str, max_spikes: int) -> dict[str, object]:
    return {"code": code} if code == "radix" else {"code": code, "max_spikes": max_spikes}


# --- the flat graph is the simulation ---------------------------------------------------------------------


@pytest.mark.parametrize("step", STEPS)
def test_one_step_spikes_as_in_explicit_timesteps(step, rng):
    model = net([(step, 1, 0), (BEHIND, 2, 0)], 1, constants(rng))
    calibration, x = (rng.standard_normal((count, 4, 4, 4)).astype(np.float32) for count in (16, 4))
    for code, timesteps in (("burst", 3), ("radix", 5)):
        twins = run_both(layered(model, calibration, timesteps=timesteps, code=code), x, TIE)
        free = ~np.any(list(twins.near_ties.values()), axis=0)
        assert free.any()
        twins.spikes_agree(free)
        twins.outputs_agree(free, TOLERANCE)
        assert any(sent.any() for sent in twins.flat.spikes.values())


def test_any_net_spikes_as_in_explicit_timesteps():
    """All samples but those in which some neuron is so near a tie that float32 decides it."""
    compared: list[bool] = []

    @settings(deadline=None, max_examples=30)
    @given(max_spikes=st.sampled_from([1, 2, 4]), **DRAWN)
    def compare(steps, given_out, timesteps, code, max_spikes, seed):
        rng = np.random.default_rng(seed)
        model = net(steps, given_out, constants(rng))
        calibration, x = (rng.standard_normal((count, 4, 4, 4)).astype(np.float32) for count in (16, 4))
        options = code_options(code, max_spikes)
        twins = run_both(layered(model, calibration, timesteps=timesteps, **options), x, TIE)
        free = ~np.any(list(twins.near_ties.values()), axis=0)
        twins.spikes_agree(free)
        twins.outputs_agree(free, TOLERANCE)
        compared.extend(free)

    compare()
    assert np.mean(compared) > 0.8
    assert len(compared) > 100


#: Multiples of 1/4 that add up without rounding, whatever the order, as long as T is a power of two.
DYADIC = """(float[N,4,4,4] x) => (float[N,3] y, float[N,4,4,4] s) {
    h = Conv<pads=[1,1,1,1]>(x, w1, b1) r = Relu(h)
    m = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1]>(r)
    a = AveragePool<kernel_shape=[2,2], strides=[2,2]>(m)
    u = Resize<mode="nearest">(a, , twice) p = PRelu(u, slopes)
    c = Conv<pads=[1,1,1,1]>(p, w2, b2) s = Add(c, h) q = PRelu(s, slopes)
    k = Concat<axis=1>(q, r) d = Conv<strides=[2,2]>(k, w3, b3) z = Relu(d)
    f = Flatten(z) y = Gemm(f, w4, b4)
}"""


@pytest.mark.parametrize(("code", "max_spikes"), [("burst", 1), ("burst", 4), ("radix", 1)])
@pytest.mark.parametrize(("timesteps", "theta"), [(2, 0.125), (8, 0.5)])
def test_dyadic_numbers_spike_exactly_the_same(rng, monkeypatch, code, max_spikes, timesteps, theta):
    """No rounding, so no sample is let off, and there are ties."""
    shapes = {"w1": (4, 4, 3, 3), "b1": (4,), "w2": (4, 4, 3, 3), "b2": (4,), "w3": (4, 8, 2, 2)}
    shapes |= {"b3": (4,), "w4": (16, 3), "b4": (3,)}
    weights = {name: np.round(2 * w) / 4 for name, w in normal(rng, **shapes).items()}
    weights |= {
        "twice": np.float32([1, 1, 2, 2]),
        "slopes": np.float32([0.5, -0.25, 2, 0]).reshape(4, 1, 1),
    }
    x = rng.integers(-4, 5, (12, 4, 4, 4)).astype(np.float32) / 4
    options = code_options(code, max_spikes)
    monkeypatch.setattr(
        replace_relu,
        "choose_ranges",
        lambda histogram, _, transfer, __: np.full(histogram.channels, theta * transfer.steps),
    )
    model = layered(parse(DYADIC, **weights), x, timesteps=timesteps, **options)
    twins = run_both(model, x, TIE)
    everything = np.ones(len(x), bool)
    twins.spikes_agree(everything)
    twins.outputs_agree(everything, 0)
    assert all(sent.any() for sent in twins.flat.spikes.values())
    assert any(near.any() for near in twins.near_ties.values())
    assert (twins.flat.spikes["q"] < 0).any()


# --- literal values ---------------------------------------------------------------------------------------


def artifact(text: str, timesteps: int, **weights) -> onnx.ModelProto:
    """A net whose neurons are written by hand."""
    model = emit_layer(graph_of(parse(text, **weights)))
    add_metadata(model, {"options": {"timesteps": timesteps}})
    return model


@pytest.mark.parametrize(
    ("code", "levels", "train"), [("burst", 12, [4, 1, 0]), ("radix", 7, [1, 0, 1])], ids=["burst", "radix"]
)
def test_a_bias_enters_as_a_share_a_timestep(code, levels, train):
    """β' = β/T + (1 - 1/T)·γμ/σ for a BatchNormalization that stands alone (Datta et al. 2023)."""
    gamma, beta, mean, var = 2.0, 0.75, -3.0, 4.0
    model = artifact(
        f"""(float[N,1] x) => (float[N,1] y) {{
            r = onnx2snn.AccumulateFire<levels={levels}, code="{code}", potential=0.5>(x, theta)
            n = BatchNormalization<epsilon=0.0>(r, gamma, beta, mean, var)
            y = onnx2snn.AccumulateFire<levels=100, code="burst", potential=0.5>(n, theta) }}""",
        3,
        theta=np.float32([0.5]),
        **{
            name: np.float32([value])
            for name, value in {"gamma": gamma, "beta": beta, "mean": mean, "var": var}.items()
        },
    )
    session = onnx2snn.SpikingSession(model, backend="numpy")
    x = np.float32([[2.5]])
    assert session.run(x, record=True).spikes["r"][:, 0, 0].tolist() == train
    weight = [4, 2, 1] if code == "radix" else [1, 1, 1]
    sent = [0.5 * w * s for w, s in zip(weight, train, strict=True)]
    deviation = np.sqrt(var)
    share = beta / 3 + (1 - 1 / 3) * gamma * mean / deviation
    current = sum(gamma * (value - mean) / deviation + share for value in sent)
    found = simulate(session.artifact, {"x": x})
    assert found.currents["y"].item() == pytest.approx(current, rel=1e-6)
    # The whole of it is the BatchNormalization of the sum.
    assert current == pytest.approx(gamma * (2.5 - mean) / deviation + beta, rel=1e-12)


def test_explicit_timesteps_of_a_linear_layer():
    """W·x_t + b/T, seen one timestep at a time through a net of T = 1, 2 and 4."""
    text = """(float[N,1] x) => (float[N,1] y) {
        r = onnx2snn.AccumulateFire<levels=8, code="burst", potential=0.5>(x, theta) y = Gemm(r, w, b) }"""
    weights = {"theta": np.float32([0.25]), "w": np.float32([[3]]), "b": np.float32([0.5])}
    for timesteps in (1, 2, 4):
        session = onnx2snn.SpikingSession(artifact(text, timesteps, **weights), backend="numpy")
        result = session.run(np.float32([[0.8], [-1]]), record=True)
        assert result.spikes["r"].sum(axis=0).tolist() == [[3], [0]]
        assert result.outputs["y"].tolist() == [[2.75], [0.5]]


def test_what_is_infinite_waits_until_it_is_finite():
    """Log(0) in the first timesteps adds nothing; the sum is that of the whole."""
    text = """(float[N,1] x, float[N,1] z) => (float[N,1] y, bool[N,1] b) {
        r = onnx2snn.AccumulateFire<levels=3, code="radix", potential=0.5>(x, theta)
        l = Log(r) b = Greater(r, z)
        y = onnx2snn.AccumulateFire<levels=3, code="radix", potential=0.5>(l, half) }"""
    model = artifact(text, 2, theta=np.float32([1]), half=np.float32([0.5]))
    x = {"x": np.float32([[1], [3], [0]]), "z": np.float32([[1], [1], [-1]])}
    found = [onnx2snn.SpikingSession(model, backend=name).run(x) for name in ("onnxruntime", "numpy")]
    for result in found:
        assert result.outputs["y"].tolist() == [[0], [1], [0]]
        assert result.outputs["b"].tolist() == [[False], [True], [True]]
        assert result.outputs["b"].dtype == np.bool_


# --- other types and nets ---------------------------------------------------------------------------------

SMALL = """({kind}[N,2,4,4] x) => ({kind}[N,3] y) {{
    h = Conv<pads=[1,1,1,1]>(x, w1, b1) r = Relu(h) m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r)
    c = Conv(m, w2) q = LeakyRelu<alpha=0.25>(c) n = BatchNormalization(q, gamma, beta, mean, var)
    s = Add(n, m) z = Relu(s) f = Flatten(z) y = Gemm(f, w3, b3)
}}"""


DENSE = """({kind}[N,4] x) => ({kind}[N,3] y) {{
    h = Gemm(x, w1, b1) r = Relu(h) n = BatchNormalization(r, gamma, beta, mean, var)
    s = Add(n, h) q = Relu(s) c = Gemm(q, w2) z = Relu(c) y = Gemm(z, w3, b3)
}}"""
SHAPES = {"w1": (4, 2, 3, 3), "b1": (4,), "w2": (4, 4, 1, 1), "w3": (16, 3), "b3": (3,)}
DENSE_SHAPES = {"w1": (4, 4), "b1": (4,), "w2": (4, 4), "w3": (4, 3), "b3": (3,)}
NORM = dict.fromkeys(("gamma", "beta", "mean"), (4,))


@pytest.mark.parametrize("code", ["burst", "radix"])
@pytest.mark.parametrize(
    ("kind", "dtype", "timesteps", "margin", "tolerance"),
    [
        ("double", np.float64, 6, 1e-9, 1e-9),
        # Up to 4 levels, of which float16 with its 11 bits loses a few thousandths at every operator.
        ("float16", np.float16, 2, 1e-2, 2e-3),
    ],
    ids=["double", "float16"],
)
def test_other_float_types(rng, code, kind, dtype, timesteps, margin, tolerance):
    weights = {name: (w / 2).astype(dtype) for name, w in normal(rng, **DENSE_SHAPES, **NORM).items()}
    model = parse(DENSE.format(kind=kind), **weights, var=rng.uniform(0.5, 2, 4).astype(dtype))
    x = feeds(rng, model, 48)["x"].astype(dtype)
    compiled = layered(model, x, timesteps=timesteps, **code_options(code, 2))
    onnx.checker.check_model(compiled, full_check=True)
    twins = run_both(compiled, x, margin)
    free = ~np.any(list(twins.near_ties.values()), axis=0)
    assert free.mean() > 0.5
    assert {found.dtype for found in twins.flat.outputs.values()} == {np.dtype(dtype)}
    recorded = onnx2snn.SpikingSession(compiled, backend="numpy").run(x, record=True)
    for name, sent in twins.explicit.spikes.items():
        np.testing.assert_array_equal(recorded.spikes[name], sent)
    np.testing.assert_array_equal(recorded.outputs["y"], twins.explicit.outputs["y"])
    twins.spikes_agree(free)
    twins.outputs_agree(free, tolerance)


@pytest.mark.parametrize("code", ["burst", "radix"])
def test_a_float16_net_comes_close(rng, code):
    weights = {name: (w / 4).astype(np.float16) for name, w in normal(rng, **SHAPES, **NORM).items()}
    weights["var"] = rng.uniform(0.5, 2, 4).astype(np.float16)
    model = parse(SMALL.format(kind="float16"), **weights)
    x = feeds(rng, model, 48)["x"].astype(np.float16)
    compiled = layered(model, x, timesteps=7, **code_options(code, 16))
    onnx.checker.check_model(compiled, full_check=True)
    expected = run(model, {"x": x})
    for backend in ("onnxruntime", "numpy"):
        found = onnx2snn.SpikingSession(compiled, backend=backend).run(x, record=True).outputs["y"]
        assert found.dtype == np.float16
        assert relative_error([found], expected) < 0.03


@pytest.mark.parametrize("name", ["mobilenet_v2.dynamo", "unet.script", "yolo.dynamo", "vit_relu.script"])
def test_real_topologies(name):
    model = load(name)
    compiled = layered(model, example_feeds(model, 32, seed=1), timesteps=32, max_spikes=4)
    assert "Loop" not in {node.op_type for node in compiled.graph.node}
    x = example_feeds(model, 4, seed=2)
    wanted, found = OnnxruntimeEngine(model).run(x), OnnxruntimeEngine(compiled).run(x)
    for output, expected in wanted.items():
        gap = np.linalg.norm(found[output].astype(float) - expected)
        assert gap < 0.05 * np.linalg.norm(expected.astype(float)), output
        # Not because it is a constant: what differs from sample to sample is there, too.
        turns = [values - np.roll(values, 1, axis=0) for values in (found[output], expected)]
        assert np.linalg.norm(turns[0] - turns[1]) < 0.3 * np.linalg.norm(turns[1]), output


def test_more_bits_come_closer(rng):
    weights = normal(rng, **SHAPES, **NORM) | {"var": rng.uniform(0.5, 2, 4).astype(np.float32)}
    model = parse(SMALL.format(kind="float"), **weights)
    x = feeds(rng, model, 32)["x"]
    expected = run(model, {"x": x})
    errors = []
    for bits in (2, 6, 12, 16):
        compiled = layered(model, x, threshold="max", code="radix", timesteps=bits)
        errors.append(relative_error(run(compiled, {"x": x}), expected))
    assert errors[0] > 4 * errors[1] > 16 * errors[2]
    assert errors[-1] < 1e-4
