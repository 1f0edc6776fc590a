"""Layers that choose how they fire: budgets kept, losses held, the same bytes, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.artifact.records import Adaptation
from onnx2snn.compiler import adaptation
from onnx2snn.compiler.quality import Quality
from onnx2snn.errors import DataError, OptionError
from onnx2snn.report.tables import adaptation_line
from tests.exits.nets import TEXT, WEIGHTS
from tests.helpers import normal, parse, run

BURST = {"code": "burst"}
KINDS = [BURST, {"signed": True}, {"schedule": "layer", **BURST}]
RADIX = {"schedule": "layer", "code": "radix", "timesteps": 4}
INTEGERS = {"schedule": "layer", "weights": "int8"}
GRADED = [{"code": "graded", "timesteps": 3}, {"code": "graded", "timesteps": 3, "schedule": "layer"}]
SMOOTH = TEXT.replace("s = Relu(d)", "g = Sigmoid(d) s = Mul(d, g)")


def net(rng, text=TEXT, **weights):
    return parse(text, **normal(rng, **(weights or WEIGHTS)))


def spikes(model, x):
    session = onnx2snn.SpikingSession(model)
    point = session.run_counted(x, [session.timesteps])[-1]
    return sum(sent.sum() for sent in point.spikes.values()) / len(x)


def budgeted(rng, options):
    """Samples, a net, and what makes it choose its firing."""
    x, model = normal(rng, x=(64, 3, 6, 6))["x"], net(rng, SMOOTH if options in GRADED else TEXT)
    return x, model, {"exponents" if options in GRADED else "max_spikes": "auto", **options}


@pytest.mark.parametrize(
    ("options", "budget"),
    [
        *((options, "60%") for options in (*KINDS, INTEGERS, *GRADED)),
        *((options, "100%") for options in (BURST, INTEGERS, GRADED[0])),
    ],
)
def test_a_budget_is_kept_and_used(options, budget, rng):
    x, model, auto = budgeted(rng, options)
    fixed = spikes(onnx2snn.compile(model, x, **options).model, x)
    compiled = onnx2snn.compile(model, x, spike_budget=budget, **auto)
    said = compiled.report.to_dict()["adaptation"]
    assert said["met"]
    share = float(budget[:-1]) / 100
    assert 0.9 * share * fixed <= spikes(compiled.model, x) <= share * fixed
    assert said["spikes_per_sample"][1] == pytest.approx(spikes(compiled.model, x))


@pytest.mark.parametrize("options", [BURST, GRADED[1]])
def test_a_budget_in_spikes_is_as_good_as_one_in_percent(options, rng):
    x, model, auto = budgeted(rng, options)
    fixed = spikes(onnx2snn.compile(model, x, **options).model, x)
    share, absolute = (
        onnx2snn.compile(model, x, spike_budget=budget, **auto).model for budget in ("70%", 0.7 * fixed)
    )
    assert spikes(absolute, x) == pytest.approx(spikes(share, x), rel=0.1)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        *((options, "spikes") for options in (*KINDS, RADIX, INTEGERS, *GRADED)),
        *((options, "energy") for options in (BURST, RADIX, GRADED[1])),
    ],
)
def test_compression_saves_within_its_bound(options, what, rng):
    x, model = normal(rng, x=(400, 3, 6, 6))["x"], net(rng)
    compiled = onnx2snn.compile(model, x, compress=what, max_loss=3, **options)
    said = compiled.report.to_dict()["adaptation"]
    assert said["met"]
    assert said["measure"] == "agreement"
    key = "spikes_per_sample" if what == "spikes" else "synaptic_operations_per_sample"
    assert said[key][1] < 0.95 * said[key][0]
    # The same on the samples that were held back, by hand.
    held = x[1::2]
    plain = onnx2snn.compile(model, x[::2], **options)
    reference = run(model, {"x": held})[0].argmax(axis=1)

    def agreement(model_):
        answers = onnx2snn.SpikingSession(model_).run(held).outputs["y"].argmax(axis=1)
        return 100 * (answers == reference).mean()

    assert agreement(plain.model) - agreement(compiled.model) == pytest.approx(said["loss"])
    assert said["loss"] <= 3


@pytest.mark.parametrize(
    "options", [{"compress": "energy", "max_loss": 2}, {"max_spikes": "auto"}, {"exponents": "auto"}]
)
def test_two_runs_give_the_same_bytes(options, rng):
    x, model = normal(rng, x=(64, 3, 6, 6))["x"], net(rng)
    one, other = (onnx2snn.compile(model, x, **options).model for _ in range(2))
    assert one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)


def test_labels_are_what_the_loss_is_measured_by(rng):
    x, model = normal(rng, x=(100, 3, 6, 6))["x"], net(rng)
    labels = rng.integers(0, 5, 100)
    options = {"compress": "energy", "max_loss": 5, **BURST}
    compiled = onnx2snn.compile(model, {"x": x, "labels": labels}, **options)
    assert compiled.report.to_dict()["adaptation"]["measure"] == "accuracy"
    compiled = onnx2snn.compile(model, {"x": x, "labels": labels}, loss_measure="agreement", **options)
    assert compiled.report.to_dict()["adaptation"]["measure"] == "agreement"
    with pytest.raises(OptionError, match="--loss-measure: expected labels in arrays for acc"):
        onnx2snn.compile(model, x, loss_measure="accuracy", **options)


def test_a_net_without_classes_is_held_to_its_error(rng):
    text = "(float[N,3,6,6] x) => (float[N,2,6,6] y) { c = Conv(x, w1) r = Relu(c) y = Conv(r, w2) }"
    x = normal(rng, x=(64, 3, 6, 6))["x"]
    model = net(rng, text, w1=(4, 3, 1, 1), w2=(2, 4, 1, 1))
    said = onnx2snn.compile(model, x, compress="spikes", max_loss=5, **BURST).report.to_dict()["adaptation"]
    assert said["measure"] == "error"
    assert 0 < said["loss"] <= 5


def test_a_bound_that_nothing_meets_leaves_the_network_as_it_is(rng, monkeypatch, caplog):
    x, model = normal(rng, x=(64, 3, 6, 6))["x"], net(rng)
    qualities = iter([90.0] + [80.0] * 20)
    monkeypatch.setattr(Quality, "of", lambda *_: next(qualities))
    compiled = onnx2snn.compile(model, x, compress="energy", max_loss=1, **BURST)
    said = compiled.report.to_dict()["adaptation"]
    assert not said["met"]
    assert all(layer["scale"] == 1 for layer in said["layers"].values())
    plain = onnx2snn.compile(model, x[::2], **BURST)
    expected = onnx2snn.SpikingSession(plain.model).run(x).outputs["y"]
    np.testing.assert_array_equal(onnx2snn.SpikingSession(compiled.model).run(x).outputs["y"], expected)
    assert "less than one of the 32 samples held back" in caplog.text


def test_a_ceiling_is_never_exceeded(rng):
    """A ReLU6 stays one, whatever its thresholds."""
    text = """(float[N,3,6,6] x) => (float[N,4,6,6] s) { c = Conv<pads=[1,1,1,1]>(x, w1)
        r = Clip(c, low, high) d = Conv<pads=[1,1,1,1]>(r, w2) s = Clip(d, low, high) }"""
    weights = normal(rng, w1=(4, 3, 3, 3), w2=(4, 4, 3, 3))
    model = parse(text, low=np.float32(0), high=np.float32(1), **weights)
    x = normal(rng, x=(64, 3, 6, 6))["x"]
    for options in (
        {"max_spikes": "auto", "spike_budget": "70%"},
        {"compress": "spikes", "max_loss": 20, **BURST},
    ):
        compiled = onnx2snn.compile(model, x, **options)
        found = onnx2snn.SpikingSession(compiled.model).run(3 * x).outputs["s"]
        assert found.max() <= 1 + 1e-6


CLIPPED = """(float[N,3,6,6] x) => (float[N,5] y) { c = Conv<pads=[1,1,1,1]>(x, w1) r = Clip(c, low, high)
    f = Flatten(r) y = Gemm(f, w2) }"""


def test_a_budget_that_the_net_keeps_to_as_it_is(rng):
    """A ceiling leaves little to choose; what there is already counts."""
    model = parse(CLIPPED, low=np.float32(0), high=np.float32(1), **normal(rng, w1=(4, 3, 3, 3), w2=(144, 5)))
    assert onnx2snn.compile(model, normal(rng, x=(64, 3, 6, 6))["x"], max_spikes="auto").report.to_dict()[
        "adaptation"
    ]["met"]


def test_a_fixed_batch_is_enough_for_the_search(rng):
    x, model = normal(rng, x=(300, 3, 6, 6))["x"], net(rng, TEXT.replace("float[N,", "float[150,"))
    compiled = onnx2snn.compile(model, x, max_spikes="auto", spike_budget="80%")
    assert compiled.report.to_dict()["adaptation"]["met"]


def test_a_silent_net_has_a_budget_too(rng):
    model = parse(TEXT, **{name: -np.abs(array) for name, array in normal(rng, **WEIGHTS).items()})
    x = np.abs(normal(rng, x=(32, 3, 6, 6))["x"])
    assert onnx2snn.compile(model, x, max_spikes="auto", spike_budget=1000).report.to_dict()["adaptation"][
        "met"
    ]


def test_a_large_budget_keeps_bursts_within_bounds(rng):
    x = normal(rng, x=(32, 3, 6, 6))["x"]
    neurons = onnx2snn.compile(net(rng), x, max_spikes="auto", spike_budget=1e9).report.to_dict()["neurons"]
    assert all(1 <= neuron["max_spikes"] <= 255 for neuron in neurons.values())


def test_labels_that_are_no_classes_are_refused(rng):
    data = {"x": normal(rng, x=(40, 3, 6, 6))["x"], "labels": np.arange(40)}
    with pytest.raises(DataError, match="labels: expected classes 0 to 4, those of output 'y', found"):
        onnx2snn.compile(net(rng), data, compress="spikes", **BURST)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_loss": 0.5, "early_exit": "confidence"}, "--early-exit: expected none where --max-loss choo"),
        ({"loss_measure": "agreement"}, "--loss-measure: expected only with --compress"),
        ({"early_exit": 0.9}, "--early-exit: expected auto, confidence, entropy or change"),
        ({"spike_budget": "50%", **BURST}, "--spike-budget: expected only with --max-spikes auto"),
        ({"spike_budget": "50%"}, "--spike-budget: expected only with --exponents auto"),
        ({"max_spikes": "auto", "spike_budget": "0%"}, "--spike-budget: expected spikes a sample"),
        ({"max_spikes": "auto", "spike_budget": -3}, "--spike-budget: expected spikes a sample"),
        ({"max_spikes": "auto", "spike_budget": 1}, "--spike-budget: expected at least .* give more"),
        ({"max_spikes": "auto", "levels": 2}, "--levels: expected none with --max-spikes auto"),
        ({"max_spikes": "auto", "compress": "energy"}, "--compress: expected none with --max-spikes auto"),
        ({"spike_budget": 9, **GRADED[0]}, "--spike-budget: expected only with --exponents auto"),
        (
            {"exponents": "auto", "compress": "spikes", **GRADED[0]},
            "--compress: expected none with --exponents",
        ),
        (
            {"exponents": "auto", **BURST},
            "--exponents: expected only with --code graded, found 'auto' with b",
        ),
        ({"max_spikes": "auto", **GRADED[0]}, "--max-spikes: expected none with --code graded, found 'auto'"),
        ({"max_spikes": "auto", **RADIX}, "--max-spikes: expected none with --code radix"),
        ({"compress": "energy", "max_loss": 0}, "--max-loss: expected more than 0"),
        ({"compress": "energy", "max_loss": -1}, "--max-loss: expected more than 0"),
        ({"compress": "energy", "max_loss": True}, "--max-loss: expected more than 0"),
        ({"compress": "power"}, "--compress: expected one of none, spikes, energy"),
        ({"compress": "energy", "max_search_samples": 0}, "--max-search-samples: expected an integer"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(options, message, rng):
    with pytest.raises(OptionError, match=message) as error:
        onnx2snn.compile(net(rng), normal(rng, x=(8, 3, 6, 6))["x"], **options)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("samples", "batch", "used"),
    [(300, "N", 100), (128, "N", 128), (129, "N", 65), (300, "4", 150), (300, "150", 150), (90, "4", 90)],
)
def test_a_search_looks_at_every_so_manyth_sample(samples, batch, used, rng, monkeypatch):
    """At most 128 of them; a fixed batch rather has too many than too few to fill it."""
    seen = []

    def spend(search):
        seen.append(len(search.dataset))
        return search.try_out({})[0], Adaptation("spike_budget")

    monkeypatch.setattr(adaptation, "_spend", spend)
    text = f"(float[{batch},3] x) => (float[{batch},2] y) {{ a = MatMul(x, w) r = Relu(a) y = MatMul(r, v) }}"
    onnx2snn.compile(net(rng, text, w=(3, 4), v=(4, 2)), normal(rng, x=(samples, 3))["x"], max_spikes="auto")
    assert seen == [used]


def test_a_net_that_gives_nothing_but_zeros_loses_nothing(rng):
    model = parse(
        "(float[N,3] x) => (float[N,1] y) { a = MatMul(x, w) r = Relu(a) y = MatMul(r, v) }",
        v=np.zeros((4, 1), np.float32),
        **normal(rng, w=(3, 4)),
    )
    said = onnx2snn.compile(model, normal(rng, x=(64, 3))["x"], compress="spikes", **BURST).report.to_dict()[
        "adaptation"
    ]
    assert (said["measure"], said["loss"]) == ("error", 0)


BLOCKS = """(float[N,3,6,6] x) => (float[N,5] y) {
    c = Conv<pads=[1,1,1,1]>(x, w1) r = Relu(c)
    d = Conv<pads=[1,1,1,1]>(r, w2) s = Relu(d) e = Conv<pads=[1,1,1,1]>(s, w3) a = Add(e, r) t = Relu(a)
    f = Flatten(t) y = Gemm(f, w4) }"""


def blocks(rng):
    shapes = {"w1": (4, 3, 3, 3), "w2": (4, 4, 3, 3), "w3": (4, 4, 3, 3), "w4": (144, 5)}
    return parse(BLOCKS, **normal(rng, **shapes)), normal(rng, x=(64, 3, 6, 6))["x"]


def test_timesteps_differ_and_their_mean_is_kept(rng):
    model, x = blocks(rng)
    compiled = onnx2snn.compile(model, x, levels="auto", **RADIX)
    neurons, said = compiled.report.neurons, compiled.report.adaptation
    bits = {name: int(record.levels).bit_length() for name, record in neurons.items()}
    assert bits.pop("r") == 8  # read over the shortcut, beside the other layers
    assert set(bits) == {"r/relay", "s", "t"}
    assert sum(bits.values()) <= 4 * len(bits)
    assert said.mode == "timesteps"
    assert said.budget == np.mean(list(bits.values()))


def test_timesteps_that_differ_are_those_of_the_explicit_simulation(rng):
    model, x = blocks(rng)
    artifact = onnx2snn.compile(model, x, levels="auto", **RADIX).model
    fast, slow = (onnx2snn.SpikingSession(artifact, backend=name) for name in ("onnxruntime", "numpy"))
    assert fast.timesteps == 8
    expected = fast.run(x[:8], record=True)
    found = slow.run(x[:8], record=True)
    np.testing.assert_allclose(found.outputs["y"], expected.outputs["y"], rtol=1e-4, atol=1e-4)
    for name, train in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[name], train)
        counted = fast.run_counted({"x": x[:8]}, [8])[-1].spikes[name]
        assert int(counted.sum()) == int(np.abs(train).sum())


@pytest.mark.parametrize("options", [{"max_spikes": "auto"}, {"exponents": "auto", "schedule": "layer"}])
def test_a_net_without_weights_behind_its_neurons_has_no_operations_to_save(options, rng):
    model = parse(
        "(float[N,4] x) => (float[N,3] y) { h = MatMul(x, w) y = Relu(h) }", **normal(rng, w=(4, 3))
    )
    report = onnx2snn.compile(model, normal(rng, x=(64, 4))["x"], **options).report
    assert "of 0 synaptic operations a sample" in adaptation_line(report.adaptation)
    assert "%" not in adaptation_line(report.adaptation)


@pytest.mark.parametrize(
    "options", [{"max_spikes": "auto"}, {"compress": "spikes", **BURST}, {"levels": "auto", **RADIX}]
)
def test_a_net_of_float16(options, rng):
    text = "(float16[N,4] x) => (float16[N,3] y) { h = MatMul(x, w) r = Relu(h) y = MatMul(r, v) }"
    halves = {name: value.astype(np.float16) for name, value in normal(rng, w=(4, 6), v=(6, 3)).items()}
    x = normal(rng, x=(64, 4))["x"].astype(np.float16)
    said = onnx2snn.compile(parse(text, **halves), x, **options).report.adaptation
    assert 0 < said.spikes_per_sample[1] <= said.spikes_per_sample[0]


def test_a_network_that_sends_nothing_has_nothing_to_save(rng):
    text = "(float[N,4] x) => (float[N,3] y) { h = MatMul(x, w) r = Relu(h) y = MatMul(r, v) }"
    weights = {"w": -np.ones((4, 6), np.float32), "v": np.ones((6, 3), np.float32)}
    model, x = parse(text, **weights), np.abs(normal(rng, x=(32, 4))["x"])
    said = onnx2snn.compile(model, x, max_spikes="auto").report.adaptation
    assert (said.met, said.spikes_per_sample) == (True, (0, 0))


def test_a_net_without_free_thresholds_is_told_why(rng):
    text = "(float[N,4] x) => (float[N,3] y) { h = MatMul(x, w) r = LeakyRelu(h) y = MatMul(r, v) }"
    model, x = parse(text, **normal(rng, w=(4, 6), v=(6, 3))), normal(rng, x=(32, 4))["x"]
    with pytest.raises(OptionError, match=r"found none, as neurons that stand for a LeakyReLU or PReLU have"):
        onnx2snn.compile(model, x, max_spikes="auto")
