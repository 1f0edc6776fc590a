"""Stop each sample of a run as soon as it is decided; the others go on in a smaller batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from onnx2snn.errors import OptionError, shape_text
from onnx2snn.exits.rule import ExitRule, parse_exit

Array = npt.NDArray[Any]
#: Whether values of a shape have one row for each of so many samples.
HasRows = Callable[[tuple[int, ...], int], bool]

#: Decided samples leave the batch once no more than this share is left: moving the others costs time as well.
_WORTH_LEAVING = 0.75


class Steps(Protocol):
    """A run between two timesteps: see `onnx2snn.runtime.runner.Runner`."""

    def advance(self) -> None:
        """One step."""
        ...

    def outputs(self) -> dict[str, Array]:
        """The outputs after the timesteps so far."""
        ...

    def keep(self, rows: Array) -> None:
        """Go on with some of the samples only."""
        ...

    @property
    def at_rest(self) -> bool:
        """Whether nothing will change any more."""
        ...


def find_rule(
    early_exit: str | ExitRule,
    schedule: str,
    own: ExitRule | None,
    *,
    probabilities: bool,
    answer: str | None = None,
) -> ExitRule:
    """The rule that an early exit names, for a network of a schedule, with the rule that its file has.

    `answer` is the output that it is to go by, where there are several.

    Raises:
        OptionError: no such rule, or a network that cannot exit early.
    """
    if schedule == "layer":
        raise OptionError(
            "early exit: expected a network of --schedule stream, found layer, whose output is there "
            "only after the last timestep; compile with --schedule stream"
        )
    if isinstance(early_exit, ExitRule):
        return early_exit
    named = parse_exit(early_exit)
    if named is not None:
        return ExitRule(named[0], (named[1],), probabilities)
    if own is None:
        raise OptionError(
            "--early-exit: expected a network compiled with --early-exit auto, found one without its "
            "thresholds; compile it with that option, give --calib, or give confidence:0.9, say"
        )
    if None not in (answer, own.output) and own.output != answer:
        raise OptionError(
            f"--early-exit: expected --answer {own.output}, whose thresholds the file has, found '{answer}'; "
            "leave --answer out, give --calib, or give confidence:0.9, say"
        )
    return own


def check_scores(name: str, scores: Array) -> None:
    """Make sure that an output can tell when a sample is decided.

    Raises:
        OptionError: it has no class scores.
    """
    if scores.ndim != 2 or scores.shape[1] < 2 or scores.dtype.kind in "iub":
        shape = ("N", *scores.shape[1:]) if scores.ndim else ()
        kind = f"{scores.dtype} of shape" if scores.dtype.kind in "iub" else "shape"
        raise OptionError(
            f"early exit: expected class scores [N, classes] in output '{name}', "
            f"found {kind} {shape_text(shape)}; leave it out, name another output with --answer, or run "
            "fewer timesteps"
        )


def run_until_decided(
    runner: Steps,
    rule: ExitRule,
    samples: int,
    steps: int,
    *,
    apart: bool,
    has_rows: Mapping[str, HasRows] | None = None,
) -> tuple[dict[str, Array], Array]:
    """Step until every sample is decided, the decided ones leaving once they are a quarter of the batch.

    Args:
        runner: before its first timestep.
        rule: when a sample is decided, by the output that it names, or by the first.
        samples: N.
        steps: T, by which every sample stops.
        apart: whether samples do not depend on each other, so that they may leave.
        has_rows: of an output whether a shape has one row for each of some samples; where nothing is said, as
            many rows are as good.

    Returns:
        The outputs, and how many timesteps each sample took, int64 [N].

    Raises:
        OptionError: an output that has not one row a sample, or no class scores in that one.
    """
    rows = np.arange(samples)  # of those that are still stepped
    used = np.full(samples, steps, np.int64)
    still = np.ones(samples, bool)
    before: Array | None = None
    results: dict[str, Array] = {}
    for number in range(1, steps + 1):
        runner.advance()
        outputs = runner.outputs()
        for name, values in outputs.items():
            check_rows("early exit", name, values, len(rows), (has_rows or {}).get(name))
        answer = rule.output or next(iter(outputs))
        scores = outputs[answer]
        if rule.needs_scores:
            check_scores(answer, scores)
        last = number == steps or runner.at_rest
        new = still[rows] & (rule.decided(scores, number, before) | last)
        before = scores
        for name, values in outputs.items():
            results.setdefault(name, np.zeros((samples, *values.shape[1:]), values.dtype))
            results[name][rows[new]] = values[new]
        used[rows[new]], still[rows[new]] = number, False
        left = still[rows]
        if not left.any():
            break
        if apart and left.mean() <= _WORTH_LEAVING:
            places = np.flatnonzero(left)
            runner.keep(places)
            rows, before = rows[places], scores[places]
    return results, used


def check_rows(what: str, name: str, values: Array, samples: int, has_rows: HasRows | None) -> None:
    """Make sure that an output has one row for each of some samples, for `what` a message is about.

    `has_rows` is as for `run_until_decided`.

    Raises:
        OptionError: it has not.
    """
    if values.shape[:1] != (samples,) or not (has_rows is None or has_rows(values.shape, samples)):
        raise OptionError(
            f"{what}: expected one row a sample in output '{name}', found shape {shape_text(values.shape)} "
            f"for {samples}; do without it, or name another output with --answer"
        )
