"""What is counted is exact, and what cannot be is said to be missing."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.analysis.evaluation import evaluate
from onnx2snn.artifact.synapses import make_counter
from onnx2snn.data.readers import dataset_from_arrays
from tests.helpers import batchnorm, feeds, normal, parse

FIRST = "h = Conv<pads=[1,1,1,1]>(x, w1) r = Relu(h)"
SHAPES = {"w1": (3, 2, 3, 3), "w2": (3, 3, 3, 3), "w3": (3, 5)}
PIXELS = {"axes": np.int64([2, 3])}
DOUBLE = {"roi": np.float32([]), "scales": np.float32([1, 1, 2, 2])}

#: name → nodes behind the first neuron, extra weights, layers counted, layers listed as not counted
NETS: dict[str, tuple[str, dict[str, np.ndarray], set[str], tuple[str, ...]]] = {
    "all followed": ("g = GlobalAveragePool(r) f = Flatten(g) y = Gemm(f, w3)", {}, {"y"}, ()),
    "max over all pixels": (
        "g = ReduceMax<keepdims=0>(r, axes) y = Gemm(g, w3)",
        PIXELS,
        {"y"},
        (),
    ),
    "nothing weighted behind": (
        "c = Conv(r, w2) y = ReduceMax<keepdims=0>(c, axes)",
        PIXELS,
        {"c"},
        (),
    ),
    "linear resize": (
        'u = Resize<mode="linear">(r, roi, scales) c = Conv(u, w2) q = Relu(c) '
        "g = GlobalAveragePool(q) f = Flatten(g) y = Gemm(f, w3)",
        DOUBLE,
        {"y"},
        ("c",),
    ),
    "linear resize before a neuron": (
        'u = Resize<mode="linear">(r, roi, scales) q = Relu(u) g = GlobalAveragePool(q) f = Flatten(g) '
        "y = Gemm(f, w3)",
        DOUBLE,
        {"y"},
        ("q",),
    ),
    "lost joins followed": (
        'u = Resize<mode="linear">(r, roi, scales) v = Resize(r, roi, scales) s = Add(u, v) c = Conv(s, w2) '
        "g = GlobalAveragePool(c) y = Flatten(g)",
        DOUBLE,
        set(),
        ("c",),
    ),
    "two weighted layers in a row": (
        "c = Conv<pads=[1,1,1,1]>(r, w2) d = Conv<pads=[1,1,1,1]>(c, w2) q = Relu(d) "
        "g = GlobalAveragePool(q) f = Flatten(g) y = Gemm(f, w3)",
        {},
        {"c", "y"},
        ("d",),
    ),
    "analog head": (
        "g = GlobalAveragePool(r) f = Flatten(g) z = Gemm(f, w3) p = Softmax(z) y = Gemm(p, w4)",
        {"w4": np.ones((5, 5), np.float32)},
        {"z"},
        ("y",),
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_layers_are_counted_or_listed(name, rng):
    nodes, extra, counted, uncounted = NETS[name]
    weights = {key: w for key, w in normal(rng, **SHAPES).items() if key in FIRST + nodes}
    output = "[N,P]"
    model = parse(f"(float[N,2,4,4] x) => (float{output} y) {{ {FIRST} {nodes} }}", **weights, **extra)
    data = feeds(rng, model, 16)
    session = onnx2snn.SpikingSession(onnx2snn.compile(model, data, correct_bias=False, code="burst").model)
    assert make_counter(session.artifact).uncounted == uncounted
    (found,) = session.run_counted(data, [4])
    assert set(found.synaptic_operations) == counted
    assert all(operations.sum() > 0 for operations in found.synaptic_operations.values())


def test_a_factor_that_broadcasts(rng):
    """One spike over [1] × [4] reaches the Gemm four times."""
    text = "r = Relu(x) m = Mul(r, gains) y = Gemm(m, w)"
    model = parse(
        f"(float[N,1] x) => (float[N,3] y) {{ {text} }}",
        gains=np.float32([[1, 2, 3, 4]]),
        **normal(rng, w=(4, 3)),
    )
    data = feeds(rng, model, 16)
    session = onnx2snn.SpikingSession(onnx2snn.compile(model, data, correct_bias=False, code="burst").model)
    (found,) = session.run_counted(data, [4])
    np.testing.assert_array_equal(found.synaptic_operations["y"], 12 * found.spikes["r"])


def test_float16_spikes_are_counted(rng):
    text = "h = Conv<pads=[1,1,1,1]>(x, w1) r = Relu(h) m = MaxPool<kernel_shape=[1,1]>(r) y = Conv(m, w2)"
    shapes = {"w1": (3, 2, 3, 3), "w2": (5, 3, 1, 1)}
    weights = {name: w.astype(np.float16) for name, w in normal(rng, **shapes).items()}
    model = parse(f"(float16[N,2,4,4] x) => (float16[N,5,4,4] y) {{ {text} }}", **weights)
    data = feeds(rng, model, 8)["x"].astype(np.float16)
    session = onnx2snn.SpikingSession(onnx2snn.compile(model, data, correct_bias=False, code="burst").model)
    (found,) = session.run_counted(data, [8])
    np.testing.assert_array_equal(found.synaptic_operations["y"], 5 * found.spikes["r"])
    recorded = session.run(data, record=True).spikes["r"].astype(int)
    np.testing.assert_array_equal(found.spikes["r"], recorded.sum(axis=(0, 2, 3, 4)))


def test_a_batchnorm_costs_no_macs(rng):
    """Behind an activation it becomes a plane of shifts, which depends on no sample."""
    layers = "q = Relu(c) g = GlobalAveragePool(q) f = Flatten(g) y = Gemm(f, w3)"
    plain = f"{FIRST} c = Conv<pads=[1,1,1,1]>(r, w2) {layers}"
    normed = (
        f"{FIRST} n = BatchNormalization(r, gamma, beta, mean, var) c = Conv<pads=[1,1,1,1]>(n, w2) {layers}"
    )
    weights = normal(rng, **SHAPES)
    macs = []
    for text, more in ((plain, {}), (normed, batchnorm(rng, 3))):
        model = parse(f"(float[N,2,4,4] x) => (float[N,5] y) {{ {text} }}", **weights, **more)
        data = feeds(rng, model, 8)
        artifact = onnx2snn.compile(model, data, correct_bias=False, code="burst").model
        if more:
            assert "c/shift" in {node.name for node in artifact.graph.node}
        macs.append(onnx2snn.SpikingSession(artifact).macs_per_sample(data))
    assert macs[0] == macs[1]


POOL = "MaxPool<kernel_shape=[2,2]>"
#: name → what two neurons r and q, of two channels each, go through before a pointwise Conv of 5 outputs.
POOLED = {
    "a pool of a pool": f"m = {POOL}(r) n = {POOL}(m)",
    "a pool of two layers": f"j = Concat<axis=1>(r, q) n = {POOL}(j)",
}


@pytest.mark.parametrize("schedule", ["stream", "layer"])
@pytest.mark.parametrize("name", POOLED)
def test_bursts_through_pools(name, schedule, rng):
    """Every spike of a burst that a pool lets through counts, whatever stands between pool and neuron."""
    channels = 4 if "two" in name else 2
    model = parse(
        f"""(float[N,2,5,5] x) => (float[N,5,P,Q] y) {{ h = Conv(x, w1) r = Relu(h) g = Conv(x, w2)
            q = Relu(g) {POOLED[name]} y = Conv(n, w3) }}""",
        **normal(rng, w1=(2, 2, 1, 1), w2=(2, 2, 1, 1), w3=(5, channels, 1, 1)),
    )
    data = feeds(rng, model, 8)
    compiled = onnx2snn.compile(model, data, correct_bias=False, schedule=schedule, timesteps=4, code="burst")
    session = onnx2snn.SpikingSession(compiled.model)
    if schedule == "layer" and "two" in name:  # counted as one or not at all: here it is said not to be
        assert session.uncounted == ("y",)
        return
    found, recorded = session.run_counted(data, [4])[0], session.run(data, record=True).spikes
    sent = [recorded["r"]] if channels == 2 else [recorded["r"], recorded["q"]]
    so_far = np.concatenate(sent, axis=2).astype(int).cumsum(axis=0)
    for _ in range(2 if "a pool of a pool" in name else 1):
        below, above = so_far[..., :-1, :], so_far[..., 1:, :]
        rows = np.maximum(below, above)
        so_far = np.maximum(rows[..., :-1], rows[..., 1:])
    passed = np.diff(so_far, axis=0, prepend=0)
    assert passed.max() > 1
    assert found.synaptic_operations["y"].tolist() == (5 * passed).sum(axis=(0, 2, 3, 4)).tolist()
    assert found.synaptic_events["y"].tolist() == (5 * (passed > 0)).sum(axis=(0, 2, 3, 4)).tolist()


def test_a_pool_of_currents_sends_no_spikes(rng):
    """The maximum of what a layer makes of spikes is a value: a layer that reads it multiplies."""
    text = f"""h = Conv(x, w1) r = Relu(h) c = Conv(r, w2) n = {POOL}(c) d = Conv(n, w2) q = Relu(d)
        m = {POOL}(c) p = Relu(m) s = Add(q, p) g = GlobalAveragePool(s) f = Flatten(g) y = Gemm(f, w3)"""
    model = parse(
        f"(float[N,2,5,5] x) => (float[N,3] y) {{ {text} }}",
        **normal(rng, w1=(2, 2, 1, 1), w2=(2, 2, 1, 1), w3=(2, 3)),
    )
    data = feeds(rng, model, 8)
    session = onnx2snn.SpikingSession(onnx2snn.compile(model, data, correct_bias=False, code="burst").model)
    assert session.uncounted == ("d",)
    (found,) = session.run_counted(data, [8])
    assert set(found.synaptic_operations) == {"c", "y"}
    assert session.work_per_sample(data).analog_macs == 16 * 2 * 2


#: name → how a net of [N,4,8] comes to rows of 8 and back, and whether its samples are told apart behind.
LAID_OUT = {
    "as it is": ("f = Identity(x)", "b = Identity(q)", True),
    "batch and time merged": ("f = Reshape(x, rows)", "b = Reshape(q, plain)", True),
    "merged by a Flatten": ("f = Flatten<axis=2>(x)", "b = Reshape(q, plain)", True),
    "behind an axis of one": ("f = Unsqueeze(x, zero)", "b = Squeeze(q, zero)", True),
    "behind a new axis of one": ("f = Reshape(x, one)", "b = Reshape(q, plain)", False),
    "time-major": ("f = Transpose<perm=[1,0,2]>(x)", "b = Transpose<perm=[1,0,2]>(q)", True),
    "time-major, merged": (
        "t = Transpose<perm=[1,0,2]>(x) f = Reshape(t, rows)",
        "u = Reshape(q, major) b = Transpose<perm=[1,0,2]>(u)",
        False,
    ),
}
OTHER = {
    "rows": np.int64([-1, 8]),
    "plain": np.int64([-1, 4, 8]),
    "major": np.int64([4, -1, 8]),
    "one": np.int64([1, -1, 8]),
    "zero": np.int64([0]),
}


def laid_out(name, rng, batch="N"):
    before, behind, _ = LAID_OUT[name]
    text = f"{before} h = MatMul(f, w1) r = Relu(h) g = MatMul(r, w2) q = Relu(g) {behind}"
    text += " a = Reshape(b, flat) y = Gemm(a, w3)"
    used = {key: value for key, value in OTHER.items() if f", {key})" in text}
    weights = normal(rng, w1=(8, 8), w2=(8, 8), w3=(32, 3))
    text = f"(float[{batch},4,8] x) => (float[{batch},3] y) {{ {text} }}"
    return parse(text, **weights, **used, flat=np.int64([-1, 32]))


@pytest.mark.parametrize("schedule", ["stream", "layer"])
@pytest.mark.parametrize("name", LAID_OUT)
def test_rows_need_not_be_samples(name, schedule, rng):
    """Wherever the samples are, all work is counted, and for the sample that it is done for."""
    model = laid_out(name, rng)
    data = feeds(rng, model, 5)["x"] * np.float32([0, 0.2, 1, 2, 3]).reshape(5, 1, 1)
    compiled = onnx2snn.compile(model, data, correct_bias=False, schedule=schedule, timesteps=4, code="burst")
    assert compiled.report.to_dict()["macs"]["per_sample"] == 4 * 64 + 4 * 64 + 32 * 3
    session = onnx2snn.SpikingSession(compiled.model)
    work = session.work_per_sample(data)
    assert (work.ann_macs, work.prefix_macs) == (4 * 64 + 4 * 64 + 32 * 3, 4 * 64)
    assert work.neurons == {"r": 32, "q": 32}
    (found,) = session.run_counted(data, [4])
    recorded = session.run(data, record=True).spikes
    for neuron, layer, connections in (("r", "g", 8), ("q", "y", 3)):
        sent = recorded[neuron].astype(int).sum(axis=0)
        if "time-major" in name:
            sent = sent.reshape(4, 5, 8).swapaxes(0, 1)
        by_hand = sent.reshape(5, -1).sum(axis=1)
        assert by_hand.max() > by_hand.min()
        if LAID_OUT[name][2]:
            assert found.spikes[neuron].tolist() == by_hand.tolist()
            assert found.synaptic_operations[layer].tolist() == (connections * by_hand).tolist()
        else:  # the same share for all
            for counted, total in (
                (found.spikes[neuron], by_hand.sum()),
                (found.synaptic_operations[layer], connections * by_hand.sum()),
            ):
                assert counted.sum() == total
                assert counted.max() - counted.min() <= 1


#: What is between a neuron and a layer, from [N,4,8] to rows of 8, and whether samples are told apart behind.
MOVES = {
    "t = Transpose<perm=[1,0,2]>(r) m = ReduceMean<keepdims=0>(t, zero)": True,
    "t = Transpose<perm=[1,0,2]>(r) m = ReduceMean<keepdims=1>(t, zero)": True,
    "t = Transpose<perm=[1,0,2]>(r) u = Unsqueeze(t, zero) m = Squeeze(u, zero)": True,
    "t = Transpose<perm=[1,0,2]>(r) m = Concat<axis=0>(t, t)": True,
    "t = Transpose<perm=[1,0,2]>(r) m = Add(t, t)": True,
    "t = Transpose<perm=[1,0,2]>(r) m = Gather<axis=0>(t, zero)": False,
    "t = Transpose<perm=[1,0,2]>(r) m = Concat<axis=1>(t, t)": False,
    "t = Transpose<perm=[2,0,1]>(r) m = Transpose<perm=[1,2,0]>(t)": True,
    "f = Reshape(r, rows) t = Transpose<perm=[1,0]>(f) m = Transpose<perm=[1,0]>(t)": False,
    "u = Unsqueeze(r, zero) m = Concat<axis=1>(u, u)": False,
    "u = Unsqueeze(r, zero) m = Concat<axis=0>(u, u)": True,
    "f = Flatten<axis=0>(r) m = Reshape(f, rows)": False,
    "m = Concat<axis=0>(r, r)": False,
    "m = Expand(r, thrice)": False,
}


@pytest.mark.parametrize("moves", MOVES)
def test_a_sample_counts_as_it_does_alone(moves, rng):
    others = OTHER | {"thrice": np.int64([3, 1, 1, 1])}
    used = {key: value for key, value in others.items() if f", {key})" in moves}
    rank = 4 if "Unsqueeze(r" in moves or "thrice" in moves else 3
    rank = 2 if "rows" in moves or ("keepdims=0" in moves) else rank
    model = parse(
        f"""(float[N,4,8] x) => (float[{",".join("PQRS"[:rank])}] y) {{ h = MatMul(x, w1) r = Relu(h) {moves}
            y = MatMul(m, w2) }}""",
        **normal(rng, w1=(8, 8), w2=(8, 3)),
        **used,
    )
    x = feeds(rng, model, 3)["x"] * np.float32([0.2, 1, 3]).reshape(3, 1, 1)
    session = onnx2snn.SpikingSession(onnx2snn.compile(model, x, correct_bias=False, code="burst").model)
    (together,) = session.run_counted(x, [8])
    alone = [session.run_counted(x[i : i + 1], [8])[0].synaptic_operations["y"][0] for i in range(3)]
    found = together.synaptic_operations["y"]
    assert found.sum() == sum(alone)
    assert (found.tolist() == alone) == MOVES[moves]
    assert session.work_per_sample(x) == session.work_per_sample(x[:1])


@pytest.mark.parametrize("name", ["batch and time merged", "time-major"])
def test_copies_that_fill_up_a_batch_do_not_count(name, rng):
    seed = rng.integers(1000)
    x = rng.standard_normal((7, 4, 8)).astype(np.float32)
    figures = []
    for batch, layout in (("N", "as it is"), (4, name)):
        model = laid_out(layout, np.random.default_rng(seed), batch)
        session = onnx2snn.SpikingSession(
            onnx2snn.compile(model, x[:4], correct_bias=False, code="burst").model
        )
        figures.append(evaluate(session, dataset_from_arrays(x, session.inputs), [8]).to_dict())
    keys = ("spikes_per_sample", "synaptic_operations_per_sample", "energy")
    assert [figures[0][key] for key in keys] == [figures[1][key] for key in keys]


ATTENTION = """(float[N,4,6] x) => (float[N,4,3] y) { a = MatMul(x, w1) q = Relu(a) b = MatMul(x, w2)
    k = Tanh(b) t = Transpose<perm=[0,2,1]>(k) s = MatMul(q, t) e = Softmax(s) v = MatMul(x, w3)
    o = MatMul(e, v) g = ReduceMean(a, last) h = Sigmoid(g) m = Mul(o, h) y = MatMul(m, w4) }"""


@pytest.mark.parametrize("schedule", ["stream", "layer"])
def test_an_event_of_a_product_meets_all_that_is_opposite(schedule, rng):
    """q·kᵀ is [4,5]·[5,4], e·v is [4,4]·[4,5], and a gate for each row is in five products."""
    shapes = {"w1": (6, 5), "w2": (6, 5), "w3": (6, 5), "w4": (5, 3)}
    model = parse(ATTENTION, last=np.int64([-1]), **normal(rng, **shapes))
    x = rng.standard_normal((32, 4, 6)).astype(np.float32)
    compiled = onnx2snn.compile(model, x, code="graded", schedule=schedule, timesteps=3)
    session = onnx2snn.SpikingSession(compiled.model)
    (found,) = session.run_counted(x[:2], [3])
    sent = found.spikes
    operations = found.synaptic_operations
    assert session.uncounted == ()
    np.testing.assert_array_equal(operations["s"], 4 * sent["q/neuron"] + 4 * sent["k/neuron"])
    np.testing.assert_array_equal(operations["o"], 5 * sent["e/neuron"] + 4 * sent["v/neuron"])
    np.testing.assert_array_equal(operations["m"], sent["o/neuron"] + 5 * sent["h/neuron"])
    np.testing.assert_array_equal(operations["y"], 3 * sent["m/neuron"])
    assert all(value.all() for value in sent.values())


def test_a_function_of_one_sum_is_no_product(rng):
    """A SiLU behind a residual sum: each event arrives once, and the neuron computes x·sigmoid(x) itself."""
    text = """(float[N,3] x) => (float[N,2] y) { a = MatMul(x, w) r = Relu(a) b = MatMul(x, u) t = Tanh(b)
        z = Add(r, t) s = Sigmoid(z) m = Mul(z, s) y = MatMul(m, v) }"""
    model = parse(text, **normal(rng, w=(3, 4), u=(3, 4), v=(4, 2)))
    x = rng.standard_normal((32, 3)).astype(np.float32)
    session = onnx2snn.SpikingSession(onnx2snn.compile(model, x, code="graded", timesteps=2).model)
    (found,) = session.run_counted(x[:2], [2])
    sent = found.spikes
    assert found.synaptic_operations.keys() == {"m/neuron", "y"}
    np.testing.assert_array_equal(found.synaptic_operations["m/neuron"], sent["r/neuron"] + sent["t/neuron"])
