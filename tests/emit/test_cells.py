"""Cells of float16 nets compute in float32, and bring their bodies along; quantisers are written out."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from onnx2snn.emit.cells import functions_of, widen_cells, write_out_quantizers
from onnx2snn.graph.graph import write_model
from onnx2snn.ops import CELLS
from tests.helpers import graph_of, parse, run


def net(dtype):
    text = f"""({dtype}[N,2] x) => ({dtype}[N,2] y) {{
        r = onnx2snn.AccumulateFire<levels=4, code="burst", potential=0.5>(x, theta) y = Neg(r) }}"""
    kind = {"float": np.float32, "float16": np.float16}[dtype]
    graph = graph_of(parse(text, theta=np.asarray(2, kind)))
    graph.tensors()["r"].dtype = kind
    graph.tensors()["r"].shape = ("N", 2)
    return graph


def test_a_cell_of_a_float16_net_lies_between_two_casts():
    graph = net("float16")
    widen_cells(graph)
    model = write_model(graph)
    assert [node.op_type for node in model.graph.node] == ["Cast", "AccumulateFire", "Cast", "Neg"]
    (theta,) = [item for item in model.graph.initializer if item.name == "theta"]
    assert theta.data_type == onnx.TensorProto.FLOAT
    model.functions.extend(functions_of(model.graph.node))
    (y,) = run(model, {"x": np.float16([[2.9, 100]])})
    assert (y.tolist(), y.dtype) == ([[-2, -8]], np.float16)


def test_a_second_time_and_other_nets_stay_as_they_are():
    graph = net("float16")
    widen_cells(graph)
    widen_cells(graph)
    assert sum(node.op == "Cast" for node in graph.nodes) == 2
    graph = net("float")
    widen_cells(graph)
    assert [node.op for node in graph.nodes] == ["AccumulateFire", "Neg"]


@pytest.mark.parametrize("dtype", ["float", "float16", "double"])
def test_a_quantiser_is_written_in_standard_operators(dtype):
    """A step of one half and one of two; ties go up, what is above the last level stays on it."""
    kind = {"float": np.float32, "float16": np.float16, "double": np.float64}[dtype]
    text = f"({dtype}[N,2] x) => ({dtype}[N,2] y) {{ [q] y = onnx2snn.QuantizedRelu<levels=3>(x, step) }}"
    graph = graph_of(parse(text, step=kind([0.5, 2])))
    write_out_quantizers(graph)
    model = write_model(graph)
    assert [node.op_type for node in model.graph.node] == ["Div", "Add", "Floor", "Max", "Min", "Mul"]
    assert (model.graph.node[-1].name, model.graph.output[0].name) == ("q", "y")
    (y,) = run(model, {"x": kind([[0.24, 0.99], [0.25, 1], [1.3, 4.9], [9, 9], [-9, -9]])})
    assert (y.tolist(), y.dtype) == ([[0, 0], [0.5, 2], [1.5, 4], [1.5, 6], [0, 0]], kind)


def test_bodies_are_those_of_our_operators_once_and_by_name():
    text = """(float[N] x) => (float[N] y) { a = onnx2snn.LIPool(x) b = onnx2snn.BurstIF(a) c = Relu(b)
        y = onnx2snn.BurstIF(c) }"""
    found = functions_of(parse(text).graph.node)
    assert found == [CELLS["BurstIF"].function, CELLS["LIPool"].function]
