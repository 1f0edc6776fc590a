"""The timesteps of a file that anybody may have changed: what the rest relies on, checked once."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import onnx

from onnx2snn.artifact.pools import most_bits
from onnx2snn.artifact.records import Metadata
from onnx2snn.errors import ModelError
from onnx2snn.model.weights import values_of
from onnx2snn.ops import CELLS, DOMAIN
from onnx2snn.ops.names import LOOP
from onnx2snn.options import DECLARATIONS

logger = logging.getLogger(__name__)

#: Of attributes that no body reads.
_TYPES = {"code": onnx.AttributeProto.STRING, "exponents": onnx.AttributeProto.INT}
#: What float32 counts exactly.
_MOST_SPIKES = 1 << 24


@dataclass(frozen=True)
class TimeLoop:
    """A Loop whose parts fit each other.

    Attributes:
        position: its place among the graph's nodes.
        node: the Loop itself.
        body: its graph.
        trips: name of the trip count.
        timesteps: T, its value.
    """

    position: int
    node: onnx.NodeProto
    body: onnx.GraphProto
    trips: str
    timesteps: int


def is_time_loop(node: onnx.NodeProto) -> bool:
    """Whether a node is the Loop over timesteps, by its name."""
    return node.op_type == "Loop" and node.name == LOOP


def find_time_loop(graph: onnx.GraphProto, source: str) -> TimeLoop:
    """The Loop over timesteps of an artifact of the schedule `stream`.

    Args:
        graph: has one, see `is_time_loop`.
        source: what an error calls the file.

    Raises:
        ModelError: more than one, or one that is not as `onnx2snn compile` writes it.
    """
    places = [place for place, node in enumerate(graph.node) if is_time_loop(node)]
    if len(places) > 1:
        _refuse(source, "to be the only one of its name", f"{len(places)}")
    node = graph.node[places[0]]
    bodies = [item.g for item in node.attribute if item.name == "body" and item.HasField("g")]
    if len(bodies) != 1:
        _refuse(source, "a graph as its body", "none")
    body = bodies[0]
    if len(node.input) < 2 or len(body.output) < 1:
        _refuse(source, "a trip count and a condition", "none")
    carried = len(node.input) - 2
    sizes = {len(body.input) - 2, len(body.output) - 1, len(node.output)}
    if sizes != {carried} or "" in node.input:
        _refuse(source, f"{carried} values carried in its body and out of it", _listed(sorted(sizes)))
    held = {item.name: item for item in (*graph.initializer, *body.initializer)}
    if missing := [name for name in (node.input[0], *node.input[2:]) if name not in held]:
        _refuse(source, f"'{missing[0]}' to be an initializer", "none of that name")
    trips = held[node.input[0]]
    values = values_of(trips)
    if values.size != 1 or values.dtype.kind != "i":
        _refuse(source, "one whole number as its trip count", f"{values.dtype} {list(values.shape)}")
    bounds = DECLARATIONS["timesteps"].bounds
    assert bounds is not None
    if not bounds[0] <= (timesteps := int(values.reshape(()))) <= bounds[1]:
        _refuse(source, f"a trip count from {bounds[0]} to {bounds[1]}", f"{timesteps}")
    return TimeLoop(places[0], node, body, trips.name, timesteps)


def flat_timesteps(record: Metadata, nodes: Iterable[onnx.NodeProto], source: str) -> int:
    """T of an artifact of the schedule `layer`: as the file says, and at least as many as its codes take."""
    least = most_bits(nodes)
    if "timesteps" in record.options:
        return max(int(record.options["timesteps"]), least)
    logger.warning(
        "%s: its metadata does not say how it was compiled, another tool may have dropped it: outputs are as "
        "they were, T is taken to be %s; compile again for the rest",
        source,
        max(least, 1),
    )
    return max(least, 1)


def check_cells(nodes: Iterable[onnx.NodeProto], weights: Collection[str], source: str) -> None:
    """Make sure that our operators have the inputs, parameters and attributes that they are made for.

    Args:
        nodes: of the Loop's body, or of the whole graph in the schedule `layer`.
        weights: names of initializers.
        source: what an error calls the file.

    Raises:
        ModelError: one has not.
    """
    for node in nodes:
        if node.domain == DOMAIN:
            for expected, found in _misfits(node, weights):
                raise ModelError(
                    f"{source}: node '{node.name}' ({node.op_type}): expected {expected}, found {found}; "
                    "compile again"
                )


def _misfits(node: onnx.NodeProto, weights: Collection[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with one: what was expected, and what was found."""
    cell = CELLS.get(node.op_type)
    if cell is None:
        yield "an operator of this version", "an unknown one"
        return
    function = cell.function
    for kind, given, own in (
        ("inputs", node.input, function.input),
        ("outputs", node.output, function.output),
    ):
        if len(given) != len(own) or "" in given:
            yield f"{len(own)} {kind}", f"{len(given) - list(given).count('')}"
    parameters = node.input[1 + len(cell.states) :] if cell.neuron is not None else ()
    for name in parameters:
        if name not in weights:
            yield f"its parameter '{name}' to be an initializer", "none of that name"
    types = _TYPES | {
        own.ref_attr_name: own.type for inner in function.node for own in inner.attribute if own.ref_attr_name
    }
    for item in node.attribute:
        if item.type != types.get(item.name, item.type):
            expected, found = (
                onnx.AttributeProto.AttributeType.Name(type_).lower()
                for type_ in (types[item.name], item.type)
            )
            yield f"{expected} as attribute '{item.name}'", found
    if cell.neuron is not None:
        limits = [item.i for item in node.attribute if item.name == cell.neuron.limit]
        if not limits or not 1 <= limits[0] <= _MOST_SPIKES:
            found = f"{limits[0]}" if limits else "none"
            yield f"a number from 1 to {_MOST_SPIKES} as attribute '{cell.neuron.limit}'", found


def _listed(numbers: Sequence[int]) -> str:
    return " and ".join(map(str, numbers))


def _refuse(source: str, expected: str, found: str) -> NoReturn:
    raise ModelError(f"{source}: the Loop over timesteps: expected {expected}, found {found}; compile again")
