"""The names that an artifact reserves: what is written in files stays, and none of them is another's."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.ops.names import DIVISOR, LOOP, TIMESTEPS
from tests.helpers import normal, parse

TEXT = "(float[N,4] x) => (float[N,3] y) { h = Gemm(x, w1) r = Relu(h) y = Gemm(r, w2) }"


@pytest.fixture
def net(rng):
    return parse(TEXT, **normal(rng, w1=(4, 6), w2=(6, 3)))


def test_files_of_before_have_these_names():
    assert (LOOP, TIMESTEPS, DIVISOR) == (
        "onnx2snn/timesteps_loop",
        "onnx2snn/timesteps",
        "onnx2snn/timesteps_as_",
    )


def test_the_artifact_has_its_loop_and_its_divisor_under_them(net, rng):
    graph = onnx2snn.compile(net, normal(rng, x=(8, 4))["x"], code="burst").model.graph
    assert [node.name for node in graph.node if node.op_type == "Loop"] == [LOOP]
    made = {name for node in graph.node for name in node.output} | {item.name for item in graph.initializer}
    assert any(name.startswith(DIVISOR) for name in made)


def test_a_users_node_of_that_name_gives_it_up(net, rng):
    x = normal(rng, x=(8, 4))["x"]
    expected = onnx2snn.SpikingSession(onnx2snn.compile(net, x, code="burst").model).run(x).outputs["y"]
    net.graph.node[0].name = LOOP
    snn = onnx2snn.compile(net, x, code="burst").model
    assert [node.op_type for node in snn.graph.node if node.name == LOOP] == ["Loop"]
    np.testing.assert_array_equal(onnx2snn.SpikingSession(snn).run(x).outputs["y"], expected)


def test_the_trip_count_moves_where_the_user_has_timesteps(net, rng):
    for name, trips in (("x", "timesteps"), ("timesteps", TIMESTEPS)):
        net.graph.input[0].name = net.graph.node[0].input[0] = name
        snn = onnx2snn.compile(net, {name: normal(rng, x=(8, 4))["x"]}, code="burst").model
        assert next(node.input[0] for node in snn.graph.node if node.name == LOOP) == trips
