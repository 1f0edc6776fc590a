"""Small nets with control flow, and what their names stand for."""

from __future__ import annotations

import numpy as np
import onnx

from tests.helpers import parse

CONSTANTS = {
    "yes": np.bool_(True),
    "no": np.bool_(False),
    "nothing": np.int64(0),
    "one": np.int64(1),
    "three": np.int64(3),
    "hundred": np.int64(100),
    "first": np.int64([0]),
    "second": np.int64([1]),
    "half": np.float32(0.5),
    "w": np.float32(0.5) * np.float32([[1, -1, 0, 1], [0, 1, 1, -1], [1, 0, 1, 0], [-1, 1, 0, 1]]),
}
#: One round: s ← Relu(s·w) + s.
ROUND = "(int64 i, bool on, float[N,4] s) => (bool keep, float[N,4] t)"
LAYER = "m = MatMul(s, w) q = Relu(m) t = Add(q, s)"
#: One round of what spikes cannot do: s ← Tanh(s·w + r_i), r from outside.
STEP = "keep = Identity(on) g = Gather<axis = 1>(r, i) m = MatMul(s, w) u = Add(m, g) t = Tanh(u)"
SCANNED = "(float[N,4] s, float[N,4] g) => (float[N,4] t, float[N,4] o)"
MEANS = "z = ReduceMean<keepdims = 0>(r, second)"

#: Body of the net between r = Relu(x·w) and y = b·w, from x [N,4] or [N,M,4].
UNROLLED = {
    "a branch": """b = If(yes) <then_branch = a () => (float[N,4] p) { h = MatMul(r, w) p = Relu(h) },
        else_branch = c () => (float[N,4] q) { q = Neg(r) }>""",
    "a branch in a branch": """b = If(yes) <then_branch = a () => (float[N,4] p) {
            p = If(no) <then_branch = d () => (float[N,4] e) { e = Neg(r) },
                else_branch = f () => (float[N,4] g) { h = MatMul(r, w) g = Relu(h) }> },
        else_branch = c () => (float[N,4] q) { q = Neg(r) }>""",
    "a known number of rounds": f"""b = Loop(three, yes, r)
        <body = rounds {ROUND} {{ keep = Identity(on) {LAYER} }}>""",
    "a condition that counts": f"""j, b = Loop("", yes, nothing, r) <body = rounds (int64 i, bool on, int64 c,
        float[N,4] s) => (bool keep, int64 d, float[N,4] t)
        {{ d = Add(c, one) keep = Less(d, three) {LAYER} }}>""",
    "rows of each round": f"""l, rows = Loop(three, yes, r) <body = rounds (int64 i, bool on, float[N,4] s)
        => (bool keep, float[N,4] t, float[N,4] o) {{ keep = Identity(on) {LAYER} o = Neg(q) }}>
        k = ReduceSum<keepdims = 0>(rows, first) b = Add(k, l)""",
}
SEQUENCES = {
    "a Scan": f"""x1 = Transpose<perm = [1,0,2]>(r) {MEANS} l, rows = Scan<num_scan_inputs = 1,
        body = step {SCANNED} {{ m = MatMul(s, w) u = Add(m, g) t = Tanh(u) o = Neg(t) }}>(z, x1)
        k = ReduceSum<keepdims = 0>(rows, first) b = Add(k, l)""",
    "a Scan backwards": f"""x1 = Transpose<perm = [1,0,2]>(r) {MEANS} l, rows = Scan<num_scan_inputs = 1,
        scan_input_directions = [1], scan_output_directions = [1], scan_output_axes = [1],
        body = step {SCANNED} {{
        m = MatMul(s, w) u = Add(m, g) v = Add(u, z) t = Tanh(v) o = Neg(t) }}>(z, x1)
        f = Slice(rows, first, second, second) k = Squeeze(f, second) b = Add(k, l)""",
    "a Loop over what comes in": f"""d = Shape<start = 1, end = 2>(r) e = Squeeze(d) {MEANS}
        b = Loop(e, yes, z) <body = rounds {ROUND} {{ {STEP} }}>""",
}


def net(body: str, shape: str = "N,4", ending: str = "y = MatMul(b, w)") -> onnx.ModelProto:
    """x·w, Relu, the body, and one layer more."""
    text = f"(float[{shape}] x) => (float[N,K] y) {{ a = MatMul(x, w) r = Relu(a) {body} {ending} }}"
    words = set(text.translate(str.maketrans("(),{}<>", " " * 7)).split())
    return parse(text, **{name: value for name, value in CONSTANTS.items() if name in words})
