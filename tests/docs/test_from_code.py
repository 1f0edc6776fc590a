"""What the site writes from the code: all operators, with bodies that are the code's, and all passes."""

from __future__ import annotations

import importlib.util
import re

import onnx.parser
import pytest

import onnx2snn
from onnx2snn.ops import CELLS, DOMAIN, OPSET_VERSION
from onnx2snn.options import DECLARATIONS
from onnx2snn.passes.pipeline import PIPELINE
from tests.docs.pages import PAGES, ROOT

_SPEC = importlib.util.spec_from_file_location("from_code", ROOT / "docs/_ext/from_code.py")
assert _SPEC is not None
assert _SPEC.loader is not None
from_code = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(from_code)


@pytest.mark.parametrize("op", CELLS)
def test_an_operator_is_described_by_its_code(op):
    cell = CELLS[op]
    said = from_code.operator(cell)
    assert said.startswith(f"### {op}\n")
    for name in (*cell.function.input, *cell.function.output, *cell.function.attribute):
        assert name in said
    blocks = re.findall(r"(?ms)^```\n(.*?)\n```$", said)
    assert len(blocks) >= 2, "an equation, and the body"
    header = f'<domain: "{DOMAIN}", opset_import: ["" : {OPSET_VERSION}]>'
    assert onnx.parser.parse_function(header + blocks[-1]) == cell.function


def test_every_mark_stands_on_a_page():
    text = "".join(path.read_text(encoding="utf-8") for path in PAGES.values())
    for name in ("operators", "passes", "compile_options", "training"):
        assert text.count(f"<!-- {name} -->") == 1


def test_every_public_name_is_described():
    text = PAGES["docs/api.md"].read_text(encoding="utf-8")
    for name in onnx2snn.__all__:
        assert re.search(rf"\b{name}\b", text) or name == "__version__"


def test_every_pass_is_listed_once():
    listed = re.findall(r"autoclass:: (\S+)", from_code.passes())
    assert set(listed) == {f"{type(step).__module__}.{type(step).__name__}" for step in PIPELINE}
    assert len(listed) == len(set(listed))


def test_every_option_has_its_row():
    rows = from_code.compile_options().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == list(DECLARATIONS)
    assert all(row.count("|") - row.count("\\|") == 4 for row in rows)


def test_equations_of_a_docstring_stand_apart():
    assert (
        from_code.fence_indented("A.\n\n    u = v\n    v = u\n\nB.") == "A.\n\n```\nu = v\nv = u\n```\n\nB."
    )


def test_a_docstring_becomes_restructured_text():
    lines = ["The `Net`s of |x|.", "", "    y = x", "", "Args:", "    x: |x|"]
    from_code.mend(None, "", "", None, None, lines)
    assert lines == ["The `Net`\\ s of \\|x|.", "", "::", "", "    y = x", "", "Args:", "    x: \\|x|"]
