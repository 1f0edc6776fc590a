"""The native kernels against the function bodies, bit for bit, and what happens where they cannot be used."""

from __future__ import annotations

import _ctypes
import importlib.metadata
import json
import logging
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import onnx2snn
from onnx2snn.engine import native
from onnx2snn.engine.engines import EngineOptions, OnnxruntimeEngine
from onnx2snn.ops import CELLS, DOMAIN, DOMAIN_VERSION, OPSET_VERSION
from onnx2snn.ops.graded_if import dead_zone
from tests.attack import kernels
from tests.helpers import normal, parse

built = pytest.mark.skipif(native.find_kernels().path is None, reason="the native kernels are not built")

#: Operator → attributes, and how many of its inputs behind the first are states.
NEURONS = {
    "BurstIF": {"max_spikes": 3},
    "SignedBurstIF": {"max_spikes": 3},
    "AccumulateFire": {"levels": 7, "code": "burst", "potential": 0.5},
    "GradedIF": {"exponents": 7, "dead_zone": dead_zone(7), "coarse": [4.0, 1.0]},
    "GradedFire3": {"exponents": 7, "dead_zone": dead_zone(7)},
}
SPECIAL = np.float32([0, -0.0, 0.5, 1, -1, 1.5, 7.25, -30, 1e30, 1e-40, np.inf, -np.inf, np.nan])


def model_of(op, attributes, dtype=TensorProto.FLOAT):
    cell = CELLS[op]
    names = ["x", *cell.states, *(() if op == "LIPool" else ("theta",))]
    results = ["y", *(f"next_{state}" for state in cell.states)]
    inputs, outputs = ([helper.make_tensor_value_info(n, dtype, None) for n in p] for p in (names, results))
    node = helper.make_node(op, names, results, domain=DOMAIN, **attributes)
    opsets = [helper.make_opsetid("", OPSET_VERSION), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)]
    graph = helper.make_graph([node], "cell", inputs, outputs)
    return helper.make_model(graph, functions=[cell.function], opset_imports=opsets, ir_version=10)


def both(op, attributes, *arrays):
    """What the kernel gives, and what the body does."""
    model = model_of(op, attributes)
    results = []
    for use in (True, False):
        engine = OnnxruntimeEngine(model, EngineOptions(native=use))
        names = [item.name for item in model.graph.input]
        results.append(engine.run(dict(zip(names, map(np.asarray, arrays), strict=True))))
    return results


def assert_same_bits(found, expected):
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].shape == array.shape
        # Equal, but for the sign of zero and the payload of NaN.
        np.testing.assert_array_equal(found[name], array)


@built
def test_the_kernels_are_what_runs():
    """onnxruntime names what it ran in a profile: without the library it inlines the body."""
    model = model_of("BurstIF", NEURONS["BurstIF"])
    ran = {}
    for use in (True, False):
        ran[use] = profile(model, use)
    assert ran[True] == ["BurstIF"]
    assert "Floor" in ran[False]


def profile(model, use):
    with tempfile.TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.enable_profiling, options.profile_file_prefix = True, f"{folder}/profile"
        if use:
            options.register_custom_ops_library(str(native.find_kernels().path))
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        one = np.ones((2, 2), np.float32)
        session.run(None, {item.name: one for item in session.get_inputs()})
        events = json.loads(Path(session.end_profiling()).read_text())
    return [e["args"]["op_name"] for e in events if e["name"].endswith("kernel_time")]


@built
@pytest.mark.parametrize("op", NEURONS)
@pytest.mark.parametrize("theta", [1.0, 0.3, 3e-39])
def test_whatever_the_numbers(op, theta):
    """All pairs of zeros, infinities, NaN, ties, what is too small and what is too large."""
    current, potential = (array.reshape(-1).copy() for array in np.meshgrid(SPECIAL, SPECIAL))
    states = [potential, np.float32([0, 2, np.nan])[np.arange(potential.size) % 3]]
    if "elapsed" in CELLS[op].states:  # one clock for all
        states[1] = np.float32(2)
    arrays = [current, *states[: len(CELLS[op].states)], np.float32(theta)]
    with np.errstate(all="ignore"):
        assert_same_bits(*both(op, NEURONS[op], *arrays))


SHAPES = st.lists(st.integers(1, 5), min_size=1, max_size=4)


@built
@settings(max_examples=150)
@given(op=st.sampled_from(list(NEURONS)), data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_whatever_the_shapes(op, data, seed):
    """Every input may broadcast in any way that ONNX allows, also past the first one."""
    rng = np.random.default_rng(seed)
    shape = data.draw(SHAPES)

    def part():
        kept = shape[data.draw(st.integers(0, len(shape))) :]
        return tuple(data.draw(st.sampled_from([1, size])) for size in kept)

    draw = [rng.normal(0, 3, part()).astype(np.float32) for _ in range(1 + len(CELLS[op].states))]
    theta = rng.uniform(0.25, 2, part()).astype(np.float32)
    if len(draw) == 3:  # spikes; or timesteps, the same for all
        draw[2] = np.abs(np.round(draw[2]))
        draw[2] = draw[2].max() if "elapsed" in CELLS[op].states else draw[2]
    assert_same_bits(*both(op, NEURONS[op], *draw, theta))


GRADED = [("GradedIF", {"coarse": coarse}) for coarse in ([1.0], [2.0**16, 16.0, 16.0, 4.0, 1.0])]
GRADED += [(f"GradedFire{timesteps}", {}) for timesteps in (1, 2, 3, 5, 16)]


def graded_both(op, more, exponents, target, reach, sent=0.0):
    """The kernel and the body of a graded neuron, here three steps after its begin."""
    states = [np.float32(sent), np.float32(3)][: len(CELLS[op].states)]
    attributes = {"exponents": exponents, "dead_zone": dead_zone(exponents), **more}
    with np.errstate(all="ignore"):
        assert_same_bits(*both(op, attributes, np.float32(target), *states, np.float32(reach)))


@built
@pytest.mark.parametrize(("op", "more"), GRADED)
@pytest.mark.parametrize("exponents", [1, 2, 7, 16])
@pytest.mark.parametrize("reach", [1.0, 0.7, 171 / 256, 0.0, 2.0**-126, 3 * 2.0**-149, 2.0**-149, 2.0**100])
def test_ties_and_their_neighbours(op, more, exponents, reach):
    """Around ¾·R·2^j for all sizes and beyond them, of either sign; R tiny, huge, and of a dead channel."""
    ties = np.float32(0.75 * 2.0 ** np.arange(4.0, -20, -1)) * np.float32(reach)
    near = [np.nextafter(ties, np.float32(limit)) for limit in (np.inf, -np.inf)]
    targets = np.concatenate([ties, *near, ties * 4 / 3])
    graded_both(op, more, exponents, [targets, -targets], reach)


@built
@pytest.mark.parametrize(("op", "more"), GRADED)
@pytest.mark.parametrize("exponents", [1, 7, 16])
def test_every_size_of_float(op, more, exponents, rng):
    """Any float against any range: NaN, infinities and subnormals are among them."""
    bits = rng.integers(0, 2**32, 200_000, dtype=np.uint32)
    graded_both(op, more, exponents, bits.view(np.float32), 1.0)
    ranges = np.abs(rng.integers(0, 2**32, 200_000, dtype=np.uint32).view(np.float32))
    ranges[~np.isfinite(ranges)] = 0
    graded_both(op, more, exponents, bits.view(np.float32), ranges)
    graded_both(op, more, exponents, ranges * rng.normal(0, 1, ranges.size), ranges)


@built
def test_it_waits_and_is_coarse_at_first():
    attributes = NEURONS["GradedIF"] | {"coarse": [2.0**16, 128.0, 1.0]}
    state = [np.zeros((1, 1), np.float32)] * 2
    for elapsed, sent in enumerate((0, 0, 0.5, 0.5)):
        found, expected = both("GradedIF", attributes, np.float32([[0.5]]), *state, np.float32(1))
        assert_same_bits(found, expected)
        assert found["y"] == sent
        assert found["next_elapsed"] == elapsed + 1
        state = list(found.values())[1:]


@built
@pytest.mark.parametrize("op", NEURONS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 5, 7, 9), (4, 16, 33, 31), (0, 4, 2, 2), (70000,)])
@pytest.mark.parametrize("channels", [True, False])
def test_whatever_the_size(op, shape, channels, rng):
    """Across the borders of vectors, rows and tasks, from the first timestep on."""
    width = (shape[1], *[1] * (len(shape) - 2)) if channels and len(shape) > 1 else ()
    theta = rng.uniform(0.5, 2, width).astype(np.float32)
    state = CELLS[op].initial_state([theta])
    for _ in range(3):
        current = rng.normal(0.5, 2, shape).astype(np.float32)
        found, expected = both(op, NEURONS[op], current, *state, theta)
        assert_same_bits(found, expected)
        state = list(expected.values())[1:]


WINDOWS = st.integers(1, 3).flatmap(
    lambda axes: st.fixed_dictionaries(
        {
            "kernel_shape": st.lists(st.integers(1, 3), min_size=axes, max_size=axes),
            "strides": st.lists(st.integers(1, 3), min_size=axes, max_size=axes),
            "dilations": st.lists(st.integers(1, 2), min_size=axes, max_size=axes),
            "pads": st.lists(st.integers(0, 2), min_size=2 * axes, max_size=2 * axes),
            "ceil_mode": st.integers(0, 1),
            "auto_pad": st.sampled_from(["NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]),
        }
    )
)


@built
@settings(max_examples=200)
@given(attributes=WINDOWS, data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_whatever_the_window(attributes, data, seed):
    rng = np.random.default_rng(seed)
    axes = len(attributes["kernel_shape"])
    size = [data.draw(st.integers(5, 9)) for _ in range(axes)]
    if attributes["auto_pad"] != "NOTSET":
        attributes = attributes | {"pads": [0] * 2 * axes}
    if attributes["auto_pad"].startswith("SAME"):
        # onnxruntime refuses a stride over the kernel there.
        strides = map(min, attributes["strides"], attributes["kernel_shape"])
        attributes = attributes | {"dilations": [1] * axes, "ceil_mode": 0, "strides": list(strides)}
    half = [kernel // 2 for kernel in attributes["kernel_shape"]]
    limit = half + half  # ONNX wants pads smaller than the kernel
    attributes = attributes | {"pads": [min(p, m) for p, m in zip(attributes["pads"], limit, strict=True)]}
    state = CELLS["LIPool"].initial_state([])
    for _ in range(2):
        x = rng.integers(-2, 3, (2, 3, *size)).astype(np.float32)
        found, expected = both("LIPool", attributes, x, *state)
        assert_same_bits(found, expected)
        state = list(expected.values())[1:]


def loaded(op, inputs, arrays, **attributes):
    """What the kernel gives that onnxruntime finds, whatever a file may have."""
    outputs = ["y", *(f"next_{state}" for state in CELLS[op].states)]
    node = helper.make_node(op, inputs, outputs, domain=DOMAIN, **attributes)
    infos = [
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in p] for p in (arrays, outputs)
    ]
    opsets = [helper.make_opsetid("", OPSET_VERSION), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)]
    model = helper.make_model(helper.make_graph([node], "cell", *infos), opset_imports=opsets, ir_version=10)
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(str(native.find_kernels().path))
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {name: np.asarray(value, np.float32) for name, value in arrays.items()})


FIRE = NEURONS["AccumulateFire"]
GRADED_ONE = NEURONS["GradedIF"] | {"repeats": 1}
POOL = {"kernel_shape": [2], "strides": [2], "dilations": [1], "pads": [0, 0], "ceil_mode": 0}
POOL |= {"auto_pad": "NOTSET"}


@built
@pytest.mark.parametrize(
    ("op", "attributes", "arrays", "said"),
    [
        # Of one current for many thresholds the kernel read 400 kB of other memory.
        ("AccumulateFire", FIRE, {"x": [[1]], "t": np.ones((1, 9999)), "s": [[1]], "f": 1}, "current or its"),
        (
            "AccumulateFire",
            FIRE,
            {"x": np.ones((1, 9)), "t": 1, "s": [[1]], "f": 1},
            "current or its shortcut",
        ),
        ("AccumulateFire", FIRE, {"x": 1, "t": 1, "s": 1}, "a shortcut without its factor"),
        ("GradedIF", GRADED_ONE, {"x": 1, "e": 1, "t": 0, "r": 1}, "repeats is of another shape"),
        ("GradedIF", GRADED_ONE, {"x": 1, "e": 1, "t": 0, "r": [[[[1, 1]]]]}, "without samples"),
        ("GradedIF", GRADED_ONE, {"x": [[1, 2, 3]], "e": 1, "t": 0, "r": [[[[1, 1]]]]}, "no multiple of it"),
        ("GradedIF", GRADED_ONE, {"x": [[1]], "e": np.ones((1, 8)), "t": 0, "r": [[[[1, 1]]]]}, "less than"),
        ("LIPool", POOL | {"block": 0}, {"x": np.ones((1, 2, 4)), "t": 0, "p": 0}, "blocks of no channel"),
        ("LIPool", POOL | {"block": 3}, {"x": np.ones((1, 2, 4)), "t": 0, "p": 0}, "no whole blocks"),
        ("LIPool", POOL | {"kernel_shape": [1 << 40]}, {"x": [[[1]]], "t": 0, "p": 0}, "out of range"),
        ("LIPool", POOL | {"pads": [2, 0]}, {"x": [[[1, 2]]], "t": 0, "p": 0}, "not below its kernel"),
        ("LIPool", POOL | {"auto_pad": "ODD"}, {"x": [[[1, 2]]], "t": 0, "p": 0}, "unknown auto_pad"),
        ("LIPool", POOL, {"x": [[[1, 2]]], "t": [1, 2, 3], "p": 0}, "state of another shape"),
        ("LIPool", POOL, {"x": [[1, 2]], "t": 0, "p": 0}, "input of another rank"),
    ],
)
def test_what_a_kernel_cannot_take_it_refuses(op, attributes, arrays, said):
    """Before it reads anything, whatever graph it stands in."""
    with pytest.raises(native.RUN_ERRORS, match=said):
        loaded(op, list(arrays), arrays, **attributes)


@built
@pytest.mark.parametrize("now", [np.nan, np.inf, -np.inf, 1e30, -1.0])
def test_a_clock_may_say_anything(now):
    arrays = {"x": [1], "e": [0], "t": now, "r": 1}
    assert loaded("GradedIF", list(arrays), arrays, **NEURONS["GradedIF"])[0] == [1]


@built
@pytest.mark.parametrize("attributes", [{"dead_zone": 0.01}, {"coarse": [3.0]}, {"coarse": [0.5]}])
def test_what_the_body_rounds_otherwise_is_left_to_it(attributes):
    attributes = NEURONS["GradedIF"] | attributes
    target = np.linspace(-2, 2, 99, dtype=np.float32)
    assert_same_bits(*both("GradedIF", attributes, target, np.float32(0), np.float32(0), np.float32(1)))


@built
def test_nodes_that_nobody_should_write_run_alike_or_are_refused():
    outcomes = {seed: kernels.attempt(seed, native.find_kernels().path) for seed in range(150)}
    assert [seed for seed, outcome in outcomes.items() if outcome == "differs"] == []
    assert list(outcomes.values()).count("same") > 20


TEXT = """(float[N,3,8,8] x) => (float[N,5] y) {
    c = Conv<pads=[1,1,1,1]>(x, w1, b1) r = Relu(c) m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r)
    d = Conv<pads=[1,1,1,1]>(m, w2) s = Relu(d) a = Add(s, m) t = Relu(a) f = Flatten(t) y = Gemm(f, w4) }"""
WEIGHTS = {"w1": (4, 3, 3, 3), "b1": (4,), "w2": (4, 4, 3, 3), "w4": (64, 5)}


def compiled(rng, **options):
    x = normal(rng, x=(8, 3, 8, 8))["x"]
    return onnx2snn.compile(parse(TEXT, **normal(rng, **WEIGHTS)), x, **{"code": "burst", **options}).model, x


@built
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"signed": True},
        {"schedule": "layer"},
        {"code": "graded"},
        {"code": "graded", "schedule": "layer", "timesteps": 3},
    ],
)
def test_a_net_spikes_the_same(options, rng):
    model, x = compiled(rng, **options)
    found, expected = (
        onnx2snn.SpikingSession(model, native=use).run(x, record=True) for use in (True, False)
    )
    assert any(spikes.any() for spikes in expected.spikes.values())
    for name, spikes in expected.spikes.items():
        np.testing.assert_array_equal(found.spikes[name], spikes)
    np.testing.assert_array_equal(found.outputs["y"], expected.outputs["y"])


@built
def test_any_number_of_threads_gives_the_same(rng):
    model, x = compiled(rng, signed=True)
    one, three = (onnx2snn.SpikingSession(model, threads=n).run(x).outputs["y"] for n in (1, 3))
    np.testing.assert_array_equal(one, three)


@built
def test_doubles_go_through_the_bodies(caplog):
    """The kernels know float32 only."""
    model = model_of("BurstIF", {"max_spikes": 2}, TensorProto.DOUBLE)
    with caplog.at_level(logging.WARNING):
        engine = OnnxruntimeEngine(model, EngineOptions(native=True))
    found = engine.run({"x": np.array([2.5]), "potential": np.array([0.0]), "theta": np.array(1.0)})
    assert found["y"] == [2.0]
    (record,) = caplog.records
    assert "do not fit the model" in record.message


@pytest.fixture
def fresh():
    """No kernels looked for yet."""
    native._load.cache_clear()
    native._none.cache_clear()
    yield
    native._load.cache_clear()
    native._none.cache_clear()


def used(rng):
    model, x = compiled(rng)
    expected = onnx2snn.SpikingSession(model, native=False).run(x).outputs["y"]
    sessions = [onnx2snn.SpikingSession(model) for _ in range(2)]
    for session in sessions:
        np.testing.assert_array_equal(session.run(x).outputs["y"], expected)
    return native.find_kernels()


@pytest.mark.usefixtures("fresh")
def test_switched_off(rng, monkeypatch, caplog):
    monkeypatch.setenv("ONNX2SNN_NATIVE", "0")
    with caplog.at_level(logging.INFO):
        assert used(rng).path is None
    assert [r.message for r in caplog.records if "kernels" in r.message] == [
        "no native kernels: ONNX2SNN_NATIVE=0; the operators' function bodies give the same results"
    ]


@pytest.mark.usefixtures("fresh")
def test_not_built(rng, monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(native, "__file__", str(tmp_path / "__init__.py"))

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(native, "distribution", missing)
    with caplog.at_level(logging.INFO):
        assert used(rng).path is None
    assert sum("built without them" in record.message for record in caplog.records) == 1


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("content", [b"", b"not a library", None])
def test_a_library_that_cannot_be_loaded(rng, monkeypatch, caplog, tmp_path, content):
    """Empty, no library at all, and one without the symbol that onnxruntime looks for."""
    path = tmp_path / "kernels.so"
    if content is None:
        content = Path(_ctypes.__file__).read_bytes()
    path.write_bytes(content)
    monkeypatch.setattr(native, "_built", lambda: path)
    with caplog.at_level(logging.INFO):
        assert used(rng).path is None
    (record,) = [record for record in caplog.records if "kernels" in record.message]
    assert record.levelno == logging.WARNING
    assert str(path) in record.message
    assert onnxruntime.__version__ in record.message
    assert "\n" not in record.message


def test_the_artifact_does_not_know_of_kernels(rng):
    """The same file runs with and without them."""
    model, _ = compiled(rng)
    onnx.checker.check_model(model, full_check=True)
    assert {function.name for function in model.functions} == {"BurstIF", "LIPool"}
