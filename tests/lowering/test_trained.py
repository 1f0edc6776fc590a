from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import onnx2snn
from onnx2snn.engine.engines import make_engine
from onnx2snn.graph.graph import write_model
from onnx2snn.model.file import load_model
from onnx2snn.passes.pipeline import prepare
from tests.helpers import run
from tests.lowering.single import foreign, ops, written

TRAINED = Path(__file__).parents[1] / "fixtures" / "trained"
NETS = ["binary.qonnx", "four_bits.qcdq", "four_bits.qonnx"]


def fixture(name):
    return load_model(TRAINED / f"{name}.onnx"), dict(np.load(TRAINED / f"{name}.npz"))


@pytest.mark.parametrize("name", ["operators.v1", "operators.v2"])
def test_operators_give_what_qonnx_gives(name):
    model, arrays = fixture(name)
    found = make_engine(model).run({"x": arrays.pop("x")})
    assert sorted(found) == sorted(arrays)
    for output, expected in arrays.items():
        np.testing.assert_allclose(found[output], expected, rtol=1e-6, atol=1e-6, err_msg=output)


@pytest.mark.parametrize("name", NETS)
def test_nets_give_what_brevitas_gives(name):
    model, arrays = fixture(name)
    graph, _ = prepare(model)
    for same in (model, write_model(graph)):
        found = make_engine(same).run({"x": arrays["x"]})["y"]
        np.testing.assert_allclose(found, arrays["y"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("name", "spiking"), [*zip(NETS, (1, 3, 3), strict=True)])
def test_nets_spike_at_their_quantisers_with_exactly_their_levels(name, spiking):
    """After T timesteps the mean of a trained quantiser's neuron is the quantiser's own output."""
    model, arrays = fixture(name)
    compiled = onnx2snn.compile(model, arrays["x"], code="burst", schedule="stream", timesteps=32)
    roles = compiled.report.roles
    assert (roles["spiking"], roles["refused"]) == (spiking, 0)
    found = onnx2snn.SpikingSession(compiled.model).run(arrays["x"]).outputs["y"]
    np.testing.assert_allclose(found, arrays["y"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("domain", ["", "onnx.brevitas"])
def test_a_domain_that_is_not_declared(domain):
    model, arrays = fixture("binary.qonnx")
    del model.opset_import[1:]
    for node in model.graph.node:
        if node.op_type == "BipolarQuant":
            node.domain = domain
    spiking = [verdict.op for verdict in onnx2snn.inspect(model).nodes if verdict.role == "spiking"]
    assert spiking == [f"{domain}.BipolarQuant".removeprefix(".")]
    np.testing.assert_allclose(make_engine(model).run({"x": arrays["x"]})["y"], arrays["y"], atol=1e-6)


def requant(signed, levels, attribute):
    numbers = {"div": 256.0, "signed": float(signed), attribute: float(levels)}
    tensors = {name: numpy_helper.from_array(np.float32([value])) for name, value in numbers.items()}
    node = helper.make_node("RequantShift", ["x", "mul", "add"], ["y"], domain="PACTOps", **tensors)
    shape = ["N", 3, 8]
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [
            numpy_helper.from_array(np.asarray([[37], [-12], [91]], np.float32), "mul"),
            numpy_helper.from_array(np.asarray([[128], [-300], [0]], np.float32), "add"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


REQUANT = [(0, 16, "n_levels"), (1, 256, "n_levels_out"), (1, 15, "n_levels")]


@pytest.mark.parametrize(("signed", "levels", "name"), REQUANT)
def test_requant_shift_is_exact_on_integers(rng, signed, levels, name):
    model = requant(signed, levels, name)
    x = rng.integers(-3000, 3000, (50, 3, 8))
    mul, add = (numpy_helper.to_array(item).astype(int) for item in model.graph.initializer)
    half = (levels + 1) // 2
    low, high = (-half, half - 1) if signed else (0, levels - 1)
    expected = np.clip((x * mul + add) // 256, low, high)
    (found,) = run(written(model).model, {"x": x.astype(np.float32)})
    np.testing.assert_array_equal(found, expected)
    assert ops(written(model)) == ["Mul", "Add", "Floor", "Clip"]


def test_thresholds_that_integers_meet_exactly(rng):
    thresholds = (np.arange(7) * 3 - 8 + np.asarray([[0], [1]])).astype(np.float32)
    text = """(float[4,2,5] x) => (float[4,2,5] y) { y = qonnx.custom_op.general.MultiThreshold<
        out_dtype = "UINT3", data_layout = "NCW">(x, t) }"""
    x = rng.integers(-12, 16, (4, 2, 5)).astype(np.float32)
    model = foreign(text, t=thresholds)
    (found,) = run(written(model).model, {"x": x})
    np.testing.assert_array_equal(found, (x[..., None] >= thresholds[:, None]).sum(-1))
    assert "Floor" in ops(written(model))


def test_thresholds_that_are_not_equally_far_apart_are_counted(rng):
    thresholds = np.sort(rng.standard_normal((3, 5)), axis=1).astype(np.float32)
    text = """(float[4,2,5,3] x) => (float[4,2,5,3] y) { y = qonnx.custom_op.general.MultiThreshold<
        out_dtype = "INT4", data_layout = "NHWC", out_scale = 0.5, out_bias = -1.0>(x, t) }"""
    x = rng.standard_normal((4, 2, 5, 3)).astype(np.float32)
    model = foreign(text, t=thresholds)
    (found,) = run(written(model).model, {"x": x})
    np.testing.assert_allclose(found, (x[..., None] >= thresholds).sum(-1) * 0.5 - 1, atol=1e-6)
    assert "ReduceSum" in ops(written(model))


@pytest.mark.parametrize(
    ("node", "reason"),
    [
        ('Quant<rounding_mode = "ODD", signed = 1, narrow = 0>(r, s, z, b)', "it rounds by 'ODD'"),
        ("Quant<signed = 1, narrow = 0>(r, s, z, x)", "its bit width is not constant"),
    ],
)
def test_what_cannot_be_written(node, reason):
    text = f"(float[N,4] x) => (float[N,4] y) {{ r = Relu(x) y = qonnx.custom_op.general.{node} }}"
    model = foreign(text, s=np.float32(1), z=np.float32(0), b=np.float32(4))
    (refused,) = [verdict for verdict in onnx2snn.inspect(model).nodes if verdict.role == "refused"]
    assert refused.op == "qonnx.custom_op.general.Quant"
    assert refused.reason.endswith(reason)


def test_quantised_inputs_are_analog(rng):
    """A Clip there would be a neuron."""
    text = """(float[N,4] x) => (float[N,4] y) {
        q = qonnx.custom_op.general.Quant<signed = 1, narrow = 1>(x, s, z, b)
        m = MatMul(q, w) r = Relu(m) y = MatMul(r, w) }"""
    w = rng.standard_normal((4, 4), np.float32)
    model = foreign(text, s=np.float32(0.1), z=np.float32(0), b=np.float32(4), w=w)
    assert "Clip" not in ops(written(model))
    assert onnx2snn.inspect(model).roles["spiking"] == 1
    onnx.checker.check_model(written(model).model)
