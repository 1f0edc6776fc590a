from pathlib import Path

import numpy as np
import pytest

import onnx2snn
from onnx2snn.engine.engines import make_engine
from onnx2snn.model.file import load_model
from tests.helpers import normal, run
from tests.lowering.single import difference, foreign, written

SKLEARN = Path(__file__).parents[1] / "fixtures" / "sklearn"
LINEAR = "coefficients = [1.0, 2.0, 3.0, 4.0, -1.0, 0.5, 0.25, 0.0], intercepts = [0.5, -2.0]"
OPERATORS = {
    "scaler": "y = ai.onnx.ml.Scaler<offset = [1.0, 2.0, 3.0, 4.0], scale = [0.5, 2.0, 1.0, 3.0]>(x)",
    "scaler_of_one": "y = ai.onnx.ml.Scaler<offset = [1.5], scale = [0.5]>(x)",
    "l1": 'y = ai.onnx.ml.Normalizer<norm = "L1">(x)',
    "l2": 'y = ai.onnx.ml.Normalizer<norm = "L2">(x)',
    "max": 'y = ai.onnx.ml.Normalizer<norm = "MAX">(x)',
    "columns": "y = ai.onnx.ml.ArrayFeatureExtractor(x, places)",
    "regressor": f"y = ai.onnx.ml.LinearRegressor<targets = 2, {LINEAR}>(x)",
    "regressor_of_one": "y = ai.onnx.ml.LinearRegressor<coefficients = [1.0, 2.0, 3.0, 4.0]>(x)",
    "label": """a = ArgMax<axis = 1, keepdims = 0>(x) e = ai.onnx.ml.LabelEncoder<
        keys_int64s = [0, 2, 3], values_int64s = [7, -4, 11], default_int64 = 5>(a) y = Cast<to = 1>(e)""",
    "floats": """r = Round(x) y = ai.onnx.ml.LabelEncoder<
        keys_floats = [0.0, 1.0, -1.0], values_floats = [0.5, 2.0, 4.0], default_float = 9.0>(r)""",
}


def samples(rng):
    x = normal(rng, x=(6, 4))
    x["x"][2] = 0
    return x


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(rng, name):
    text = f"(float[N,4] x) => (float[] y) {{ {OPERATORS[name]} }}"
    assert difference(foreign(text, places=np.asarray([3, 1])), samples(rng)) < 1e-6


def test_a_scaler_gives_floats_whatever_it_reads(rng):
    text = "(double[N,4] x) => (float[N,4] y) { y = ai.onnx.ml.Scaler<offset = [1.5], scale = [0.5]>(x) }"
    assert difference(foreign(text), {"x": rng.standard_normal((3, 4))}) < 1e-6


CLASSIFIER = """(float[N,4] x) => (int64[N] l, float[N,2] y) {{
    l, y = ai.onnx.ml.LinearClassifier<classlabels_ints = [3, 9], {}, post_transform = "{}">(x) }}"""


@pytest.mark.parametrize("transform", ["NONE", "LOGISTIC", "SOFTMAX"])
def test_classifiers(rng, transform):
    assert difference(foreign(CLASSIFIER.format(LINEAR, transform)), samples(rng)) < 1e-6


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (CLASSIFIER.format(LINEAR, "PROBIT"), "it transforms its scores by 'PROBIT'"),
        (
            CLASSIFIER.format("coefficients = [1.0, 2.0, 3.0, 4.0], intercepts = [0.5]", "NONE"),
            "it has 1 scores",
        ),
    ],
)
def test_what_cannot_be_written(text, reason):
    verdict = onnx2snn.inspect(foreign(text)).nodes[0]
    assert (verdict.op, verdict.role) == ("ai.onnx.ml.LinearClassifier", "refused")
    assert reason in verdict.reason


def test_names_become_their_numbers(rng):
    text = """(float[N,4] x) => (string[N] y) {
        a = ArgMax<axis = 1, keepdims = 0>(x) y = ai.onnx.ml.LabelEncoder<
        keys_int64s = [0, 2, 3], values_strings = ["dog", "cat", "cow"], default_string = "none">(a) }"""
    x = samples(rng)
    result = written(foreign(text))
    (found,) = run(result.model, x)
    numbers = {0: 0, 2: 1, 3: 2}
    assert found.tolist() == [numbers.get(place, -1) for place in x["x"].argmax(axis=1)]
    (node,) = result.nodes
    assert node.reason == "gives the number of a name in its list, from 0 on, instead of the name"


@pytest.mark.parametrize("name", ["names", "numbers", "two"])
def test_a_network_of_scikit_learn(name):
    """What stands before and behind it stays there, and is exact: answers are the same, scores nearly so."""
    model, arrays = load_model(SKLEARN / f"{name}.onnx"), np.load(SKLEARN / f"{name}.npz")
    label, scores = (output.name for output in model.graph.output)
    found = make_engine(model).run({"X": arrays["x"]})
    np.testing.assert_array_equal(found[label], arrays["label"])
    np.testing.assert_allclose(found[scores], arrays["scores"], atol=1e-5)
    compiled = onnx2snn.compile(model, arrays["x"], timesteps=8)
    assert compiled.report.roles["spiking"] == 1
    spiking = onnx2snn.SpikingSession(compiled.model).run(arrays["x"]).outputs
    np.testing.assert_array_equal(spiking[label], arrays["label"])
    np.testing.assert_allclose(spiking[scores], arrays["scores"], atol=0.05)


def test_what_a_zipmap_and_names_become_is_said():
    verdicts = {v.op.removeprefix("ai.onnx.ml."): v for v in onnx2snn.inspect(SKLEARN / "names.onnx").nodes}
    for op, said in {
        "ZipMap": "gives its scores as they are, a column a class, without their labels",
        "ArrayFeatureExtractor": "gives the number of a name in its list, from 0 on, instead of the name",
    }.items():
        assert (verdicts[op].role, verdicts[op].reason) == ("folded", said)
    assert verdicts["Scaler"].reason == "written as Sub, Mul"
