import numpy as np
import pytest

from tests.helpers import normal
from tests.lowering.single import difference, foreign

X = "(float[2,4,8] x, float[2,4,8] v) => (float[2,4,8] y) { y = "
NORMALISATIONS = {
    "skip": "com.microsoft.SkipLayerNormalization(x, v, g) }",
    "skip_beta": "com.microsoft.SkipLayerNormalization<epsilon = 0.1>(x, v, g, b) }",
    "skip_bias": "com.microsoft.SkipLayerNormalization(x, v, g, b, c) }",
    "skip_without_beta": "com.microsoft.SkipLayerNormalization(x, v, g, , c) }",
    "simplified": "SimplifiedLayerNormalization<epsilon = 0.01>(x, g) }",
    "simplified_axis": "SimplifiedLayerNormalization<axis = 2, epsilon = 0.01>(x, g) }",
    "skip_simplified": "com.microsoft.SkipSimplifiedLayerNormalization<epsilon = 0.01>(x, v, g, c) }",
}


@pytest.mark.parametrize("name", NORMALISATIONS)
def test_normalisations(rng, name):
    model = foreign(X + NORMALISATIONS[name], **normal(rng, g=(8,), b=(8,), c=(8,)))
    assert difference(model, normal(rng, x=(2, 4, 8), v=(2, 4, 8))) < 2e-6


def test_the_sum_is_given_too(rng):
    text = """(float[2,4,8] x) => (float[2,4,8] y, float[2,4,8] s) {
        y, m, d, s = com.microsoft.SkipLayerNormalization(x, x, g, b, c) }"""
    model = foreign(text, **normal(rng, g=(8,), b=(8,), c=(8,)))
    for name in model.graph.node[0].output[1:3]:
        model.graph.node[0].output[list(model.graph.node[0].output).index(name)] = ""
    assert difference(model, normal(rng, x=(2, 4, 8))) < 2e-6


EMBEDDINGS = {
    "words_and_places": "y, m = com.microsoft.EmbedLayerNormalization(i, , w, p, , g, b, k)",
    "segments": "y, m = com.microsoft.EmbedLayerNormalization<epsilon = 0.001>(i, j, w, p, s, g, b, k)",
    "given_places": "y, m, e = com.microsoft.EmbedLayerNormalization(i, j, w, p, s, g, b, k, places)",
}


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embeddings(rng, name):
    outputs = "float[2,5,8] y, int32[2] m" + (", float[2,5,8] e" if "e = " in EMBEDDINGS[name] else "")
    text = f"(int32[2,5] i, int32[2,5] j, int32[2,5] k) => ({outputs}) {{ {EMBEDDINGS[name]} }}"
    given = normal(rng, w=(20, 8), p=(10, 8), s=(2, 8), g=(8,), b=(8,))
    model = foreign(text, **given, places=rng.integers(0, 10, (2, 5)).astype(np.int32))
    feeds = {
        "i": rng.integers(0, 20, (2, 5)).astype(np.int32),
        "j": rng.integers(0, 2, (2, 5)).astype(np.int32),
        "k": np.asarray([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32),
    }
    assert difference(model, feeds) < 2e-6
