"""What evaluates a graph: onnxruntime and ONNX's NumPy, their options, errors, and where they differ."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

import onnx2snn
from onnx2snn.engine.engines import (
    EngineOptions,
    NumpyEngine,
    OnnxruntimeEngine,
    available_providers,
    errors_only,
    make_engine,
    onnxruntime_version,
    running,
)
from onnx2snn.errors import ModelError, OptionError
from onnx2snn.model.file import load_model
from onnx2snn.ops import CELLS
from tests.helpers import normal, parse, save_outside

TWO = """(float[N,2] x, float[N,2] z) => (float[N,2] sum, float[N,2] apart) {
    sum = Add(x, z) apart = Sub(x, z) }"""
X, Z = np.float32([[1, 2]]), np.float32([[3, 5]])
BURST = """(float[N,2] x, float[N,2] v) => (float[N,2] y, float[N,2] w) {
    y, w = onnx2snn.BurstIF<max_spikes=4>(x, v, theta) }"""


def neuron(text=BURST, **constants):
    model = parse(text, **{"theta": np.float32(1), **constants})
    model.functions.append(CELLS["BurstIF"].function)
    return model


@pytest.mark.parametrize("backend", ["onnxruntime", "numpy"])
def test_outputs_by_name_from_more_than_it_reads(backend):
    found = make_engine(parse(TWO), backend).run({"unread": X, "z": Z, "x": X})
    assert list(found) == ["sum", "apart"]
    assert found["sum"].tolist() == [[4, 7]]
    assert found["apart"].tolist() == [[-2, -3]]


@pytest.mark.parametrize("backend", ["onnxruntime", "numpy"])
def test_the_spiking_operators_run(backend):
    model = neuron()
    before = model.SerializeToString()
    found = make_engine(model, backend).run({"x": np.float32([[2.75, -1]]), "v": np.float32([[0.5, 0.5]])})
    assert found["y"].tolist() == [[3, 0]]
    assert found["w"].tolist() == [[0.25, -0.5]]
    assert found["w"].dtype == np.float32
    assert model.SerializeToString() == before


def test_a_graph_for_nothing_gives_nothing():
    model = parse(TWO)
    del model.graph.output[:]
    assert OnnxruntimeEngine(model).run({"x": X, "z": Z}) == {}


def test_no_such_backend():
    with pytest.raises(OptionError) as caught:
        make_engine(parse(TWO), "torch")
    assert str(caught.value) == (
        "backend: expected 'onnxruntime' or 'numpy', found 'torch'; choose one of these"
    )


def test_options_that_onnxruntime_cannot_meet():
    with pytest.raises(OptionError) as caught:
        make_engine(parse(TWO), options=EngineOptions(["CPUExecutionProvider", "Abacus", "Rule"]))
    assert str(caught.value) == (
        f"providers: expected some of {', '.join(available_providers())}, found 'Abacus', 'Rule'; choose "
        "from these, or install the onnxruntime that has it"
    )
    for threads in (0, -1):
        with pytest.raises(OptionError) as caught:
            make_engine(parse(TWO), options=EngineOptions(threads=threads))
        assert str(caught.value) == (
            f"threads: expected a whole number, at least 1, found {threads}; leave it out for as many as "
            "there are cores"
        )


def test_options_reach_the_session():
    engine = OnnxruntimeEngine(parse(TWO), EngineOptions(["CPUExecutionProvider"], threads=1))
    assert engine.session.get_providers() == ["CPUExecutionProvider"]
    assert engine.session.get_session_options().intra_op_num_threads == 1
    assert engine.device == "cpu"
    assert engine.session.get_session_options().enable_mem_pattern is False


def test_what_is_installed():
    assert onnxruntime_version() == onnxruntime.__version__
    assert available_providers() == onnxruntime.get_available_providers()
    assert "CPUExecutionProvider" in available_providers()


def test_errors_of_onnxruntime_are_ours():
    wrong = parse("(float[N,2] x) => (float[N,2] y) { y = Concat(x) }")
    with pytest.raises(ModelError, match=r"^onnxruntime cannot load the model \(.*\)$"):
        OnnxruntimeEngine(wrong)
    with pytest.raises(ModelError, match=r"^onnxruntime cannot run the model \(.*\)$") as caught:
        OnnxruntimeEngine(parse(TWO)).run({"x": X, "z": np.ones((1, 3), np.float32)})
    assert "\n" not in str(caught.value)
    with pytest.raises(ZeroDivisionError), running():
        1 / 0  # noqa: B018


def test_warnings_are_off_for_a_while_only(capfd):
    """A constant that nobody reads is warned of."""
    model = parse("(float[N,2] x) => (float[N,2] y) { y = Neg(x) }", unread=np.ones(3, np.float32))

    def load():
        onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        return capfd.readouterr().err

    with errors_only():
        assert load() == ""
    assert "unread" in load()
    with pytest.raises(ZeroDivisionError), errors_only():
        1 / 0  # noqa: B018
    assert "unread" in load()


@pytest.mark.parametrize(("read", "in_place"), [("x", {"v"}), ("v", set())])
def test_a_potential_that_nobody_else_reads_is_written_in_place(read, in_place):
    text = BURST.replace("w) {", f"w, float[N,2] u) {{ u = Neg({read})")
    assert OnnxruntimeEngine(neuron(text), states={"v": "w"}).in_place == in_place
    assert OnnxruntimeEngine(neuron(text)).in_place == set()


def test_only_a_potential_is_written_in_place():
    text = "(float[N,2] x, float[N,2] v) => (float[N,2] w) { w = Add(x, v) }"
    assert OnnxruntimeEngine(parse(text), states={"v": "w"}).in_place == set()


def test_errors_of_the_reference_implementation_are_ours(rng):
    unknown = parse("(float[N,2] x) => (float[N,2] y) { y = onnx2snn.Unknown(x) }")
    with pytest.raises(onnx2snn.ModelError, match=r"cannot load the model .*; use onnxruntime"):
        NumpyEngine(unknown)
    broken = parse("(float[N,2] x) => (float[N,2] y) { y = MatMul(x, w) }", **normal(rng, w=(3, 2)))
    with pytest.raises(onnx2snn.ModelError, match=r"cannot run the model .*; use onnxruntime"):
        NumpyEngine(broken).run({"x": np.zeros((1, 2), np.float32)})


@pytest.mark.usefixtures("small_messages")
@pytest.mark.parametrize("backend", ["onnxruntime", "numpy"])
def test_weights_in_files(backend, rng, tmp_path):
    text = "(float[N,16] x) => (float[N,32] y) { y = MatMul(x, w) }"
    whole = parse(text, **normal(rng, w=(16, 32)))
    model = load_model(save_outside(whole, tmp_path / "net.onnx"))
    before = model.SerializeToString()
    x = rng.standard_normal((3, 16)).astype(np.float32)
    engine = make_engine(model, backend, states={})
    (tmp_path / "net.data").unlink()  # it is open
    expected = make_engine(whole, backend).run({"x": x})["y"]
    np.testing.assert_allclose(engine.run({"x": x})["y"], expected, rtol=1e-5, atol=1e-6)
    assert model.SerializeToString() == before
    with pytest.raises(ModelError, match=r"weights 'w': .* give the path"):
        make_engine(model, backend)
