"""What becomes of every operator that ONNX tests: `python -m benchmarks.operators [--write | --check]`.

The onnx package carries models of one operator each (`node`) and small exports of PyTorch's layers. Each is
put between two layers of neurons, compiled, and held against itself alone on what the neurons before it sent.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import click
import numpy as np
import numpy.typing as npt
import onnx
import onnx.version_converter
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.ops import op_pool_common

import onnx2snn

Array = npt.NDArray[Any]

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "operators.md"
TIMESTEPS = 5
#: Options of `onnx2snn.compile` for the document, and for graded spikes.
BURSTS: Mapping[str, Any] = {"code": "burst", "timesteps": TIMESTEPS, "max_spikes": 4, "signed": True}
GRADED: Mapping[str, Any] = {"timesteps": 8, "code": "graded", "exponents": 12}
LARGEST = float(np.finfo(np.float32).max)
VERDICTS = ("spiking", "linear", "analog", "folded", "refused", "bug")
VERDICTS_BY_WEIGHT = ("analog", "spiking", "linear")
FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16)

#: Operators all of whose inputs are activations; of any other only the first is, the rest are weights.
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
    # Of the values that ONNX expects nothing is asked but their shapes: pools in Python take half a minute.
    with warnings.catch_warnings(), mock.patch.object(op_pool_common, "pool", _zeros_of_a_pool):
        warnings.simplefilter("ignore")  # of the arithmetic behind the expected values
        from onnx.backend.test.case.node import collect_testcases

        tests = collect_testcases(None)
    for test in tests:
        if "_expanded" not in test.name:
            names = [item.name for item in test.model.graph.input]
            values = dict(zip(names, test.data_sets[0][0], strict=True))
            yield from _in_each_way(test.name, "node", test.model, values)


def _zeros_of_a_pool(padded: Array, shape: Sequence[int], *more: Any, **_: object) -> Array:
    """In the place of ONNX's `pool`, whose third argument from there is the size of the output."""
    return np.zeros([*shape[:2], *more[2]], padded.dtype)


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

    x has an axis in front of those of the case's input, the batch. An input of another type than float is
    cast to its type behind r, an output to float32 before y.

    Attributes:
        model: with the outputs r, y and z.
        feeds: x.
        sent: names of r, by those of x.
        made: names of y.
        wraps: whether it computes modulo 2^32 or 2^64. What is below zero only until the mean has settled is
            then large for so long, and float32 sums keep 24 bits of that.
    """

    def __init__(self, case: Case) -> None:
        self.model = onnx.ModelProto()
        self.model.CopyFrom(case.model)
        self.model.ir_version = 10
        if all(entry.domain for entry in self.model.opset_import):
            self.model.opset_import.append(helper.make_opsetid("", 21))
        self._opset = _raise_opset(self.model)
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
        self.wraps = any(_element(item) in (TensorProto.UINT32, TensorProto.UINT64) for item in outputs)
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
        array = numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)
        sent = self._spike(f"probe/{item.name}", _plain(array, wanted)[np.newaxis])
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


def _plain(array: Array, wanted: int) -> Array:
    """Values that an activation may have: PyTorch's tests hold what was in memory, ONNX's also NaN.

    What is cast to integers lies between two of them: on one, the last bit of a mean would decide.
    """
    values = array.astype(helper.tensor_dtype_to_np_dtype(wanted if wanted in FLOATS else TensorProto.FLOAT))
    values = np.nan_to_num(values, posinf=1, neginf=-1)
    size = np.abs(values, dtype=float)
    values = np.where((size < 1e-30) | (size > 1e30), np.zeros_like(values), values)
    if "INT" in TensorProto.DataType.Name(wanted):
        values = values + np.where(values < 0, -0.37, 0.37).astype(values.dtype)
    return np.asarray(values)


def _cast(name: str, source: str, result: str, kind: int) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [result], name, to=kind)


def _raise_opset(model: onnx.ModelProto) -> int:
    """The model's opset; one before 6 is raised where that means nothing for the operators in it."""
    entry = next(entry for entry in model.opset_import if not entry.domain)
    ops = {node.op_type for node in model.graph.node}
    if entry.version < 6 and all(
        onnx.defs.get_schema(op, 13).since_version == onnx.defs.get_schema(op, entry.version).since_version
        for op in ops
    ):
        entry.version = 13
    return int(entry.version)


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


def examine(case: Case, options: Mapping[str, Any] = BURSTS) -> Result:
    """Compile a case between neurons and compare.

    Args:
        case: the case.
        options: of `onnx2snn.compile`.
    """
    verdict, reason, bound = "bug", "", ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of NumPy, where a case divides by zero
        probe = Probe(case)
        try:
            verdict, reason, bound = _convert(probe, options)
        except onnx2snn.UnsupportedGraphError as error:
            verdict = "refused"
            reason = "; ".join(dict.fromkeys(refusal.reason for refusal in error.refusals))
        except onnx2snn.Onnx2SnnError as error:
            reason = _shorten(str(error))
            verdict = "bug" if reason.startswith("onnxruntime cannot") and _can_run(probe) else "refused"
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a bug, and the others must be examined
            reason = f"{type(error).__name__}: {_shorten(str(error))}"
    return Result(case.name, case.source, case.op, verdict, reason, bound)


def _convert(probe: Probe, options: Mapping[str, Any]) -> tuple[str, str, str]:
    """Verdict, reason and bound of a case that is converted."""
    compiled = onnx2snn.compile(probe.model, probe.feeds, threshold="max", correct_bias=False, **options)
    verdict, reason = _judge(compiled.report.to_dict())
    found = _run(compiled.model, probe.feeds)
    expected = _alone(probe.alone(), {name: found[name] for name in probe.sent.values()})
    bound, room = _bound(probe, compiled.report.to_dict(), options)
    wrong = [f"{name}: {said}" for name in probe.made if (said := _differ(found[name], expected[name], room))]
    return ("bug", f"{'; '.join(wrong)} (within {bound})", "") if wrong else (verdict, reason, bound)


def _judge(report: Mapping[str, Any]) -> tuple[str, str]:
    """The verdict on a case's own nodes: the one that weighs most, with its reasons."""
    own = [node for node in report["nodes"] if not node["node"].startswith("probe/")]
    role = next(role for role in (*VERDICTS_BY_WEIGHT, "folded") if any(node["role"] == role for node in own))
    return role, "; ".join(dict.fromkeys(node["reason"] for node in own if node["role"] == role))


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
    """The outputs of the case alone: in onnxruntime, at opset 21 if that must be, or in ONNX's reference."""
    if not model.graph.output:
        return {}
    for opset in (None, 21):
        try:
            return _run(
                model if opset is None else onnx.version_converter.convert_version(model, opset), feeds
            )
        except Exception:  # noqa: BLE001 - neither onnxruntime's exceptions nor ONNX's have a base of their own
            continue
    names = [item.name for item in model.graph.output]
    known = {item.name: feeds[item.name] for item in model.graph.input}
    return dict(zip(names, map(np.asarray, ReferenceEvaluator(model).run(None, known)), strict=True))


def _can_run(probe: Probe) -> bool:
    """Whether onnxruntime does not fail on the case alone as well, so that the compiler is to blame."""
    feeds = {sent: probe.feeds[name] for name, sent in probe.sent.items()}
    try:
        _run(probe.alone(), feeds)
    except Exception as error:  # noqa: BLE001 - onnxruntime's exceptions have no base of their own
        return "while running" not in str(error)  # an opset too new or too old for it says nothing
    return True


def _bound(probe: Probe, report: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[str, float]:
    """How close a mean must come: in words, and absolutely where neurons decide, else as a negative share."""
    parts = 2 ** (options["exponents"] - 1) if "exponents" in options else options["timesteps"]
    quanta = {name: said["threshold"]["greatest"] / parts for name, said in report["neurons"].items()}
    if any(not name.startswith("probe/") for name in quanta):
        feeding = [name for name in quanta if not name.endswith("/behind")]
        return "θ/T of its neurons and those before", sum(quanta[name] for name in feeding)
    if probe.wraps:
        return "1e-5 of 2^32", 1e-5 * 2**32
    half = any(feed.dtype == np.float16 for feed in probe.feeds.values())
    return ("2e-3 (float16)", -2e-3) if half else ("1e-5", -1e-5)


def _differ(found: Array, expected: Array, room: float) -> str:
    """What is wrong with a mean; empty if it comes close enough."""
    if found.shape != expected.shape or found.dtype != expected.dtype:
        wanted = f"{expected.dtype} {list(expected.shape)}"
        return f"expected {wanted}, found {found.dtype} {list(found.shape)}"
    one, other = found.astype(float), expected.astype(float)
    # Where the sum over time is not finite there is no mean to compare.
    there = np.abs(other) * TIMESTEPS <= LARGEST
    if room < 0:
        room *= -max(1.0, float(np.abs(other[there]).max(initial=0)))
    close = ~there | (np.abs(one - other) <= room)
    if close.all():
        return ""
    lost = there & np.isnan(one)
    return "NaN instead of a number" if lost.any() else "another mean"


#: What errors say → what the table says: nothing that differs from case to case or machine to machine.
_TEXTS = (
    (r".*cannot bring opset \d+ to (\d+) .*type_restriction.*", r"ONNX cannot write these types in opset \1"),
    (r".*cannot bring opset \d+ to (\d+) .*", r"ONNX's version converter cannot bring it to opset \1"),
    (
        r".*(Could not find an implementation|Failed to find kernel) for.*",
        r"onnxruntime has no kernel for these types",
    ),
    (r"model: shapes contradict each other.*", r"the shapes that ONNX infers contradict those of the test"),
    (r"model: node '\S+' \((\w+)\): not valid ONNX.*", r"\1 is not valid ONNX"),
    (r"(onnxruntime cannot \w+ the model) .*Op \((\w+)\).*", r"\1: \2 has other shapes than it expects"),
    (r"(onnxruntime cannot \w+ the model) .*running (\w+) node.*", r"\1: \2 fails"),
    (r"(\S*\.)?input '\S+': expected a tensor.*", r"an input is no tensor"),
    (r"tensor '\S+': expected finite activations.*", r"activations are not finite"),
    (r"constant '\S+': expected finite weights.*", r"constants are not finite"),
    (r".*No opset import for domain.*", r"no opset import for a domain"),
)


def _shorten(text: str) -> str:
    """The reason in an error, without the remedy."""
    plain = " ".join(text.split()).replace("|", "/")
    for pattern, short in _TEXTS:
        if re.fullmatch(pattern, plain):
            return re.sub(pattern, short, plain, count=1)
    return re.sub(r"\d+", "#", plain.split("; ")[0])[:120].rstrip(" .")


def render(results: Sequence[Result], onnx_version: str, onnxruntime_version: str) -> str:
    """The document."""
    by_op: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        by_op[result.op].append(result)
    counts = Counter(result.verdict for result in results)
    told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    lines = [
        *_INTRODUCTION.format(
            onnx=onnx_version, onnxruntime=onnxruntime_version, told=told, count=len(results), ops=len(by_op)
        ).splitlines(),
        "",
        f"| operator | cases | {' | '.join(VERDICTS)} | within | why analog or refused |",
        f"| --- | {'---: | ' * (len(VERDICTS) + 1)}--- | --- |",
    ]
    ops = sorted(by_op, key=lambda op: (" + " in op, op.lower()))
    lines += [_row(op, by_op[op]) for op in ops]
    lines += ["", "## Cases"]
    for op in ops:
        lines += ["", f"### {op}", "", *_groups(by_op[op])]
    return "\n".join(lines) + "\n"


_INTRODUCTION = """\
# Operators

What becomes of the {count} test models of {ops} operators (or small groups of them) that the onnx package
carries: `node`, `pytorch-converted` and `pytorch-operator`, without the `_expanded` copies that say the same
in older operators. {told}.

This file is written by `python -m benchmarks.operators --write`, with onnx {onnx} and onnxruntime
{onnxruntime}; the tests compare it. Each model stands between neurons, r = Relu(x) - Relu(-x), y = op(r),
z = Relu(y), and is compiled with T = 5 and signed neurons; y must then be what the model alone gives on the
artifact's own r.

* *within*: how close that has to be, as a share of the largest value, or in quanta where neurons compute it.
* What a test feeds first is the activation, the rest are weights, but for operators that combine activations.
  *(activations)* marks a second run with all inputs as activations. Other types than floats are cast behind
  r and before y. Of NaN, infinities and what PyTorch found in memory, finite numbers are made. Where y alone
  is not finite (the logarithm of a neuron that is silent), nothing is compared.
* *linear*, *analog*, … are the words of the compiler's report; *folded*: removed, or computed
  while compiling.
"""


def _row(op: str, results: Sequence[Result]) -> str:
    counts = Counter(result.verdict for result in results)
    numbers = " | ".join(str(counts[verdict] or "") for verdict in VERDICTS)
    bounds = ", ".join(dict.fromkeys(sorted(result.bound for result in results if result.bound)))
    told = [result for result in results if result.verdict in ("analog", "refused", "bug")]
    reasons = "; ".join(dict.fromkeys(part for result in told for part in result.reason.split("; ")))
    return f"| {op} | {len(results)} | {numbers} | {bounds} | {reasons} |".replace("  ", " ")


def _groups(results: Sequence[Result]) -> list[str]:
    """Two lines for all cases of an operator that end alike, one more for each further source."""
    lines = []
    groups: dict[tuple[int, str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for result in results:
        key = (VERDICTS.index(result.verdict), result.bound, result.reason)
        groups[key][result.source].append(result.name.removeprefix("test_"))
    for (verdict, bound, reason), sources in sorted(groups.items()):
        within = f", within {bound}" if bound else ""
        lines.append(f"- {VERDICTS[verdict]}{within} — {reason}")
        lines += [f"  `{source}` {', '.join(names)}" for source, names in sorted(sources.items())]
    return lines


def parse(text: str) -> tuple[list[Result], str, str]:
    """What `render` was given."""
    versions = re.search(r"with onnx (\S+) and onnxruntime\s(\S+);", text)
    if versions is None:
        return [], "", ""
    results = []
    op = verdict = bound = reason = ""
    for line in text.partition("\n## Cases\n")[2].splitlines():
        if line.startswith("### "):
            op = line.removeprefix("### ")
        elif found := re.fullmatch(r"- (\w+)(?:, within (.+?))? — (.*)", line):
            verdict, bound, reason = found[1], found[2] or "", found[3]
        elif found := re.fullmatch(r"  `(\S+)` (.+)", line):
            names = [f"test_{name}" for name in found[2].split(", ")]
            results += [Result(name, found[1], op, verdict, reason, bound) for name in names]
    return sorted(results, key=lambda result: (result.source, result.name)), versions[1], versions[2]


def bugs(results: Sequence[Result]) -> list[str]:
    """A line for every case that neither gives the same mean nor is refused."""
    return [f"{result.op}: {result.name}: {result.reason}" for result in results if result.verdict == "bug"]


@click.command()
@click.option("--write", is_flag=True, help=f"Write {DOCUMENT.name} instead of printing it.")
@click.option("--check", is_flag=True, help=f"Compare with {DOCUMENT.name} instead of printing.")
def main(*, write: bool, check: bool) -> None:
    """Print the table; exit 1 if a case is a bug.

    With --check also where the document, if the same versions wrote it, says otherwise.
    """
    results = [examine(case) for case in cases()]
    text = render(results, onnx.__version__, onnxruntime.__version__)
    if write:
        DOCUMENT.write_text(text, encoding="utf-8")
    if not write and not check:
        click.echo(text, nl=False)
    for line in bugs(results):
        click.echo(f"bug: {line}", err=True)
    written = DOCUMENT.read_text(encoding="utf-8") if check else ""
    stale = check and text != written and parse(written)[1:] == (onnx.__version__, onnxruntime.__version__)
    if stale:
        click.echo(f"{DOCUMENT} says something else: python -m benchmarks.operators --write", err=True)
    raise SystemExit(stale or bool(bugs(results)))


if __name__ == "__main__":
    main()
