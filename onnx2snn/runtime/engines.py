"""What evaluates a stateless ONNX graph: onnxruntime, or NumPy through ONNX's reference implementation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from onnx2snn.errors import ModelError, OptionError
from onnx2snn.model_file import first_line, serialize
from onnx2snn.ops import CELLS, DOMAIN, Cell

Array = npt.NDArray[Any]
Backend = Literal["onnxruntime", "numpy"]

# onnxruntime's own exceptions share no base below Exception.
_OWN_ERRORS = vars(onnxruntime.capi.onnxruntime_pybind11_state).values()
_RUN_ERRORS: tuple[type[Exception], ...] = (
    RuntimeError,
    ValueError,
    *(error for error in _OWN_ERRORS if isinstance(error, type) and issubclass(error, Exception)),
)


class Engine(Protocol):
    """A loaded graph: give it its inputs by name, get its outputs by name."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Evaluate all outputs; `feeds` may hold more than the graph reads."""
        ...


class OnnxruntimeEngine:
    """A plain onnxruntime session.

    Raises:
        ModelError: onnxruntime cannot load the model, or fails to run it.
    """

    def __init__(self, model: onnx.ModelProto, providers: Sequence[str] | None = None) -> None:
        settings = onnxruntime.SessionOptions()
        settings.log_severity_level = 3  # errors only: its warnings speak of our own initializers
        try:
            self._session = onnxruntime.InferenceSession(
                serialize(model), settings, providers=list(providers or ["CPUExecutionProvider"])
            )
        except _RUN_ERRORS as error:
            raise ModelError(f"onnxruntime cannot load the model ({first_line(error)})") from error
        self._inputs = [item.name for item in self._session.get_inputs()]
        self._outputs = [item.name for item in self._session.get_outputs()]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Engine.run`."""
        if not self._outputs:  # onnxruntime refuses to run a graph for nothing
            return {}
        try:
            results = self._session.run(self._outputs, {n: feeds[n] for n in self._inputs if n in feeds})
        except _RUN_ERRORS as error:
            raise ModelError(f"onnxruntime cannot run the model ({first_line(error)})") from error
        return dict(zip(self._outputs, results, strict=True))


class NumpyEngine:
    """ONNX's reference implementation in NumPy; our own operators by their NumPy step, not their body."""

    def __init__(self, model: onnx.ModelProto) -> None:
        plain = onnx.ModelProto()
        plain.CopyFrom(model)
        del plain.functions[:]
        self._evaluator = ReferenceEvaluator(plain, new_ops=[_reference_op(cell) for cell in CELLS.values()])

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Engine.run`."""
        results = self._evaluator.run(None, {n: feeds[n] for n in self._evaluator.input_names if n in feeds})
        return dict(zip(self._evaluator.output_names, map(np.asarray, results), strict=True))


def make_engine(
    model: onnx.ModelProto, backend: Backend = "onnxruntime", providers: Sequence[str] | None = None
) -> Engine:
    """Load a graph into the named backend; `providers` are onnxruntime's and mean nothing to NumPy.

    Raises:
        OptionError: no such backend.
        ModelError: the backend cannot load the model.
    """
    if backend == "onnxruntime":
        return OnnxruntimeEngine(model, providers)
    if backend == "numpy":
        return NumpyEngine(model)
    raise OptionError(f"backend: expected 'onnxruntime' or 'numpy', found {backend!r}")


def _reference_op(cell: Cell) -> type[OpRun]:
    """ONNX's reference evaluator finds an operator by class name, domain and `_run`."""

    def run(self: OpRun, x: Array, *others: Array, **attributes: Any) -> tuple[Array, ...]:
        names = cell.function.attribute
        values = {name: attributes.get(name, getattr(self, name, None)) for name in names}
        state, parameters = others[: len(cell.states)], others[len(cell.states) :]
        output, next_state = cell.step(x, state, parameters, values)
        return (np.asarray(output, dtype=x.dtype), *(np.asarray(item, dtype=x.dtype) for item in next_state))

    return type(cell.op, (OpRun,), {"op_domain": DOMAIN, "_run": run})
