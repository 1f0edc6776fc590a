"""Operators of ai.onnx.ml around a network, as converters from scikit-learn write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
import onnx.helper
from onnx import TensorProto

from onnx2snn.lowering.writer import CannotWriteError, Writer

ML = "ai.onnx.ml"
_INT64 = TensorProto.INT64


def unzip(model: onnx.ModelProto) -> list[str]:
    """Let each ZipMap give its scores as they are, a column a class, instead of a dictionary a sample.

    Args:
        model: flat; changed.

    Returns:
        The names of these nodes.
    """
    found = [node for node in model.graph.node if (node.domain, node.op_type) == (ML, "ZipMap")]
    names = []
    for node in found:
        del node.attribute[:]
        names.append(node.name)
        node.name = f"{node.name}/scores"  # what is said of the ZipMap is not what is said of this
        node.op_type, node.domain = "Identity", ""
        for output in model.graph.output:
            if output.name == node.output[0]:
                scores = onnx.helper.make_tensor_value_info(output.name, TensorProto.FLOAT, ["N", None])
                output.CopyFrom(scores)
    return names


def write_scaler(w: Writer) -> None:
    """Scaler: (x - offset)·scale."""
    value = _floats(w)
    shifted = w.put("Sub", value, w.number(w.attribute("offset", [0.0]), "offset"), part="shifted")
    w.put("Mul", shifted, w.number(w.attribute("scale", [1.0]), "scale"), out=w.node.output[0])


def write_normalizer(w: Writer) -> None:
    """Normalizer: each row over its largest value, its sum of sizes, or its length; a row without stays."""
    value, axes = _floats(w), w.number([-1], "axes", _INT64)
    reduction = {"MAX": "ReduceMax", "L1": "ReduceL1", "L2": "ReduceL2"}[w.attribute("norm", "MAX")]
    norm = w.put(reduction, value, axes)
    none = w.put("Equal", norm, w.number(0, "zero"), part="none")
    norm = w.put("Where", none, w.number(1, "one"), norm, part="safe")
    w.put("Div", value, norm, part="normalised", out=w.node.output[0])


def write_extractor(w: Writer) -> None:
    """ArrayFeatureExtractor: columns picked by the second input; of a vector as one row."""
    places = w.put("Reshape", w.input(1), w.number([-1], "flat", _INT64), part="places")
    several = w.rank(w.input(0)) > 1
    if w.element(w.input(0)) == TensorProto.STRING:
        if several:
            raise CannotWriteError("it works on strings")
        _number(w)
        picked = w.put("Cast", places, part="number", to=_INT64)
    elif several:
        w.put("Gather", w.input(0), places, out=w.node.output[0], axis=-1)
        return
    else:
        picked = w.put("Gather", w.input(0), places, axis=-1)
    w.put("Unsqueeze", picked, w.number([0], "row", _INT64), part="row", out=w.node.output[0])


def write_encoder(w: Writer) -> None:
    """LabelEncoder of numbers: the value of the key that is equal, or the default."""
    keys, kind = _table(w, "keys")
    values, result = _table(w, "values")
    if kind == "strings":
        raise CannotWriteError("it works on strings")
    fallback = _default(w, result)
    if result == "strings":
        _number(w)
        values, result = range(len(values)), "int64s"
    read, made = _ELEMENTS[kind], _ELEMENTS[result]
    rank = w.rank(w.input(0))
    last = w.number([rank], "last", _INT64)
    column = w.put("Unsqueeze", w.input(0), last, part="column")
    equal = w.put("Equal", column, w.number(keys, "keys", read), part="equal")
    marks = w.put("Cast", equal, part="marks", to=TensorProto.FLOAT)
    place = w.put("ArgMax", marks, part="place" if w.remark else "", axis=-1, keepdims=0)
    found = w.put("Gather", w.number(values, "values", made), place, part="found")
    known = w.put("ReduceMax", marks, last, part="known", keepdims=0)
    known = w.put("Cast", known, part="known", to=TensorProto.BOOL)
    w.put("Where", known, found, w.number(fallback, "default", made), part="encoded", out=w.node.output[0])


def write_regressor(w: Writer) -> None:
    """LinearRegressor: x·coefficientsᵀ + intercepts, transformed."""
    scores = _scores(w, w.attribute("targets", 1))
    _transform(w, scores, w.node.output[0])


def write_classifier(w: Writer) -> None:
    """LinearClassifier: the label of the largest score, and all scores, transformed."""
    labels, names = w.attribute("classlabels_ints"), w.attribute("classlabels_strings")
    if not labels:
        _number(w)
        labels = range(len(names))
    count = len(w.attribute("intercepts") or labels)
    if count != len(labels):
        raise CannotWriteError(f"it has {count} scores for {len(labels)} classes")
    scores = _scores(w, count)
    place = w.put("ArgMax", scores, part="place", axis=1, keepdims=0)
    w.put("Gather", w.number(labels, "labels", _INT64), place, part="label", out=w.node.output[0])
    if w.node.output[1:]:
        _transform(w, scores, w.node.output[1])


#: Element types of tables, by the ending of the attribute that gives them.
_ELEMENTS = {"int64s": TensorProto.INT64, "floats": TensorProto.FLOAT, "strings": TensorProto.STRING}


def _floats(w: Writer) -> str:
    """The input as float32, which these operators give whatever they read."""
    if w.element(w.input(0)) == TensorProto.FLOAT:
        return w.input(0)
    return w.put("Cast", w.input(0), part="floats", to=TensorProto.FLOAT)


def _table(w: Writer, name: str) -> tuple[Sequence[float], str]:
    """Keys or values, and their type."""
    for kind in _ELEMENTS:
        given = w.attribute(f"{name}_{kind}")
        if given:
            return given, kind
    raise CannotWriteError(f"its {name} are given in a way of a later version")


def _number(w: Writer) -> None:
    """Say that names become numbers; results that were names are declared so."""
    w.numbers_for_names()
    w.remark = "gives the number of a name in its list, from 0 on, instead of the name"


def _default(w: Writer, kind: str) -> float:
    if kind == "strings":
        return -1
    if kind == "int64s":
        return int(w.attribute("default_int64", -1))
    return float(w.attribute("default_float", -0.0))


def _scores(w: Writer, count: int) -> str:
    """x·coefficientsᵀ + intercepts, [N, count]."""
    coefficients = np.asarray(w.attribute("coefficients"), np.float32).reshape(count, -1)
    intercepts = w.attribute("intercepts")
    bias = w.number(intercepts, "intercepts") if intercepts else ""
    return w.put("Gemm", _floats(w), w.number(coefficients, "coefficients"), bias, transB=1)


def _transform(w: Writer, scores: str, out: str) -> None:
    kind = w.attribute("post_transform", "NONE")
    if kind == "NONE":
        w.put("Identity", scores, part="scores", out=out)
    elif kind in ("LOGISTIC", "SOFTMAX"):
        w.put({"LOGISTIC": "Sigmoid", "SOFTMAX": "Softmax"}[kind], scores, part="transformed", out=out)
    else:
        raise CannotWriteError(f"it transforms its scores by '{kind}'")


RULES: dict[tuple[str, str], Callable[[Writer], None]] = {
    (ML, "ArrayFeatureExtractor"): write_extractor,
    (ML, "LabelEncoder"): write_encoder,
    (ML, "LinearClassifier"): write_classifier,
    (ML, "LinearRegressor"): write_regressor,
    (ML, "Normalizer"): write_normalizer,
    (ML, "Scaler"): write_scaler,
}
