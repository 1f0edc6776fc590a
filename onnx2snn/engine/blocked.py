"""Keep a step graph in the blocked layout of onnxruntime's convolutions (NCHWc) from neuron to neuron.

onnxruntime reorders a convolution's input into blocks of channels and its output back, since between them it
meets operators that know no blocks. A neuron whose θ is in the weights does not care in which order values
come: the reorderings around it go, and its state stays in blocks as well. What does care gets a copy.

The graph comes as onnxruntime has optimised it, and is loaded without optimising it again. It fits this
machine and is never written for anybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnx2snn.ops import CELLS, DOMAIN
from onnx2snn.ops.standard import having

#: The domain of onnxruntime's operators on blocks.
BLOCKED_DOMAIN = "com.microsoft.nchwc"

#: Attributes of our operators that only their kernels know: the channels of a block; whether a Relu comes
#: first; whether a range repeats itself over the places of a group of channels.
BLOCK, RECTIFIED, REPEATS = "block", "rectified", "repeats"

#: What the names of tensors in blocks end with.
_BLOCKS = "/blocks"
#: And those of constants that were put into blocks.
_CONSTANT = "/blocks/constant"
#: Places over which a range is repeated, at most, and the numbers that it then has, at least.
_PLACES, _SHORTEST = 32, 64
#: The factor of a shortcut that has none.
_ONE = f"onnx2snn/one{_CONSTANT}"

#: Tensor → its dimensions, None where they are open.
Dims = Mapping[str, Sequence[int | None]]

#: Every size of blocks divides it. Of so many channels a tensor in blocks has no padding.
_WIDEST = 16

#: Pools that have a native kernel, which knows blocks.
_POOLS = {(DOMAIN, cell.op) for cell in CELLS.values() if cell.native and cell.kind == "pool"}
#: What acts on each element for itself; of our operators those whose kernels take in a residual sum.
_ELEMENTWISE = {
    *(("", op) for op in having(blocked=True)),
    *((DOMAIN, cell.op) for cell in CELLS.values() if cell.native and cell.kind == "neuron"),
}
#: What gives as many samples as it is given.
_KEEP_SAMPLES = _ELEMENTWISE | {
    *_POOLS,
    *((BLOCKED_DOMAIN, op) for op in ("Conv", "MaxPool", "AveragePool", "ReorderInput", "ReorderOutput")),
}


def keep_blocked(
    optimised: onnx.ModelProto, states: Mapping[str, str], dims: Dims, block: int
) -> onnx.ModelProto | None:
    """Take out the reorderings that neurons do without.

    Args:
        optimised: a step graph, as onnxruntime has optimised it. Not changed.
        states: input → output of what goes from step to step and nobody else looks at; it changes its layout.
        dims: of the tensors whose dimensions are known.
        block: channels of a block on this machine.

    Returns:
        The changed graph; None where nothing is gained, or a state would change its layout on the way.
    """
    rewriting = _Rewriting(optimised.graph, states, dims, block)
    for node in optimised.graph.node:
        rewriting.take(node)
    if not rewriting.is_sound():
        return None
    result = onnx.ModelProto()
    result.CopyFrom(optimised)
    del result.graph.node[:]
    result.graph.node.extend(rewriting.needed())
    result.graph.initializer.extend(rewriting.constants)
    del result.graph.value_info[:]
    rows = rewriting.rows()
    result.graph.value_info.extend(rewriting.shapes(rows))
    _merge_targets(result.graph, rows)
    _merge_words(result.graph)
    saved = _count_reorderings(optimised) - _count_reorderings(result)
    return result if saved > 0 else None


def _merge_targets(graph: onnx.GraphProto, rows: Mapping[str, str]) -> None:
    """Current + shortcut·factor in front of a native neuron becomes part of it, where it is in blocks.

    So does the Relu of it, and a sum without a factor, in front of a graded neuron. Beside each other in
    blocks they are of one size; the sum is rounded in the kernel as it was.
    """
    makers = {name: node for node in graph.node for name in node.output}
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(item.name for item in graph.output)
    constants = {item.name for item in graph.initializer}
    merged: list[onnx.NodeProto] = []

    def made_by(op: str, name: str) -> onnx.NodeProto | None:
        """The node of this kind that makes a tensor for nobody else."""
        maker = makers.get(name)
        return maker if maker is not None and maker.op_type == op and readers[name] == 1 else None

    for neuron in graph.node:
        if not _is_neuron(neuron) or not neuron.input[0].endswith(_BLOCKS):
            continue
        sums = CELLS[neuron.op_type].sums
        relu = made_by("Relu", neuron.input[0]) if sums else None
        if relu is not None:
            neuron.input[0] = relu.input[0]
            neuron.attribute.append(helper.make_attribute(RECTIFIED, 1))
            merged.append(relu)
        total = made_by("Add", neuron.input[0])
        if total is None:
            continue
        for current, scaled in (total.input, total.input[::-1]):
            if current not in makers or scaled not in makers:
                continue
            product = made_by("Mul", scaled)
            names = product.input if product is not None else []
            factor = next((name for name in names if name in constants), None)
            shortcut = next((name for name in names if name in makers), None)
            if sums:  # a product stays: of two spikes, say
                product, factor, shortcut = None, _ONE, scaled
            if factor is not None and shortcut is not None and rows[shortcut] == rows[current]:
                neuron.input[0] = current
                neuron.input.extend([shortcut, factor])
                merged += [total] if product is None else [total, product]
                break
    for node in merged:
        graph.node.remove(node)
    if any(_ONE in node.input for node in graph.node):
        graph.initializer.append(numpy_helper.from_array(np.ones((), np.float32), _ONE))


def _merge_words(graph: onnx.GraphProto) -> None:
    """What a graded neuron gives is its next state: who reads the one may read the other."""
    given = {item.name for item in graph.output}
    words: dict[str, str] = {}
    for neuron in graph.node:
        if not _is_neuron(neuron) or "sent" not in (states := CELLS[neuron.op_type].states):
            continue
        word, state = neuron.output[0], neuron.output[1 + states.index("sent")]
        if CELLS[neuron.op_type].sums and word not in given:
            words[word] = state
            neuron.output[0] = ""
    for node in graph.node:
        node.input[:] = [words.get(name, name) for name in node.input]


def _is_neuron(node: onnx.NodeProto) -> bool:
    """Whether a native kernel runs it."""
    return node.domain == DOMAIN and (DOMAIN, node.op_type) in _ELEMENTWISE


def _count_reorderings(model: onnx.ModelProto) -> int:
    return sum(node.op_type in ("ReorderInput", "ReorderOutput") for node in model.graph.node)


@dataclass(frozen=True)
class _Blocks:
    """A tensor's values in blocks: where they are, of how many channels, and of which size where known."""

    name: str
    channels: int
    space: tuple[int, ...] | None


class _Rewriting:
    """The graph as it becomes, node by node."""

    def __init__(self, graph: onnx.GraphProto, states: Mapping[str, str], dims: Dims, block: int) -> None:
        self.constants: list[onnx.TensorProto] = []
        self._nodes: list[onnx.NodeProto] = []
        self._outputs = [item.name for item in graph.output]
        self._values = {item.name: item for item in graph.initializer}
        self._states, self._dims, self._block = states, dims, block
        self._blocked: dict[str, _Blocks] = {}
        self._plain: set[str] = set()  # of these, the ones that are there in their own layout as well
        self._reordered: dict[str, str] = {}  # output of a ReorderInput that is not needed → what to read
        self._states_as_blocks: set[str] = set()
        self._states_as_they_are: set[str] = set()

    def take(self, node: onnx.NodeProto) -> None:
        """Add the next node."""
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [self._reordered.get(name, name) for name in node.input]
        source, result = copy.input[0] if copy.input else "", copy.output[0]
        if copy.op_type == "ReorderOutput" and _reorders_whole_blocks(copy):
            channels = helper.get_node_attr_value(copy, "channels")
            if result in self._states.values():  # the graph gives it out under this name
                self._rename(source, result)
                source = result
            self._blocked[result] = _Blocks(source, channels, self._space(result))
        elif copy.op_type == "ReorderInput" and source in self._blocked:
            self._reordered[result] = self._blocked[source].name
        elif not self._add_in_blocks(copy):
            copy.input[:] = [self._reordered.get(name) or self._plain_name(name) for name in node.input]
            self._nodes.append(copy)

    def is_sound(self) -> bool:
        """Whether every state leaves in the layout in which it enters."""
        results = set(self._states.values())
        for name in self._outputs:
            if name not in results:
                self._plain_name(name)
        entering = {self._states[name] for name in self._states_as_blocks}
        leaving = results & set(self._blocked)
        return entering == leaving and not self._states_as_blocks & self._states_as_they_are

    def needed(self) -> list[onnx.NodeProto]:
        """The nodes that an output depends on."""
        wanted, kept = set(self._outputs), []
        for node in reversed(self._nodes):
            if wanted.intersection(node.output):
                wanted.update(node.input)
                kept.append(node)
        return kept[::-1]

    def rows(self) -> dict[str, str]:
        """A name for the number of samples of every tensor: another one behind whatever might change it."""
        rows: dict[str, str] = {}
        for node in self._nodes:
            read = [name for name in node.input if name and not name.endswith(_CONSTANT)]
            counts = {rows.get(n, n) for n in read if n not in self._values and n not in self._states}
            keeps = len(counts) == 1 and (node.domain, node.op_type) in _KEEP_SAMPLES
            source = counts.pop() if keeps else None
            rows |= {name: source or name for name in node.output}
        return rows

    def shapes(self, rows: Mapping[str, str]) -> list[onnx.ValueInfoProto]:
        """Of what cells send: onnxruntime, which knows no custom operator's, may then reuse memory."""
        return [
            helper.make_tensor_value_info(
                tensor.name, onnx.TensorProto.FLOAT, [rows[tensor.name], tensor.channels, *tensor.space]
            )
            for tensor in self._blocked.values()
            if tensor.space is not None and tensor.name.endswith(_BLOCKS) and tensor.name in rows
        ]

    def _add_in_blocks(self, node: onnx.NodeProto) -> bool:
        """Add an elementwise node on blocks; False where it has to stay as it is."""
        pools = (node.domain, node.op_type) in _POOLS
        if (node.domain, node.op_type) not in _ELEMENTWISE and not pools:
            return False
        like = next((self._blocked[name] for name in node.input if name in self._blocked), None)
        if like is None:
            like = self._first_current(node)
        if like is None:
            return False
        graded = _is_neuron(node) and CELLS[node.op_type].sums
        repeated = self._repeated(node.input[-1], like) if graded else None
        others = node.input if repeated is None else node.input[:-1]
        operands = [self._operand(name, like) for name in others]
        if None in operands:
            return False
        if repeated is not None:
            operands.append(repeated)
            node.attribute.append(helper.make_attribute(REPEATS, 1))
        self._states_as_blocks.update(name for name in node.input if name in self._states)
        node.input[:] = [name for name in operands if name is not None]
        for place, name in enumerate(node.output):
            # A state keeps its name: the graph gives it out.
            node.output[place] = name if name in self._states.values() else f"{name}{_BLOCKS}"
            space = self._space(name) if pools else like.space
            self._blocked[name] = _Blocks(node.output[place], like.channels, space)
        if pools:
            node.attribute.append(helper.make_attribute(BLOCK, self._block))
        self._nodes.append(node)
        return True

    def _operand(self, name: str, like: _Blocks) -> str | None:
        """An operand in blocks beside another one; None where there is no such thing."""
        if name in self._blocked:
            blocks = self._blocked[name]  # which cannot be broadcast
            return blocks.name if (blocks.channels, blocks.space) == (like.channels, like.space) else None
        if not name or name in self._states:
            return name
        if name in self._values:
            return self._constant(name, like)
        # A shortcut, say, that something that knows no blocks has made.
        dims = self._dims.get(name)
        if like.space is None or dims is None or list(dims[1:]) != [like.channels, *like.space]:
            return None
        return self._reorder(name, like.channels, like.space).name

    def _first_current(self, node: onnx.NodeProto) -> _Blocks | None:
        """The current of a neuron that no convolution of this graph makes, in blocks; its spikes then are."""
        current = node.input[0]
        space, dims = self._space(current), self._dims.get(current, ())
        if space is None or len(space) != 2 or not dims[1] or dims[1] % _WIDEST:
            return None
        if not set(node.input) & set(self._states):
            return None
        return self._reorder(current, dims[1], space)

    def _reorder(self, name: str, channels: int, space: tuple[int, ...]) -> _Blocks:
        made = self._blocked[name] = _Blocks(f"{name}{_BLOCKS}", channels, space)
        self._plain.add(name)
        node = helper.make_node("ReorderInput", [name], [made.name], domain=BLOCKED_DOMAIN, channels_last=0)
        self._nodes.append(node)
        return made

    def _constant(self, name: str, like: _Blocks) -> str | None:
        """A number as it is; one per channel spread over the plane, in the order of the blocks."""
        value = numpy_helper.to_array(self._values[name])
        if value.size == 1:
            return name
        whole = (1, like.channels, *(like.space or ()))
        fits = all(size in (1, most) for size, most in zip(value.shape[::-1], whole[::-1], strict=False))
        if like.space is None or value.ndim > len(whole) or not fits:
            return None
        spread = np.broadcast_to(value, whole)
        blocks = spread.reshape(-1, self._block, *like.space)
        ordered = np.ascontiguousarray(np.moveaxis(blocks, 1, -1)).reshape(spread.shape)
        made = f"{name}/{len(self.constants)}{_CONSTANT}"
        self.constants.append(numpy_helper.from_array(ordered, made))
        return made

    def _repeated(self, name: str, like: _Blocks) -> str | None:
        """One number per channel as [1, groups, 1, length]: over a few places, which stay in the cache."""
        if name not in self._values or like.space is None:
            return None
        value = numpy_helper.to_array(self._values[name])
        per_channel = value.shape[-1 - len(like.space) :] == (like.channels, *[1] * len(like.space))
        places = int(np.prod(like.space))
        times = max(count for count in range(1, _PLACES + 1) if places % count == 0)
        if not per_channel or value.size != like.channels or times * self._block < _SHORTEST:
            return None
        blocks = np.tile(value.reshape(-1, self._block), times)
        made = f"{name}/{len(self.constants)}{_CONSTANT}"
        self.constants.append(numpy_helper.from_array(blocks.reshape(1, len(blocks), 1, -1), made))
        return made

    def _plain_name(self, name: str) -> str:
        """Where a tensor is in its own layout, for what does not act on elements."""
        if name in self._states:
            self._states_as_they_are.add(name)
        if name not in self._blocked:
            return name
        blocks = self._blocked[name]
        plain = f"{name}/plain" if blocks.name == name else name
        if name not in self._plain:
            self._plain.add(name)
            node = helper.make_node("ReorderOutput", [blocks.name], [plain], domain=BLOCKED_DOMAIN)
            channels = helper.make_attribute("channels", blocks.channels)
            node.attribute.extend([channels, helper.make_attribute("channels_last", 0)])
            self._nodes.append(node)
        return plain

    def _rename(self, old: str, new: str) -> None:
        for node in self._nodes:
            node.input[:] = [new if name == old else name for name in node.input]
            node.output[:] = [new if name == old else name for name in node.output]
        self._reordered[old] = new

    def _space(self, name: str) -> tuple[int, ...] | None:
        space = [size for size in self._dims.get(name, ())[2:] if size is not None]
        return tuple(space) if space and len(space) + 2 == len(self._dims[name]) else None


def _reorders_whole_blocks(node: onnx.NodeProto) -> bool:
    attributes = {item.name: helper.get_attribute_value(item) for item in node.attribute}
    return attributes["channels"] % _WIDEST == 0 and not attributes.get("channels_last", 0)
