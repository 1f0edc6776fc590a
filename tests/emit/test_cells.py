"""Cells of float16 nets compute in float32, and bring their bodies along."""

from __future__ import annotations

import numpy as np
import onnx

from onnx2snn.emit.cells import functions_of, widen_cells
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


def test_bodies_are_those_of_our_operators_once_and_by_name():
    text = """(float[N] x) => (float[N] y) { a = onnx2snn.LIPool(x) b = onnx2snn.BurstIF(a) c = Relu(b)
        y = onnx2snn.BurstIF(c) }"""
    found = functions_of(parse(text).graph.node)
    assert found == [CELLS["BurstIF"].function, CELLS["LIPool"].function]
