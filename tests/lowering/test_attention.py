import numpy as np
import pytest

from onnx2snn.lowering.write_out import write_out
from onnx2snn.model.file import flatten_model
from tests.helpers import normal
from tests.lowering.single import difference, foreign

KEYS = np.asarray([[1, 1, 1, 0], [1, 1, 1, 1]], np.int32)
PAIRS = np.tril(np.ones((2, 4, 4), np.int32))
LENGTHS = np.asarray([3, 4], np.int32)
ATTENTION = {
    "plain": ("num_heads = 2", "x, w, b"),
    "scale": ("num_heads = 2, scale = 0.3", "x, w, b"),
    "sizes": ("num_heads = 2, qkv_hidden_sizes = [8, 8, 4]", "x, w20, b20"),
    "causal": ("num_heads = 2, unidirectional = 1", "x, w, b"),
    "keys": ("num_heads = 2", "x, w, b, keys"),
    "pairs": ("num_heads = 2, mask_filter_value = -50.0", "x, w, b, pairs"),
    "lengths": ("num_heads = 2", "x, w, b, lengths"),
    "bias": ("num_heads = 4", "x, w, b, , , bias"),
}


@pytest.mark.parametrize("batch", [2, "N"])
@pytest.mark.parametrize("name", ATTENTION)
def test_attention(rng, name, batch):
    attributes, inputs = ATTENTION[name]
    text = f"(float[{batch},4,6] x) => (float[] y) {{ y = com.microsoft.Attention<{attributes}>({inputs}) }}"
    given = normal(rng, w=(6, 24), b=(24,), w20=(6, 20), b20=(20,), bias=(1, 4, 4, 4))
    model = foreign(text, **given, keys=KEYS, pairs=PAIRS, lengths=LENGTHS)
    assert difference(model, normal(rng, x=(2, 4, 6))) < 1e-5


MULTI_HEAD = {
    "plain": ("num_heads = 2", "q, k, v"),
    "bias": ("num_heads = 2, scale = 0.3", "q, k, v, b"),
    "keys": ("num_heads = 2", "q, k, v, , keys"),
    "causal": ("num_heads = 2, unidirectional = 1", "k, k, v"),
    "added": ("num_heads = 2", "q, k, v, b, , bias"),
}


@pytest.mark.parametrize("name", MULTI_HEAD)
def test_multi_head_attention(rng, name):
    attributes, inputs = MULTI_HEAD[name]
    text = f"""(float[N,3,8] q, float[N,4,8] k, float[N,4,8] v) => (float[] y) {{
        y = com.microsoft.MultiHeadAttention<{attributes}>({inputs}) }}"""
    model = foreign(text, **normal(rng, b=(24,), bias=(1, 2, 3, 4)), keys=KEYS)
    assert difference(model, normal(rng, q=(2, 3, 8), k=(2, 4, 8), v=(2, 4, 8))) < 1e-5


def test_a_cache_is_a_reason(rng):
    text = """(float[2,4,6] x, float[2,2,2,3,4] p) => (float[2,4,8] y, float[2,2,2,7,4] c) {
        y, c = com.microsoft.Attention<num_heads = 2>(x, w, b, , p) }"""
    result = write_out(flatten_model(foreign(text, **normal(rng, w=(6, 24), b=(24,)))))
    assert [node.reason for node in result.nodes] == ["it keeps earlier keys and values"]
