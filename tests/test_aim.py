"""What a search aims at, when there is one, and what contradicts it."""

from __future__ import annotations

import pytest

from onnx2snn.aim import AIM_DECLARATIONS, Aim, read_aim
from onnx2snn.errors import OptionError


def test_only_a_bound_that_nothing_else_uses_asks_for_a_search():
    assert read_aim({"timesteps": 4}) == (None, {"timesteps": 4})
    given = {"max_loss": 0.3, "compress": "energy"}
    assert read_aim(given) == (None, given)
    given = {"max_loss": 0.3, "early_exit": "auto"}
    assert read_aim(given) == (None, given)
    given = {"max_loss": 0.3, "compress": "none", "timesteps": 4, "loss_measure": "agreement"}
    assert read_aim(given) == (Aim(0.3, "agreement"), {"compress": "none", "timesteps": 4})
    assert read_aim({"target_energy": 0.2}) == (Aim(target_energy=0.2), {})
    assert read_aim({"max_loss": 1, "prefer": "latency", "search_minutes": 2})[0] == Aim(
        1, prefer="latency", search_minutes=2
    )
    task = ["task", "labels", "decode", "data_range"]
    assert list(AIM_DECLARATIONS) == ["target_energy", "prefer", "search_minutes", *task]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_loss": 0}, "--max-loss: expected more than 0 and at most 100, found 0"),
        (
            {"max_loss": 1, "task": "draw"},
            "--task: expected one of classify, multilabel, segment, restore, detect, control, regress, auto, "
            "found 'draw'",
        ),
        (
            {"max_loss": 1, "decode": "draw"},
            "--decode: expected module:function, found 'draw'; name both",
        ),
        (
            {"task": "regress"},
            "--task: expected only with --max-loss, and without --compress and --early-exit auto, found "
            "'regress'; give that, or leave this out",
        ),
        ({"max_loss": 101}, "--max-loss: expected more than 0 and at most 100, found 101"),
        ({"max_loss": "much"}, "--max-loss: expected more than 0 and at most 100, found 'much'"),
        ({"target_energy": -1}, "--target-energy: expected more than 0, found -1"),
        ({"max_loss": 1, "search_minutes": 0}, "--search-minutes: expected more than 0, found 0"),
        (
            {"max_loss": 1, "prefer": "speed"},
            "--prefer: expected one of energy, latency, accuracy, found 'speed'",
        ),
        (
            {"max_loss": 1, "loss_measure": "error"},
            "--loss-measure: expected one of auto, accuracy, agreement, found 'error'",
        ),
        (
            {"prefer": "latency"},
            "--prefer: expected only with --max-loss, and without --compress and --early-exit auto, found "
            "'latency'; give that, or leave this out",
        ),
        (
            {"max_loss": 1, "compress": "energy", "search_minutes": 3},
            "--search-minutes: expected only with --max-loss, and without --compress and --early-exit auto, "
            "found 3; give that, or leave this out",
        ),
        (
            {"max_loss": 1, "target_energy": 0.2},
            "--max-loss: expected none with --target-energy, which asks for what loses least, found 1; leave "
            "out one of the two",
        ),
        (
            {"target_energy": 0.2, "prefer": "energy"},
            "--prefer: expected none with --target-energy, which asks for what loses least, found 'energy'; "
            "leave out one of the two",
        ),
        (
            {"target_energy": 0.2, "compress": "energy"},
            "--compress: expected none where --target-energy chooses the options, found 'energy'; leave out "
            "one of the two",
        ),
        (
            {"max_loss": 1, "early_exit": "entropy"},
            "--early-exit: expected none where --max-loss chooses the options, found 'entropy'; leave out "
            "one of the two",
        ),
        (
            {"max_loss": 1, "exponents": "auto"},
            "--exponents: expected a number where --max-loss chooses the options, found 'auto'; leave it "
            "out, or compile with it after the search",
        ),
    ],
)
def test_what_contradicts_a_search_is_refused(given, message):
    with pytest.raises(OptionError) as caught:
        read_aim(given)
    assert str(caught.value) == message
