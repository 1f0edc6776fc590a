"""What evaluates a stateless ONNX graph: onnxruntime, or NumPy through ONNX's reference implementation."""

from __future__ import annotations

import logging
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
import onnx
import onnx.shape_inference
import onnxruntime
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun

from onnx2snn.engine.blocked import BLOCKED_DOMAIN, keep_blocked
from onnx2snn.engine.left_in_files import Weights, leave_in_files
from onnx2snn.engine.native import RUN_ERRORS, find_kernels
from onnx2snn.engine.numpy_ops import OWN_OPS
from onnx2snn.engine.shortcuts import convolve_shortcuts
from onnx2snn.engine.stand_ins import why_not
from onnx2snn.errors import ModelError, OptionError, first_line
from onnx2snn.lowering.write_out import runnable
from onnx2snn.model import weights as in_files
from onnx2snn.model.file import IR_VERSION, serialize
from onnx2snn.ops import CELLS, DOMAIN, OPSET_VERSION, Cell

logger = logging.getLogger(__name__)

Array = npt.NDArray[Any]
Backend = Literal["onnxruntime", "numpy"]

_CPU = "CPUExecutionProvider"

# ONNX's reference evaluator lets through what its NumPy code meets.
_REFERENCE_ERRORS = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


@contextmanager
def errors_only() -> Iterator[None]:
    """Let onnxruntime print no warnings meanwhile, where somebody else opens its sessions."""
    onnxruntime.set_default_logger_severity(3)
    try:
        yield
    finally:
        onnxruntime.set_default_logger_severity(2)  # what it starts with; it cannot be asked


class Engine(Protocol):
    """A loaded graph: give it its inputs by name, get its outputs by name."""

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Evaluate all outputs; `feeds` may hold more than the graph reads."""
        ...


def onnxruntime_version() -> str:
    """The version of the installed onnxruntime, whichever package brought it."""
    return str(onnxruntime.__version__)


def available_providers() -> list[str]:
    """The execution providers of the installed onnxruntime, the ones that it prefers first."""
    return list(onnxruntime.get_available_providers())


@dataclass(frozen=True)
class EngineOptions:
    """How onnxruntime runs a graph.

    Attributes:
        providers: execution providers; the CPU by default.
        threads: threads that an operator may use; as onnxruntime chooses by default.
        native: spiking operators by the native kernels, where these are there and the CPU runs them.
        alone: whether no other session takes turns with this one, whose threads may then go on spinning.
    """

    providers: Sequence[str] | None = None
    threads: int | None = None
    native: bool = False
    alone: bool = False


class OnnxruntimeEngine:
    """A plain onnxruntime session.

    Args:
        model: the graph.
        options: how to run it.
        states: input → output of what goes back into the graph and nobody else looks at; it may get a layout
            of its own.

    Attributes:
        session: the session.
        device: where it keeps its values, as onnxruntime names it.
        in_place: inputs that may lie where the state that they become is written.

    Raises:
        ModelError: onnxruntime cannot load the model, or fails to run it.
        OptionError: a provider that this onnxruntime does not have, or an impossible number of threads.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        options: EngineOptions | None = None,
        states: Mapping[str, str] | None = None,
    ) -> None:
        options = options or EngineOptions()
        model = runnable(model)
        available = available_providers()
        if unknown := [name for name in options.providers or () if name not in available]:
            raise OptionError(
                f"providers: expected some of {', '.join(available)}, found {', '.join(map(repr, unknown))}; "
                "choose from these, or install the onnxruntime that has it"
            )
        if options.threads is not None and options.threads < 1:
            raise OptionError(
                f"threads: expected a whole number, at least 1, found {options.threads!r}; "
                "leave it out for as many as there are cores"
            )
        providers = list(options.providers or [_CPU])
        self.device = "cuda" if providers[0] == "CUDAExecutionProvider" else "cpu"
        if options.native and find_kernels().path is not None and (reason := why_not(model)):
            logger.warning("the native kernels do not fit the model (%s): its function bodies", reason)
            options = replace(options, native=False)
        own_layout = states is not None and providers == [_CPU] and not in_files.references(model)
        blocked = _with_blocks(model, states or {}, options) if own_layout else None
        self.session, self._weights = (blocked, Weights()) if blocked else _load(model, providers, options)
        self.in_place = _in_place(model, states or {})
        self._inputs = [item.name for item in self.session.get_inputs()]
        self._outputs = [item.name for item in self.session.get_outputs()]

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Engine.run`."""
        if not self._outputs:  # onnxruntime refuses to run a graph for nothing
            return {}
        with running():
            results = self.session.run(self._outputs, {n: feeds[n] for n in self._inputs if n in feeds})
        return dict(zip(self._outputs, results, strict=True))


@contextmanager
def running() -> Iterator[None]:
    """Make onnxruntime's errors ours."""
    try:
        yield
    except RUN_ERRORS as error:
        raise ModelError(f"onnxruntime cannot run the model ({first_line(error)})") from error


def _load(
    model: onnx.ModelProto, providers: list[str], options: EngineOptions
) -> tuple[onnxruntime.InferenceSession, Weights]:
    """A session, and the weights in files that it reads, which must live as long as it does."""
    kernels = find_kernels().path if options.native and providers == [_CPU] else None
    settings, weights = _settings(options, kernels), Weights()
    if in_files.references(model):
        model, weights = leave_in_files(model, settings, share=providers == [_CPU])
    try:
        return onnxruntime.InferenceSession(serialize(model), settings, providers=providers), weights
    except RUN_ERRORS as error:
        if kernels is None:
            raise ModelError(f"onnxruntime cannot load the model ({first_line(error)})") from error
        logger.warning("the native kernels do not fit the model (%s): its function bodies", first_line(error))
    return _load(model, providers, replace(options, native=False))


def _with_blocks(
    model: onnx.ModelProto, states: Mapping[str, str], options: EngineOptions
) -> onnxruntime.InferenceSession | None:
    """A session in which convolutions hand on their own layout; None where there is nothing to gain."""
    kernels = find_kernels().path if options.native else None
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/optimised.onnx"
        settings = _settings(options, kernels)
        settings.optimized_model_filepath = path
        try:
            onnxruntime.InferenceSession(serialize(model), settings, providers=[_CPU])
            optimised = onnx.load(path)
        except RUN_ERRORS:
            return None
    if not any(node.domain == BLOCKED_DOMAIN for node in optimised.graph.node):
        return None  # nothing to convolve, or a processor for which onnxruntime has no such layout
    dims = _dims(model)
    convolve_shortcuts(optimised.graph, dims, _block_size())
    changed = keep_blocked(optimised, states, dims, _block_size())
    if changed is None:
        return None
    settings = _settings(options, kernels)
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL  # it is
    try:
        return onnxruntime.InferenceSession(changed.SerializeToString(), settings, providers=[_CPU])
    except RUN_ERRORS as error:
        logger.warning(
            "a step graph keeps its layout, onnxruntime cannot load it in blocks: %s", first_line(error)
        )
        return None


def _in_place(model: onnx.ModelProto, states: Mapping[str, str]) -> frozenset[str]:
    """A burst neuron's potential is read once, before the next one is written: by the kernel and the body."""
    readers = Counter(name for node in model.graph.node for name in node.input)
    return frozenset(
        node.input[1]
        for node in model.graph.node
        if node.domain == DOMAIN
        and (cell := CELLS.get(node.op_type)) is not None
        and cell.native
        and cell.kind == "neuron"
        and cell.states
        and node.input[1] in states
        and readers[node.input[1]] == 1
    )


def _dims(model: onnx.ModelProto) -> dict[str, list[int | None]]:
    """The dimensions of all tensors whose rank can be inferred."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    return {
        item.name: [dim.dim_value if dim.dim_value > 0 else None for dim in item.type.tensor_type.shape.dim]
        for item in (*graph.input, *graph.value_info, *graph.output)
        if item.type.tensor_type.HasField("shape")
    }


@cache
def _block_size() -> int:
    """Channels of a block on this machine: the second pixel of the first channel comes behind one block."""
    node = onnx.helper.make_node("ReorderInput", ["x"], ["y"], domain=BLOCKED_DOMAIN, channels_last=0)
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in "xy")
    opsets = [onnx.helper.make_opsetid("", OPSET_VERSION), onnx.helper.make_opsetid(BLOCKED_DOMAIN, 1)]
    graph = onnx.helper.make_graph([node], "blocks", [x], [y])
    model = onnx.helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
    pixels = np.zeros((1, 64, 1, 2), np.float32)
    pixels[0, 0, 0, 1] = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=[_CPU])
    return int(np.argmax(session.run(None, {"x": pixels})[0]))


def _settings(options: EngineOptions, kernels: Path | None) -> onnxruntime.SessionOptions:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4  # it raises its errors; its warnings speak of our own initializers
    if not options.alone:  # or its threads would take the cores from the next session's: a step's, a head's
        settings.add_session_config_entry("session.force_spinning_stop", "1")
    settings.enable_mem_pattern = False  # it would hold one block more for each batch size
    if options.threads is not None:
        settings.intra_op_num_threads = options.threads
    if kernels is not None:
        settings.register_custom_ops_library(str(kernels))
    return settings


class NumpyEngine:
    """ONNX's reference implementation in NumPy; our own operators by their NumPy step, not their body.

    Raises:
        ModelError: the reference implementation cannot load the model, or fails to run it.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        plain = onnx.ModelProto()
        plain.CopyFrom(model)
        del plain.functions[:]
        plain.functions.extend(function for function in model.functions if function.name not in CELLS)
        in_files.inline(plain)
        own = [_reference_op(cell) for cell in CELLS.values()]
        try:
            self._evaluator = ReferenceEvaluator(plain, new_ops=[*OWN_OPS, *own])
        except _REFERENCE_ERRORS as error:
            raise _numpy_cannot("load", error) from error

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """See `Engine.run`."""
        known = {name: feeds[name] for name in self._evaluator.input_names if name in feeds}
        try:
            results = self._evaluator.run(None, known)
        except _REFERENCE_ERRORS as error:
            raise _numpy_cannot("run", error) from error
        return dict(zip(self._evaluator.output_names, map(np.asarray, results), strict=True))


def make_engine(
    model: onnx.ModelProto,
    backend: Backend = "onnxruntime",
    options: EngineOptions | None = None,
    states: Mapping[str, str] | None = None,
) -> Engine:
    """Load a graph into the named backend; the rest is onnxruntime's and means nothing to NumPy.

    Raises:
        OptionError: no such backend or provider.
        ModelError: the backend cannot load the model.
    """
    if backend == "onnxruntime":
        return OnnxruntimeEngine(model, options, states)
    if backend == "numpy":
        return NumpyEngine(model)
    raise OptionError(f"backend: expected 'onnxruntime' or 'numpy', found {backend!r}; choose one of these")


def _numpy_cannot(what: str, error: Exception) -> ModelError:
    # ONNX's operators raise whatever the NumPy below them raises.
    return ModelError(
        f"ONNX's NumPy implementation cannot {what} the model ({first_line(error)}); use onnxruntime"
    )


def _reference_op(cell: Cell) -> type[OpRun]:
    """ONNX's reference evaluator finds an operator by class name, domain and `_run`."""

    def run(self: OpRun, x: Array, *others: Array, **attributes: Any) -> tuple[Array, ...]:
        names = cell.function.attribute
        values = {name: attributes.get(name, getattr(self, name, None)) for name in names}
        state, parameters = others[: len(cell.states)], others[len(cell.states) :]
        output, next_state = cell.step(x, state, parameters, values)
        return (np.asarray(output, dtype=x.dtype), *(np.asarray(item, dtype=x.dtype) for item in next_state))

    return type(cell.op, (OpRun,), {"op_domain": DOMAIN, "_run": run})
