"""docs/operators.md says what becomes of every operator that ONNX tests, and what it says is so."""

from __future__ import annotations

import onnx
import onnxruntime
import pytest

from benchmarks.operators import DOCUMENT, GRADED, bugs, cases, examine, parse, render

TEXT = DOCUMENT.read_text(encoding="utf-8")
RESULTS, ONNX, ONNXRUNTIME = parse(TEXT)
#: Every so manyth case is tried: `python -m benchmarks.operators` tries all.
CHUNKS = 8


def test_the_table_sums_up_the_cases_below_it():
    assert render(RESULTS, ONNX, ONNXRUNTIME) == TEXT


def test_every_so_manyth_case_ends_as_the_document_says():
    found = [examine(case) for case in cases()[::CHUNKS]]
    assert bugs(found) == []
    if (onnx.__version__, onnxruntime.__version__) != (ONNX, ONNXRUNTIME):
        pytest.skip(
            f"no bugs; the document was written with onnx {ONNX} and onnxruntime {ONNXRUNTIME}, "
            "other versions have other cases and kernels"
        )
    assert found == RESULTS[::CHUNKS], "rewrite it: python -m benchmarks.operators --write"


@pytest.mark.parametrize("schedule", ["stream", "layer"])
def test_graded_spikes_make_of_every_so_manyth_case_what_it_says(schedule):
    """What is refused with other codes is refused, and all else is as exact as its sizes reach."""
    found = [examine(case, {**GRADED, "schedule": schedule}) for case in cases()[::48]]
    assert bugs(found) == []
    expected = {result.name: result.verdict for result in RESULTS if result.verdict == "refused"}
    assert {result.name for result in found if result.verdict == "refused"} <= expected.keys()
