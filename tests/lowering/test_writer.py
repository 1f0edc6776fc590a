import numpy as np
import pytest

from onnx2snn.lowering.writer import CannotWriteError, Writer
from tests.lowering.single import foreign

TEXT = "(float[N,4] x) => (float[N,4] y) { a = Relu(x) b = Gone(a) y = Neg(b) }"


def rewritten(rule, text=TEXT, **constants):
    model = foreign(text, **constants)
    for number, node in enumerate(model.graph.node):
        node.name = f"n{number}"
    writer = Writer(model)
    made = [
        [n.op_type for n in nodes]
        for nodes in writer.rewrite(lambda node: rule if node.op_type == "Gone" else None)
    ]
    return model, writer, made


def test_the_part_without_a_name_bears_the_node_s():
    def rule(w):
        w.put("Neg", w.put("Abs", w.input(0)), part="turned", out=w.node.output[0])

    model, _, made = rewritten(rule)
    assert made == [["Abs", "Neg"]]
    assert [(n.op_type, n.name) for n in model.graph.node] == [
        ("Relu", "n0"),
        ("Abs", "n1"),
        ("Neg", "n1/turned"),
        ("Neg", "n2"),
    ]


def test_a_node_that_cannot_be_written_stays_with_its_reason():
    def rule(w):
        w.put("Abs", w.input(0))
        raise CannotWriteError("because")

    model, writer, made = rewritten(rule)
    assert made == [[]]
    assert writer.remark == ""  # of the last node; asked while it is at hand
    assert [n.op_type for n in model.graph.node] == ["Relu", "Gone", "Neg"]


def test_a_node_that_is_not_as_its_rule_expects_stays_too():
    def rule(w):
        w.put("Abs", w.input(0), number=w.attribute("missing") + 1)

    model, _, made = rewritten(rule)
    assert made == [[]]
    assert [n.op_type for n in model.graph.node] == ["Relu", "Gone", "Neg"]


def test_readers_are_led_elsewhere_and_outputs_keep_their_names():
    model, _, _ = rewritten(lambda w: w.instead(w.node.output[0], w.input(0)))
    assert [(n.op_type, list(n.input)) for n in model.graph.node] == [("Relu", ["x"]), ("Neg", ["a"])]
    last = "(float[N,4] x) => (float[N,4] y) { y = Gone(x) }"
    model, _, _ = rewritten(lambda w: w.instead(w.node.output[0], w.input(0)), last)
    assert [(n.op_type, list(n.input), list(n.output)) for n in model.graph.node] == [
        ("Identity", ["x"], ["y"])
    ]


def test_what_a_rule_may_ask():
    asked = {}

    def rule(w):
        asked.update(rank=w.rank("a"), shape=w.shape("a"), weights=w.constant("c"), fixed=w.is_fixed("c"))
        asked.update(producer=w.producer("a").op_type, readers=[n.op_type for n in w.readers("b")])
        asked.update(given=w.attribute("mode"), otherwise=w.attribute("none", 3), output=w.is_output("y"))
        w.put("Add", w.input(0), w.number([1, 2, 3, 4], "ones"), out=w.node.output[0])

    text = TEXT.replace("Gone(a)", 'Gone<mode = "fast">(a, c)')
    model, writer, _ = rewritten(rule, text, c=np.ones(4, np.float32))
    np.testing.assert_array_equal(asked.pop("weights"), np.ones(4))
    assert asked == {
        "rank": 2,
        "shape": (None, 4),
        "fixed": True,
        "producer": "Relu",
        "readers": ["Neg"],
        "given": "fast",
        "otherwise": 3,
        "output": True,
    }
    with pytest.raises(CannotWriteError, match="rank of 'nowhere'"):
        writer.rank("nowhere")
    assert [t.name for t in model.graph.initializer] == ["c", "n1/ones"]
