"""The order of all passes, and how one of them is run.

To add a pass: write its file, and add the file's name to a tuple.
"""

from __future__ import annotations

import logging
from importlib import import_module

import numpy as np
import onnx

from onnx2snn.graph.graph import Graph
from onnx2snn.graph.reading import read_graph
from onnx2snn.lowering.write_out import write_out
from onnx2snn.model.file import flatten_model
from onnx2snn.options import CompileOptions
from onnx2snn.passes.base import Context, Pass
from onnx2snn.passes.properties import PROPERTIES

logger = logging.getLogger(__name__)


def _load(*files: str) -> tuple[Pass, ...]:
    """The pass of each file: `fold_batchnorm` has the class `FoldBatchNorm`, spelled as it likes."""
    passes = []
    for file in files:
        module = import_module(f"onnx2snn.passes.{file}")
        spelled = {name.lower(): name for name in vars(module)}
        passes.append(getattr(module, spelled[file.replace("_", "")])())
    return tuple(passes)


#: Passes that need no data: what `inspect` runs.
PREPARATION = _load(
    "remove_identity",
    "normalize_quantizer",
    "normalize_relu",
    "split_clip",
    "normalize_pool",
    "fold_batchnorm",
    "push_batchnorm",
)

#: Before any look at the data.
ADMISSION = _load("refuse_unsupported")

#: From the prepared graph to one of cells.
CONVERSION = _load(
    "approximate_activations",
    "refuse_unsupported",  # where there are new neurons, more lies between neurons
    "calibrate",
    "grade_activations",
    "replace_relu",
    "relay_shortcuts",
    "replace_maxpool",
    "enclose_islands",
)

#: What depends on how neurons fire, and runs again where that is tried out.
COMPLETION = _load(
    "adapt_firing",
    "describe_activations",
    "correct_bias",
    "normalize_weights",
    "round_weights",
)

#: Once the report has seen the network.
LOWERING = _load("use_integers")

PIPELINE = (*PREPARATION, *ADMISSION, *CONVERSION, *COMPLETION, *LOWERING)


def begin(model: onnx.ModelProto, options: CompileOptions) -> tuple[Graph, Context]:
    """The graph of a user's model as the first pass gets it, and what the passes will share.

    Raises:
        ModelError: the model cannot be read, see `read_graph`.
    """
    flat = flatten_model(model)
    written = write_out(flat)
    context = Context(options, flat)
    for node in written.nodes:
        context.note(node.node, node.op, "kept", node.reason)
    return read_graph(written.model), context


def prepare(model: onnx.ModelProto, options: CompileOptions | None = None) -> tuple[Graph, Context]:
    """The graph of a user's model behind the passes that need no data: equal to it, in normal forms.

    They are the same whatever the options.

    Raises:
        ModelError: as `begin`.
    """
    graph, context = begin(model, options or CompileOptions())
    for step in PREPARATION:
        run_pass(step, graph, context)
    return graph, context


def run_pass(step: Pass, graph: Graph, context: Context) -> bool:
    """Run one pass, unless all that it ensures holds already, and hold it to that.

    Returns:
        Whether it changed the graph.

    Raises:
        AssertionError: what it requires or ensures does not hold: a bug of ours, never the user's.
    """
    missing = sorted(step.requires - context.established)
    if missing:
        raise AssertionError(f"pass {step.name} requires {', '.join(missing)}, which no pass has ensured")
    if step.ensures and step.ensures <= context.established:
        return False
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused where it counts
        changed = step.run(graph, context)
    context.established -= step.invalidates
    context.established |= step.ensures
    for name in sorted(step.ensures):
        check = PROPERTIES[name].check
        culprit = "" if check is None else check(graph, context)
        if culprit:
            raise AssertionError(
                f"pass {step.name} ensures that {PROPERTIES[name].meaning}, but node '{culprit}' is left"
            )
    logger.info("%s: %s", step.name, "changed the graph" if changed else "nothing to do")
    return changed
