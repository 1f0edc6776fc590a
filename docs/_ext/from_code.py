"""Writes what the code knows into the pages.

A page says where, by a comment: `<!-- operators -->`, `<!-- passes -->`, `<!-- compile_options -->` or
`<!-- training -->`.
"""

from __future__ import annotations

import ast
import dataclasses
import itertools
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import onnx.printer

import onnx2snn
from onnx2snn.ops import CELLS
from onnx2snn.ops.cell import Cell
from onnx2snn.options import DECLARATIONS, CompileOptions
from onnx2snn.passes.pipeline import PIPELINE


def operators() -> str:
    """All operators of the domain in Markdown, in the order of `CELLS`, under headings of the third level."""
    first = {_home(cell): cell for cell in reversed(CELLS.values())}  # of those that a file makes for each T
    return "\n\n".join(operator(cell) for cell in CELLS.values() if first[_home(cell)] is cell)


def _home(cell: Cell) -> str:
    """The module that an operator is written in."""
    return str(getattr(cell.step, "func", cell.step).__module__)


def operator(cell: Cell) -> str:
    """One operator in Markdown: its module's docstring, its signature, its function body as ONNX text."""
    function, states = cell.function, len(cell.states)
    pairs = zip(function.input[1 : 1 + states], function.output[1:], strict=True)
    signature = {
        "input": function.input[:1],
        "states": [f"{before} → {after}" for before, after in pairs],
        "parameters": function.input[1 + states :],
        "attributes": [*function.attribute, *(attribute.name for attribute in function.attribute_proto)],
        "output": function.output[:1],
    }
    said = [
        f"{name} {', '.join(f'`{item}`' for item in items)}" for name, items in signature.items() if items
    ]
    doc = fence_indented(sys.modules[_home(cell)].__doc__ or "")
    body = onnx.printer.to_text(function).partition(">\n")[2].strip()  # without the header, the same for all
    return f"### {cell.op}\n\n{doc}\n\n{'; '.join(said).capitalize()}.\n\n```\n{body}\n```"


def fence_indented(doc: str) -> str:
    """A docstring in Markdown: what is indented are equations."""
    parts = []
    for indented, lines in itertools.groupby(doc.strip().splitlines(), lambda line: line.startswith("    ")):
        text = "\n".join(line.removeprefix("    ") for line in lines)
        parts.append(f"```\n{text}\n```" if indented else text)
    return "\n".join(parts)


def passes() -> str:
    """All passes of the pipeline in Markdown, once each."""
    names = dict.fromkeys(f"{type(step).__module__}.{type(step).__name__}" for step in PIPELINE)
    return "\n".join(["```{eval-rst}", *(f".. autoclass:: {name}" for name in names), "```"])


def compile_options() -> str:
    """All options of a compilation as a table in Markdown, from their declarations."""
    defaults = {item.name: item.default for item in dataclasses.fields(CompileOptions)}
    rows = ["| option | default | |", "| --- | --- | --- |"]
    for name, declaration in DECLARATIONS.items():
        values = f" ({', '.join(declaration.choices)})" if declaration.choices else ""
        text = declaration.help.replace("|", "\\|")
        rows.append(f"| `{name}`{values} | {defaults[name]} | {text} |")
    return "\n".join(rows)


def training() -> str:
    """The public names of `onnx2snn.training` in Markdown, read and not imported: that would need PyTorch."""
    package = Path(onnx2snn.__file__).parent / "training"
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted(package.glob("*.py"))]
    definitions = {
        node.name: node
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    public = next(
        ast.literal_eval(node.value)
        for tree in trees
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    )
    return "\n".join(["```{eval-rst}", *(_definition(definitions[name]) for name in public), "```"])


def _definition(node: ast.FunctionDef | ast.ClassDef) -> str:
    """A function or class in reStructuredText: its signature and docstring, in place of autodoc."""
    from sphinx.ext.napoleon import Config, GoogleDocstring  # the rest of this file works without Sphinx

    lines = (ast.get_docstring(node) or "").splitlines()
    mend(None, "", "", None, None, lines)
    makers = [
        item
        for item in ast.walk(node)
        if isinstance(item, ast.FunctionDef) and item.name in (node.name, "__init__")
    ]
    signature = ast.unparse(makers[0].args).removeprefix("self, ") if makers else ""
    kind = "function" if isinstance(node, ast.FunctionDef) else "class"
    doc = str(GoogleDocstring(lines, Config(napoleon_use_ivar=True)))
    return f".. py:{kind}:: onnx2snn.training.{node.name}({signature})\n\n{textwrap.indent(doc, '   ')}\n"


def mend(app: Any, what: str, name: str, subject: Any, options: Any, lines: list[str]) -> None:
    """Make a docstring reStructuredText: equations stand apart by their indent, names may have a plural."""
    del app, what, name, subject, options
    text = re.sub(r"`(\w+)`s\b", r"`\1`\\ s", "\n".join(lines))
    text = re.sub(r"(?<![\w`|])\|(?=\w)", r"\|", text)  # the absolute value of something
    head, section, rest = re.match(r"(?s)(.*?)((?:\n\n\w+:\n)|$)(.*)", text).groups()
    head = re.sub(r"(?m)(^|\n)\n(?=    \S)", r"\1\n::\n\n", head)
    lines[:] = (head + section + rest).splitlines()


def quote_options(app: Any, context: Any, lines: list[str]) -> None:
    """Set the options in a command's help as code, or their two hyphens would become a dash."""
    del app, context
    lines[:] = [
        line if line.startswith("..") else re.sub(r"(?<![\w`-])(--[a-z][\w-]*)", r"``\1``", line)
        for line in lines
    ]


def add_examples(app: Any, context: Any, lines: list[str]) -> None:
    """Show the examples that a command's help ends in."""
    del app
    examples = getattr(context.command, "examples", ())
    if examples:
        lines += [
            ".. rubric:: Examples",
            "",
            ".. code-block:: sh",
            "",
            *(f"   {line}" for line in examples),
            "",
        ]


def setup(app: Any) -> dict[str, bool]:
    """Called by Sphinx."""

    def fill_in(app: Any, page: str, source: list[str]) -> None:
        del app, page
        for write in (operators, passes, compile_options, training):
            mark = f"<!-- {write.__name__} -->"
            if mark in source[0]:
                source[0] = source[0].replace(mark, write())

    app.connect("source-read", fill_in)
    # Napoleon (500) takes what stands before a colon in a property's first line for its type.
    properties: dict[str, list[str]] = {}

    def keep(app: Any, what: str, name: str, subject: Any, options: Any, lines: list[str]) -> None:
        del app, subject, options
        if what == "property":
            lines[:] = properties.setdefault(name, list(lines))

    app.connect("autodoc-process-docstring", mend, priority=100)
    app.connect("autodoc-process-docstring", keep, priority=200)
    app.connect("autodoc-process-docstring", keep, priority=900)
    app.connect("sphinx-click-process-description", quote_options)
    app.connect("sphinx-click-process-options", quote_options)
    app.connect("sphinx-click-process-epilog", add_examples)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
