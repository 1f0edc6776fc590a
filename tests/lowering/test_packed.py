import numpy as np
import pytest

import onnx2snn
from tests.helpers import normal
from tests.lowering.single import difference, foreign, ops, written

#: bits, block, zero points (none, packed, floats), bias
FORMS = [(4, 16, "", ""), (4, 16, "z", "b"), (4, 32, "f", ""), (8, 16, "", "b"), (8, 32, "z", "")]
ROWS, COLUMNS = 5, 40


@pytest.mark.parametrize(("bits", "block", "zero", "bias"), FORMS)
def test_packed_weights(rng, bits, block, zero, bias):
    blocks = -(-COLUMNS // block)
    text = f"""(float[3,{COLUMNS}] x) => (float[] y) {{ y = com.microsoft.MatMulNBits<
        K = {COLUMNS}, N = {ROWS}, bits = {bits}, block_size = {block}>(x, w, s, {zero}, , {bias}) }}"""
    model = foreign(
        text,
        w=rng.integers(0, 255, (ROWS, blocks, block * bits // 8)).astype(np.uint8),
        s=rng.uniform(0.1, 0.3, (ROWS, blocks)).astype(np.float32),
        z=rng.integers(0, 255, (ROWS, -(-blocks * bits // 8))).astype(np.uint8),
        f=rng.uniform(0, 15, (ROWS, blocks)).astype(np.float32),
        **normal(rng, b=(ROWS,)),
    )
    assert difference(model, normal(rng, x=(3, COLUMNS))) < 1e-5
    assert ops(written(model)) == ["MatMul", *(["Add"] if bias else [])]


def test_an_order_of_columns_is_a_reason():
    text = """(float[3,32] x) => (float[3,5] y) { r = Relu(x)
        y = com.microsoft.MatMulNBits<K = 32, N = 5, bits = 4, block_size = 32>(r, w, s, , o) }"""
    packed, scales = np.zeros((5, 1, 16), np.uint8), np.ones((5, 1), np.float32)
    verdict = onnx2snn.inspect(foreign(text, w=packed, s=scales, o=np.zeros(32, np.int32))).nodes[1]
    assert verdict.role == "refused"
    assert verdict.reason.endswith("its columns are in an order of their own")
