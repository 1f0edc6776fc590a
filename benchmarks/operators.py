"""What becomes of every operator that ONNX tests: `python -m benchmarks.operators [--write | --check]`.

The onnx package carries models of one operator each (`node`) and small exports of PyTorch's layers. Each is put
between two layers of neurons, compiled, and held against itself alone on what the neurons before it sent.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import onnx2snn

Array = npt.NDArray[Any]

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "operators.md"
TIMESTEPS = 5
VERDICTS = ("spiking", "linear", "analog", "folded", "refused", "bug")
FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)

#: Operators all of whose inputs are activations; of any other operator only the first is, the rest are weights.
SEVERAL = frozenset(
    {
        *("Add", "Attention", "Concat", "FlexAttention", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"),
        *("LinearAttention", "Max", "Mean", "Min", "Mod", "Sub", "Sum", "SwiGLU"),
    }
)
#: Operators that nets have in both ways, with weights and with several activations: each case is two.
EITHER = frozenset({"Conv", "ConvTranspose", "Div", "Einsum", "Gemm", "MatMul", "Mul", "Pow", "Where"})
SUFFIX = " (activations)"


@dataclass(frozen=True)
class Case:
    """A test of the onnx package.

    Attributes:
        name: of the test, as the onnx package has it, and `SUFFIX` where all its inputs are activations.
        source: `node`, `pytorch-converted` or `pytorch-operator`.
        op: its operators.
        model: the model.
        values: of its inputs: arrays, or what else ONNX has.
        several: whether all its float inputs are activations, or the first only.
    """

    name: str
    source: str
    op: str
    model: onnx.ModelProto
    values: Mapping[str, Any]
    several: bool


@dataclass(frozen=True)
class Result:
    """What became of a case.

    Attributes:
        name, source, op: of the case.
        verdict: one of `VERDICTS`.
        reason: one phrase.
        bound: how close it had to come; empty for what is refused or computes nothing.
    """

    name: str
    source: str
    op: str
    verdict: str
    reason: str
    bound: str = ""


@cache
def cases() -> tuple[Case, ...]:
    """All cases, in the order of their names."""
    found = [*_node_cases(), *_pytorch_cases("pytorch-converted"), *_pytorch_cases("pytorch-operator")]
    return tuple(sorted(found, key=lambda case: (case.source, case.name)))


def _node_cases() -> Iterator[Case]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the arithmetic behind the expected values
        from onnx.backend.test.case.node import collect_testcases

        tests = collect_testcases(None)
    for test in tests:
        if "_expanded" not in test.name:
            names = [item.name for item in test.model.graph.input]
            values = dict(zip(names, test.data_sets[0][0], strict=True))
            yield from _in_each_way(test.name, "node", test.model, values)


def _pytorch_cases(source: str) -> Iterator[Case]:
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / source
    for path in sorted(folder.iterdir()):
        model = onnx.load(path / "model.onnx")
        weights = {tensor.name for tensor in model.graph.initializer}
        names = [item.name for item in model.graph.input if item.name not in weights]
        values = {
            name: numpy_helper.to_array(onnx.load_tensor(path / "test_data_set_0" / f"input_{index}.pb"))
            for index, name in enumerate(names)
        }
        yield from _in_each_way(path.name, source, model, values)


def _in_each_way(name: str, source: str, model: onnx.ModelProto, values: Mapping[str, Any]) -> Iterator[Case]:
    ops = dict.fromkeys(node.op_type for node in model.graph.node)
    op = " + ".join(op for op in ops if op != "Constant" or len(ops) == 1)
    floats = sum(_element(item) in FLOATS for item in model.graph.input if item.name in values)
    yield Case(name, source, op, model, values, op in SEVERAL or source != "node")
    if source == "node" and op in EITHER and floats > 1:
        yield Case(name + SUFFIX, source, op, model, values, True)


def _element(item: onnx.ValueInfoProto) -> int:
    """The element type of a tensor; 0 for a sequence or an optional value."""
    return int(item.type.tensor_type.elem_type) if item.type.HasField("tensor_type") else 0


class Probe:
    """A case between two layers of neurons.

        r = Relu(x) - Relu(-x)          y = op(r, weights)          z = Relu(y)

    x has an axis in front of those of the case's input, the batch. An input of another type than float is cast
    to its type behind r, an output to float32 before y.

    Attributes:
        model: with the outputs r, y and z.
        feeds: x.
        sent: names of r, by those of x.
        made: names of y.
    """

    def __init__(self, case: Case) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(case.model)
        self.model.ir_version = 10
        if all(entry.domain for entry in self.model.opset_import):
            self.model.opset_import.append(helper.make_opsetid("", 21))
        self._opset = next(entry.version for entry in self.model.opset_import if not entry.domain)
        for index, node in enumerate(self.model.graph.node):
            node.name = f"{node.op_type}_{index}"
        self.feeds: dict[str, Array] = {}
        self.sent: dict[str, str] = {}
        self.made: list[str] = []
        self._before: list[onnx.NodeProto] = []
        self._inside: list[onnx.NodeProto] = []
        self._behind: list[onnx.NodeProto] = []
        self._surround(case)

    def alone(self) -> onnx.ModelProto:
        """What lies between the neurons, from r to y."""
        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        kept = [node for node in model.graph.node if not node.name.startswith("probe/outer")]
        del model.graph.node[:], model.graph.input[:], model.graph.output[:]
        model.graph.node.extend(kept)
        for name, result in self.sent.items():
            dtype = helper.np_dtype_to_tensor_dtype(self.feeds[name].dtype)
            model.graph.input.append(helper.make_tensor_value_info(result, dtype, self.feeds[name].shape))
        model.graph.output.extend(item for item in self.model.graph.output if item.name in self.made)
        return model

    def _surround(self, case: Case) -> None:
        graph = self.model.graph
        inputs = [item for item in graph.input if item.name in case.values]
        outputs = list(graph.output)
        del graph.input[:], graph.output[:]
        for position, item in enumerate(inputs):
            value = case.values[item.name]
            if not item.type.HasField("tensor_type"):
                graph.input.append(item)
            elif _is_activation(item, position, case):
                self._feed(item, value)
            else:
                graph.initializer.append(_tensor(item, value))
        if not self.feeds:
            self._spike("probe/only", np.ones((1, 1), np.float32))
        for item in outputs:
            self._give(item)
        nodes = [*self._before, *graph.node, *self._inside, *self._behind]
        del graph.node[:]
        graph.node.extend(nodes)

    def _feed(self, item: onnx.ValueInfoProto, value: Any) -> None:
        """Let neurons send an input of the case."""
        wanted = _element(item)
        dtype = helper.tensor_dtype_to_np_dtype(wanted if wanted in FLOATS else TensorProto.FLOAT)
        array = numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)
        plain = np.nan_to_num(array.astype(dtype), posinf=1, neginf=-1)[np.newaxis]
        sent = self._spike(f"probe/{item.name}", plain)
        squeezed = item.name if wanted in FLOATS else f"{sent}/squeezed"
        if self._opset >= 13:
            axes = f"{sent}/axes"
            self.model.graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.int64), axes))
            squeeze = helper.make_node("Squeeze", [sent, axes], [squeezed])
        else:
            squeeze = helper.make_node("Squeeze", [sent], [squeezed], axes=[0])
        squeeze.name = f"probe/inner/{item.name}/squeeze"
        self._before.append(squeeze)
        if squeezed != item.name:
            self._before.append(_cast(f"probe/inner/{item.name}/cast", squeezed, item.name, wanted))

    def _spike(self, name: str, value: Array) -> str:
        """Two layers of neurons that send values of both signs; the name of what they send."""
        sent = f"{name}/sent"
        for op, inputs, output in (
            ("Neg", [name], f"{name}/negative"),
            ("Relu", [name], f"{name}/above"),
            ("Relu", [f"{name}/negative"], f"{name}/below"),
            ("Sub", [f"{name}/above", f"{name}/below"], sent),
        ):
            self._before.append(helper.make_node(op, inputs, [output], f"probe/outer/{output}"))
        kind = helper.np_dtype_to_tensor_dtype(value.dtype)
        self.model.graph.input.append(helper.make_tensor_value_info(name, kind, value.shape))
        self.model.graph.output.append(helper.make_tensor_value_info(sent, kind, value.shape))
        self.feeds[name], self.sent[name] = value, sent
        return sent

    def _give(self, item: onnx.ValueInfoProto) -> None:
        """Let neurons read an output of the case."""
        if _element(item) in (0, TensorProto.STRING):
            self.model.graph.output.append(item)
            return
        name, kind = item.name, _element(item)
        result = onnx.ValueInfoProto()
        result.CopyFrom(item)
        if kind not in FLOATS:
            name, kind = f"probe/{item.name}", TensorProto.FLOAT
            self._inside.append(_cast(f"probe/inner/{item.name}/cast", item.name, name, kind))
        result.name, result.type.tensor_type.elem_type = name, kind
        behind = onnx.ValueInfoProto()
        behind.CopyFrom(result)
        behind.name = f"probe/{item.name}/behind"
        self._behind.append(helper.make_node("Relu", [name], [behind.name], f"probe/outer/{behind.name}"))
        self.model.graph.output.extend([result, behind])
        self.made.append(name)


def _cast(name: str, source: str, result: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [result], name, to=kind)


def _is_activation(item: onnx.ValueInfoProto, position: int, case: Case) -> bool:
    if _element(item) == TensorProto.STRING:
        return False
    if case.op == "Where" and position == 0:
        return False
    first = position == (1 if case.op == "Where" else 0)
    return first or (case.several and _element(item) in FLOATS)


def _tensor(item: onnx.ValueInfoProto, value: Any) -> onnx.TensorProto:
    if isinstance(value, TensorProto):
        tensor = onnx.TensorProto()
        tensor.CopyFrom(value)
        tensor.name = item.name
        return tensor
    return numpy_helper.from_array(np.asarray(value), item.name)


def examine(case: Case) -> Result:
    """Compile a case between neurons and compare."""

    def result(verdict: str, reason: str, bound: str = "") -> Result:
        return Result(case.name, case.source, case.op, verdict, reason, bound)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of NumPy, where a case divides by zero
            return result(*_examine(case))
    except onnx2snn.UnsupportedGraphError as error:
        return result("refused", "; ".join(dict.fromkeys(refusal.reason for refusal in error.refusals)))
    except onnx2snn.Onnx2SnnError as error:
        return result("refused", _shorten(str(error)))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a bug, and the others are to be examined
        return result("bug", f"{type(error).__name__}: {_shorten(str(error))}")


def _examine(case: Case) -> tuple[str, str, str]:
    probe = Probe(case)
    compiled = onnx2snn.compile(
        probe.model,
        probe.feeds,
        timesteps=TIMESTEPS,
        max_spikes=4,
        signed=True,
        threshold="max",
        correct_bias=False,
    )
    verdict, reason = _judge(compiled.report)
    found = _run(compiled.model, probe.feeds)
    sent = {name: found[name] for name in probe.sent.values()}
    expected = _alone(probe.alone(), sent)
    wrong, bound = [], ""
    for name in probe.made:
        bound, fits = _compare(found[name], expected[name], compiled.report)
        if not fits:
            with np.errstate(all="ignore"):
                worst = np.nanmax(np.abs(np.subtract(found[name], expected[name], dtype=float)))
            wrong.append(f"{name}: off by {worst:.2g}, expected {bound}")
    return ("bug", "; ".join(wrong), "") if wrong else (verdict, reason, bound)


def _judge(report: Mapping[str, Any]) -> tuple[str, str]:
    """The verdict on a case's own nodes: the one that weighs most, with its reasons."""
    own = [node for node in report["nodes"] if not node["node"].startswith("probe/")]
    roles = [role for role in ("analog", "spiking", "linear", "folded") if any(n["role"] == role for n in own)]
    role = roles[0] if roles else "folded"
    reasons = dict.fromkeys(node["reason"] for node in own if node["role"] == role)
    return role, "; ".join(reasons)


def _run(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [item.name for item in session.get_outputs()]
    known = {item.name: feeds[item.name] for item in session.get_inputs()}
    return dict(zip(names, session.run(names, known), strict=True))


def _alone(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of the case alone, in onnxruntime, or in ONNX's reference where that has no such operator."""
    if not model.graph.output:
        return {}
    try:
        return _run(model, feeds)
    except Exception:  # noqa: BLE001 - onnxruntime's exceptions have no base of their own
        names = [item.name for item in model.graph.output]
        known = {item.name: feeds[item.name] for item in model.graph.input}
        return dict(zip(names, ReferenceEvaluator(model).run(None, known), strict=True))


def _compare(found: Array, expected: Array, report: Mapping[str, Any]) -> tuple[str, bool]:
    """How close a mean must come, in words, and whether it does."""
    own = [said for name, said in report["neurons"].items() if not name.startswith("probe/")]
    expected = np.asarray(expected)
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return f"{expected.dtype} {list(expected.shape)}, found {found.dtype} {list(found.shape)}", False
    if own:
        text, room = "one quantum θ/T", sum(said["threshold"]["greatest"] for said in own) / TIMESTEPS
    else:
        share = 2e-3 if expected.dtype == np.float16 else 1e-5
        text = "2e-3, as float16 rounds" if expected.dtype == np.float16 else "1e-5"
        finite = np.abs(expected[np.isfinite(expected)], dtype=float)
        room = share * max(1.0, float(finite.max(initial=0)))
    same = np.isclose(found.astype(float), expected.astype(float), rtol=0, atol=room, equal_nan=True)
    return text, bool(same.all())


def _shorten(text: str) -> str:
    """The reason in an error: without what differs from machine to machine, and without the remedy."""
    return " ".join(text.split()).split("; ")[0].replace("|", "/")[:200]


def main_raw() -> None:
    import time

    total = time.time()
    todo = cases()
    print("collected", len(todo), time.time() - total, file=sys.stderr)
    counts: Counter[str] = Counter()
    for case in todo:
        start = time.time()
        found = examine(case)
        counts[found.verdict] += 1
        print(f"{found.verdict}\t{found.op}\t{found.name}\t{found.reason}\t{found.bound}\t{time.time()-start:.2f}", flush=True)
    print(counts, time.time() - total, file=sys.stderr)


if __name__ == "__main__":
    main_raw()
