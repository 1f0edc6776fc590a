"""A neuron that the package has never heard of compiles, runs, counts, leaves early, is diagnosed."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx.reference import ReferenceEvaluator

import onnx2snn
from onnx2snn import SpikingSession
from onnx2snn.cli import main
from onnx2snn.ops import CELLS
from onnx2snn.ops.burst_if import initial_state, most_spikes, set_up
from onnx2snn.ops.cell import Cell, Neuron, Setting, function_body
from tests.helpers import normal, parse, run

FUNCTION = function_body("""
LeakyIF <max_spikes, decay> (current, potential, threshold) => (output, next_potential) {
    none = Constant <value_float: float = 0.0> ()
    limit = Constant <value_int: int = @max_spikes> ()
    leak = Constant <value_float: float = @decay> ()
    zero = CastLike (none, current)
    ceiling = CastLike (limit, current)
    share = CastLike (leak, current)
    left = Mul (potential, share)
    charged = Add (current, left)
    ratio = Div (charged, threshold)
    whole = Floor (ratio)
    spikes = Clip (whole, zero, ceiling)
    output = Mul (spikes, threshold)
    next_potential = Sub (charged, output)
}
""")


def step(current, state, parameters, attributes):
    """u = decay·v + I; otherwise the burst neuron."""
    (potential,), (threshold,) = state, parameters
    charged = current + potential * np.asarray(attributes["decay"], current.dtype)
    output = np.clip(np.floor(charged / threshold), 0, attributes["max_spikes"]) * threshold
    return output, (charged - output,)


def leaking(kind, options):
    plain = set_up(kind, options)
    return Setting(plain.threshold, plain.attributes | {"decay": 0.75}, plain.levels, plain.max_spikes)


LEAKY_IF = Cell(
    "LeakyIF",
    "neuron",
    ("potential",),
    FUNCTION,
    step,
    initial_state,
    Neuron(
        lambda kind, options: options.schedule == "stream" and not options.signed and kind.step is None,
        leaking,
        most_spikes,
        adaptable=True,
    ),
)
NET = """(float[N,3,6,6] x) => (float[N,4] y) {
    c = Conv<pads=[1,1,1,1]>(x, k) r = Relu(c) m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r)
    d = Conv(m, l) s = Relu(d) f = Flatten(s) y = Gemm(f, w) }"""
T = 6


@pytest.fixture
def net(rng, monkeypatch):
    """The net, while the neuron is the first of all."""
    others = dict(CELLS)
    monkeypatch.setattr("onnx2snn.ops._FILES", ())  # nothing is loaded again
    CELLS.clear()
    CELLS.update({LEAKY_IF.op: LEAKY_IF} | others)
    yield parse(NET, **normal(rng, k=(8, 3, 3, 3), l=(8, 8, 2, 2), w=(32, 4)))
    CELLS.clear()
    CELLS.update(others)


@pytest.fixture
def samples(rng):
    return rng.standard_normal((40, 3, 6, 6)).astype(np.float32)


@pytest.fixture
def snn(net, samples):
    return onnx2snn.compile(net, samples, timesteps=T, max_spikes=2)


def test_it_is_in_the_file_and_runs_on_every_backend(snn, samples):
    neurons = SpikingSession(snn.model).artifact.neurons
    assert [cell.op_type for cell in neurons] == ["LeakyIF", "LeakyIF"]
    assert "LeakyIF" in [function.name for function in snn.model.functions]
    onnx.checker.check_model(snn.model, full_check=True)
    (expected,) = run(snn.model, {"x": samples})
    assert np.abs(expected).max() > 0
    (in_reference,) = ReferenceEvaluator(snn.model).run(None, {"x": samples})
    np.testing.assert_allclose(in_reference, expected, rtol=1e-4, atol=1e-4)
    for session in (SpikingSession(snn.model), SpikingSession(snn.model, "numpy")):
        np.testing.assert_allclose(session.run(samples).outputs["y"], expected, rtol=1e-4, atol=1e-4)


def test_it_really_leaks(net, samples, snn):
    (leaking_scores,) = run(snn.model, {"x": samples})
    del CELLS["LeakyIF"]
    (scores,) = run(onnx2snn.compile(net, samples, timesteps=T, max_spikes=2).model, {"x": samples})
    assert np.abs(scores - leaking_scores).max() > 0.01


def test_its_spikes_are_counted(snn, samples):
    session = SpikingSession(snn.model)
    (point,) = session.run_counted(samples, [T])
    recorded = session.run(samples, record=True).spikes
    for name in session.neurons:
        assert recorded[name].max() == 2  # Γ
        sent = recorded[name].sum(axis=(0, *range(2, recorded[name].ndim)))
        np.testing.assert_array_equal(point.spikes[name], sent)
    assert sum(point.synaptic_operations["y"]) == 4 * recorded[session.neurons[-1]].sum()


def test_its_batches_run_in_groups(snn, samples):
    session = SpikingSession(snn.model)
    assert session._apart
    alone = np.concatenate([session.run(samples[i : i + 5]).outputs["y"] for i in range(0, 40, 5)])
    np.testing.assert_allclose(session.run(samples).outputs["y"], alone, rtol=1e-5, atol=1e-5)


def test_it_leaves_early(snn, samples):
    done = SpikingSession(snn.model).run(samples, early_exit="confidence:0.5")
    assert done.timesteps_used.min() < T


def test_a_search_chooses_its_thresholds(net, samples):
    budget = onnx2snn.compile(net, samples, timesteps=T, max_spikes="auto", spike_budget="60%")
    before, after = budget.report.to_dict()["adaptation"]["spikes_per_sample"]
    assert after <= 0.6 * before


def test_it_is_evaluated_diagnosed_and_reported(net, samples, tmp_path):
    onnx.save(net, tmp_path / "ann.onnx")
    np.savez(tmp_path / "data.npz", images=samples)

    def call(line):
        done = CliRunner().invoke(main, [word.replace("@", f"{tmp_path}/") for word in line.split()])
        assert done.exit_code == 0, done.output
        return done.output

    call("compile @ann.onnx --calib @data.npz -T 6 --code burst -o @snn.onnx --report @compile.html")
    against = "@snn.onnx --data @data.npz --reference @ann.onnx"
    call(f"evaluate {against} --json @evaluate.json --report @evaluate.html")
    call(f"diagnose {against} --json @diagnose.json --report @diagnose.html")
    evaluation, diagnosis = (
        json.loads((tmp_path / name).read_text()) for name in ("evaluate.json", "diagnose.json")
    )
    assert evaluation["spikes_per_sample"][0] > 0
    assert [layer["op"] for layer in diagnosis["layers"]] == ["LeakyIF", "LeakyIF"]
    for page in ("compile", "evaluate", "diagnose"):
        assert (tmp_path / f"{page}.html").stat().st_size > 10_000
