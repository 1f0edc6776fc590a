"""Decoding behind a net: what depends on data stays behind the read-out, and the net in front compiles."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import onnx2snn
from benchmarks.topologies import FIXTURE_FOLDER
from onnx2snn.analysis.evaluation import evaluate, open_reference
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.graph.graph import extract
from tests.helpers import graph_of, normal, parse, run

SCHEDULES = [
    {"timesteps": 4},
    {"schedule": "layer", "timesteps": 3},
    {"code": "burst", "timesteps": 4},
    {"schedule": "layer", "code": "radix", "timesteps": 4},
]
#: A head of boxes and scores [N, 16, 5], the likely ones, their suppression, and a second stage over boxes.
NET = """(float[N,1,8,8] x) => (float[M,4] boxes, float[M] scores, float[M,3] kinds) {
    a = Conv<strides = [2,2], pads = [1,1,1,1]>(x, w)  r = Relu(a)  h = Conv(r, v)
    f = Reshape(h, flat)  t = Transpose<perm = [0,2,1]>(f)
    b = Slice(t, zero, four, two)  s = Slice(t, four, five, two)  p = Transpose<perm = [0,2,1]>(s)
    i = NonMaxSuppression(b, p, most, overlap, least)
    n = Slice(i, zero, one, one)  m = Slice(i, two, three, one)  j = Concat<axis = 1>(n, m)
    boxes = GatherND(b, j)  o = GatherND(s, j)  scores = Squeeze(o, one)
    c = MatMul(boxes, u)  q = Relu(c)  kinds = MatMul(q, k) }"""
NUMBERS = {"zero": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "most": 16}


def net(rng):
    constants = {name: np.int64([value]) for name, value in NUMBERS.items()}
    constants |= {"flat": np.int64([0, 5, -1]), "overlap": np.float32([0.4]), "least": np.float32([0.5])}
    weights = normal(rng, w=(6, 1, 3, 3), v=(5, 6, 1, 1), u=(4, 6), k=(6, 3))
    return parse(NET, **constants, **weights)


@pytest.mark.parametrize("options", SCHEDULES)
def test_it_is_applied_to_what_neurons_have_sent_in_all(options, rng):
    """The outputs are those that the model's own tail makes of what the neurons say; on every backend."""
    model = net(rng)
    images, tests = (normal(rng, x=(size, 1, 8, 8))["x"] for size in (16, 3))
    compiled = onnx2snn.compile(model, images, **options)
    (sent,) = run(read_out(compiled), {"x": tests})
    expected = run(extract(graph_of(model), ["t"], ["boxes", "scores", "kinds"]), {"t": sent})
    for backend in ("onnxruntime", "numpy"):
        found = onnx2snn.SpikingSession(compiled.model, backend=backend).run(tests).outputs
        for name, wanted in zip(("boxes", "scores", "kinds"), expected, strict=True):
            assert wanted.shape[0] > 3
            np.testing.assert_allclose(found[name], wanted, rtol=1e-4, atol=1e-5)
    for name, wanted in zip(("boxes", "scores", "kinds"), run(compiled.model, {"x": tests}), strict=True):
        np.testing.assert_allclose(found[name], wanted, rtol=1e-4, atol=1e-5)
    roles = {verdict.node: (verdict.role, verdict.reason) for verdict in compiled.report.nodes}
    assert roles["r"][0] == "spiking"
    assert roles["q"][0] == "analog"
    assert roles["q"][1].startswith(
        "behind operators whose shape depends on activations; after the last neuron"
    )


def read_out(compiled):
    """The artifact with the head's rows t as its output."""
    copy = onnx.ModelProto()
    copy.CopyFrom(compiled.model)
    del copy.graph.output[:]
    copy.graph.output.append(onnx.helper.make_tensor_value_info("t", onnx.TensorProto.FLOAT, None))
    return copy


def test_steps_that_find_other_numbers_are_kept_one_by_one(rng):
    model = net(rng)
    images, tests = (normal(rng, x=(size, 1, 8, 8))["x"] for size in (16, 8))
    compiled = onnx2snn.compile(model, images, timesteps=4, code="burst")
    found = onnx2snn.SpikingSession(compiled.model).run(tests, record=True)
    assert found.steps["boxes"].dtype == object
    assert len({len(boxes) for boxes in found.steps["boxes"]}) > 1
    np.testing.assert_array_equal(found.steps["boxes"][-1], found.outputs["boxes"])


def test_errors_count_rows_that_only_one_has(rng, tmp_path):
    model = net(rng)
    images, tests = (normal(rng, x=(size, 1, 8, 8))["x"] for size in (16, 5))
    onnx.save(model, tmp_path / "ann.onnx")
    session = onnx2snn.SpikingSession(onnx2snn.compile(tmp_path / "ann.onnx", images, timesteps=8).model)
    data = dataset_from_arrays({"x": tests}, session.inputs)
    found = evaluate(session, data, [1, 8], open_reference(tmp_path / "ann.onnx", session))
    boxes, wanted = (
        np.concatenate([values, np.zeros((99 - len(values), 4))])
        for values in (session.run(tests).outputs["boxes"], run(model, {"x": tests})[0])
    )
    expected = np.linalg.norm(boxes - wanted) / np.linalg.norm(wanted)
    assert found.outputs.errors["boxes"] == pytest.approx(expected, rel=1e-5)
    assert session.outputs["boxes"].varying


def test_where_nothing_spikes_in_front_the_operators_are_named():
    text = "(float[N,4] x) => (float[2,M] y) { a = MatMul(x, w)  i = NonZero(a)"
    text += "  c = Cast<to = 1>(i)  y = Relu(c) }"
    with pytest.raises(onnx2snn.UnsupportedGraphError) as caught:
        onnx2snn.compile(parse(text, w=np.eye(4, dtype=np.float32)), np.zeros((2, 4), np.float32))
    assert str(caught.value) == (
        "node 'i' (NonZero): its output's shape depends on activations, and nothing in front of it spikes; "
        "export the model with fixed shapes, or end it before this node"
    )


@pytest.mark.parametrize("options", SCHEDULES[:3])
def test_the_best_rows_of_a_detector_as_torch_exports_it(options, rng):
    model = onnx.load(FIXTURE_FOLDER / "recurrent" / "top_rows.dynamo.onnx")
    images, tests = (normal(rng, x=(size, 1, 16, 16))["x"] for size in (16, 4))
    compiled = onnx2snn.compile(model, images, **{**options, "timesteps": 3 * options["timesteps"]})
    found = onnx2snn.SpikingSession(compiled.model).run(tests).outputs["rows"]
    by_numpy = onnx2snn.SpikingSession(compiled.model, backend="numpy").run(tests).outputs["rows"]
    np.testing.assert_allclose(by_numpy, found, rtol=1e-4, atol=1e-5)
    (wanted,) = run(model, {"x": tests})
    assert np.abs(found[..., 4] - wanted[..., 4]).max() < 0.05  # the eight best scores
