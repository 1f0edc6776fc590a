"""When a sample is decided: measures, thresholds by timestep, and the rule that a text names."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import onnx2snn
from onnx2snn.errors import OptionError
from onnx2snn.exits.rule import ExitRule, change, measure, parse_exit


@given(hnp.arrays(np.float32, (5, 4), elements=st.floats(-20, 20, width=32)))
def test_measures_lie_between_0_and_1(scores):
    p = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(measure("confidence", scores), p.max(axis=1), rtol=1e-5)
    entropy = -(p * np.log(np.maximum(p, 1e-38))).sum(axis=1) / np.log(4)
    np.testing.assert_allclose(measure("entropy", scores), entropy, atol=1e-5)


def test_literal_measures():
    scores = np.log(
        np.float32([[0.5, 0.25, 0.25, 1e-30], [0.25, 0.25, 0.25, 0.25], [1, 1e-30, 1e-30, 1e-30]])
    )
    np.testing.assert_allclose(measure("confidence", scores), [0.5, 0.25, 1], rtol=1e-6)
    np.testing.assert_allclose(measure("entropy", scores), [0.75, 1, 0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(measure("confidence", scores + 500), [0.5, 0.25, 1], rtol=1e-4)


def test_large_scores_of_one_sample_do_not_silence_another():
    assert measure("confidence", np.float32([[0, 0], [500, 500]])).tolist() == [0.5, 0.5]
    assert ExitRule("confidence", (0.5,)).decided(np.float32([[0, 0], [900, 0]]), 1).tolist() == [True, True]


def test_probabilities_are_taken_as_they_are():
    p = np.float64([[0.5, 0.5, 0, 0], [0, 1, 0, 0]])
    confidence, entropy = (measure(name, p, probabilities=True) for name in ("confidence", "entropy"))
    assert confidence.tolist() == [0.5, 1]
    np.testing.assert_allclose(entropy, [0.5, 0], atol=1e-6)
    assert (confidence.dtype, entropy.dtype) == (np.float32, np.float32)
    assert measure("confidence", p)[1] < 0.5


@pytest.mark.parametrize(
    ("criterion", "threshold", "decided"),
    [
        ("confidence", 0.5, [True, True, True]),
        ("confidence", 0.75, [True, False, True]),
        ("entropy", 1.0, [True, True, True]),
        ("entropy", 0.0, [False, False, True]),
    ],
)
def test_a_threshold_itself_decides(criterion, threshold, decided):
    p = np.float32([[0.75, 0.25], [0.5, 0.5], [1, 0]])
    assert ExitRule(criterion, (threshold,), probabilities=True).decided(p, 1).tolist() == decided


def test_every_timestep_has_its_threshold_and_the_last_one_goes_on():
    rule = ExitRule("confidence", (2.0, 0.75, 0.5), probabilities=True)
    p = np.float32([[0.75, 0.25], [0.5, 0.5]])
    decided = [rule.decided(p, timestep).tolist() for timestep in (1, 2, 3, 4, 99)]
    assert decided == [[False, False], [True, False], [True, True], [True, True], [True, True]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", None),
        ("confidence", ("confidence", 0.9)),
        ("entropy", ("entropy", 0.1)),
        ("confidence:", ("confidence", 0.9)),
        ("confidence:0", ("confidence", 0.0)),
        ("confidence:1", ("confidence", 1.0)),
        ("entropy:0.25", ("entropy", 0.25)),
    ],
)
def test_what_a_text_names(text, expected):
    assert parse_exit(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "auto:1",
        "confidence:2",
        "confidence:x",
        "confidence:nan",
        "certainty",
        "certainty:0.5",
        "",
        "entropy:-1",
    ],
)
def test_a_rule_that_is_none_is_said_in_one_line(text):
    with pytest.raises(OptionError) as caught:
        parse_exit(text)
    assert str(caught.value) == (
        "--early-exit: expected auto, confidence, entropy or change, each of these with a threshold from 0 "
        f"to 1 such as confidence:0.9, found '{text}'; give one of these"
    )
    with pytest.raises(OptionError, match="--early-exit: expected auto, confidence, entropy or change"):
        onnx2snn.CompileOptions(early_exit=text)


def test_it_survives_its_dictionary():
    rule = ExitRule("entropy", (0.5, 0.25), probabilities=True)
    assert rule.to_dict() == {"criterion": "entropy", "thresholds": [0.5, 0.25], "probabilities": True}


def test_a_change_is_a_share_of_the_largest_value():
    now, before = np.float32([[4, -2], [0, 1], [0, 0]]), np.float32([[4, -1], [0, 1], [0, 0]])
    assert change(now, before).tolist() == [0.25, 0, 0]
    rule = ExitRule("change", (0.25, 0.1))
    # What has not moved at all may not have heard anything yet.
    assert rule.decided(now, 1, before).tolist() == [True, False, False]
    assert not rule.decided(now, 2, before).any()
    assert not rule.decided(now, 1).any()
    assert not rule.needs_scores
    assert parse_exit("change") == ("change", 0.01)
    assert parse_exit("change:0.5") == ("change", 0.5)
