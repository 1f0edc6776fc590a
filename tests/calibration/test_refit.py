from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.calibration import refit
from onnx2snn.calibration.refit import Refitting
from onnx2snn.calibration.stages import make_stages
from onnx2snn.data.dataset import InputSpec
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.engine.engines import OnnxruntimeEngine
from onnx2snn.graph.graph import is_cell
from onnx2snn.graph.rectifiers import Rectifier
from onnx2snn.options import CompileOptions
from onnx2snn.passes.base import Context
from onnx2snn.passes.calibrate import Calibrate
from onnx2snn.passes.replace_relu import ReplaceRelu
from tests.helpers import graph_of, normal, parse

#: Any current has an activation of its own.
LINEAR = Rectifier(slope=np.ones(()))


def refit_weights(stage, feeds, exact, kind, memory=1 << 20):
    """New weights from all batches."""
    refitting = Refitting(stage, feeds[0], kind, sum(map(len, exact)), memory)
    for values, target in zip(feeds, exact, strict=True):
        refitting.add(values, target)
    return refitting.solve()


LAYERS = {
    "conv": ("float[N, 4, 9, 9] x", "Conv <pads=[1, 1, 1, 1]> (a, w)", (6, 4, 3, 3)),
    "strides, pads on one side": (
        "float[N, 4, 9, 8] x",
        "Conv <strides=[2, 3], pads=[0, 1, 2, 0]> (a, w)",
        (6, 4, 3, 2),
    ),
    "dilations, groups": ("float[N, 4, 9, 9] x", "Conv <group=2, dilations=[2, 1]> (a, w)", (6, 2, 3, 3)),
    "depthwise": ("float[N, 4, 9, 9] x", "Conv <group=4, pads=[1, 1, 1, 1]> (a, w)", (4, 1, 3, 3)),
    "conv of one dimension": ("float[N, 4, 30] x", "Conv <strides=[2], pads=[2, 1]> (a, w)", (5, 4, 4)),
    "conv of three dimensions": (
        "float[N, 2, 5, 5, 4] x",
        "Conv <pads=[1,0,1,1,0,1]> (a, w)",
        (3, 2, 3, 2, 2),
    ),
    "gemm": ("float[N, 8] x", "Gemm (a, w)", (8, 5)),
    "gemm, transposed": ("float[N, 8] x", "Gemm <transB=1> (a, w)", (5, 8)),
    "matmul": ("float[N, 7, 8] x", "MatMul (a, w)", (8, 5)),
}


@pytest.fixture
def make(rng):
    def make(source, layer, **weights):
        dims = source[source.index("[") :].removesuffix(" x")
        model = parse(f"(float{dims} x) => (float{dims} y) {{ a = Relu(x) {layer} y = Relu(z) }}", **weights)
        model.graph.output[0].type.tensor_type.ClearField("shape")
        graph = graph_of(model)
        shape = tuple(dim if isinstance(dim, int) else 48 for dim in graph.inputs[0].shape)
        x = normal(rng, x=shape)["x"]
        dataset = dataset_from_arrays(x, [InputSpec("x", np.dtype(np.float32), (None, *shape[1:]))])
        context = Context(CompileOptions(schedule="layer", timesteps=4, code="burst"), dataset=dataset)
        for step in (Calibrate(), ReplaceRelu()):
            step.run(graph, context)
        last = [node for node in graph.nodes if is_cell(node)][-1]
        stage = next(stage for stage in make_stages(graph, []) if stage.key == last.name)
        return stage, np.maximum(x, 0)

    return make


@pytest.mark.parametrize("case", LAYERS)
def test_weights_that_explain_the_targets_are_found(case, make, rng, monkeypatch):
    monkeypatch.setattr(refit, "RIDGE", 1e-9)
    source, layer, shape = LAYERS[case]
    stage, x = make(source, f"z = {layer}", w=normal(rng, w=shape)["w"])
    wanted, _ = make(source, f"z = {layer}", w=normal(rng, w=shape)["w"])
    (read,) = stage.sources
    halves = [{read: part} for part in np.split(x, 2)]
    targets = [wanted.current({wanted.sources[0]: half[read]}) for half in halves]
    assert np.abs(stage.current(halves[0]) - targets[0]).max() > 1
    found = refit_weights(stage, halves, targets, LINEAR)
    np.testing.assert_allclose(found["w"], wanted.weights["w"], atol=1e-4)
    np.testing.assert_allclose(stage.current(halves[1]), targets[1], atol=1e-3)  # the stage has them


def test_layers_that_are_added_are_refitted_together(make, rng, monkeypatch):
    monkeypatch.setattr(refit, "RIDGE", 1e-9)
    shapes = {"v": (6, 4, 3, 3), "w": (6, 4, 1, 1)}
    layer = "p = Conv <pads=[1, 1, 1, 1]> (a, v) q = Conv (a, w) z = Add (p, q)"
    stage, x = make("float[N, 4, 9, 9] x", layer, **normal(rng, **shapes))
    wanted, _ = make("float[N, 4, 9, 9] x", layer, **normal(rng, **shapes))
    feeds = {stage.sources[0]: x}
    targets = wanted.current({wanted.sources[0]: x})
    found = refit_weights(stage, [feeds], [targets], LINEAR)
    assert set(found) == {"v", "w"}
    np.testing.assert_allclose(stage.current(feeds), targets, atol=1e-3)


def test_a_large_ridge_keeps_the_weights(make, rng, monkeypatch):
    monkeypatch.setattr(refit, "RIDGE", 1e9)
    source, layer, shape = LAYERS["conv"]
    stage, x = make(source, f"z = {layer}", w=normal(rng, w=shape)["w"])
    before = stage.weights["w"].copy()
    targets = stage.current({stage.sources[0]: x}) + 1
    np.testing.assert_allclose(
        refit_weights(stage, [{stage.sources[0]: x}], [targets], LINEAR)["w"], before, atol=1e-6
    )


def test_a_difference_of_the_means_is_left_to_the_bias(make, rng):
    source, layer, shape = LAYERS["conv"]
    stage, x = make(source, f"z = {layer}", w=normal(rng, w=shape)["w"])
    before = stage.weights["w"].copy()
    targets = stage.current({stage.sources[0]: x}) + 1
    found = refit_weights(stage, [{stage.sources[0]: x}], [targets], LINEAR)
    np.testing.assert_allclose(found["w"], before, atol=1e-5)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [("ConvTranspose (a, w)", (4, 3, 2, 2)), ('Conv <auto_pad="SAME_UPPER"> (a, w)', (3, 4, 2, 2))],
)
def test_other_layers_are_left_as_they_are(layer, shape, make, rng):
    stage, x = make("float[N, 4, 9, 9] x", f"z = {layer}", w=normal(rng, w=shape)["w"])
    targets = stage.current({stage.sources[0]: x}) + 1
    assert refit_weights(stage, [{stage.sources[0]: x}], [targets], LINEAR) == {}


def test_nearest_current_has_the_same_activation():
    current = np.float32([-2, -2, 0.5, 3, 3, 9, 5])
    x = np.float32([-1, 2, -1, -0.5, 7, 8, 6.5])
    near = Rectifier(ceiling=6.0).nearest(current, x)
    np.testing.assert_array_equal(near, np.float32([-2, 2, 0, 0, 6, 9, 6]))
    leaky = Rectifier(slope=np.float32(0.1)).nearest(current, x)
    np.testing.assert_array_equal(leaky, x)
    prelu = Rectifier(slope=np.float32([[0], [0.5]])).nearest(
        np.float32([[-3], [-3]]), np.float32([[-1], [-1]])
    )
    np.testing.assert_array_equal(prelu, np.float32([[-3], [-1]]))


@pytest.mark.parametrize("branch", ["m = ReduceMean(r, one) b = MatMul(m, w2)", "b = MatMul(r, w2)"])
def test_a_layer_that_is_broadcast_is_left_as_it_is(branch, rng):
    text = f"(float[N,6,8] x) => (float[N,6,8] y) {{ a = MatMul(x, w) r = Relu(a) {branch} c = Add(b, r)"
    weights = normal(rng, w=(8, 8), w2=(8, 8), w3=(8, 8))
    model = parse(text + " d = Relu(c) y = MatMul(d, w3) }", **weights, one=np.int64([1]))
    x = rng.normal(size=(20, 6, 8)).astype(np.float32)
    artifact = onnx2snn.compile(model, x, schedule="layer", timesteps=8, code="burst").model
    (found, expected) = (OnnxruntimeEngine(net).run({"x": x})["y"] for net in (artifact, model))
    assert np.linalg.norm(found - expected) < 0.1 * np.linalg.norm(expected)


def test_a_layer_that_is_as_good_as_exact_is_left_alone(make, rng):
    source, layer, shape = LAYERS["conv"]
    stage, x = make(source, f"z = {layer}", w=normal(rng, w=shape)["w"])
    feeds = [{stage.sources[0]: x}]
    targets = stage.current(feeds[0])
    noise = targets.std() * normal(rng, z=targets.shape)["z"]
    assert refit_weights(stage, feeds, [targets + 0.001 * noise], LINEAR) == {}
    assert set(refit_weights(stage, feeds, [targets + 0.01 * noise], LINEAR)) == {"w"}


def test_a_layer_whose_moments_do_not_fit_is_left_alone_and_named(make, rng, caplog):
    source, layer, shape = LAYERS["conv"]
    stage, x = make(source, f"z = {layer}", w=normal(rng, w=shape)["w"])
    feeds = [{stage.sources[0]: x}]
    targets = [stage.current(feeds[0]) + normal(rng, z=(6, 9, 9))["z"]]
    enough = 12 * (4 * 3 * 3) ** 2
    assert refit_weights(stage, feeds, targets, LINEAR, enough - 1) == {}
    assert f"'{stage.key}': its weights are not refitted, which takes more --memory" in caplog.text
    assert set(refit_weights(stage, feeds, targets, LINEAR, enough)) == {"w"}


def test_too_few_places_for_the_unknowns_leave_a_layer_alone(make, rng):
    source, layer, shape = LAYERS["gemm"]  # 8 unknowns, and a place a sample
    stage, _ = make(source, f"z = {layer}", w=normal(rng, w=shape)["w"])
    for samples, refitted in ((15, set()), (16, {"w"})):
        x = np.abs(normal(rng, x=(samples, 8))["x"])
        feeds = [{stage.sources[0]: x}]
        targets = [stage.current(feeds[0]) + normal(rng, z=(samples, 5))["z"]]
        assert set(refit_weights(stage, feeds, targets, LINEAR)) == refitted


def test_batches_of_any_size_take_in_the_same_places(make, rng, monkeypatch):
    monkeypatch.setattr(refit, "_PLACES", 500)
    monkeypatch.setattr(refit, "_PLACES_EACH", 1)
    source, layer, shape = LAYERS["conv"]
    drawn = normal(rng, w=shape, x=(48, 4, 9, 9))
    found = []
    for sizes in ([48], [1, 46, 1], [16, 16, 16]):
        stage, _ = make(source, f"z = {layer}", w=drawn["w"])
        feeds = [{stage.sources[0]: part} for part in np.split(drawn["x"], np.cumsum(sizes)[:-1])]
        targets = [np.sin(stage.current(part)) for part in feeds]
        found.append(refit_weights(stage, feeds, targets, LINEAR)["w"])
    np.testing.assert_allclose(found[1], found[0], atol=1e-5)
    np.testing.assert_allclose(found[2], found[0], atol=1e-5)
