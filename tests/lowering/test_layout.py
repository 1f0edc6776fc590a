import numpy as np
import pytest

from tests.lowering.single import both, foreign


@pytest.mark.parametrize("quantised", [False, True])
def test_max_pool_with_channels_last(rng, quantised):
    pool = "p = com.microsoft.NhwcMaxPool<kernel_shape = [2, 2], strides = [2, 2]>(q)"
    text = f"""(uint8[2,4,6,3] q) => (uint8[2,2,3,3] p) {{ {pool} }}"""
    feeds = {"q": rng.integers(0, 255, (2, 4, 6, 3)).astype(np.uint8)}
    if quantised:
        text = f"""(float[2,4,6,3] x) => (float[2,2,3,3] y) {{ q = QuantizeLinear(x, s, z) {pool}
            y = DequantizeLinear(p, s, z) }}"""
        feeds = {"x": rng.standard_normal((2, 4, 6, 3)).astype(np.float32)}
    found, expected = both(foreign(text, s=np.float32(0.1), z=np.uint8(9)), feeds)
    np.testing.assert_array_equal(found[0], expected[0])
