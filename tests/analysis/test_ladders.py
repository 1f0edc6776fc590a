"""What a search may choose, and what the user's options leave of it."""

from __future__ import annotations

import pytest

from onnx2snn import OptionError
from onnx2snn.analysis.ladders import LADDERS, by_size, by_timesteps, open_ladders
from onnx2snn.options import CompileOptions


def test_every_rung_is_a_setting_that_compiles():
    for ladder in LADDERS:
        for setting in ladder.settings():
            CompileOptions(**setting)


def kinds(given):
    return [(rungs[0]["schedule"], rungs[0]["code"]) for rungs in open_ladders(given)]


def test_bursts_are_climbed_only_where_graded_spikes_cannot_be():
    assert kinds({}) == [("layer", "graded"), ("layer", "radix"), ("stream", "graded")]
    assert kinds({"schedule": "stream"}) == [("stream", "graded")]
    assert kinds({"code": "burst"}) == [("layer", "burst"), ("stream", "burst")]
    assert kinds({"signed": True}) == [("stream", "burst")]
    assert kinds({"dynamic_timesteps": True}) == [("stream", "graded")]
    assert kinds({"weights": "int8"}) == [("layer", "radix")]


def test_what_is_given_stands_in_every_rung_once():
    (rungs,) = open_ladders({"schedule": "layer", "code": "graded", "timesteps": 3})
    assert [rung["timesteps"] for rung in rungs] == [3] * len(rungs)
    assert [rung["exponents"] for rung in rungs] == [4, 5, 6, 7, 8, 9, 11]
    (rungs,) = open_ladders({"schedule": "stream", "timesteps": 4, "exponents": 6})
    assert rungs == [{"schedule": "stream", "code": "graded", "timesteps": 4, "exponents": 6}]


def test_for_latency_the_timesteps_come_first():
    (rungs,) = open_ladders({"schedule": "stream"})
    steps = by_timesteps(rungs)
    assert [rung["timesteps"] for rung in steps] == [3, 4, 5, 6, 8]
    assert {rung["exponents"] for rung in steps} == {10}
    assert [rung["exponents"] for rung in by_size(rungs, 4)] == [5, 6, 7, 8, 10]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"timesteps": 0}, "--timesteps: expected an integer from 1"),
        ({"schedule": "later"}, "--schedule: expected one of stream, layer"),
        ({"schedule": "stream", "code": "radix"}, "add --schedule layer"),
    ],
)
def test_options_that_no_conversion_takes_are_refused(given, message):
    with pytest.raises(OptionError, match=message):
        open_ladders(given)
