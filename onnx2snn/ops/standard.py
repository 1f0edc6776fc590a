"""The standard operators of ONNX, one record each: all that any stage asks about one stands here.

An operator without a record is taken to do whatever would be worst.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

#: In what an operator is linear, see `onnx2snn.graph.linear`.
Linear = Literal[
    "",
    "condition",
    "data",
    "dividend",
    "factor",
    "floats",
    "indices",
    "inference",
    "operand",
    "padding",
    "sum",
]
#: When samples of a batch do not meet in it, see `onnx2snn.artifact.samples`.
Rows = Literal[
    "",
    "axis",
    "channels",
    "each",
    "flatten",
    "last axis",
    "matrix",
    "pad",
    "reduce",
    "reshape",
    "slice",
    "transpose",
]
#: How counts of spikes get through it, see `onnx2snn.artifact.synapses`.
Counts = Literal["", "alike", "averaged", "routed", "scaled", "sum"]


@dataclass(frozen=True)
class Operator:
    """What one operator does.

    Attributes:
        linear: in what it is linear; empty if it never is.
        rows: when it keeps the samples along the first axis apart; empty if it may not.
        counts: how it passes on counts of spikes; empty where they cannot be followed.
        channels: the axis of its output that holds channels; empty for that of its input.
        univariate: whether it works element by element: as part of an activation, or as one that is smooth.
        weighted: it multiplies by weights.
        recurrent: it steps through a sequence by itself, and multiplies by weights in every step.
        bias: it may add a bias of its own.
        joins: it puts several tensors together.
        moves: it moves values as they are, but not each within its channel.
        routes: it moves whole spikes without any arithmetic, in integers as well.
        picks: each of its values is one of those that it reads, whichever is the largest.
        bounded: its values lie between those that it reads and 0.
        blocked: it acts on blocks of channels as on channels.
        keeps_axis: samples on another axis than the first stay there.
        indexes: computed indices pick values, and cannot change its output's shape.
        shape_only: it depends on the shape of its input only, never on values.
        value_shaped: its output's shape depends on values; on running means it could change in time.
        in_floats: of an operator of integers the same in floats, and which inputs that has.
    """

    linear: Linear = ""
    rows: Rows = ""
    counts: Counts = ""
    channels: Literal["", "second", "last"] = ""
    univariate: Literal["", "plain", "smooth"] = ""
    weighted: bool = False
    recurrent: bool = False
    bias: bool = False
    joins: bool = False
    moves: bool = False
    routes: bool = False
    picks: bool = False
    bounded: bool = False
    blocked: bool = False
    keeps_axis: bool = False
    indexes: bool = False
    shape_only: bool = False
    value_shaped: bool = False
    in_floats: tuple[str, tuple[int, int]] | None = None


OPERATORS: dict[str, Operator] = {
    "Abs": Operator(rows="each", univariate="plain"),
    "Add": Operator(linear="sum", rows="each", counts="sum", univariate="plain", joins=True, blocked=True),
    "AveragePool": Operator(
        linear="data", rows="channels", counts="averaged", channels="second", bounded=True
    ),
    "BatchNormalization": Operator(linear="inference", rows="channels", counts="alike", channels="second"),
    "Cast": Operator(linear="floats", rows="each", counts="alike"),
    "CastLike": Operator(linear="floats", rows="each"),
    "Celu": Operator(rows="each", univariate="smooth"),
    "CenterCropPad": Operator(linear="data"),
    "Clip": Operator(rows="each", univariate="plain", blocked=True),
    "Col2Im": Operator(linear="data"),
    "Compress": Operator(value_shaped=True),
    "Concat": Operator(linear="sum", rows="axis", counts="routed", joins=True),
    "ConstantOfShape": Operator(value_shaped=True),
    "Conv": Operator(linear="factor", rows="channels", channels="second", weighted=True, bias=True),
    "ConvTranspose": Operator(linear="factor", rows="channels", channels="second", weighted=True, bias=True),
    "CumSum": Operator(linear="data"),
    "DepthToSpace": Operator(linear="data", counts="routed"),
    "Div": Operator(linear="dividend", rows="each", counts="scaled", univariate="plain", blocked=True),
    "Dropout": Operator(rows="each"),
    "Einsum": Operator(linear="operand"),
    "Elu": Operator(rows="each", univariate="smooth"),
    "Erf": Operator(rows="each", univariate="smooth"),
    "Exp": Operator(rows="each", univariate="plain"),
    "Expand": Operator(linear="data", counts="routed"),
    "Flatten": Operator(
        linear="data", rows="flatten", counts="routed", moves=True, routes=True, bounded=True
    ),
    "Floor": Operator(rows="each", blocked=True),
    "Gather": Operator(linear="data", counts="routed", moves=True, indexes=True),
    "GatherElements": Operator(linear="data", indexes=True),
    "GatherND": Operator(linear="data", indexes=True),
    "GRU": Operator(channels="last", recurrent=True),
    "Gelu": Operator(rows="each", univariate="smooth"),
    "Gemm": Operator(linear="factor", rows="matrix", channels="second", weighted=True, bias=True),
    "GlobalAveragePool": Operator(
        linear="data", rows="channels", counts="averaged", channels="second", bounded=True
    ),
    "GlobalMaxPool": Operator(rows="channels", channels="second", picks=True),
    "GridSample": Operator(linear="data", indexes=True),
    "HardSigmoid": Operator(rows="each", univariate="smooth"),
    "HardSwish": Operator(rows="each", univariate="smooth"),
    "Identity": Operator(linear="sum", rows="each", counts="routed", univariate="plain", moves=True),
    "InstanceNormalization": Operator(rows="channels"),
    "LSTM": Operator(channels="last", recurrent=True),
    "LayerNormalization": Operator(rows="last axis"),
    "LeakyRelu": Operator(rows="each", univariate="plain"),
    "Log": Operator(rows="each", univariate="plain"),
    "LpPool": Operator(rows="channels"),
    "MatMul": Operator(linear="factor", rows="matrix", channels="last", weighted=True, keeps_axis=True),
    "MatMulInteger": Operator(keeps_axis=True, in_floats=("MatMul", (0, 1))),
    "Max": Operator(rows="each", univariate="plain", blocked=True),
    "MaxPool": Operator(rows="channels", channels="second", routes=True, picks=True, bounded=True),
    "Mean": Operator(linear="sum", counts="sum", joins=True),
    "Min": Operator(rows="each", univariate="plain", blocked=True),
    "Mish": Operator(rows="each", univariate="smooth"),
    "Mul": Operator(linear="factor", rows="each", counts="scaled", univariate="plain", blocked=True),
    "Neg": Operator(linear="sum", rows="each", counts="alike", univariate="plain", blocked=True),
    "NonMaxSuppression": Operator(value_shaped=True),
    "NonZero": Operator(value_shaped=True),
    "PRelu": Operator(rows="each"),
    "Pad": Operator(linear="padding", rows="pad", counts="routed", routes=True, bounded=True),
    "Pow": Operator(rows="each", univariate="plain"),
    "QLinearConv": Operator(in_floats=("Conv", (0, 3))),
    "QuantizeLinear": Operator(rows="each", counts="alike"),
    "RNN": Operator(channels="last", recurrent=True),
    "Range": Operator(value_shaped=True),
    "Reciprocal": Operator(rows="each", univariate="plain"),
    "ReduceMax": Operator(rows="reduce", picks=True),
    "ReduceMean": Operator(linear="data", rows="reduce", counts="averaged"),
    "ReduceSum": Operator(linear="data", rows="reduce", counts="routed"),
    "Relu": Operator(rows="each", univariate="plain", blocked=True),
    "Reshape": Operator(linear="data", rows="reshape", counts="routed", moves=True, bounded=True),
    "Resize": Operator(linear="data", counts="routed"),
    "ReverseSequence": Operator(linear="data", indexes=True),
    "ScatterElements": Operator(linear="indices"),
    "ScatterND": Operator(linear="indices"),
    "Selu": Operator(rows="each", univariate="smooth"),
    "Shape": Operator(shape_only=True),
    "Sigmoid": Operator(rows="each", univariate="smooth"),
    "Size": Operator(shape_only=True),
    "Slice": Operator(linear="data", rows="slice", counts="routed", moves=True, bounded=True),
    "Softmax": Operator(rows="last axis", keeps_axis=True),
    "Softplus": Operator(rows="each", univariate="smooth"),
    "Softsign": Operator(rows="each", univariate="smooth"),
    "SpaceToDepth": Operator(linear="data", counts="routed"),
    "Split": Operator(linear="data", counts="routed"),
    "Sqrt": Operator(rows="each", univariate="plain"),
    "Squeeze": Operator(linear="data", counts="routed", moves=True),
    "Sub": Operator(linear="sum", rows="each", counts="sum", univariate="plain", joins=True, blocked=True),
    "Sum": Operator(linear="sum", rows="each", counts="sum", univariate="plain", joins=True),
    "Tanh": Operator(rows="each", univariate="smooth"),
    "ThresholdedRelu": Operator(rows="each", univariate="smooth"),
    "Tile": Operator(linear="data", counts="routed"),
    "Transpose": Operator(linear="data", rows="transpose", counts="routed", moves=True, bounded=True),
    "Trilu": Operator(linear="data"),
    "Unique": Operator(value_shaped=True),
    "Unsqueeze": Operator(linear="data", counts="routed", moves=True),
    "Where": Operator(linear="condition"),
}
_UNKNOWN = Operator()
#: The mode of a Resize whose values are copies.
COPIES = "nearest"


def standard(op: str) -> Operator:
    """The record of an operator."""
    return OPERATORS.get(op, _UNKNOWN)


def passes_spikes(op: str, moving: Sequence[bool], mode: str = COPIES) -> bool:
    """Whether an operator hands spikes on, moved, scaled, averaged or added up, each for itself.

    Args:
        op: its name.
        moving: of each input, whether spikes arrive there; nothing else that changes over time does.
        mode: its attribute of that name: a Resize may make values of its own.
    """
    how = standard(op).counts
    if how == "scaled":
        return sum(moving) == 1 and (op != "Div" or moving[0])
    return bool(how) and (op != "Resize" or mode == COPIES)


def having(**properties: Any) -> frozenset[str]:
    """The operators whose records have these properties."""
    return frozenset(
        op
        for op, record in OPERATORS.items()
        if all(getattr(record, name) == value for name, value in properties.items())
    )


WEIGHTED = having(weighted=True)
RECURRENT = having(recurrent=True)
SHAPE_OPS = having(shape_only=True)
