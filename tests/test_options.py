"""What a user may choose: values and what they ask of each other, levels of a run, budgets."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from onnx2snn.errors import OptionError
from onnx2snn.options import DECLARATIONS, SECTIONS, CompileOptions

BURST = {"code": "burst"}
LAYER = {"schedule": "layer"}
RADIX = {"schedule": "layer", "code": "radix"}
AUTO = {"max_spikes": "auto"}

#: Options → the whole message.
REFUSED = [
    ({"timesteps": 0}, "--timesteps: expected an integer from 1 to 65536, found 0; leave it out for 8"),
    (
        {"timesteps": 65537},
        "--timesteps: expected an integer from 1 to 65536, found 65537; leave it out for 8",
    ),
    ({"timesteps": True}, "--timesteps: expected an integer from 1 to 65536, found True; leave it out for 8"),
    ({"timesteps": 2.0}, "--timesteps: expected an integer from 1 to 65536, found 2.0; leave it out for 8"),
    (
        {"max_spikes": 256},
        "--max-spikes: expected an integer from 1 to 255, found 256; leave it out for 4 with --code burst",
    ),
    (
        {"levels": 0},
        "--levels: expected an integer from 1 to 255, found 0; leave it out for the value of --max-spikes",
    ),
    (
        {"batch_size": None},
        "--batch-size: expected an integer from 1 to 1048576, found None; leave it out for 64",
    ),
    (
        {"schedule": "later"},
        "--schedule: expected one of stream, layer, found 'later'; leave it out for stream",
    ),
    ({"signed": 1}, "--signed: expected True or False, found 1; leave it out for False"),
    ({"refit": None}, "--refit: expected True or False, found None; leave it out for True"),
    (
        {"levels": 5},
        "--levels: expected at most --max-spikes = 4, found 5; a range of more spikes than a neuron can send "
        "would always be clipped",
    ),
    ({"percentile": 0}, "--percentile: expected more than 0 and at most 100, found 0; leave it out for 99.9"),
    (
        {"percentile": 100.5},
        "--percentile: expected more than 0 and at most 100, found 100.5; leave it out for 99.9",
    ),
    (
        {"code": "radix"},
        "--code: expected graded or burst with --schedule stream, found radix; a neuron that fires before "
        "its input is complete cannot know its leading bits, so add --schedule layer",
    ),
    (
        RADIX | {"max_spikes": 2},
        "--max-spikes: expected none with --code radix, found 2; a bit is one spike, so leave it out",
    ),
    (
        RADIX | {"timesteps": 17},
        "--timesteps: expected at most 16 with --code radix, found 17; T = 16 already has 65535 levels",
    ),
    (
        RADIX | AUTO,
        "--max-spikes: expected none with --code radix, found 'auto'; a bit is one spike, so leave it out, "
        "or give --compress to save spikes",
    ),
    (
        RADIX | {"levels": "auto", "compress": "energy"},
        "--compress: expected none with --levels auto, which chooses levels by itself, found one; leave out "
        "one of the two",
    ),
    (
        BURST | {"levels": "auto"},
        "--levels: expected an integer from 1 to 255, found 'auto'; leave it out for the value of "
        "--max-spikes",
    ),
    (
        AUTO | {"levels": 2},
        "--levels: expected none with --max-spikes auto, which chooses thresholds by itself, found one; "
        "leave out one of the two",
    ),
    (
        AUTO | {"compress": "spikes"},
        "--compress: expected none with --max-spikes auto, which chooses thresholds by itself, found one; "
        "leave out one of the two",
    ),
    (
        BURST | {"spike_budget": "50%"},
        "--spike-budget: expected only with --max-spikes auto, found '50%' without; give that as well",
    ),
    (
        {"spike_budget": "50%"},
        "--spike-budget: expected only with --exponents auto, found '50%' without; give that as well",
    ),
    (
        {"threshold": "least", "signed": True},
        "--threshold: expected one of max, percentile, mse, found 'least'; leave it out for mse",
    ),
    (
        {"code": "other", "signed": True},
        "--code: expected one of burst, radix, graded, found 'other'; leave it out for burst",
    ),
    (
        {"compress": "spikes", "max_loss": 100.5},
        "--max-loss: expected more than 0 and at most 100 points, found 100.5; leave it out for 0.3 with "
        "--compress, 0.1 with --early-exit auto",
    ),
    (
        {"early_exit": "entropy", "max_loss": 1},
        "--max-loss: expected only with --compress or --early-exit auto, found 1 without; give one of them, "
        "or leave it out",
    ),
    (
        {"loss_measure": "accuracy"},
        "--loss-measure: expected only with --compress, found 'accuracy' without; give that as well, or "
        "leave it out",
    ),
    (
        LAYER | {"signed": True},
        "--signed: expected only with --schedule stream, found with layer; a neuron that has seen all of its "
        "input has nothing to take back: leave it out",
    ),
    (
        LAYER | {"levels": 2},
        "--levels: expected only with --schedule stream, found with layer; there is nothing to catch up "
        "with, so no headroom: leave it out",
    ),
    (
        LAYER | {"dynamic_timesteps": True},
        "--dynamic-timesteps: expected only with --schedule stream, found with layer; its neurons are made "
        "for one T: leave it out",
    ),
    (
        LAYER | {"early_exit": "confidence"},
        "--early-exit: expected only with --schedule stream, found with layer; its output is there only "
        "after the last timestep: leave it out",
    ),
    (
        {"weights": "int8"},
        "--weights: expected float with --schedule stream, found int8; only a layer that fires once has a "
        "sum that integers hold, so add --schedule layer",
    ),
    (
        LAYER | {"weights": "int8", "timesteps": 64},
        "--weights: expected at most 255 levels with int8, which uint8 holds, found 256; give fewer "
        "--timesteps",
    ),
]


@pytest.mark.parametrize(("options", "message"), REFUSED)
def test_refused_in_one_line(options, message):
    with pytest.raises(OptionError) as caught:
        CompileOptions(**options)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "options",
    [
        {"timesteps": 1},
        {"timesteps": 65536},
        {"max_spikes": 1},
        {"max_spikes": 255, "levels": 255},
        {"percentile": 100},
        {"percentile": 1e-9},
        RADIX | {"max_spikes": 1},
        RADIX | {"timesteps": 16},
        RADIX | {"weights": "int8", "timesteps": 8},
        LAYER | {"weights": "int8", "timesteps": 51, "max_spikes": 5},
        {"compress": "energy", "max_loss": 100, "loss_measure": "agreement"},
        {"early_exit": "auto", "max_loss": 0.01},
        AUTO | {"spike_budget": 1},
    ],
)
def test_the_last_value_that_is_accepted(options):
    held = CompileOptions(**options).to_dict()
    assert {name: held[name] for name in options if options[name] != "auto"} == {
        name: value for name, value in options.items() if value != "auto"
    }


def test_defaults():
    assert CompileOptions().to_dict() == {
        "timesteps": 8,
        "max_spikes": 1,
        "levels": None,
        "signed": False,
        "schedule": "stream",
        "code": "graded",
        "exponents": 8,
        "weights": "float",
        "threshold": "percentile",
        "percentile": 99.9,
        "granularity": "channel",
        "correct_bias": True,
        "refit": True,
        "approximate": "auto",
        "spike_budget": None,
        "compress": "none",
        "early_exit": None,
        "until_rest": False,
        "max_loss": None,
        "loss_measure": "auto",
        "max_search_samples": 128,
        "strict": False,
        "dynamic_timesteps": False,
        "batch_size": 64,
    }
    assert (CompileOptions().range_levels, CompileOptions().adapts) == (1, False)


def test_defaults_of_bursts():
    """Less what only graded spikes have."""
    held, other = CompileOptions(**BURST).to_dict(), CompileOptions().to_dict()
    assert set(other) - set(held) == {"exponents", "until_rest"}
    assert {name: value for name, value in held.items() if other[name] != value} == {
        "max_spikes": 4,
        "code": "burst",
        "threshold": "mse",
    }
    assert (CompileOptions(**BURST).range_levels, CompileOptions(**BURST).adapts) == (4, False)


@pytest.mark.parametrize(
    "given",
    [
        {"max_spikes": 1},
        {"max_spikes": 4},
        AUTO,
        {"levels": 2},
        {"signed": True},
        {"approximate": "relu-sum"},
        LAYER | {"weights": "int8"},
    ],
)
def test_options_that_graded_spikes_refuse_mean_bursts(given):
    assert CompileOptions(**given) == CompileOptions(**given, **BURST)


@pytest.mark.parametrize(
    "given",
    [
        {},
        LAYER,
        {"max_spikes": None, "signed": False},
        {"exponents": 4},
        {"exponents": "auto"},
        {"exponents": "auto", "spike_budget": "50%"},
        {"until_rest": True},
        {"compress": "spikes"},
        {"early_exit": "auto"},
        {"dynamic_timesteps": True},
        {"threshold": "mse"},
    ],
)
def test_everything_else_means_graded_spikes(given):
    assert CompileOptions(**given) == CompileOptions(**given, code="graded")


CHOICES = {
    "schedule": "stream, layer",
    "code": "burst, radix, graded",
    "weights": "float, int8",
    "threshold": "max, percentile, mse",
    "granularity": "channel, layer",
    "approximate": "auto, none, relu-sum",
    "compress": "none, spikes, energy",
    "loss_measure": "auto, accuracy, agreement",
}


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_that_is_none(name):
    flag, default = name.replace("_", "-"), getattr(CompileOptions(), name)
    with pytest.raises(OptionError) as caught:
        CompileOptions(**{name: "other"})
    assert str(caught.value) == (
        f"--{flag}: expected one of {CHOICES[name]}, found 'other'; leave it out for {default}"
    )


def test_what_the_command_line_asks():
    bounds = {name: item.bounds for name, item in DECLARATIONS.items() if item.bounds}
    assert bounds == {
        "timesteps": (1, 65_536),
        "max_spikes": (1, 255),
        "levels": (1, 255),
        "exponents": (1, 16),
        "max_search_samples": (1, 2**30),
        "batch_size": (1, 2**20),
    }
    assert [name for name, item in DECLARATIONS.items() if item.switch] == ["correct_bias", "refit"]
    assert {name: item.metavar for name, item in DECLARATIONS.items() if item.metavar} == {
        "max_spikes": "INTEGER|auto",
        "levels": "INTEGER|auto",
        "exponents": "INTEGER|auto",
        "spike_budget": "N|P%",
        "early_exit": "auto|confidence|entropy[:X]",
        "answer": "NAME",
        "memory": "SIZE",
    }
    assert {name: item.short for name, item in DECLARATIONS.items() if item.short} == {
        "timesteps": "T",
        "max_spikes": "G",
    }


def test_auto_is_the_default_with_a_budget():
    chosen = CompileOptions(**AUTO)
    assert (chosen.max_spikes, chosen.spike_budget, chosen.adapts) == (4, "100%", True)
    assert CompileOptions(**AUTO, spike_budget=5).spike_budget == 5
    chosen = CompileOptions(exponents="auto")
    assert (chosen.exponents, chosen.spike_budget, chosen.adapts) == (8, "100%", True)
    assert CompileOptions(compress="spikes").adapts


@pytest.mark.parametrize(
    ("options", "max_spikes", "total", "most"),
    [
        (BURST | LAYER, 4, 32, 32),
        ({"schedule": "layer", "max_spikes": 7, "timesteps": 3}, 7, 21, 21),
        ({"schedule": "layer", "code": "radix"}, 1, 255, 255),
        ({"schedule": "layer", "code": "radix", "timesteps": 1}, 1, 1, 1),
        ({"schedule": "layer", "code": "radix", "timesteps": 16}, 1, 65535, 65535),
        (BURST | {"timesteps": 3}, 4, 12, 12),
        ({"timesteps": 3, "levels": 1}, 4, 3, 12),
    ],
)
def test_levels_of_a_run(options, max_spikes, total, most):
    chosen = CompileOptions(**options)
    assert chosen.max_spikes == max_spikes
    assert chosen.total_levels == total
    assert chosen.most_levels == most


def test_options_survive_their_dictionary():
    """What an artifact records of a radix code is accepted again, though nobody may give its Γ."""
    chosen = CompileOptions(schedule="layer", code="radix", timesteps=5)
    held = chosen.to_dict()
    assert held["max_spikes"] == 1
    assert CompileOptions(**{**held, "max_spikes": None}) == chosen


def test_nothing_changes_them_later():
    chosen = CompileOptions(levels=2)
    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'levels'"):
        chosen.levels = 3
    with pytest.raises(OptionError, match="--levels: expected at most --max-spikes = 4, found 9"):
        replace(chosen, levels=9)


def test_every_option_says_what_it_is():
    # What memory there is makes no difference to the artifact.
    assert [name for name in DECLARATIONS if name not in ("memory", "answer")] == list(
        CompileOptions().to_dict()
    )
    assert {item.section for item in DECLARATIONS.values()} == set(SECTIONS)
    assert all(item.help for item in DECLARATIONS.values())


@pytest.mark.parametrize(
    ("given", "found", "why"),
    [
        ({"max_spikes": 4}, "max-spikes: 4", "a neuron sends one spike a timestep, of any size"),
        ({"levels": 2}, "levels: 2", "a spike's sizes are powers of two"),
        ({"signed": True}, "signed: True", "graded spikes have a sign already"),
        ({"weights": "int8"}, "weights: 'int8'", "spikes of different sizes are no integers of one unit"),
        (
            {"approximate": "relu-sum"},
            "approximate: 'relu-sum'",
            "graded neurons send any activation as it is",
        ),
    ],
)
def test_what_does_not_go_with_graded_spikes(given, found, why):
    with pytest.raises(OptionError) as caught:
        CompileOptions(code="graded", **given)
    name, value = found.split(": ")
    expected = f"--{name}: expected none with --code graded, found {value}; {why}, so leave it out"
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"code": "graded", "exponents": 17},
            "--exponents: expected an integer from 1 to 16, found 17; leave it out for 8",
        ),
        (
            BURST | {"exponents": 4},
            "--exponents: expected only with --code graded, found 4 with burst; give that code, or leave "
            "it out",
        ),
        (
            BURST | {"until_rest": True},
            "--until-rest: expected only with --code graded, found True with burst; give that code, or leave "
            "it out",
        ),
        (
            {"code": "graded", "schedule": "layer", "until_rest": True},
            "--until-rest: expected only with --schedule stream, found with layer; there is nothing to stop "
            "before the last timestep: leave it out",
        ),
        (
            {"schedule": "layer", "timesteps": 17},
            "--timesteps: expected at most 16 with --schedule layer and --code graded, found 17; "
            "3 spikes are near the ANN already, or give --code burst",
        ),
        (
            {"exponents": 4, "signed": True},
            "--signed: expected none with --code graded, found True; graded spikes have a sign already, so "
            "leave it out",
        ),
        (
            {"until_rest": True, "max_spikes": 4},
            "--max-spikes: expected none with --code graded, found 4; a neuron sends one spike a timestep, "
            "of any size, so leave it out",
        ),
    ],
)
def test_exponents_and_digits_have_bounds(given, message):
    with pytest.raises(OptionError) as caught:
        CompileOptions(**given)
    assert str(caught.value) == message


def test_the_rule_that_suits_a_code_is_its_default():
    assert [CompileOptions(code=code).threshold for code in ("burst", "graded")] == ["mse", "percentile"]
    assert CompileOptions(code="graded", threshold="mse").threshold == "mse"


def test_each_layer_may_have_exponents_of_its_own():
    chosen = CompileOptions(code="graded", exponents="auto")
    assert (chosen.exponents, chosen.spike_budget, chosen.adapts) == (8, "100%", True)
    compressed = CompileOptions(code="graded", compress="energy")
    assert (compressed.exponents, compressed.spike_budget, compressed.adapts) == (8, None, True)


def test_graded_spikes_have_exponents_by_default():
    chosen = CompileOptions(code="graded")
    assert (chosen.exponents, chosen.max_spikes, chosen.acts_on_sums) == (8, 1, True)
    assert (CompileOptions(**BURST).exponents, CompileOptions(**BURST).acts_on_sums) == (None, False)
