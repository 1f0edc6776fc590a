"""The graph while its foreign nodes are written out: what a rule may ask, and how it writes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.helper
import onnx.shape_inference
from onnx import NodeProto, TensorProto, numpy_helper

from onnx2snn.errors import Onnx2SnnError, first_line
from onnx2snn.model.parking import park, unpark
from onnx2snn.model.weights import is_present, values_of

logger = logging.getLogger(__name__)

Array = npt.NDArray[Any]


#: What rules meet in nodes that miss an attribute, or have one of another kind.
_MALFORMED = (ValueError, TypeError, LookupError, ArithmeticError)


class CannotWriteError(Onnx2SnnError):
    """A node that its rule cannot write out, and why: it stays, and is refused by name."""


class Writer:
    """A model whose nodes are gone through in order.

    A rule reads the node at hand and puts others in its place. The one without a `part` bears the node's
    name, by which the reports know it.

    Args:
        model: flat, at the project's opset, types not yet known; changed.

    Attributes:
        node: the one at hand.
        remark: what a rule says of it besides.
        scratch: what the rules of a file remember of earlier nodes.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.node = NodeProto()
        self.remark = ""
        self.scratch: dict[object, Any] = {}
        self._nodes: list[NodeProto] = []
        self._pending = list(model.graph.node)
        given = {item.name for item in model.graph.input}
        self._parked = park(model)
        tensors = (*model.graph.initializer, *self._parked.tensors)
        self._initializers = {tensor.name: tensor for tensor in tensors}
        self._fixed = set(self._initializers)
        self._inputs = given - self._fixed  # some exporters list weights as inputs too
        self._renamed: dict[str, str] = {}
        self._readers: dict[str, list[NodeProto]] = {}
        for node in self._pending:
            for name in filter(None, node.input):
                self._readers.setdefault(name, []).append(node)
        self._remade: set[str] = set()
        self._makers: dict[str, NodeProto] = {}
        self._outputs = {item.name for item in model.graph.output}
        self._tensors = {name for node in self._pending for name in node.output}
        self._tensors |= self._inputs | set(self._initializers)
        self._names = {node.name for node in self._pending}
        self._types: Mapping[str, onnx.TypeProto] = {}
        self._inferred = -1

    def rewrite(
        self, rule_of: Callable[[NodeProto], Callable[[Writer], None] | None]
    ) -> Iterator[list[NodeProto]]:
        """Go through all nodes; yields what was written in the place of each that has a rule.

        The list is empty for a node that cannot be written out, with the reason in `remark`.
        """
        for node in self._pending:
            self.node, self.remark = node, ""
            self._rename(node)
            rule, before = rule_of(node), len(self._nodes)
            try:
                if rule is not None:
                    with np.errstate(all="ignore"):  # of numbers that are not finite nothing is written
                        rule(self)
            except (CannotWriteError, *_MALFORMED) as error:
                del self._nodes[before:]
                self.remark = str(error)
                if not isinstance(error, CannotWriteError):
                    self.remark = (
                        f"its inputs and attributes are not those that it should have ({first_line(error)})"
                    )
                self._append(node)
                yield []
            else:
                if rule is None:
                    self._append(node)
                else:
                    self._remade.update(node.output)
                    yield self._nodes[before:]
        still_true = self._declared()
        del self.model.graph.node[:], self.model.graph.value_info[:]
        self.model.graph.node.extend(self._nodes)
        self.model.graph.value_info.extend(still_true)
        unpark(self.model, self._parked)

    def attribute(self, name: str, default: Any = None) -> Any:
        """The value of an attribute, text decoded."""
        for attribute in self.node.attribute:
            if attribute.name == name:
                value = onnx.helper.get_attribute_value(attribute)
                return value.decode() if isinstance(value, bytes) else value
        return default

    def value_of(self, value: Any) -> Array:
        """A number or a tensor that is an attribute, as an array."""
        return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)

    def attributes(self, *left_out: str) -> dict[str, Any]:
        """All attributes but these, for another node."""
        return {
            item.name: onnx.helper.get_attribute_value(item)
            for item in self.node.attribute
            if item.name not in left_out
        }

    def input(self, index: int) -> str:
        """The name of an input, empty where it is left out."""
        return self.node.input[index] if index < len(self.node.input) else ""

    def is_read(self, *names: str) -> bool:
        """Whether anybody reads one of these tensors."""
        return any(name in self._outputs or name in self._readers for name in names)

    def is_input(self, name: str) -> bool:
        """Whether a tensor is given to the model."""
        return name in self._inputs

    def is_output(self, name: str) -> bool:
        """Whether the model gives a tensor out."""
        return name in self._outputs

    def readers(self, name: str) -> list[NodeProto]:
        """The nodes of the user's that read a tensor."""
        return self._readers.get(name, [])

    def producer(self, name: str) -> NodeProto | None:
        """The node written so far that makes a tensor."""
        return self._makers.get(name)

    def is_fixed(self, name: str) -> bool:
        """Whether a tensor depends on constants alone."""
        return name in self._fixed

    def constant(self, name: str) -> Array | None:
        """The values of an initializer or a Constant, None for anything else or what was not loaded."""
        tensor = self._initializers.get(name)
        if tensor is None or not is_present(tensor):
            return None
        return values_of(tensor)

    def known(self, index: int, what: str) -> Array:
        """The values of an input that has to be constant.

        Raises:
            CannotWriteError: it is not.
        """
        value = self.constant(self.input(index))
        if value is None:
            raise CannotWriteError(f"its {what} is not constant")
        return value

    def rank(self, name: str) -> int:
        """The number of dimensions.

        Raises:
            CannotWriteError: it is not known.
        """
        shape = self.shape(name)
        if shape is None:
            raise CannotWriteError(f"the rank of '{name}' is not known")
        return len(shape)

    def shape(self, name: str) -> tuple[int | None, ...] | None:
        """The dimensions, None for each that is not known; None where not even their number is."""
        if name in self._initializers:
            return tuple(self._initializers[name].dims)
        found = self._type(name)
        if found is None or not found.tensor_type.HasField("shape"):
            return None
        return tuple(d.dim_value if d.dim_value > 0 else None for d in found.tensor_type.shape.dim)

    def element(self, name: str) -> int:
        """ONNX's number of the element type; that of float32 where it is not known."""
        if name in self._initializers:
            return self._initializers[name].data_type
        found = self._type(name)
        return TensorProto.FLOAT if found is None else found.tensor_type.elem_type or TensorProto.FLOAT

    def put(self, op: str, *inputs: str, part: str = "", out: str | Sequence[str] = "", **given: Any) -> str:
        """Write a node; returns the name of its first result.

        Args:
            op: a standard operator.
            inputs: names of tensors, empty for one that is left out.
            part: what it does for the node at hand, empty for the one that bears its name.
            out: names of results that have names already.
            given: attributes.
        """
        base = f"{self.node.name}/{part}" if part else self.node.name
        outputs = [out] if isinstance(out, str) else list(out)
        outputs = [
            name or self._fresh(f"{base}/made" if not part else base, self._tensors) for name in outputs
        ]
        name = self._fresh(base, self._names) if part else base
        while inputs and not inputs[-1]:
            inputs = inputs[:-1]
        self._append(onnx.helper.make_node(op, inputs, outputs, name, **given))
        return outputs[0]

    def name(self, part: str) -> str:
        """A name for a result that nobody has yet."""
        return self._fresh(f"{self.node.name}/{part}", self._tensors)

    def number(self, value: npt.ArrayLike, part: str, element: int = TensorProto.FLOAT) -> str:
        """Write a constant of this element type; returns its name."""
        name = self.name(part)
        array = np.asarray(value, onnx.helper.tensor_dtype_to_np_dtype(element))
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise CannotWriteError("it would need numbers that are not finite")
        self.initializer(array, name)
        return name

    def numbers_for_names(self) -> None:
        """Declare whole numbers where the model declares strings: a rule has written these as numbers."""
        for item in (*self.model.graph.output, *self.model.graph.value_info):
            if item.type.tensor_type.elem_type == TensorProto.STRING:
                item.type.tensor_type.elem_type = TensorProto.INT64

    def initializer(self, value: Array, name: str) -> None:
        """Write a constant of this name."""
        tensor = numpy_helper.from_array(value, name)
        self.model.graph.initializer.append(tensor)
        self._initializers[name] = tensor
        self._fixed.add(name)

    def instead(self, old: str, new: str) -> None:
        """Let all that is still to come read another tensor; a result of the model keeps its name."""
        if self.is_output(old):
            self.put("Identity", new, part="given", out=old)
        else:
            self._renamed[old] = new

    def _declared(self) -> list[onnx.ValueInfoProto]:
        """The types that the file gives, but of what is made in another way now."""
        return [item for item in self.model.graph.value_info if item.name not in self._remade]

    def _append(self, node: NodeProto) -> None:
        self._nodes.append(node)
        self._makers.update(dict.fromkeys(node.output, node))
        value = next((item.t for item in node.attribute if item.name == "value"), None)
        if node.op_type == "Constant" and value is not None:
            self._initializers[node.output[0]] = value
        if all(name in self._fixed for name in filter(None, node.input)):
            self._fixed.update(node.output)

    def _rename(self, node: NodeProto) -> None:
        for index, name in enumerate(node.input):
            node.input[index] = self._renamed.get(name, name)
        for attribute in node.attribute:
            for inner in attribute.g.node if attribute.HasField("g") else ():
                self._rename(inner)

    def _fresh(self, wanted: str, taken: set[str]) -> str:
        name, number = wanted, 1
        while name in taken:
            name, number = f"{wanted}_{number}", number + 1
        taken.add(name)
        return name

    def _type(self, name: str) -> onnx.TypeProto | None:
        """Inferred again only where the type was not known and nodes were written since."""
        if name not in self._types and self._inferred != len(self._nodes):
            self._types, self._inferred = self._infer(), len(self._nodes)
        return self._types.get(name)

    def _infer(self) -> dict[str, onnx.TypeProto]:
        """The types of all that was written so far."""
        light = onnx.ModelProto(ir_version=self.model.ir_version, opset_import=self.model.opset_import)
        light.graph.name = self.model.graph.name or "graph"
        light.graph.node.extend(self._nodes)
        light.graph.input.extend(self.model.graph.input)
        light.graph.initializer.extend(self.model.graph.initializer)
        light.graph.value_info.extend(self._declared())
        try:
            light = onnx.shape_inference.infer_shapes(light, data_prop=True)
        except onnx.shape_inference.InferenceError as error:  # refused later, with its place
            logger.info("types are not known while nodes are written out: %s", first_line(error))
        return {value.name: value.type for value in (*light.graph.value_info, *light.graph.input)}
