import logging

import numpy as np
import onnx
import pytest

import onnx2snn
from onnx2snn.lowering.write_out import write_out
from onnx2snn.model.file import flatten_model, load_model
from onnx2snn.passes.pipeline import prepare
from tests.helpers import run
from tests.lowering.ort_nets import block, float_net, optimised, quantised, samples
from tests.lowering.single import foreign


@pytest.fixture(autouse=True)
def _quiet():
    logging.disable(logging.WARNING)  # onnxruntime's tools say what they would rather do
    yield
    logging.disable(logging.NOTSET)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("nets")


@pytest.mark.parametrize(
    ("form", "level"),
    [
        ("QOperator", "as it is"),
        ("QOperator", "ALL"),
        ("QOperator, by channel", "EXTENDED"),
        ("QDQ", "as it is"),
        ("QDQ", "EXTENDED"),
        ("QDQ, int8", "ALL"),
        ("QDQ, int4 weights", "as it is"),
    ],
)
def test_a_net_that_onnxruntime_quantised(form, level, folder):
    path = quantised(form, folder)
    model = load_model(path if level == "as it is" else optimised(path, level))
    x = {"x": samples(np.random.default_rng(1))}
    expected = run(model, x)[0]
    found = run(write_out(flatten_model(model)).model, x)[0]
    step = np.diff(np.unique(expected)).min()
    assert np.abs(found - expected).max() <= 1.01 * step  # a tie that falls the other way
    assert (np.abs(found - expected) < step / 2).mean() > 0.95
    inspected = onnx2snn.inspect(model)
    assert inspected.roles["refused"] == 0
    assert inspected.roles["analog"] <= 1  # the quantiser of the input
    spiking = [verdict.node for verdict in inspected.nodes if verdict.role == "spiking"]
    assert len(spiking) >= 8


@pytest.mark.parametrize(("form", "level"), [("dynamic", "EXTENDED"), ("dynamic, by channel", "as it is")])
def test_a_net_that_onnxruntime_quantised_dynamically(form, level, folder):
    path = quantised(form, folder)
    model = load_model(path if level == "as it is" else optimised(path, level))
    x = {"x": samples(np.random.default_rng(1))}
    expected = run(model, x)[0]
    found = run(write_out(flatten_model(model)).model, x)[0]
    assert (
        np.abs(found - expected).max() < 0.05 * np.abs(expected).max()
    )  # what 255 steps round off, layer by layer
    inspected = onnx2snn.inspect(model)
    assert inspected.roles["refused"] == inspected.roles["analog"] == 0
    said = [
        v.reason for v in inspected.nodes if v.op.endswith(("DynamicQuantizeLinear", "DynamicQuantizeMatMul"))
    ]
    assert len(said) == 4
    assert all("left out" in reason for reason in said)


def test_a_quantised_net_spikes_at_its_quantisers(folder, rng):
    model = load_model(quantised("QOperator", folder))
    x = samples(np.random.default_rng(1))
    compiled = onnx2snn.compile(model, samples(rng), timesteps=4, code="graded", schedule="stream")
    found = onnx2snn.SpikingSession(compiled.model).run(x).outputs["y"]
    expected = run(model, {"x": x})[0]
    assert np.abs(found - expected).mean() < 0.02 * np.abs(expected).max()
    assert compiled.report.macs.not_fed == 0


OPTIMISED = {
    "convolutions": (float_net, (4, 3, 8, 8), {"FusedConv", "FusedGemm"}),
    "transformer": (block, (2, 4, 8), {"Gelu", "SkipLayerNormalization", "FusedMatMul", "QuickGelu"}),
}


@pytest.mark.parametrize("name", OPTIMISED)
def test_a_net_that_onnxruntime_optimised(name, tmp_path, rng):
    """It becomes what it was before: the same numbers, and none of it refused."""
    make, shape, fused = OPTIMISED[name]
    plain = make(rng)
    onnx.save(plain, tmp_path / "plain.onnx")
    model = load_model(optimised(tmp_path / "plain.onnx", "EXTENDED"))
    assert {node.op_type for node in model.graph.node if node.domain} == fused
    x = {"x": rng.standard_normal(shape).astype(np.float32)}
    found = run(write_out(flatten_model(model)).model, x)
    np.testing.assert_allclose(found[0], run(plain, x)[0], rtol=1e-4, atol=1e-5)
    before, after = (onnx2snn.inspect(net).roles for net in (plain, model))
    assert after["refused"] == 0
    assert (before["spiking"] == after["spiking"]) == (name == "convolutions")  # a Gelu was five nodes


def test_what_is_in_blocks_of_a_processor_is_refused_with_a_remedy(rng):
    """So onnxruntime writes convolutions at its default level, where they have channels enough."""
    model = foreign(
        "(float[1,16,4,4] x) => (float[1,16,2,2] y) { y = com.microsoft.nchwc.Conv(x, w) }",
        w=rng.standard_normal((16, 16, 3, 3)).astype(np.float32),
    )
    with pytest.raises(onnx2snn.UnsupportedGraphError, match="optimise the model at ORT_ENABLE_EXTENDED"):
        onnx2snn.compile(model, np.zeros((2, 16, 4, 4), np.float32))


def test_what_has_nothing_foreign_is_the_same_model(rng):
    model = flatten_model(float_net(rng))
    result = write_out(model)
    assert result.model is model
    assert result.nodes == []


def test_the_user_s_nodes_keep_their_names_and_operators():
    text = """(float[N,4] x) => (float[N,4] y) {
        a = com.microsoft.DequantizeLinear(w, s) b = Relu(x) y = MatMul(b, a) }"""
    model = foreign(text, w=np.eye(4, dtype=np.int8), s=np.float32(2))
    _, context = prepare(model)
    assert context.last_notes["a"].reason == "constant: computed while compiling"
    verdicts = {verdict.node: (verdict.op, verdict.role) for verdict in onnx2snn.inspect(model).nodes}
    assert verdicts == {
        "a": ("com.microsoft.DequantizeLinear", "folded"),
        "b": ("Relu", "spiking"),
        "y": ("MatMul", "linear"),
    }


def test_what_cannot_be_written_is_refused_with_the_reason():
    text = """(float[N,4,4,3] x) => (float[N,4,4,3] y) { r = Relu(x)
        m = com.microsoft.Mystery(r) y = com.microsoft.NhwcMaxPool<kernel_shape = [1, 1]>(m) }"""
    with pytest.raises(onnx2snn.UnsupportedGraphError) as refused:
        onnx2snn.compile(foreign(text), np.zeros((2, 4, 4, 3), np.float32))
    why = "an operator of the domain 'com.microsoft', which ONNX does not define"
    found = {refusal.node: refusal.reason for refusal in refused.value.refusals}
    assert found == {"m": why, "y": f"{why}: the rank of 'm' is not known"}


@pytest.mark.parametrize("node", ["FusedConv(x)", "Attention(x, x)", "QLinearAdd(x)", "MatMulNBits(x, x)"])
def test_a_node_without_its_attributes_or_inputs_is_refused(node):
    model = foreign(f"(float[N,4] x) => (float[N,4] y) {{ y = com.microsoft.{node} }}")
    with pytest.raises(onnx2snn.errors.ModelError):
        onnx2snn.compile(model, np.zeros((2, 4), np.float32))


def test_an_old_opset_is_raised_first(rng):
    text = """(float[N,4] x) => (float[N,1,4] y) {
        b = com.microsoft.DequantizeLinear(w, s) c = MatMul(x, b) y = Unsqueeze<axes = [1]>(c) }"""
    model = foreign(text, opset=11, w=np.eye(4, dtype=np.int8), s=np.float32(2))
    raised = write_out(flatten_model(model)).model
    assert [item.version for item in raised.opset_import if not item.domain] == [21]
    x = rng.standard_normal((2, 4)).astype(np.float32)
    np.testing.assert_allclose(run(raised, {"x": x})[0], 2 * x[:, None])
    onnx.checker.check_model(raised)
