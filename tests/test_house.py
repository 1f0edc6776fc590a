"""Rules of the house that no linter knows: sizes, one place for what a neuron is, public names at home."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

import onnx2snn
from onnx2snn.ops import CELLS

PACKAGE = Path(onnx2snn.__file__).parent
TESTS = Path(__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = sorted(path for path in PACKAGE.iterdir() if (path / "__init__.py").exists())
_IDS = [str(path.relative_to(PACKAGE)) for path in FILES]


def trees() -> list[tuple[Path, ast.Module]]:
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=_IDS)
def test_no_file_is_two_things(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


def test_no_function_is_two_things():
    long = [
        f"{path.relative_to(PACKAGE)}: {node.name}"
        for path, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or 0) - node.lineno + 1 > 60
    ]
    assert long == []


@pytest.mark.parametrize("room", ROOMS, ids=[room.name for room in ROOMS])
def test_a_room_says_what_it_is_for(room):
    doc = ast.get_docstring(ast.parse((room / "__init__.py").read_text(encoding="utf-8")))
    assert doc


def test_only_ops_compares_a_neuron_s_name():
    """Elsewhere a neuron is what its `Cell` and `Neuron` say."""
    compared = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path, tree in trees()
        if path.parent.name != "ops"
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare)
        for part in ast.walk(node)
        if isinstance(part, ast.Constant) and part.value in CELLS
    ]
    assert compared == []


def test_only_one_file_knows_the_library_of_graphs():
    knowing = [
        str(path.relative_to(PACKAGE))
        for path, tree in trees()
        for node in ast.walk(tree)
        if (isinstance(node, ast.ImportFrom) and (node.module or "").startswith("onnx_graphsurgeon"))
        or (isinstance(node, ast.Import) and node.names[0].name.startswith("onnx_graphsurgeon"))
    ]
    assert set(knowing) == {"graph/graph.py"}


def test_every_module_has_a_test_file_of_its_own():
    modules = [path.relative_to(PACKAGE) for path in FILES if path.name != "__init__.py"]
    wanted = [module.with_name(f"test_{module.name}") for module in modules]
    missing = [path.as_posix() for path in wanted if not (TESTS / path).is_file()]
    assert missing == [], f"missing in tests: {', '.join(missing)}"


@pytest.mark.parametrize("name", onnx2snn.__all__)
def test_a_public_name_is_where_it_says(name):
    value = getattr(onnx2snn, name)
    home = getattr(value, "__module__", None)
    if home is not None:
        assert getattr(importlib.import_module(home), value.__name__) is value
