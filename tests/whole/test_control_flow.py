"""Control flow in a net: written out, an island, kept behind the read-out, or refused by name."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import onnx2snn
from benchmarks.topologies import FIXTURE_FOLDER
from onnx2snn.graph.graph import extract
from tests.graph.flows import SEQUENCES, UNROLLED, net
from tests.helpers import graph_of, normal, run

GRADED = {"timesteps": 8, "correct_bias": False}
LAYER = {"schedule": "layer", "timesteps": 3, "correct_bias": False}
BURST = {"code": "burst", "signed": True, "timesteps": 16, "correct_bias": False}


def torch_net(name):
    return onnx.load(FIXTURE_FOLDER / "recurrent" / f"{name}.script.onnx")


def agree(model, compiled, values, bound):
    """Every backend gives the same, and that is near the ANN's."""
    found = onnx2snn.SpikingSession(compiled.model).run(values).outputs
    by_numpy = onnx2snn.SpikingSession(compiled.model, backend="numpy").run(values).outputs
    file = run(compiled.model, values)
    for (name, mine), theirs, whole in zip(found.items(), run(model, values), file, strict=True):
        np.testing.assert_allclose(by_numpy[name], mine, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(whole, mine, rtol=1e-4, atol=1e-5)
        assert np.linalg.norm(mine - theirs) < bound * np.linalg.norm(theirs)


@pytest.mark.parametrize(
    ("name", "options", "bound"),
    [
        ("a branch in a branch", GRADED, 0.02),
        ("a condition that counts", LAYER, 0.02),
        ("rows of each round", BURST, 0.05),
    ],
)
def test_what_is_written_out_spikes(name, options, bound, rng):
    model = net(UNROLLED[name])
    compiled = onnx2snn.compile(model, normal(rng, x=(64, 4)), **options)
    agree(model, compiled, normal(rng, x=(8, 4)), bound)
    neurons = [neuron for neuron in compiled.report.neurons if not neuron.startswith("r")]
    assert len(neurons) == (1 if "branch" in name else 3)
    flow = next(verdict for verdict in compiled.report.nodes if verdict.op in ("If", "Loop"))
    assert (flow.role, flow.reason) == ("folded", "its way is known: what it runs stands in its place")


@pytest.mark.parametrize(
    ("name", "options"), [("a Scan", GRADED), ("a Loop over what comes in", LAYER), ("a Scan", BURST)]
)
def test_a_sequence_of_any_length_is_an_island_and_exact(name, options, rng):
    """Its outputs are what the model's own control flow makes of what the neurons before it have sent."""
    model = net(SEQUENCES[name], "N,M,4", ending="h = MatMul(b, w) q = Relu(h) y = MatMul(q, w)")
    images, tests = normal(rng, x=(16, 5, 4)), normal(rng, x=(3, 6, 4))
    whole = graph_of(model)
    cut = extract(whole, ["x"], ["r", "b"])
    cut.graph.output[1].CopyFrom(onnx.helper.make_tensor_value_info("b", onnx.TensorProto.FLOAT, ["N", 4]))
    sent, made = run(onnx2snn.compile(cut, images, **options).model, tests)
    (expected,) = run(extract(whole, ["r"], ["b"]), {"r": sent})
    np.testing.assert_allclose(made, expected, rtol=2e-6, atol=2e-6)
    compiled = onnx2snn.compile(model, images, **options)
    verdict = next(verdict for verdict in compiled.report.nodes if verdict.op in ("Scan", "Loop"))
    assert (verdict.role, verdict.island) == ("analog", verdict.island)
    agree(model, compiled, tests, 0.5)  # few timesteps


@pytest.mark.parametrize(("options", "bound"), [(GRADED, 0.03), (LAYER, 0.05)])
def test_a_scripted_loop_over_frames(options, bound, rng):
    model = torch_net("attractor")
    compiled = onnx2snn.compile(model, normal(rng, x=(32, 7, 4)), **options)
    agree(model, compiled, normal(rng, x=(4, 7, 4)), bound)


def test_a_detector_with_an_if_around_its_suppression(rng):
    """As torchvision writes it: no box at all is a case of its own."""
    model = torch_net("detector")
    compiled = onnx2snn.compile(model, normal(rng, x=(16, 1, 16, 16)), timesteps=8)
    image = normal(rng, x=(1, 1, 16, 16))
    agree(model, compiled, image, 0.05)
    roles = {verdict.op: verdict.role for verdict in compiled.report.nodes}
    assert roles["If"] == roles["NonZero"] == "analog"


DATA = "n = ReduceMax<keepdims = 0>(r) c = Greater(n, half)"
IF = """b = If(c) <then_branch = a () => (float[N,4] p) {{ {} }},
    else_branch = d () => (float[N,4] q) {{ q = Neg(r) }}>"""


def test_decoding_may_go_by_what_it_finds(rng):
    """A Loop over what a NonZero found, no layers behind it."""
    text = """i = NonZero(r) d = Shape<start = 1, end = 2>(i) e = Squeeze(d)
        z = ReduceSum<keepdims = 0>(r, second)
        y = Loop(e, yes, z) <body = rounds (int64 i, bool on, float[N] s) => (bool keep, float[N] t)
        { keep = Identity(on) t = Mul(s, half) }>"""
    model = net(text, ending="")
    model.graph.output[0].type.tensor_type.shape.dim.pop()
    agree(model, onnx2snn.compile(model, normal(rng, x=(32, 4)), **GRADED), normal(rng, x=(4, 4)), 0.02)


@pytest.mark.parametrize(
    ("body", "ending"),
    [
        (f"{DATA} {IF.format('p = MatMul(r, w)')}", "y = Abs(b)"),
        (f"{DATA} {IF.format('p = Mul(r, half)')}", "y = Abs(b)"),
        (f"{DATA} {IF.format('p = Mul(r, half)')}", "y = MatMul(b, w)"),
    ],
)
def test_what_data_decide_is_refused_by_name(body, ending, rng):
    with pytest.raises(onnx2snn.UnsupportedGraphError) as caught:
        onnx2snn.compile(net(body, ending=ending), normal(rng, x=(2, 4)))
    assert str(caught.value) == (
        "node 'b' (If): control flow that data decide; export the model with fixed control flow "
        "(trace it rather than script it)"
    )


def test_so_are_those_of_a_scripted_net():
    with pytest.raises(onnx2snn.UnsupportedGraphError, match=r"node '/If' \(If\): control flow that data"):
        onnx2snn.compile(torch_net("choosing"), np.zeros((2, 5), np.float32))
