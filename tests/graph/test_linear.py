"""Linear operators act on spikes as they are: their mean is that of the ANN on the neurons' means."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnx2snn.graph.linear import REARRANGES, before_weights, pads_with_zeros, why_not_linear
from onnx2snn.ops.standard import OPERATORS
from tests.helpers import batchnorm, graph_of, parse
from tests.means import compare

#: Sums of few float32 terms, once step by step and once on the mean: 2^-24 for each of some dozens.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Case:
    """A piece of a net with an operator in it; constants are arrays, or shapes of random ones."""

    inputs: dict[str, str]
    body: str
    constants: dict[str, object] = field(default_factory=dict)
    outputs: str = "float[] y"


def case(dims, body, outputs="float[] y", more=None, **constants):
    return Case({"r": dims, **(more or {})}, body, constants, outputs)


def ints(*values):
    return np.asarray(values, np.int64)


def floats(*values):
    return np.asarray(values, np.float32)


IMAGE = "N,4,5,6"
MASK = np.arange(30).reshape(5, 6) % 3 == 0
GRID = np.random.default_rng(1).uniform(-1.2, 1.2, (3, 2, 4, 2)).astype(np.float32)

CASES: dict[str, list[Case]] = {
    "Add": [
        case("N,4", "y = Add(r, s)", more={"s": "N,4"}),
        case("N,4", "y = Add(c, r)", c=(4,)),
        case("N,4", "y = Add(r, r)"),
        case("N,4", "y = Add(r, p)", more={"p": "N,1"}),
    ],
    "AveragePool": [
        case(IMAGE, f"y = AveragePool<kernel_shape=[3,2], {how}>(r)")
        for how in (
            "pads=[1,1,1,0], count_include_pad=1",
            "pads=[1,1,1,0]",
            "strides=[2,2], ceil_mode=1, count_include_pad=1, pads=[1,1,1,1]",
            'auto_pad="SAME_UPPER", strides=[2,2]',
            "dilations=[2,1]",
        )
    ],
    "BatchNormalization": [
        case(
            IMAGE,
            "y = BatchNormalization(r, gamma, beta, mean, var)",
            **batchnorm(np.random.default_rng(1), 4),
        )
    ],
    "Cast": [case("N,4", "y = Cast<to=11>(r)", "double[] y")],
    "CastLike": [case("N,4", "y = CastLike(r, d)", "double[] y", d=np.zeros(1))],
    "CenterCropPad": [case(IMAGE, "y = CenterCropPad<axes=[2,3]>(r, size)", size=ints(3, 8))],
    "Col2Im": [case("N,12,6", "y = Col2Im(r, size, block)", size=ints(4, 3), block=ints(2, 2))],
    "Concat": [
        case("N,4", "y = Concat<axis=1>(r, s, r)", more={"s": "N,2"}),
        case("3,4", "y = Concat<axis=0>(c, r)", c=(2, 4)),
    ],
    "Conv": [
        case(IMAGE, "y = Conv<pads=[1,0,1,2], strides=[2,1]>(r, w, b)", w=(3, 4, 3, 3), b=(3,)),
        case(IMAGE, "y = Conv<group=2, dilations=[2,2]>(r, w)", w=(4, 2, 2, 2)),
        case(IMAGE, 'y = Conv<group=4, auto_pad="SAME_LOWER">(r, w, b)', w=(8, 1, 3, 2), b=(8,)),
        case("3,2,2,2", "y = Conv(c, r, b)", c=(1, 2, 5, 5), b=(3,)),
        case("3,2,2,2", "y = Conv(p, r, s)", more={"p": "3,2,5,5", "s": "3"}),
    ],
    "ConvTranspose": [
        case(
            IMAGE,
            "y = ConvTranspose<strides=[2,1], pads=[1,0,0,1], output_padding=[1,0]>(r, w, b)",
            w=(4, 3, 3, 3),
            b=(3,),
        ),
        case(IMAGE, "y = ConvTranspose<group=2, dilations=[1,2]>(r, w)", w=(4, 3, 2, 2)),
    ],
    "CumSum": [
        case("N,4,3", "y = CumSum(r, axis)", axis=np.asarray(1, np.int64)),
        case("N,4,3", "y = CumSum<exclusive=1, reverse=1>(r, axis)", axis=np.asarray(-1, np.int64)),
    ],
    "DepthToSpace": [
        case(IMAGE, f'y = DepthToSpace<blocksize=2, mode="{mode}">(r)') for mode in ("DCR", "CRD")
    ],
    "Div": [
        case("N,4", "y = Div(r, c)", c=floats(0.5, -3, 7, 2)),
        case("N,4", "d = Exp(p) y = Div(r, d)", more={"p": "N,4"}),
    ],
    "Einsum": [
        case(IMAGE, 'y = Einsum<equation="nchw,dc->ndhw">(r, w)', w=(3, 4)),
        case("N,3,4", 'y = Einsum<equation="dc,nlc->nld">(w, r)', w=(2, 4)),
        case("N,3,3", 'y = Einsum<equation="nii->ni">(r)'),
    ],
    "Expand": [case("N,1,4", "y = Expand(r, shape)", shape=ints(2, 1, 3, 1))],
    "Flatten": [case(IMAGE, "y = Flatten<axis=2>(r)")],
    "Gather": [case("N,5", "y = Gather<axis=1>(r, i)", i=ints(4, 0, -1, 0).reshape(2, 2))],
    "GatherElements": [
        case("N,3", "y = GatherElements<axis=1>(r, i)", i=ints(2, 0, 1, 1, 0, 2).reshape(3, 2))
    ],
    "GatherND": [case("3,4,2", "y = GatherND(r, i)", i=ints(0, 1, 2, 3, 0, 0).reshape(3, 2))],
    "Gemm": [
        case("N,4", "y = Gemm<alpha=0.5, beta=2.0>(r, w, b)", w=(4, 3), b=(3,)),
        case("4,N", "y = Gemm<transA=1, transB=1>(r, w, b)", w=(3, 4), b=(1, 3)),
        case("N,4", "y = Gemm<beta=-0.5>(r, w, s)", more={"s": "N,3"}, w=(4, 3)),
        case("4,3", "y = Gemm<alpha=2.0>(a, r, b)", a=(2, 4), b=(1,)),
    ],
    "GlobalAveragePool": [case(IMAGE, "y = GlobalAveragePool(r)")],
    "GridSample": [
        case(
            IMAGE,
            f'y = GridSample<mode="{mode}", padding_mode="{padding}", align_corners={corners}>(r, g)',
            g=GRID,
        )
        for mode, padding, corners in (
            ("linear", "zeros", 0),
            ("nearest", "border", 1),
            ("cubic", "reflection", 0),
        )
    ],
    "Identity": [case("N,4", "y = Identity(r)")],
    "MatMul": [
        case("N,3,4", "y = MatMul(r, w)", w=(4, 2)),
        case("N,3,4", "y = MatMul(w, r)", w=(2, 3)),
        case("N,3,4", "y = MatMul(r, p)", more={"p": "N,4,2"}),
        case("4", "y = MatMul(r, w)", w=(4, 2)),
    ],
    "Mean": [case("N,4", "y = Mean(r, c, s)", more={"s": "N,4"}, c=(4,))],
    "Mul": [
        case("N,4", "y = Mul(r, c)", c=(4,)),
        case("N,4", "y = Mul(p, r)", more={"p": "N,4"}),
    ],
    "Neg": [case("N,4", "y = Neg(r)")],
    "Pad": [
        case(
            "N,4,4",
            "y = Pad(r, pads, value)",
            pads=ints(0, 1, 2, 0, 0, 1),
            value=np.asarray(-2.5, np.float32),
        ),
        case(
            "N,4,4",
            "y = Pad(r, pads, value, axes)",
            pads=ints(1, -1),
            value=np.asarray(3, np.float32),
            axes=ints(2),
        ),
        *(
            case("N,4,4", f'y = Pad<mode="{mode}">(r, pads)', pads=ints(0, 1, 2, 0, 0, 1))
            for mode in ("reflect", "edge", "wrap")
        ),
        case("N,4", "v = ReduceMean<keepdims=0>(r) y = Pad(r, pads, v)", pads=ints(0, 1, 0, 2)),
    ],
    "ReduceMean": [case(IMAGE, "y = ReduceMean<keepdims=0>(r, axes)", axes=ints(-1, 2))],
    "ReduceSum": [case(IMAGE, "y = ReduceSum(r, axes)", axes=ints(1))],
    "Reshape": [case(IMAGE, "y = Reshape(r, shape)", shape=ints(0, -1, 3))],
    "Resize": [
        *(
            case(IMAGE, f"y = Resize<{how}>(r, , scales)", scales=floats(1, 1, 2, 1.5))
            for how in (
                'mode="nearest"',
                'mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric"',
                'mode="linear"',
                'mode="linear", coordinate_transformation_mode="align_corners"',
                'mode="cubic", cubic_coeff_a=-0.5',
            )
        ),
        case(IMAGE, 'y = Resize<mode="linear", antialias=1>(r, , , sizes)', sizes=ints(3, 4, 3, 2)),
        case(
            IMAGE,
            """y = Resize<mode="linear", coordinate_transformation_mode="tf_crop_and_resize",
            extrapolation_value=2.5>(r, roi, , sizes)""",
            roi=floats(0, 0, -0.5, 0, 1, 1, 1, 1.5),
            sizes=ints(3, 4, 4, 7),
        ),
    ],
    "ReverseSequence": [
        case("4,N,2", "y = ReverseSequence<time_axis=0, batch_axis=1>(r, lengths)", lengths=ints(4, 2, 3))
    ],
    "ScatterElements": [
        case("N,4", "y = ScatterElements<axis=1>(r, i, u)", i=ints(1, 3, 0).reshape(3, 1), u=(3, 1)),
        case(
            "N,4",
            'y = ScatterElements<axis=1, reduction="add">(r, i, s)',
            more={"s": "3,2"},
            i=ints(1, 1, 0, 3, 2, 2).reshape(3, 2),
        ),
    ],
    "ScatterND": [
        case("N,4", "y = ScatterND(r, i, u)", i=ints(2, 0).reshape(2, 1), u=(2, 4)),
        case("2,4", "y = ScatterND(c, i, r)", i=ints(2, 0).reshape(2, 1), c=(3, 4)),
        case(
            "3,4",
            'y = ScatterND<reduction="add">(r, i, s)',
            more={"s": "3"},
            i=ints(0, 1, 0, 1, 2, 3).reshape(3, 2),
        ),
    ],
    "Slice": [
        case(
            IMAGE,
            "y = Slice(r, low, high, axes, steps)",
            low=ints(4, 1),
            high=ints(0, 99),
            axes=ints(2, 3),
            steps=ints(-2, 2),
        )
    ],
    "SpaceToDepth": [case("N,2,4,6", "y = SpaceToDepth<blocksize=2>(r)")],
    "Split": [
        case("N,5", "y, z = Split<axis=1>(r, sizes)", "float[] y, float[] z", sizes=ints(2, 3)),
        case("N,6", "y, z, o = Split<axis=1, num_outputs=3>(r)", "float[] y, float[] o"),
    ],
    "Squeeze": [case("N,1,4,1", "y = Squeeze(r, axes)", axes=ints(1, -1))],
    "Sub": [
        case("N,4", "y = Sub(r, s)", more={"s": "N,4"}),
        case("N,4", "y = Sub(c, r)", c=(4,)),
        case("N,4", "y = Sub(r, c)", c=(4,)),
    ],
    "Sum": [case("N,4", "y = Sum(r, c, s, p)", more={"s": "N,1", "p": "N,4"}, c=(4,))],
    "Tile": [case("N,2,3", "y = Tile(r, repeats)", repeats=ints(1, 3, 2))],
    "Transpose": [case(IMAGE, "y = Transpose<perm=[2,0,3,1]>(r)"), case(IMAGE, "y = Transpose(r)")],
    "Trilu": [
        case("N,4,4", "y = Trilu<upper=0>(r)"),
        case("N,4,4", "y = Trilu(r, k)", k=np.asarray(1, np.int64)),
    ],
    "Unsqueeze": [case("N,4", "y = Unsqueeze(r, axes)", axes=ints(0, -1))],
    "Where": [
        case(IMAGE, "y = Where(mask, r, c)", mask=MASK, c=(5, 6)),
        case(IMAGE, "y = Where(mask, s, r)", more={"s": IMAGE}, mask=MASK),
        case("N,4", "m = Greater(p, zero) y = Where(m, r, c)", more={"p": "N,4"}, zero=floats(0), c=(4,)),
    ],
}


def test_every_linear_operator_has_a_case():
    assert CASES.keys() == {op for op, record in OPERATORS.items() if record.linear}


@pytest.mark.parametrize(
    ("op", "number"), [(op, number) for op, cases in CASES.items() for number in range(len(cases))]
)
def test_mean_is_that_of_the_operator_on_means(op, number, rng):
    chosen = CASES[op][number]
    constants = {
        name: rng.standard_normal(value).astype(np.float32) if isinstance(value, tuple) else value
        for name, value in chosen.constants.items()
    }
    for timesteps in (1, 5):
        result = compare(
            chosen.inputs, chosen.body, constants, rng, timesteps=timesteps, outputs=chosen.outputs
        )
        assert result.error < TOLERANCE
        assert result.roles[op] == {"linear"}


# --- any composition --------------------------------------------------------------------------------------

#: Operators from [N,4,4,4] to [N,4,4,4] in the tensors a and b; in the constants below, and one other, {i}.
STEPS = [
    "{y} = Conv<pads=[1,1,1,1]>({a}, w33, channel)",
    "{y} = Conv<pads=[1,1,1,1], group=4>({a}, w133)",
    "{y} = ConvTranspose<pads=[1,1,1,1]>({a}, w33, channel)",
    "u{i} = Conv<strides=[2,2]>({a}, w22) {y} = ConvTranspose<strides=[2,2]>(u{i}, w22, channel)",
    "{y} = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1>({a})",
    "{y} = AveragePool<kernel_shape=[3,3], pads=[1,1,1,1]>({a})",
    """u{i} = AveragePool<kernel_shape=[3,3], strides=[2,2], ceil_mode=1>({a})
    {y} = Resize<mode="linear">(u{i}, , twice)""",
    """u{i} = Resize<mode="nearest">({a}, , twice)
    {y} = AveragePool<kernel_shape=[2,2], strides=[2,2]>(u{i})""",
    "{y} = BatchNormalization({a}, gamma, beta, mean, var)",
    "u{i} = Pad({a}, beside, number) {y} = Slice(u{i}, one, five, last)",
    "u{i} = Pad({a}, around, number) {y} = AveragePool<kernel_shape=[3,3]>(u{i})",
    "{y} = Add({a}, {b})",
    "{y} = Add({a}, plane)",
    "{y} = Sub({a}, {b})",
    "{y} = Sub(plane, {a})",
    "{y} = Sub({a}, number)",
    "{y} = Sum({a}, {b}, plane)",
    "{y} = Mean({a}, plane, {b})",
    "{y} = Neg({a})",
    "{y} = Mul({a}, plane)",
    "{y} = Mul(column, {a})",
    "{y} = Div({a}, number)",
    "{y} = Where(mask, {a}, {b})",
    "{y} = Where(mask, plane, {a})",
    "u{i} = Concat<axis=1>({a}, {b}) {y} = Conv(u{i}, w8)",
    "u{i} = Concat<axis=2>({a}, rows) {y} = Slice(u{i}, one, five, third)",
    "u{i}, v{i} = Split<axis=1, num_outputs=2>({a}) {y} = Concat<axis=1>(v{i}, u{i})",
    "{y} = Gather<axis=2>({a}, order)",
    "u{i} = Gather<axis=1>({a}, first) {y} = Expand(u{i}, wide)",
    "{y} = ScatterND({a}, where, updates)",
    "{y} = CumSum({a}, axis)",
    '{y} = Einsum<equation="nchw,cd->ndhw">({a}, w44)',
    "{y} = MatMul({a}, w44)",
    "{y} = MatMul(w44, {a})",
    "{y} = Transpose<perm=[0,2,3,1]>({a})",
    "u{i} = Flatten({a}) v{i} = Gemm<alpha=0.5, beta=2.0>(u{i}, w64, b64) {y} = Reshape(v{i}, whole)",
    "u{i} = ReduceMean({a}, third) {y} = Add({b}, u{i})",
    "u{i} = GlobalAveragePool({a}) {y} = Sub(u{i}, {b})",
    "u{i} = ReduceSum({a}, last) v{i} = Tile(u{i}, four) {y} = Mul(v{i}, number)",
    "u{i} = DepthToSpace<blocksize=2>({a}) {y} = SpaceToDepth<blocksize=2>(u{i})",
    "u{i} = Unsqueeze({a}, one) v{i} = Squeeze(u{i}, one) {y} = Trilu(v{i})",
    "u{i} = Cast<to=11>({a}) v{i} = Neg(u{i}) w{i} = Cast<to=1>(v{i}) {y} = Add(w{i}, {b})",
]


def pool(rng):
    """Constants that keep a standard normal value about as large as it was."""
    shapes = {"w33": (4, 4, 3, 3), "w133": (4, 1, 3, 3), "w22": (4, 4, 2, 2), "w8": (4, 8, 1, 1)}
    shapes |= {"w44": (4, 4), "w64": (64, 64)}
    weights = {
        name: (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
        for name, shape in shapes.items()
    }
    offsets = {"channel": (4,), "plane": (4, 4), "column": (4, 1, 1), "rows": (3, 4, 2, 4)}
    offsets |= {"updates": (2, 4, 4, 4), "b64": (64,)}
    weights |= {name: rng.standard_normal(shape).astype(np.float32) for name, shape in offsets.items()}
    return (
        weights
        | batchnorm(rng, 4)
        | {
            "number": np.asarray(1.5, np.float32),
            "twice": floats(1, 1, 2, 2),
            "beside": ints(0, 0, 0, 1, 0, 0, 0, 1),
            "around": ints(0, 0, 1, 1, 0, 0, 1, 1),
            "one": ints(1),
            "first": ints(0),
            "five": ints(5),
            "third": ints(2),
            "last": ints(-1),
            "mask": np.arange(64).reshape(4, 4, 4) % 3 == 0,
            "order": ints(2, 0, 3, 1),
            "wide": ints(1, 4, 4, 4),
            "whole": ints(-1, 4, 4, 4),
            "where": ints(2, 0).reshape(2, 1),
            "axis": np.asarray(1, np.int64),
            "four": ints(1, 1, 1, 4),
        }
    )


def composed(steps):
    """A body of such operators, each with the operands that its two numbers pick.

    The newest tensor is the likeliest, so that chains get long; p is the same at every timestep.
    """
    tensors, body = ["r", "s", "p"], []
    for i, (step, *picks) in enumerate(steps):
        a, b = ([*tensors, tensors[-1], tensors[-1]][pick % (len(tensors) + 2)] for pick in picks)
        body.append(step.format(y=f"y{i}", a=a, b=b, i=i))
        tensors.append(f"y{i}")
    return " ".join([*body, f"y = Add({tensors[-1]}, r)"])


@pytest.mark.parametrize("step", STEPS)
def test_one_step_has_the_mean_of_the_ann_on_means(step, rng):
    inputs = dict.fromkeys("rsp", "N,4,4,4")
    assert compare(inputs, composed([(step, 0, 1)]), pool(rng), rng, timesteps=5).error < TOLERANCE


@settings(deadline=None, max_examples=40)
@given(
    steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0), st.integers(0)), min_size=1, max_size=8),
    timesteps=st.integers(1, 9),
    max_spikes=st.sampled_from([1, 4]),
    signed=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_composition_has_the_mean_of_the_ann_on_means(steps, timesteps, max_spikes, signed, seed):
    rng = np.random.default_rng(seed)
    result = compare(
        dict.fromkeys("rsp", "N,4,4,4"),
        composed(steps),
        pool(rng),
        rng,
        timesteps=timesteps,
        max_spikes=max_spikes,
        signed=signed,
    )
    assert result.error < TOLERANCE
    # A Cast that narrows rounds, so it is an island, which takes in what lies between it and another one.
    assert "Cast" in result.roles or {"analog"} not in result.roles.values()


def test_a_pair_of_casts_before_the_first_neuron(rng):
    """onnxruntime drops the second of two inverse casts even where only a loop's body reads it."""
    result = compare(
        {"r": "N,4", "p": "N,4"}, "u = Cast<to=11>(p) v = Cast<to=1>(u) y = Add(r, v)", {}, rng, timesteps=3
    )
    assert result.error < TOLERANCE


MULTIPLIES, DIVIDES = "it multiplies two activations", "it divides by an activation"
PARAMETERS, CHOOSES = "its parameters depend on an activation", "it chooses by an activation"
WRITES, ROUNDS = "where it writes depends on an activation", "it rounds activations to another type"


@pytest.mark.parametrize(
    ("node", "changing", "reason"),
    [
        ("Add(a, b)", "ab", None),
        ("Mul(a, b)", "a", None),
        ("Mul(a, b)", "b", None),
        ("Mul(a, b)", "ab", MULTIPLIES),
        ("Mul(a, a)", "a", MULTIPLIES),
        ("Div(a, b)", "a", None),
        ("Div(a, b)", "b", DIVIDES),
        ('Einsum<equation="ij,ij->ij">(a, b)', "b", None),
        ('Einsum<equation="ij,ij->ij">(a, b)', "ab", "it multiplies activations"),
        ("Reshape(a, i)", "a", None),
        ("Reshape(a, i)", "i", REARRANGES),
        ("Reshape(a, i)", "ai", REARRANGES),
        ("BatchNormalization(a, s, s, s, s)", "a", None),
        ("BatchNormalization(a, s, s, s, s)", "as", PARAMETERS),
        ("Where(m, a, b)", "ab", None),
        ("Where(m, a, b)", "m", CHOOSES),
        ("Pad(a, i, s)", "a", None),
        ("Pad(a, i, s)", "as", None),
        ("Pad(a, i, s)", "s", None),
        ("Pad(a, i, s)", "ai", REARRANGES),
        ("ScatterElements(a, i, b)", "ab", None),
        ("ScatterElements(a, i, b)", "ai", WRITES),
        ('ScatterElements<reduction="add">(a, i, b)', "ab", None),
        ('ScatterElements<reduction="max">(a, i, b)', "a", "it combines values by 'max'"),
        ("Cast<to=11>(a)", "a", None),
        ("Cast<to=1>(a)", "a", None),
        ("Cast<to=10>(a)", "a", ROUNDS),
        ("Cast<to=7>(a)", "a", ROUNDS),
        ("Cast<to=1>(i)", "i", ROUNDS),
        ("Add(i, i)", "i", "it computes on other numbers than floats"),
        ("Sqrt(a)", "a", "it is not linear"),
        ("com.unknown.Add(a, b)", "ab", "it is not linear"),
    ],
)
def test_why_a_node_is_not_linear_in_what_changes(node, changing, reason):
    text = f"(float[3,4] a, float[3,4] b, float[4] s, int64[2] i, bool[3,4] m) => (y) {{ y = {node} }}"
    model = parse(text)
    model.opset_import.add(domain="com.unknown", version=1)
    (node,) = graph_of(model).nodes
    assert why_not_linear(node, set(changing)) == reason


def test_a_batchnorm_in_training_mode_depends_on_the_whole_batch():
    node = "y, mean, var = BatchNormalization<training_mode=1>(a, s, s, s, s)"
    (node,) = graph_of(parse(f"(float[3,4] a, float[4] s) => (float[3,4] y) {{ {node} }}")).nodes
    assert why_not_linear(node, {"a"}) == "it is in training mode"


@pytest.mark.parametrize(
    ("node", "zeros"),
    [
        ("Pad(x, pads)", True),
        ("Pad(x, pads, zero)", True),
        ("Pad(x, pads, , axes)", True),
        ("Pad(x, pads, one)", False),
        ("Pad(x, pads, below)", False),
        ("Pad(x, pads, given)", False),
        ('Pad<mode="constant">(x, pads)', True),
        ('Pad<mode="edge">(x, pads)', False),
    ],
)
def test_what_pads_with_zeros(node, zeros):
    constants = {"pads": ints(1, 1), "axes": ints(0)}
    constants |= {"zero": np.float32(0), "one": np.float32(1), "below": np.float32(-1)}
    model = parse(f"(float[3] x, float given) => (float[5] y) {{ y = {node} }}", **constants)
    (node,) = graph_of(model).nodes
    assert pads_with_zeros(node) is zeros


def test_what_weights_depend_on():
    text = "(float[N,2] x) => (float[N,2] y) { a = Neg(x) b = MatMul(a, w) y = Abs(b) }"
    assert before_weights(graph_of(parse(text, w=np.eye(2, dtype="f")))) == {"x", "a", "w"}
