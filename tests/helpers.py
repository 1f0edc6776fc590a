"""What the tests share: models from ONNX text, random weights, and onnxruntime as the judge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnxruntime
from onnx import numpy_helper

from onnx2snn.graph.graph import Graph, write_model
from onnx2snn.graph.reading import read_graph
from onnx2snn.model.file import flatten_model
from onnx2snn.options import CompileOptions
from onnx2snn.passes.base import Context, Note, Pass

Arrays = dict[str, np.ndarray]


def parse(text: str, **weights: np.ndarray) -> onnx.ModelProto:
    """A model from `(inputs) => (outputs) { nodes }`; the weights become initializers of these names."""
    model = onnx.parser.parse_model('<ir_version: 10, opset_import: ["" : 21, "onnx2snn" : 1]> g' + text)
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in weights.items())
    return model


def of_opset(version: int, text: str, domain: str = "", **weights: np.ndarray) -> onnx.ModelProto:
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["{domain}" : {version}]> g {text}')
    model.graph.initializer.extend(
        onnx.numpy_helper.from_array(array, name) for name, array in weights.items()
    )
    return model


def save_outside(model: onnx.ModelProto, path: Path) -> Path:
    """Save a model with all its weights in a file beside it, which bears its name."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)  # saving changes it
    onnx.save(copy, path, save_as_external_data=True, location=f"{path.stem}.data", size_threshold=0)
    return path


def graph_of(model: onnx.ModelProto) -> Graph:
    """The flat graph of a model, as the first pass gets it."""
    return read_graph(flatten_model(model))


def normal(rng: np.random.Generator, **shapes: tuple[int, ...]) -> Arrays:
    """Standard normal float32 arrays by name."""
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


def batchnorm(rng: np.random.Generator, channels: int, *, positive: bool = False) -> Arrays:
    """Random parameters `gamma, beta, mean, var` of a BatchNormalization."""
    arrays = normal(rng, gamma=(channels,), beta=(channels,), mean=(channels,))
    if positive:
        arrays["gamma"] = np.abs(arrays["gamma"]) + np.float32(0.1)
    return arrays | {"var": rng.uniform(0.5, 2.0, channels).astype(np.float32)}


def feeds(rng: np.random.Generator, model: onnx.ModelProto, batch: int = 2) -> Arrays:
    """Random values for every input; symbolic dimensions become `batch`."""
    return {
        item.name: rng.standard_normal(
            [d.dim_value or batch for d in item.type.tensor_type.shape.dim]
        ).astype(np.float32)
        for item in model.graph.input
    }


def run(model: onnx.ModelProto, values: Arrays) -> list[np.ndarray]:
    """All outputs of a model in onnxruntime, without its graph optimisations."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, values)


def relative_error(found: list[np.ndarray], expected: list[np.ndarray]) -> float:
    """The largest difference, as a share of the largest value of its output; infinite for another shape."""
    if [array.shape for array in found] != [array.shape for array in expected]:
        return np.inf
    return max(
        float(np.abs(np.subtract(f, e, dtype=float)).max() / max(np.abs(e).max(), 1e-30))
        for f, e in zip(found, expected, strict=True)
    )


@dataclass(frozen=True)
class Rewritten:
    """What a pass made of a model: whether it changed anything, the graph, its operators, notes, error."""

    changed: bool
    graph: Graph
    ops: list[str]
    notes: list[Note]
    error: float

    @property
    def reason(self) -> str:
        """The reason of the only note."""
        (note,) = self.notes
        return note.reason


def rewrite(rewriting: Pass, model: onnx.ModelProto, values: Arrays) -> Rewritten:
    """Run a pass, which must be idempotent and give a valid model with the same inputs and outputs."""
    graph, context = graph_of(model), Context(CompileOptions())
    expected = run(model, values)
    changed = rewriting.run(graph, context)
    written = write_model(graph)
    notes = list(context.notes)
    assert not rewriting.run(graph, context), "a second run changes the graph"
    assert write_model(graph).SerializeToString() == written.SerializeToString()
    onnx.checker.check_model(written, full_check=True)
    for part in ("input", "output"):
        before, after = getattr(model.graph, part), getattr(written.graph, part)
        assert [item.name for item in after] == [item.name for item in before]
    return Rewritten(
        changed,
        graph,
        [n.op_type for n in written.graph.node],
        notes,
        relative_error(run(written, values), expected),
    )
