import numpy as np
import pytest

from tests.helpers import normal, run
from tests.lowering.single import difference, foreign, written

GELUS = [
    "Gelu(x)",
    "BiasGelu(x, b)",
    "FastGelu(x)",
    "FastGelu(x, b)",
    "QuickGelu(x)",
    "QuickGelu<alpha = 1.3>(x)",
]


@pytest.mark.parametrize("gelu", GELUS)
def test_gelus(rng, gelu):
    text = f"(float[3,8] x) => (float[3,8] y) {{ y = com.microsoft.{gelu} }}"
    assert difference(foreign(text, **normal(rng, b=(8,))), {"x": normal(rng, x=(3, 8))["x"] * 3}) < 1e-6


def test_behind_a_product(rng):
    """Which onnxruntime has for other devices only."""
    given, x = normal(rng, w=(8, 4), b=(4,)), normal(rng, x=(3, 8))
    model = foreign("(float[3,8] x) => (float[3,4] y) { y = com.microsoft.GemmFastGelu(x, w, b) }", **given)
    v = x["x"] @ given["w"] + given["b"]
    expected = 0.5 * v * (1 + np.tanh(np.sqrt(2 / np.pi) * (v + 0.044715 * v**3)))
    np.testing.assert_allclose(run(written(model).model, x)[0], expected, rtol=1e-4, atol=1e-5)
