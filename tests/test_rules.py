"""What options ask of each other; the messages themselves are in `test_options.py`."""

from __future__ import annotations

import pytest

from onnx2snn.errors import OptionError
from onnx2snn.options import CompileOptions
from onnx2snn.rules import MOST_BITS, MOST_SPIKES, check_integers, check_radix, flag, is_number, not_graded


def test_an_option_is_named_as_it_is_typed():
    assert flag("max_spikes") == "--max-spikes"
    assert [is_number(value) for value in (1, 0.5, True, "1", None)] == [True, True, False, False, False]


def test_the_radix_code_asks_for_the_layer_schedule_and_few_timesteps():
    check_radix(CompileOptions(schedule="layer", timesteps=MOST_BITS), None)
    with pytest.raises(OptionError, match="add --schedule layer"):
        check_radix(CompileOptions(), None)


def test_levels_of_integers_fit_a_byte():
    fits = CompileOptions(schedule="layer", code="burst", max_spikes=5, timesteps=MOST_SPIKES // 5)
    check_integers(fits)
    with pytest.raises(OptionError, match="at most 255 levels"):
        check_integers(CompileOptions(schedule="layer", code="burst", max_spikes=5, timesteps=52))


def test_what_only_bursts_have_is_not_for_graded_spikes():
    refused = not_graded(CompileOptions(code="burst", signed=True), 4)
    assert [name for name, (given, _) in refused.items() if given] == ["max_spikes", "signed"]
