"""Sessions on artifacts of the schedule `layer`: what they count, and what they have not got."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import onnx2snn
from onnx2snn.artifact.synapses import make_counter
from tests.helpers import batchnorm, feeds, normal, parse

NET = """(float[N,2,7,6] x) => (float[N,3] y) {
    h = Conv<pads=[1,1,1,1]>(x, w1, b1) r = Relu(h)
    m = MaxPool<kernel_shape=[3,2], strides=[2,1], pads=[1,0,1,1]>(r)
    c = Conv<pads=[1,0,1,2], strides=[2,2]>(m, w2, b2) q = Relu(c)
    k = Conv<group=3, pads=[1,1,1,1]>(q, w3) l = PRelu(k, slopes) s = Add(l, q) z = Relu(s)
    f = Flatten(z) y = Gemm(f, w4)
}"""
SHAPES = {"w1": (4, 2, 3, 3), "b1": (4,), "w2": (3, 4, 3, 2), "b2": (3,), "w3": (3, 1, 3, 3)}
SHAPES |= {"slopes": (3, 1, 1), "w4": (24, 3)}
CODES = [{"code": "burst", "max_spikes": 3, "timesteps": 5}, {"code": "radix", "timesteps": 6}]


@pytest.fixture
def net(rng) -> onnx.ModelProto:
    return parse(NET, **normal(rng, **SHAPES))


def snn(model: onnx.ModelProto, rng: np.random.Generator, **options) -> onnx.ModelProto:
    data = {name: values.astype(_dtype(model)) for name, values in feeds(rng, model, 32).items()}
    return onnx2snn.compile(
        model, data, schedule="layer", correct_bias=False, **{"code": "burst", **options}
    ).model


def _dtype(model: onnx.ModelProto) -> np.dtype:
    return onnx.helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type)


def spikes_of(k: int, options: dict[str, object]) -> int:
    """How many spikes a neuron sends for its k."""
    return abs(k).bit_count() if options["code"] == "radix" else abs(k)


def levels_of(train: np.ndarray, options: dict[str, object]) -> np.ndarray:
    """k of every neuron from its spikes over time."""
    timesteps = len(train)
    worth = 2 ** np.arange(timesteps)[::-1] if options["code"] == "radix" else np.ones(timesteps, int)
    return np.tensordot(worth, train.astype(int), 1)


def pooled(counts: np.ndarray, kernel, strides, pads) -> np.ndarray:
    """The maximum over each window of [C, H, W], window by window."""
    padded = np.pad(counts, ((0, 0), (pads[0], pads[2]), (pads[1], pads[3])), constant_values=-1)
    rows = (padded.shape[1] - kernel[0]) // strides[0] + 1
    columns = (padded.shape[2] - kernel[1]) // strides[1] + 1
    result = np.empty((len(counts), rows, columns), int)
    for row in range(rows):
        for column in range(columns):
            top, left = row * strides[0], column * strides[1]
            window = padded[:, top : top + kernel[0], left : left + kernel[1]]
            result[:, row, column] = window.max(axis=(1, 2))
    return result


def arrivals(spikes: np.ndarray, outputs: int, kernel, strides, pads, group=1) -> int:
    """Spikes times the connections over which each arrives in a Conv, one connection at a time."""
    channels, height, width = spikes.shape
    rows = (height + pads[0] + pads[2] - kernel[0]) // strides[0] + 1
    columns = (width + pads[1] + pads[3] - kernel[1]) // strides[1] + 1
    total = 0
    for output in range(outputs):
        first = output // (outputs // group) * (channels // group)
        for i, j, k, m in np.ndindex(rows, columns, *kernel):
            row, column = i * strides[0] + k - pads[0], j * strides[1] + m - pads[1]
            if 0 <= row < height and 0 <= column < width:
                total += int(spikes[first : first + channels // group, row, column].sum())
    return total


@pytest.mark.parametrize("backend", ["onnxruntime", "numpy"])
@pytest.mark.parametrize("options", CODES, ids=["burst", "radix"])
def test_every_way_to_run_agrees(net, rng, backend, options):
    session = onnx2snn.SpikingSession(snn(net, rng, **options), backend=backend)
    timesteps = options["timesteps"]
    assert session.timesteps == timesteps
    assert session.neurons == ("r", "q", "l", "z")
    x = feeds(rng, net, 5)["x"]
    whole, recorded = session.run(x), session.run(x, record=True)
    (counted,) = session.run_counted(x, [timesteps])
    assert whole.timesteps == recorded.timesteps == counted.timesteps == timesteps
    assert not whole.spikes
    assert not whole.steps
    assert not recorded.steps
    for found in (recorded.outputs["y"], counted.outputs["y"]):
        np.testing.assert_allclose(found, whole.outputs["y"], rtol=1e-5, atol=1e-5)
    for name in session.neurons:
        train = recorded.spikes[name]
        assert train.shape[:2] == (timesteps, 5)
        sent = np.abs(train.astype(int)).sum(axis=0).reshape(5, -1).sum(axis=1)
        np.testing.assert_array_equal(counted.spikes[name], sent)
        assert sent.sum() > 0
        most = 1 if options["code"] == "radix" else options["max_spikes"]
        assert np.abs(train).max() <= most
    assert (recorded.spikes["l"] < 0).any()
    assert (recorded.spikes["l"] > 0).any()


@pytest.mark.parametrize("options", CODES, ids=["burst", "radix"])
def test_synaptic_operations_are_those_of_a_count_by_hand(net, rng, options):
    session = onnx2snn.SpikingSession(snn(net, rng, **options))
    x = feeds(rng, net, 3)["x"]
    (counted,) = session.run_counted(x, [options["timesteps"]])
    levels = {name: levels_of(train, options) for name, train in session.run(x, record=True).spikes.items()}
    popcount = np.vectorize(lambda k: spikes_of(int(k), options))
    found = counted.synaptic_operations
    assert set(found) == {"c", "k", "z", "y"}
    assert session.uncounted == ()
    for sample in range(3):
        r, q, l, z = (levels[name][sample] for name in session.neurons)  # noqa: E741
        through = popcount(pooled(r, (3, 2), (2, 1), (1, 0, 1, 1)))
        q, l, z = popcount(q), popcount(l), popcount(z)  # noqa: E741
        assert found["c"][sample] == arrivals(through, 3, (3, 2), (2, 2), (1, 0, 1, 2))
        assert found["k"][sample] == arrivals(q, 3, (3, 3), (1, 1), (1, 1, 1, 1), group=3)
        assert found["z"][sample] == l.sum() + q.sum()
        assert found["y"][sample] == 3 * z.sum()
    assert min(values.min() for values in found.values()) > 0
    # At both neurons and pools a bit is one spike, however much it is worth.
    assert counted.spikes["r"].tolist() == popcount(levels["r"]).sum(axis=(1, 2, 3)).tolist()


def test_macs_are_those_of_the_schedule_stream(net, rng):
    x = feeds(rng, net, 3)["x"]
    layer = onnx2snn.SpikingSession(snn(net, rng, timesteps=3)).macs_per_sample(x)
    stream = onnx2snn.compile(net, x, timesteps=3, correct_bias=False, code="burst").model
    assert layer == onnx2snn.SpikingSession(stream).macs_per_sample(x)
    assert layer[0] > layer[1] > 0


@pytest.mark.parametrize("options", CODES, ids=["burst", "radix"])
def test_counts_are_per_sample(net, rng, options):
    session = onnx2snn.SpikingSession(snn(net, rng, **options))
    x = feeds(rng, net, 4)["x"]
    (together,) = session.run_counted(x, [options["timesteps"]])
    for sample in range(4):
        (alone,) = session.run_counted(x[sample : sample + 1], [options["timesteps"]])
        for found, expected in (
            (alone.spikes, together.spikes),
            (alone.synaptic_operations, together.synaptic_operations),
        ):
            assert {k: v.tolist() for k, v in found.items()} == {k: [v[sample]] for k, v in expected.items()}


@pytest.mark.parametrize("options", CODES, ids=["burst", "radix"])
def test_a_pool_of_float16_spikes_is_counted(rng, options):
    """Its neuron computes in float32 between two Casts."""
    text = "h = Conv<pads=[1,1,1,1]>(x, w1) r = Relu(h) m = MaxPool<kernel_shape=[1,1]>(r) y = Conv(m, w2)"
    shapes = {"w1": (3, 2, 3, 3), "w2": (5, 3, 1, 1)}
    weights = {name: w.astype(np.float16) for name, w in normal(rng, **shapes).items()}
    model = parse(f"(float16[N,2,4,4] x) => (float16[N,5,4,4] y) {{ {text} }}", **weights)
    data = feeds(rng, model, 8)["x"].astype(np.float16)
    session = onnx2snn.SpikingSession(snn(model, rng, **options))
    (found,) = session.run_counted(data, [options["timesteps"]])
    assert session.uncounted == ()
    np.testing.assert_array_equal(found.synaptic_operations["y"], 5 * found.spikes["r"])
    recorded = session.run(data, record=True).spikes["r"].astype(int)
    np.testing.assert_array_equal(found.spikes["r"], recorded.sum(axis=(0, 2, 3, 4)))
    assert found.spikes["r"].min() > 0


def test_batchnorm_that_stands_alone_routes_spikes(rng):
    text = "r = Relu(x) n = BatchNormalization(r, gamma, beta, mean, var) s = Add(n, r) q = Relu(s)"
    model = parse(f"(float[N,3,2,2] x) => (float[N,3,2,2] q) {{ {text} }}", **batchnorm(rng, 3))
    compiled = snn(model, rng, timesteps=4)
    assert "BatchNormalization" in {node.op_type for node in compiled.graph.node}
    session = onnx2snn.SpikingSession(compiled)
    (found,) = session.run_counted(feeds(rng, model, 3), [4])
    np.testing.assert_array_equal(found.synaptic_operations["q"], 2 * found.spikes["r"])


def test_what_cannot_be_counted_is_listed(rng):
    """Behind a leaky neuron a spike below zero carries another value: a pool may pass on either."""
    text = """l = LeakyRelu<alpha=0.25>(x) m = MaxPool<kernel_shape=[2,2]>(l) c = Conv(m, w) q = Relu(c)
        g = GlobalAveragePool(q) f = Flatten(g) y = Gemm(f, v)"""
    model = parse(
        f"(float[N,3,3,3] x) => (float[N,2] y) {{ {text} }}", **normal(rng, w=(4, 3, 1, 1), v=(4, 2))
    )
    session = onnx2snn.SpikingSession(snn(model, rng, timesteps=4))
    assert session.uncounted == make_counter(session.artifact).uncounted == ("c",)
    (found,) = session.run_counted(feeds(rng, model, 3), [4])
    assert set(found.synaptic_operations) == {"y"}


# --- what a network without time has not got --------------------------------------------------------------


@pytest.fixture
def session(net, rng) -> onnx2snn.SpikingSession:
    return onnx2snn.SpikingSession(snn(net, rng, timesteps=4))


def one_line(caught: pytest.ExceptionInfo, *words: str) -> None:
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("backend", ["onnxruntime", "numpy"])
def test_no_stream(net, rng, backend):
    session = onnx2snn.SpikingSession(snn(net, rng, timesteps=4), backend=backend)
    with pytest.raises(onnx2snn.OptionError) as caught:
        next(session.stream([feeds(rng, net, 1)["x"]]))
    one_line(caught, "stream", "found layer", "compile with --schedule stream")


@pytest.mark.parametrize("timesteps", [1, 3, 5])
def test_no_other_timesteps(session, net, rng, timesteps):
    x = feeds(rng, net, 1)["x"]
    calls = (
        lambda: session.run(x, timesteps),
        lambda: session.run(x, timesteps, record=True),
        lambda: session.run_counted(x, [4, timesteps]),
    )
    for call in calls:
        with pytest.raises(onnx2snn.OptionError) as caught:
            call()
        one_line(caught, "timesteps: expected 4", f"found {timesteps}", f"--timesteps {timesteps}")
    assert session.run(x, 4).timesteps == session.run(x).timesteps == 4


@pytest.mark.parametrize("timesteps", [0, -1, 2.5, "4"])
def test_no_timesteps_at_all(session, net, rng, timesteps):
    with pytest.raises(onnx2snn.OptionError, match=f"at least 1, found {timesteps!r}"):
        session.run(feeds(rng, net, 1)["x"], timesteps)


@pytest.mark.parametrize("method", ["run", "run_counted", "macs_per_sample"])
def test_inputs_that_do_not_fit(session, method):
    bad = np.zeros((1, 2, 6, 6), np.float32)
    call = {"run_counted": lambda x: session.run_counted(x, [4])}.get(method, getattr(session, method))
    with pytest.raises(onnx2snn.DataError, match=r"input 'x': expected shape \[N, 2, 7, 6\]"):
        call(bad)


def test_nothing_behind_the_last_neuron_counts_nothing(rng):
    model = parse("(float[N,3] x) => (float[N,3] y) { y = Relu(x) }")
    session = onnx2snn.SpikingSession(snn(model, rng, timesteps=4))
    (counted,) = session.run_counted(feeds(rng, model, 2), [4])
    assert counted.synaptic_operations == {}
    assert counted.spikes["y"].sum() > 0
    assert session.uncounted == ()


@pytest.mark.parametrize("options", CODES, ids=["burst", "radix"])
def test_a_pool_behind_the_last_neuron_is_counted(rng, options):
    """No neuron needs it, but the last layer reads its spikes."""
    text = "r = Relu(x) m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r) f = Flatten(m) y = Gemm(f, w)"
    model = parse(f"(float[N,3,4,4] x) => (float[N,5] y) {{ {text} }}", **normal(rng, w=(12, 5)))
    session = onnx2snn.SpikingSession(snn(model, rng, **options))
    assert session.uncounted == ()
    x = feeds(rng, model, 3)["x"]
    (counted,) = session.run_counted(x, [options["timesteps"]])
    levels = levels_of(session.run(x, record=True).spikes["r"], options)
    through = [
        sum(spikes_of(int(k), options) for k in pooled(sample, (2, 2), (2, 2), (0, 0, 0, 0)).flat)
        for sample in levels
    ]
    assert counted.synaptic_operations["y"].tolist() == [5 * count for count in through]
    assert min(through) > 0


def test_outputs_and_inputs_that_are_left_out(rng):
    """A pool without indices before the last neuron, and a resize by scales alone behind it."""
    text = """r = Relu(x) m = MaxPool<kernel_shape=[2,2]>(r) c = Conv(m, w) q = Relu(c)
        y = Resize<mode="nearest">(q, , twice)"""
    model = parse(
        f"(float[N,3,3,3] x) => (float[N,2,4,4] y) {{ {text} }}",
        **normal(rng, w=(2, 3, 1, 1)),
        twice=np.float32([1, 1, 2, 2]),
    )
    model.graph.node[1].output.append("")
    compiled = snn(model, rng, timesteps=4)
    x = feeds(rng, model, 3)
    session = onnx2snn.SpikingSession(compiled)
    whole = session.run(x).outputs["y"]
    for found in (
        session.run_counted(x, [4])[0].outputs["y"],
        session.run(x, record=True).outputs["y"],
        onnx2snn.SpikingSession(compiled, backend="numpy").run(x).outputs["y"],
    ):
        np.testing.assert_allclose(found, whole, rtol=0, atol=1e-5)
    assert whole.any()
