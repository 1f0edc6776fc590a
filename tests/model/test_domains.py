import onnx
import pytest
from onnx import helper

from onnx2snn.errors import ModelError
from onnx2snn.lowering.write_out import RULES
from onnx2snn.model.check import check_model
from onnx2snn.model.domains import FOREIGN, MISPLACED, needs_domains, with_domains
from tests.helpers import parse


def net() -> onnx.ModelProto:
    return parse("(float[N,4] x) => (float[N,4] y) { a = Relu(x) y = Neg(a) }")


def test_the_domain_of_onnx_spelled_out():
    model = net()
    assert not needs_domains(model)
    model.graph.node[0].domain = model.opset_import[0].domain = "ai.onnx"
    assert needs_domains(model)
    check_model(model, "net.onnx")
    plain = with_domains(model)
    assert [node.domain for node in plain.graph.node] == ["", ""]
    assert [item.domain for item in plain.opset_import] == ["", "onnx2snn"]
    assert model.graph.node[0].domain == "ai.onnx"
    model.graph.node[0].input[0] = "gone"
    with pytest.raises(ModelError, match="expected 'gone' to be an input"):
        check_model(model, "net.onnx")


def test_a_domain_that_nobody_declared():
    model = net()
    model.graph.node.append(helper.make_node("Own", ["y"], ["z"], domain="mine"))
    assert needs_domains(model)
    check_model(model, "net.onnx")
    plain = with_domains(model)
    assert [(item.domain, item.version) for item in plain.opset_import][-1] == ("mine", 1)
    assert [node.domain for node in plain.graph.node] == ["", "", "mine"]


@pytest.mark.parametrize("op", MISPLACED)
def test_operators_of_others_in_the_domain_of_onnx(op):
    model = net()
    model.graph.node.append(helper.make_node(op, ["y", "y", "y", "y"], ["z"]))
    check_model(model, "net.onnx")
    assert with_domains(model).graph.node[-1].domain == FOREIGN
    assert (FOREIGN, op) in RULES
