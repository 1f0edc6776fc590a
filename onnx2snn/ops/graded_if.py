"""Graded integrate-and-fire neuron: a spike carries a sign and an exponent, ±R·2^(-i) with i = 0 … n-1.

    e = a(u) - y          j = floor(log2(|e| / (¾·R))), at most 0
    spike = sign(e)·R·2^j if j ≥ -(n-1), else none          y ← y + spike,  y_0 = 0

y, the sum of what was sent, is the best word so far for the target a(u): a spike is the power of two nearest
to what is missing, of either sign. What arrives is the sum of all that was sent, so the network between its
neurons is the ANN, with the activation a before the neuron as it is; only differences travel. At rest nobody
sends.

In its first timesteps a neuron is coarse: with c_t > 1 the spikes below c_t·R·2^(-(n-1)) are left out, with
c_t = 2^n all of them, and it waits. What it would send of an input that is only beginning it would mostly
have to take back.

Known as sigma-delta neuron (Loihi 2, Lava's SDNN), as multi-threshold neuron with differential coding (Huang
et al. 2025), and as signed-digit expansion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper

from onnx2snn.ops.cell import Array, Cell, Neuron, Setting, State, function_body, zero

#: The nearest power of two in standard operators, each as fast as memory. The largest one below q·2^23 is its
#: distance to the next float below, which q - q·(1 - 2^-24) rounds to (Rump's unit in the first place); the
#: factor 11184812 is 2^23·4/3, so much too large that ¾·2^j itself reaches 2^j. A float whose last place is
#: 2^-(n-1) then absorbs what is smaller: half a place is a tie, which goes to its even side. No logarithm:
#: exact wherever floats are IEEE's.
POWER = """
    bounded{t} = Clip (ratio{t}, minus, one)
    above{t} = Mul (bounded{t}, wide)
    below{t} = Mul (above{t}, almost)
    power{t} = Sub (above{t}, below{t})
"""
#: What all spikes of a neuron share. A range of zero is a dead channel's: it sends spikes of zero. The float
#: that absorbs is 1½·2^(24-n), from the dead zone just below ¾·2^-(n-1).
CONSTANTS = """
    minus = Constant <value_float: float = -1.0> ()
    one = Constant <value_float: float = 1.0> ()
    wide = Constant <value_float: float = 11184812.0> ()
    almost = Constant <value_float: float = 0.99999994> ()
    zone = Constant <value_float: float = @dead_zone> ()
    places = Constant <value_float: float = 16777218.0> ()
    sponge = Mul (zone, places)
    full = CastLike (one, range)
    nothing = Sub (full, full)
    dead = Equal (range, nothing)
    unit = Where (dead, full, range)
"""

FUNCTION = function_body(
    "GradedIF <exponents, dead_zone, coarse>"
    " (target, sent, elapsed, range) => (output, next_sent, next_elapsed) {"
    + CONSTANTS
    + """
    tick = CastLike (one, elapsed)
    next_elapsed = Add (elapsed, tick)
    factors = Constant <value_floats: floats = @coarse> ()
    step = Constant <value_int: int = 1> ()
    many = Size (factors)
    last = Sub (many, step)
    time = ReduceMax <keepdims: int = 0> (elapsed)
    whole = Cast <to: int = 7> (time)
    place = Min (whole, last)
    factor = Gather (factors, place)
    now = Mul (sponge, factor)
    error = Sub (target, sent)
    quotient = Div (error, unit)
    ratio = Cast <to: int = 1> (quotient)
"""
    + POWER.format(t="")
    # The state first: onnxruntime takes a copy out at load, but not one that leaves the graph.
    + """
    absorbed = Add (power, now)
    grade = Sub (absorbed, now)
    size = CastLike (grade, range)
    spike = Mul (size, range)
    next_sent = Add (sent, spike)
    output = Identity (next_sent)
}"""
)


def nearest_power(ratio: Array, dead_zone: float) -> Array:
    """The power of two nearest to each ratio, at most 1; 0 for what is in the dead zone."""
    bounded = np.clip(ratio, -1, 1).astype(np.float32)
    mantissa, exponent = np.frexp(bounded)
    power = np.ldexp(np.sign(bounded), exponent - (np.abs(mantissa) < 0.75))
    return np.where(np.abs(bounded) <= np.float32(dead_zone), np.float32(0), power)  # NaN stays


def next_word(target: Array, sent: Array, reach: Array, dead_zone: float) -> Array:
    """What a neuron has sent after one spike more.

    Args:
        target: a(u), [N, C, …].
        sent: y, broadcastable to it.
        reach: R, likewise.
        dead_zone: the largest |e|/R that sends nothing.
    """
    power = nearest_power(ratio(target - sent, reach), dead_zone)
    return np.asarray(sent + power.astype(target.dtype) * reach, target.dtype)


def ratio(missing: Array, reach: Array) -> Array:
    """What is missing as a part of R, in float32; of a dead channel, as it is."""
    with np.errstate(over="ignore"):  # a subnormal range: what is beyond R is R
        return np.asarray(missing / np.where(reach == 0, 1, reach), np.float32)


def step(
    current: Array, state: State, parameters: Sequence[Array], attributes: Mapping[str, Any]
) -> tuple[Array, State]:
    """One timestep: the target a(u) `current` [N, C, …], state (y, t), parameters (R,), which broadcasts."""
    (sent, elapsed), (reach,) = state, parameters
    word = next_word(current, sent, reach, zone_at(attributes, int(np.max(elapsed))))
    return word, (word, elapsed + 1)


def initial_state(parameters: Sequence[Array]) -> State:
    """y_0 = 0, t = 0."""
    del parameters
    return zero(), zero()


def dead_zone(exponents: int) -> float:
    """The largest |e|/R that sends nothing: what lies just below ¾·2^-(n-1)."""
    return float(np.nextafter(np.float32(0.75 * 0.5 ** (exponents - 1)), np.float32(0)))


def exact(ranges: Array) -> Array:
    """Ranges of 8 significant bits, and normal: float32 then adds spikes exactly for n up to 12 or so."""
    mantissa, exponent = np.frexp(np.maximum(ranges, 2.0**-100))
    return np.asarray(np.ldexp(np.round(mantissa * 256) / 256, exponent))


def tune(exponents: int, reach: Array) -> tuple[dict[str, Any], Array]:
    """The attributes that go with n, and R as it can be."""
    return {"exponents": exponents, "dead_zone": dead_zone(exponents)}, exact(reach)


def zone_at(attributes: Mapping[str, Any], elapsed: int) -> float:
    """The dead zone after so many timesteps, while a neuron may be coarse."""
    coarse = attributes.get("coarse", [1.0])
    return float(attributes["dead_zone"] * coarse[min(elapsed, len(coarse) - 1)])


def set_up(kind: Any, options: Any) -> Setting:
    """R itself, and the exponents; `kind` is any activation."""
    del kind
    return Setting(lambda reach: reach, tune(options.exponents, np.ones(1))[0], 1, 1)


def _set_up(kind: Any, options: Any) -> Setting:
    setting = set_up(kind, options)
    setting.attributes["coarse"] = [1.0]
    return setting


def most_spikes(attributes: Mapping[str, Any], timesteps: int) -> int:
    """One a timestep, once it has ceased to wait."""
    waits: int = sum(factor >= 2.0 ** attributes["exponents"] for factor in attributes.get("coarse", ()))
    return max(0, timesteps - waits)


def count(cell: NodeProto, size: str) -> list[NodeProto]:
    """The nodes that count the spikes of a timestep: wherever what was sent has changed."""
    return count_changes(cell.input[1], cell.output[0], size)


def count_changes(before: str, after: str, result: str) -> list[NodeProto]:
    """The nodes that give, as float32 `result`, one wherever a sum has changed, and zero elsewhere."""
    return [
        helper.make_node("Sub", [after, before], [f"{result}/change"]),
        helper.make_node("Sign", [f"{result}/change"], [f"{result}/sign"]),
        helper.make_node("Abs", [f"{result}/sign"], [f"{result}/absolute"]),
        helper.make_node("Cast", [f"{result}/absolute"], [result], to=TensorProto.FLOAT),
    ]


def grades(change: Array, reach: Array, exponents: int) -> Array:
    """Spikes as whole numbers: sign times n - i for ±R·2^(-i), and 0 for none."""
    ratio = np.abs(change) / np.where(reach == 0, 1, reach)
    _, exponent = np.frexp(ratio.astype(np.float64) * (4 / 3))  # halfway between two powers: rounding is far
    spikes: Array = np.where(ratio > 0, np.sign(change) * (exponents - 1 + exponent), 0).astype(np.int16)
    return spikes


CELL = Cell(
    "GradedIF",
    "neuron",
    ("sent", "elapsed"),
    FUNCTION,
    step,
    initial_state,
    Neuron(
        lambda _, options: options.schedule == "stream" and options.code == "graded",
        _set_up,
        most_spikes,
        limit="exponents",
        takes_back=True,
        adaptable=True,
        tune=tune,
    ),
    sums=True,
    count=count,
    native=True,
)
