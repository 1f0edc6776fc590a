"""Real topologies as exporters write them, with random weights: how close the SNN comes to the ANN."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

import onnx2snn
from benchmarks.convergence import measure, options_for
from benchmarks.topologies import FIXTURES, LIGHT_NETS, example_feeds, load
from onnx2snn.engine.engines import OnnxruntimeEngine

#: Nets on which 128 timesteps are quick.
QUICK = ("convnext", "keras_functional", "pointnet", "prelu", "tf_cnn", "vit_relu", "vit_gelu")
#: Light nets on which 32 timesteps are; the others are measured by `benchmarks.convergence`.
LIGHT = ("light_shufflenet", "light_squeezenet")


@pytest.mark.parametrize("name", FIXTURES)
def test_after_32_timesteps(name):
    error = measure(load(name), 32, calibration=32, samples=4, **options_for(name))
    assert error.output < 0.05
    assert error.difference < 0.30


@pytest.mark.parametrize("name", [name for name in FIXTURES if name.startswith(QUICK)])
def test_after_128_timesteps(name):
    error = measure(load(name), 128, calibration=64, samples=4, **options_for(name))
    assert error.output < 0.015
    assert error.difference < 0.08


@pytest.mark.parametrize("name", LIGHT)
def test_light_nets_after_32_timesteps(name):
    error = measure(load(name), 32, calibration=2, samples=2)
    assert error.output < 0.05
    assert error.difference < 0.30


@pytest.mark.parametrize("code", ["burst", "graded"])
@pytest.mark.parametrize("name", [name for name in LIGHT_NETS if "vgg" not in name])
def test_every_node_of_a_light_net_has_a_verdict(name, code):
    model = load(name)
    found = onnx2snn.inspect(model, code=code)
    assert [verdict.node for verdict in found.nodes[: len(model.graph.node)]] == [
        node.name or node.output[0] for node in model.graph.node
    ]
    assert not [verdict for verdict in found.nodes if verdict.role == "refused"]
    assert found.macs.share > 0.3


@pytest.mark.parametrize("name", FIXTURES)
def test_fixtures_hold_no_weights_and_depend_on_their_input(name):
    model = load(name)
    feeds = example_feeds(model, 8, seed=5)
    for values in OnnxruntimeEngine(model).run(feeds).values():
        turns = values - np.roll(values, 1, axis=0)
        assert np.linalg.norm(turns) > 0.02 * np.linalg.norm(values)
    with pytest.raises((onnx2snn.ModelError, ValueError)):
        onnx2snn.inspect(onnx.load(f"tests/fixtures/{name}.onnx"))
