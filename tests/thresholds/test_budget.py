"""How many spikes a sample may take: a number, or a share."""

from __future__ import annotations

import pytest

from onnx2snn.errors import OptionError
from onnx2snn.thresholds.budget import parse_budget


@pytest.mark.parametrize(
    ("budget", "expected"),
    [("50%", (0.5, True)), ("2.5%", (0.025, True)), (200, (200.0, False)), ("1e5", (1e5, False))],
)
def test_budgets(budget, expected):
    assert parse_budget(budget) == expected


@pytest.mark.parametrize("budget", [0, -3, "0%", "many", "", "%", True, None, "inf", "nan", "50%%"])
def test_budgets_that_are_none(budget):
    with pytest.raises(OptionError) as caught:
        parse_budget(budget)
    assert str(caught.value) == (
        "--spike-budget: expected spikes a sample, such as 200000, or a share, such as 50%, found "
        f"{budget!r}; leave it out for 100%"
    )
