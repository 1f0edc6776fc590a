"""Options that several commands have: as they are declared, and what their words mean."""

from __future__ import annotations

from types import SimpleNamespace

import click
import pytest
from click.testing import CliRunner

from onnx2snn.cli.compile import compile_command
from onnx2snn.cli.options import (
    PREPROCESSING,
    check_positive,
    compile_options,
    compile_sections,
    declared,
    read_preprocessing,
    read_timesteps,
    recorded,
    sample_options,
)
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.errors import OptionError
from onnx2snn.options import DECLARATIONS, SECTIONS, CompileOptions

NOTHING = dict.fromkeys([name for names in PREPROCESSING.values() for name in names])


def given(name, *arguments):
    """What a command with one of the compiler's options gets, and what it prints."""
    seen = []
    command = click.command()(declared(name)(lambda **values: seen.append(values[name])))
    result = CliRunner().invoke(command, arguments, standalone_mode=False)
    return seen[0] if seen else str(result.exception)


@pytest.mark.parametrize(
    ("name", "arguments", "value"),
    [
        ("timesteps", [], 8),
        ("timesteps", ["-T", "3"], 3),
        ("timesteps", ["--timesteps", "3"], 3),
        ("max_spikes", [], None),
        ("max_spikes", ["-G", "2"], 2),
        ("max_spikes", ["--max-spikes", "auto"], "auto"),
        ("max_spikes", ["--max-spikes", "few"], "'few' is not a valid integer."),
        ("levels", ["--levels", "3"], 3),
        ("percentile", ["--percentile", "99"], 99.0),
        ("signed", [], False),
        ("signed", ["--signed"], True),
        ("correct_bias", [], True),
        ("correct_bias", ["--no-correct-bias"], False),
        ("schedule", ["--schedule", "layer"], "layer"),
        ("schedule", ["--schedule", "Layer"], "'Layer' is not one of 'stream', 'layer'."),
        ("early_exit", ["--early-exit", "confidence:0.5"], "confidence:0.5"),
        ("max_loss", ["--max-loss", "0.5"], 0.5),
    ],
)
def test_an_option_is_as_it_is_declared(name, arguments, value):
    assert given(name, *arguments) == value
    assert type(given(name, *arguments)) is type(value)


def test_all_options_of_the_compiler_are_those_of_the_command():
    names = {parameter.name for parameter in compile_command.params}
    assert set(DECLARATIONS) <= names
    collected = click.command()(compile_options(lambda: None))
    assert [parameter.name for parameter in collected.params] == [
        name for name in DECLARATIONS if name != "batch_size"
    ]
    assert {p.name: p.default for p in collected.params if p.default is not None}["timesteps"] == 8


def test_sections_have_every_option_that_names_one():
    sections = compile_sections()
    assert list(sections) == list(SECTIONS)
    assert [name for names in sections.values() for name in names] == [
        name for section in SECTIONS for name, one in DECLARATIONS.items() if one.section == section
    ]
    assert "timesteps" in next(iter(sections.values()))


def test_most_samples_are_said_in_the_help():
    def help_of(most):
        command = click.command()(sample_options(lambda: None, most))
        return CliRunner().invoke(command, ["--help"]).stdout

    assert "[default: all]" in help_of(None)
    assert "[default: 256]" in help_of(256)


# What words mean


def test_what_is_not_given_stays():
    base = Preprocessing(scale=0.5, mean=(1.0,), layout="NHWC")
    assert read_preprocessing(dict(NOTHING), base) == base
    values = NOTHING | {"scale": "1/4", "std": "2,4", "resize": "3,5", "timesteps": 8}
    found = read_preprocessing(values, base)
    assert found == Preprocessing(scale=0.25, mean=(1.0,), std=(2.0, 4.0), layout="NHWC", resize=(3, 5))
    assert values == {"timesteps": 8}
    replaced = read_preprocessing(NOTHING | {"mean": "0.5", "layout": "NCHW"}, base)
    assert (replaced.mean, replaced.layout, replaced.scale) == ((0.5,), "NCHW", 0.5)


def test_preprocessing_is_that_of_the_artifact():
    def of(metadata, **values):
        record = SimpleNamespace(preprocessing=metadata.get("preprocessing", {}))
        session = SimpleNamespace(artifact=SimpleNamespace(record=record))
        return recorded(session, NOTHING | values)

    compiled = Preprocessing(scale=0.5, std=(2.0,))
    assert of({"preprocessing": compiled.to_dict()}) == compiled
    assert of({"preprocessing": compiled.to_dict()}, scale="1") == Preprocessing(scale=1.0, std=(2.0,))
    assert of({}) == Preprocessing()


@pytest.mark.parametrize(
    ("text", "compiled", "steps"),
    [
        (None, 1, [1]),
        (None, 2, [1, 2]),
        (None, 6, [1, 2, 4, 6]),
        (None, 8, [1, 2, 4, 8]),
        (None, 9, [1, 2, 4, 8, 9]),
        ("8,2,8", 4, [2, 8]),
        ("3", 8, [3]),
    ],
)
def test_timesteps_to_report(text, compiled, steps):
    assert read_timesteps(text, compiled) == steps


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("4,x", "expected numbers such as 1,2,4,8, found '4,x'; separate them by commas"),
        ("", "expected numbers such as 1,2,4,8, found ''; separate them by commas"),
        ("2.5", "expected numbers such as 1,2,4,8, found '2.5'; separate them by commas"),
        ("4,-1", "expected numbers of at least 1, found -1; leave it out for all to T"),
        ("0", "expected numbers of at least 1, found 0; leave it out for all to T"),
    ],
)
def test_timesteps_that_are_none(text, message):
    with pytest.raises(OptionError) as caught:
        read_timesteps(text, 8)
    assert str(caught.value) == f"--timesteps: {message}"


def test_a_number_of_at_least_one():
    check_positive("--samples", 1)
    with pytest.raises(OptionError) as caught:
        check_positive("--samples", 0)
    assert str(caught.value) == "--samples: expected at least 1, found 0; leave it out for the default"


def test_defaults_on_the_command_line_are_those_in_python():
    options = CompileOptions()
    said = {p.name: p.default for p in compile_command.params if p.name in DECLARATIONS}
    for name in ("timesteps", "percentile", "granularity", "schedule", "refit", "batch_size"):
        assert said[name] == getattr(options, name)
