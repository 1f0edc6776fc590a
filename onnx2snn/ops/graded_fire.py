"""Graded neurons of the schedule `layer`: `GradedFire<T>` expands its target in T spikes ±R·2^(-i).

    y_0 = 0          y_t as of `GradedIF`, with the target a(U) of the sum U of all that arrives

All of its input is in before it fires, so T spikes are digits of one number: 2 or 3 will do. One operator for
each T, since a function has no loop that costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, helper

from onnx2snn.ops import graded_if
from onnx2snn.ops.cell import DOMAIN, Array, Cell, Neuron, State, function_body

#: The most spikes of a neuron.
MOST = 16


def _function(timesteps: int) -> onnx.FunctionProto:
    """The powers by turns in a float that absorbs and in its negative: their sums are those of the spikes.

    What the dead zone drops is taken off the ratio as well: nothing but smaller powers can follow.
    """
    body = ""
    for t in range(1, timesteps + 1):
        if t > 1:
            body += f"    ratio{t} = Sub (ratio{t - 1}, power{t - 1})\n"
        absorbed = f"total{t}" if t == 1 else f"absorbed{t}"
        body += graded_if.POWER.format(t=t)
        body += f"    {absorbed} = {'Add' if t % 2 else 'Sub'} (power{t}, sponge)\n"
        if t > 1:
            body += f"    total{t} = Add (total{t - 1}, absorbed{t})\n"
    last = f"total{timesteps}"
    body += f"    grade = Sub ({last}, sponge)\n" if timesteps % 2 else f"    grade = Identity ({last})\n"
    return function_body(
        f"GradedFire{timesteps} <exponents, dead_zone> (target, range) => (output) {{"
        + graded_if.CONSTANTS
        + "    quotient = Div (target, unit)\n"
        + "    ratio1 = Cast <to: int = 1> (quotient)\n"
        + body
        + "    size = CastLike (grade, range)\n    output = Mul (size, range)\n}"
    )


def words(target: Array, reach: Array, dead_zone: float, timesteps: int) -> list[Array]:
    """What was sent after each of T spikes: y_1 … y_T."""
    missing = graded_if.ratio(target, reach)
    total, sent = np.zeros_like(missing), []
    for _ in range(timesteps):
        power = graded_if.nearest_power(missing, dead_zone)
        total, missing = total + power, missing - power
        sent.append(np.asarray(total.astype(target.dtype) * reach, target.dtype))
    return sent


def spike_train(
    target: Array, reach: Array, attributes: Mapping[str, Any], timesteps: int
) -> tuple[list[Array], Array]:
    """T spikes ±R·2^(-i) that expand a target, and the same as whole numbers, see `graded_if.grades`.

    Args:
        target: a(U), [N, C, …].
        reach: R, broadcastable to it.
        attributes: of the neuron.
        timesteps: T.

    Returns:
        T arrays of the target's shape, and int16 [T, N, C, …].
    """
    reached = words(target, reach, attributes["dead_zone"], timesteps)
    spikes = [after - before for before, after in pairwise([np.zeros_like(target), *reached])]
    return spikes, np.stack([graded_if.grades(spike, reach, attributes["exponents"]) for spike in spikes])


def _step(
    timesteps: int, current: Array, state: State, parameters: Sequence[Array], attributes: Mapping[str, Any]
) -> tuple[Array, State]:
    """The whole run: the target a(U) `current` [N, C, …], no state, parameters (R,) broadcastable to it."""
    return words(current, parameters[0], attributes["dead_zone"], timesteps)[-1], state


def _initial_state(parameters: Sequence[Array]) -> State:
    """There is none between samples."""
    del parameters
    return ()


def _count(timesteps: int, cell: NodeProto, size: str) -> list[NodeProto]:
    """The nodes that count the spikes of a run: it is run again, spike by spike."""
    zero = f"{size}/zero"
    nodes = [
        helper.make_node("Constant", [], [f"{size}/none"], value_float=0.0),
        helper.make_node("CastLike", [f"{size}/none", cell.input[0]], [zero]),
        helper.make_node("Identity", [zero], [f"{size}/0"]),
    ]
    for t in range(1, timesteps + 1):
        digit = helper.make_node(
            graded_if.CELL.op,
            [cell.input[0], f"{size}/{t - 1}", zero, cell.input[1]],
            [f"{size}/{t}/word", f"{size}/{t}", f"{size}/{t}/elapsed"],
            domain=DOMAIN,
            coarse=[1.0],
        )
        digit.attribute.extend(cell.attribute)
        nodes += [digit, *graded_if.count_changes(f"{size}/{t - 1}", f"{size}/{t}", f"{size}/{t}/spikes")]
    return [
        *nodes,
        helper.make_node("Sum", [f"{size}/{t}/spikes" for t in range(1, timesteps + 1)], [size]),
    ]


def _cell(timesteps: int) -> Cell:
    return Cell(
        f"GradedFire{timesteps}",
        "neuron",
        (),
        _function(timesteps),
        partial(_step, timesteps),
        _initial_state,
        Neuron(
            lambda _, options: (
                options.schedule == "layer" and options.code == "graded" and options.timesteps == timesteps
            ),
            graded_if.set_up,
            graded_if.most_spikes,
            limit="exponents",
            fires_once=True,
            adaptable=True,
            tune=graded_if.tune,
            digits=timesteps,
        ),
        sums=True,
        count=partial(_count, timesteps),
        native=True,
    )


CELLS = tuple(_cell(timesteps) for timesteps in range(1, MOST + 1))
