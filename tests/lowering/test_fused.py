import numpy as np
import pytest

from onnx2snn.lowering.write_out import write_out
from onnx2snn.model.file import flatten_model
from tests.helpers import normal, run
from tests.lowering.single import difference, foreign, ops, written

CONV = "(float[2,3,6,6] x) => (float[] y) {{ z = Conv<pads = [1, 1, 1, 1]>(x, w, b) {} }}"
CONVOLUTIONS = {
    "relu": 'y = com.microsoft.FusedConv<activation = "Relu", strides = [2, 2]>(x, w, b)',
    "sum": 'y = com.microsoft.FusedConv<activation = "Relu", pads = [1, 1, 1, 1]>(x, w, b, z)',
    "leaky": 'y = com.microsoft.FusedConv<activation = "LeakyRelu", activation_params = [0.3]>(x, w)',
    "clip": 'y = com.microsoft.FusedConv<activation = "Clip", activation_params = [-0.5, 6.0]>(x, w)',
    "hard": 'y = com.microsoft.FusedConv<activation = "HardSigmoid", activation_params = [0.3, 0.4]>(x, w)',
    "tanh": 'y = com.microsoft.FusedConv<activation = "Tanh", dilations = [2, 2]>(x, w, b)',
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions(rng, name):
    model = foreign(CONV.format(CONVOLUTIONS[name]), **normal(rng, w=(4, 3, 3, 3), b=(4,)))
    assert difference(model, normal(rng, x=(2, 3, 6, 6))) < 1e-6


def test_a_convolution_with_channels_last(rng):
    """Which onnxruntime has for other devices only."""
    text = """(float[2,6,5,3] x) => (float[] y) {
        y = com.microsoft.NhwcFusedConv<activation = "Relu", pads = [1, 1, 1, 1]>(x, w, b, z) }"""
    given = normal(rng, w=(4, 3, 3, 3), b=(4,), z=(2, 6, 5, 4))
    x = normal(rng, x=(2, 6, 5, 3))
    (found,) = run(written(foreign(text, **given)).model, x)
    plain = "(float[2,3,6,5] x) => (float[] y) { y = Conv<pads = [1, 1, 1, 1]>(x, w, b) }"
    (conv,) = run(foreign(plain, w=given["w"], b=given["b"]), {"x": x["x"].transpose(0, 3, 1, 2)})
    np.testing.assert_allclose(found, np.maximum(conv.transpose(0, 2, 3, 1) + given["z"], 0), atol=1e-5)


GEMMS = {
    "relu": 'activation = "Relu", transB = 1',
    "leaky": 'activation = "LeakyRelu", activation_alpha = 0.2, transB = 1, alpha = 0.5, beta = 2.0',
    "hard": 'activation = "HardSigmoid", activation_alpha = 0.3, activation_beta = 0.4, transB = 1',
}


@pytest.mark.parametrize("name", GEMMS)
def test_gemms(rng, name):
    text = f"(float[2,6] x) => (float[2,5] y) {{ y = com.microsoft.FusedGemm<{GEMMS[name]}>(x, w, b) }}"
    assert difference(foreign(text, **normal(rng, w=(5, 6), b=(5,))), normal(rng, x=(2, 6))) < 1e-6


MATRICES = {
    "alpha = 0.25": ((2, 3, 4, 5), (2, 3, 5, 6)),
    "transA = 1, alpha = 2.0": ((2, 3, 5, 4), (2, 3, 5, 6)),
    "transB = 1": ((2, 3, 4, 5), (2, 3, 6, 5)),
    "transA = 1, transB = 1": ((5, 4), (6, 5)),
    "transBatchA = 1": ((4, 2, 3, 5), (2, 3, 5, 6)),
    "transBatchA = 1, transA = 1, transBatchB = 1, transB = 1": ((5, 2, 3, 4), (6, 2, 3, 5)),
}


@pytest.mark.parametrize("attributes", MATRICES)
def test_products(rng, attributes):
    a, b = MATRICES[attributes]
    inputs = f"(float{list(a)} a, float{list(b)} b)"
    text = f"{inputs} => (float[] y) {{ y = com.microsoft.FusedMatMul<{attributes}>(a, b) }}"
    assert difference(foreign(text), normal(rng, a=a, b=b)) < 1e-6


def test_a_product_of_the_same_with_an_activation(rng):
    text = """(float[2,3] a) => (float[] y) {
        y = com.microsoft.FusedMatMulActivation<activation = "Relu", transB = 1, alpha = 2.0>(a, w) }"""
    given, x = normal(rng, w=(4, 3)), normal(rng, a=(2, 3))
    (found,) = run(written(foreign(text, **given)).model, x)
    np.testing.assert_allclose(found, np.maximum(2 * x["a"] @ given["w"].T, 0), rtol=1e-5)


def test_an_axis_more(rng):
    text = "(float[2,3] x) => (float[2,1,3] y) { y = com.microsoft.ExpandDims(x, axis) }"
    model = foreign(text, axis=np.asarray(1, np.int32))
    assert difference(model, normal(rng, x=(2, 3))) == 0


def test_another_activation_is_a_reason():
    text = '(float[2,3] x) => (float[2,3] y) { y = com.microsoft.FusedGemm<activation = "Sine">(x, x) }'
    result = write_out(flatten_model(foreign(text)))
    assert [node.reason for node in result.nodes] == ["its activation is 'Sine'"]


def test_the_activation_has_a_name_of_its_own(rng):
    model = foreign(CONV.format(CONVOLUTIONS["relu"]), **normal(rng, w=(4, 3, 3, 3), b=(4,)))
    result = written(model)
    assert ops(result) == ["Conv", "Conv", "Relu"]
    assert [node.name for node in result.model.graph.node] == ["z", "y", "y/activation"]
