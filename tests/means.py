"""What lies between two layers of neurons, in the artifact and in the ANN, on the same means over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import onnx.shape_inference
import onnxruntime

import onnx2snn
from tests.helpers import Arrays, parse, run


@dataclass(frozen=True)
class Compared:
    """What a part of a net gives in the artifact, and what it gives in the ANN on the artifact's own means.

    Attributes:
        found: outputs in the artifact.
        expected: outputs of the part alone, on what the neurons before it sent, per timestep.
        roles: operator → roles of its nodes inside the part.
        model: the artifact.
    """

    found: list[np.ndarray]
    expected: list[np.ndarray]
    roles: dict[str, set[str]]
    model: onnx.ModelProto

    @property
    def error(self) -> float:
        """The largest difference, as a share of the output's largest value, or of the spikes' scale of 1."""
        assert [array.shape for array in self.found] == [array.shape for array in self.expected]
        assert [array.dtype for array in self.found] == [array.dtype for array in self.expected]
        return max(
            float(np.abs(np.subtract(f, e, dtype=float)).max(initial=0) / max(1, np.abs(e).max(initial=0)))
            for f, e in zip(self.found, self.expected, strict=True)
        )


def compare(
    inputs: Mapping[str, str],
    body: str,
    constants: Arrays,
    rng: np.random.Generator,
    *,
    timesteps: int,
    outputs: str = "float[] y",
    max_spikes: int = 1,
    signed: bool = False,
) -> Compared:
    """Compile `Relu → body → Relu` and hold the body's outputs against it alone, run on the Relus' means.

    Args:
        inputs: name → shape; those named p… enter without a Relu and are the same at every timestep.
        body: nodes that read the inputs' names and make the outputs.
        constants: that the body reads.
        rng: gives the samples.
        timesteps: T.
        outputs: of the body, with their types.
        max_spikes: Γ; with one spike a timestep at most, what a neuron sends differs most over time.
        signed: whether spikes are taken back.
    """
    spiking = [name for name in inputs if not name.startswith("p")]
    given = {name: f"{name}_in" if name in spiking else name for name in inputs}
    names = [item.split()[-1] for item in outputs.split(", ")]
    text = f"""({", ".join(f"float[{shape}] {given[name]}" for name, shape in inputs.items())})
        => ({", ".join([f"float[] {name}" for name in spiking])}, {outputs}, {_rectified(outputs)}) {{
        {" ".join(f"{name} = Relu({given[name]})" for name in spiking)} {body}
        {" ".join(f"{name}_out = Relu({name})" for name in names)} }}"""
    model = parse(text, **constants)
    values = {given[name]: _sample(shape, rng) for name, shape in inputs.items()}
    model = _with_shapes(model, values)
    compiled = onnx2snn.compile(
        model, values, timesteps=timesteps, max_spikes=max_spikes, signed=signed, correct_bias=False
    )
    session = onnxruntime.InferenceSession(
        compiled.model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    results = dict(zip([item.name for item in model.graph.output], session.run(None, values), strict=True))
    part = parse(
        f"""({", ".join(f"float[{shape}] {name}" for name, shape in inputs.items())}) => ({outputs})
        {{ {body} }}""",
        **constants,
    )
    means = {name: results[name] if name in spiking else values[name] for name in inputs}
    assert all(np.any(means[name]) for name in spiking)
    roles: dict[str, set[str]] = {}
    for node in compiled.report.to_dict()["nodes"]:
        if node["node"].removesuffix("_out") not in (*spiking, *names) or node["op"] != "Relu":
            roles.setdefault(node["op"], set()).add(node["role"])
    return Compared([results[name] for name in names], run(part, means), roles, compiled.model)


def _sample(shape: str, rng: np.random.Generator) -> np.ndarray:
    """Random values, not all of them silent behind a Relu."""
    values = rng.standard_normal([3 if dim == "N" else int(dim) for dim in shape.split(",")])
    values.flat[0] = 1
    return values.astype(np.float32)


def _with_shapes(model: onnx.ModelProto, values: Arrays) -> onnx.ModelProto:
    """The model with its outputs' shapes, which ONNX asks for; of the rank that they have, at least."""
    model = onnx.shape_inference.infer_shapes(model, data_prop=True)
    for item, array in zip(model.graph.output, run(model, values), strict=True):
        if not item.type.tensor_type.HasField("shape"):
            dims = [f"{item.name}_{axis}" for axis in range(array.ndim)]
            kind = item.type.tensor_type.elem_type
            item.CopyFrom(onnx.helper.make_tensor_value_info(item.name, kind, dims))
    return model


def _rectified(outputs: str) -> str:
    return ", ".join(f"{item}_out" for item in outputs.split(", "))
