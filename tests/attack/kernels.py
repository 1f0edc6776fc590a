"""Native kernels under nodes that nobody should write: shapes, attributes and inputs drawn by chance.

    python -m tests.attack.kernels --nodes 20000 --seed 1

A kernel runs or refuses, and gives what the body gives where the node is one that the body takes.
tools/sanitize_kernels.sh runs this under AddressSanitizer and UndefinedBehaviorSanitizer.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

from onnx2snn.engine import native
from onnx2snn.ops import CELLS, DOMAIN, DOMAIN_VERSION, OPSET_VERSION
from onnx2snn.ops.graded_if import dead_zone

_NEURONS = {
    "BurstIF": {"max_spikes": 3},
    "SignedBurstIF": {"max_spikes": 3},
    "AccumulateFire": {"levels": 7, "code": "burst", "potential": 0.5},
    "GradedIF": {"exponents": 7, "dead_zone": dead_zone(7), "coarse": [4.0, 1.0]},
    "GradedFire1": {"exponents": 7, "dead_zone": dead_zone(7)},
    "GradedFire16": {"exponents": 7, "dead_zone": dead_zone(7)},
}
_HUGE = (-1, 0, 1, 2, 3, 1 << 31, 1 << 40, 1 << 62, (1 << 63) - 1, -(1 << 63))
_OWN = {"block": (0, -3, 1, 2, 3, 4, 8, 1 << 62), "rectified": (0, 1), "repeats": (0, 1, 1, 1)}
#: Numbers in the place of an operator's own.
_NUMBERS = {
    "max_spikes": (-1, 0, 1, 255, 1 << 40),
    "levels": (-5, 0, 1, 1 << 24, 1 << 62),
    "potential": (0.0, 0.25, -3.0, 1e30),
    "dead_zone": (0.0, 0.01, -1.0, 0.75, dead_zone(1), dead_zone(16), dead_zone(40), 3.0),
    "coarse": ([1.0], [3.0], [0.5, 1.0], [2.0**40], [-1.0], [2.0**16, 16.0, 1.0]),
}
_FLOATS = np.float32([0, -0.0, 0.5, 1, -1, 7.25, -30, 1e30, 1e-40, np.inf, -np.inf, np.nan])


class Draw:
    """Nodes and their inputs from one seed."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def node(self):
        """A model of one node, its feeds, and whether the body is what a kernel stands for."""
        op = self._pick([*_NEURONS, "LIPool", "LIPool"])
        cell = CELLS[op]
        attributes = self._window() if op == "LIPool" else dict(_NEURONS[op])
        plain = True
        if op != "LIPool" and self._chance(0.3):
            name = self._pick([name for name in attributes if name in _NUMBERS])
            attributes[name] = self._pick(_NUMBERS[name])
        shapes = self._pool_shapes(attributes) if op == "LIPool" else self._shapes(len(cell.function.input))
        if self._chance(0.2):
            name = self._pick(_OWN)
            attributes[name], plain = int(self._pick(_OWN[name])), False
            if name == "repeats" and self._chance(0.5):
                shapes = self._repeating(len(shapes))
        if self._chance(0.05):
            shapes, plain = [*shapes, *self._shapes(int(self._rng.integers(1, 4)))], False
        elif op != "LIPool" and self._chance(0.2):  # as a residual sum
            shapes, plain = (
                [*shapes, self._like(shapes[0]), self._pick([(), (1,), self._like(shapes[0])])],
                False,
            )
        names = [f"i{place}" for place in range(len(shapes))]
        given = ["" if self._chance(0.02) else name for name in names]
        outputs = [f"o{place}" for place in range(len(cell.function.output))]
        if self._chance(0.05):
            outputs[int(self._rng.integers(len(outputs)))] = ""
        plain = plain and "" not in (*given, *outputs)
        node = helper.make_node(op, given, outputs, domain=DOMAIN, **attributes)
        infos = [
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in part if name]
            for part in (names, outputs)
        ]
        opsets = [helper.make_opsetid("", OPSET_VERSION), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)]
        graph = helper.make_graph([node], "cell", *infos)
        model = helper.make_model(graph, functions=[cell.function], opset_imports=opsets, ir_version=10)
        feeds = {name: self._values(shape) for name, shape in zip(names, shapes, strict=True)}
        if op == "LIPool":  # which of NaN and a number is the larger, everybody decides for himself
            feeds = {name: np.nan_to_num(values, posinf=9, neginf=-9) for name, values in feeds.items()}
            plain = plain and shapes[2] == ()  # or of its own output's shape
        if "elapsed" in cell.states:  # bodies take any clock, that of the compiler is a number
            plain = plain and shapes[2] == ()
            feeds["i2"] = np.abs(np.nan_to_num(feeds["i2"], posinf=9, neginf=9)) if plain else feeds["i2"]
        return model, feeds, plain

    def _shapes(self, count):
        """Of tensors that mostly broadcast."""
        whole = [int(self._pick([0, 1, 1, 2, 3, 5, 8, 16, 33])) for _ in range(self._rng.integers(0, 5))]
        return [self._like(whole) for _ in range(count)]

    def _repeating(self, count):
        """What goes with a range that repeats itself over the places of a group of channels."""
        samples, groups, times, length = (int(self._pick([1, 2, 3, 8])) for _ in range(4))
        whole = self._pick([(samples, groups, times, length), (samples, groups * times * length)])
        states = [self._pick([(), (1,), whole]) for _ in range(count - 2)]
        return [whole, *states, (1, groups, 1, length)]

    def _like(self, whole):
        if self._chance(0.03):
            return tuple(int(size) for size in self._rng.integers(0, 6, self._rng.integers(0, 6)))
        kept = whole[int(self._rng.integers(0, len(whole) + 1)) if self._chance(0.3) else 0 :]
        return tuple(1 if self._chance(0.15) else size for size in kept)

    def _pool_shapes(self, attributes):
        axes = int(self._rng.integers(1, 4)) if self._chance(0.1) else len(attributes["kernel_shape"])
        shape = [int(self._pick([0, 1, 2, 3])), int(self._pick([0, 1, 3, 4, 8, 16]))]
        shape += [int(self._pick([0, 1, 2, 4, 5, 7])) for _ in range(axes)]
        whole = tuple(shape)
        return [whole, *(self._pick([(), whole, self._like(shape)]) for _ in range(2))]

    def _window(self):
        axes = int(self._rng.integers(1, 4))

        def numbers(low, high, count):
            drawn = [int(value) for value in self._rng.integers(low, high, count)]
            if self._chance(0.1):
                drawn[int(self._rng.integers(count))] = int(self._pick(_HUGE))
            return drawn[1:] if count > 1 and self._chance(0.02) else drawn

        return {
            "kernel_shape": numbers(1, 4, axes),
            "strides": numbers(1, 4, axes),
            "dilations": numbers(1, 3, axes) if self._chance(0.3) else [1] * axes,
            "pads": numbers(0, 3, 2 * axes) if self._chance(0.4) else [0] * 2 * axes,
            "ceil_mode": int(self._rng.integers(2)),
            "auto_pad": self._pick(
                ["NOTSET", "NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER", "ODD"]
            ),
        }

    def _values(self, shape):
        if self._chance(0.3):
            return self._rng.choice(_FLOATS, shape).astype(np.float32)
        return self._rng.normal(0, 3, shape).astype(np.float32)

    def _pick(self, options):
        options = list(options)
        return options[int(self._rng.integers(len(options)))]

    def _chance(self, share):
        return bool(self._rng.random() < share)


def load(model, library):
    """A session; None where onnxruntime refuses the model."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 2
    if library is not None:
        options.register_custom_ops_library(str(library))
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except native.RUN_ERRORS:
        return None


def results(session, feeds):
    """What a session gives; None where it refuses its inputs."""
    read = {item.name for item in session.get_inputs()}
    try:
        return session.run(None, {name: value for name, value in feeds.items() if name in read})
    except native.RUN_ERRORS:
        return None


def attempt(seed, library):
    """What became of one node, in a word; `differs` is the one that must not be."""
    model, feeds, plain = Draw(seed).node()
    session = load(model, library)
    if session is None:
        return "left to the body"
    found = results(session, feeds)
    if not plain:
        return "refused" if found is None else "ran"
    body = load(model, None)
    expected = None if body is None else results(body, feeds)
    if expected is None:
        return "refused by both" if found is None else "refused by the body"
    same = found is not None and all(
        ours.shape == theirs.shape and np.array_equal(ours, theirs, equal_nan=True)
        for ours, theirs in itertools.zip_longest(found, expected)
    )
    return "same" if same else "differs"


def run_cases():
    """The cases of all operators and kernels, with the library that is in use now."""
    cases = ["tests/ops", "tests/engine/test_native.py", "tests/engine/test_blocked.py"]
    return int(pytest.main(["-q", "-n", "0", "-p", "no:cacheprovider", *cases]))


def main():
    """Run many, and say what became of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=5000, help="how many are drawn")
    parser.add_argument("--seed", type=int, default=0, help="of the first one")
    parser.add_argument(
        "--kernels", type=Path, help="a folder's onnx2snn_kernels.so, in the place of the installed one"
    )
    parser.add_argument("--cases", action="store_true", help="run the tests of operators and kernels as well")
    arguments = parser.parse_args()
    if arguments.kernels is not None:
        native.__file__ = str(arguments.kernels.with_name("__init__.py"))  # it is looked for beside that
    library = native.find_kernels().path
    if library is None:
        sys.exit(f"no native kernels: {native.find_kernels().reason}")
    outcomes = Counter()
    for seed in range(arguments.seed, arguments.seed + arguments.nodes):
        outcome = attempt(seed, library)
        outcomes[outcome] += 1
        if outcome == "differs":
            print(f"seed {seed}: kernel and body differ", flush=True)
    print(
        f"{library}: " + ", ".join(f"{count} {name}" for name, count in sorted(outcomes.items())), flush=True
    )
    failed = run_cases() if arguments.cases else 0
    sys.exit(failed or int(outcomes["differs"] > 0))


if __name__ == "__main__":
    main()
