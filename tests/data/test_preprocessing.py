from __future__ import annotations

import json
import re

import numpy as np
import pytest

from onnx2snn.data.preprocessing import (
    Preprocessing,
    infer_layout,
    parse_floats,
    parse_scale,
    parse_size,
)
from onnx2snn.errors import OptionError

FULL = Preprocessing(
    scale=1 / 255, mean=(0.5, 0.25, 0.0), std=(1.0, 2.0, 4.0), layout="NHWC", resize=(32, 16)
)


def test_default_only_casts() -> None:
    array = np.array([[0, 255], [-3, 7]], np.int16)
    result = Preprocessing().apply(array, "NCHW")
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, [[0, 255], [-3, 7]])


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_normalises_the_channel_axis_of_the_layout(layout: str) -> None:
    channels = np.array([[[[10]], [[20]], [[30]]]], np.uint8)  # [1, 3, 1, 1]
    array = channels if layout == "NCHW" else channels.transpose(0, 2, 3, 1)
    rule = Preprocessing(scale=0.1, mean=(1.0, 0.0, 5.0), std=(1.0, 2.0, 4.0))
    result = rule.apply(array, layout)
    assert result.shape == array.shape
    np.testing.assert_allclose(result.ravel(), [0.0, 1.0, -0.5], rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(4,), (4, 5), (4, 2, 3, 3)])
def test_one_value_serves_every_channel_of_any_rank(shape: tuple[int, ...]) -> None:
    result = Preprocessing(mean=(1.0,), std=(2.0,)).apply(np.full(shape, 5, np.int64), "NCHW")
    np.testing.assert_array_equal(result, np.full(shape, 2.0))


def test_does_not_change_its_argument() -> None:
    array = np.ones((1, 1, 2, 2), bool)
    Preprocessing(mean=(1.0,)).apply(array, "NCHW")
    assert array.all()


def test_a_value_past_float32_becomes_infinite_without_a_warning() -> None:
    assert np.isposinf(Preprocessing(scale=1e300).apply(np.array([[1]]), "NCHW")).all()


@pytest.mark.parametrize("name", ["mean", "std"])
@pytest.mark.parametrize("shape", [(2, 1, 4, 4), (2,)])
def test_refuses_values_that_are_not_one_a_channel(name: str, shape: tuple[int, ...]) -> None:
    with pytest.raises(OptionError, match=rf"{name}: expected 1 value or 1 .*NCHW.* found 3"):
        Preprocessing(**{name: (1.0, 2.0, 3.0)}).apply(np.zeros(shape, np.uint8), "NCHW")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"scale": float("nan")}, "scale: expected a finite number"),
        ({"scale": 0}, "scale: expected a finite number other than 0, found 0"),
        ({"scale": "1"}, "scale: expected a finite number"),
        ({"mean": (0.0, float("inf"))}, "mean: expected finite numbers"),
        ({"std": (1.0, 0.0)}, "std: expected finite numbers other than 0"),
        ({"std": (float("nan"),)}, "std: expected finite numbers"),
        ({"mean": (0.0, 0.0), "std": (1.0, 1.0, 1.0)}, "as many values in both, found 2 and 3"),
        ({"layout": "NWHC"}, "layout: expected NCHW or NHWC, found 'NWHC'"),
        ({"resize": (0, 4)}, "resize: expected a positive height and width"),
        ({"resize": (4,)}, "resize: expected a positive height and width"),
        ({"resize": (4.0, 4.0)}, "resize: expected a positive height and width"),
        ({"frames": "count:1", "sensor": (0, 4)}, "sensor: expected a positive height and width"),
        (
            {"frames": "count"},
            "frames: expected one such as .* or count:30, found 'count'",
        ),
        ({"polarity": "both"}, "polarity: expected channels, signed or sum, found 'both'"),
        ({"normalize": "std"}, "normalize: expected none, binary or max, found 'std'"),
        ({"sensor": (4, 4)}, "sensor: expected only with --frames, which event recordings need; add that"),
        ({"polarity": "sum"}, "polarity: expected only with --frames"),
    ],
)
def test_refuses_bad_fields(fields: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Preprocessing(**fields)


@pytest.mark.parametrize("rule", [Preprocessing(), FULL])
def test_survives_json(rule: Preprocessing) -> None:
    assert Preprocessing.from_dict(json.loads(json.dumps(rule.to_dict()))) == rule


def test_numpy_numbers_are_recorded_too() -> None:
    recorded = json.dumps(Preprocessing(scale=np.float32(0.5), mean=(np.float32(0.25),)).to_dict())
    assert Preprocessing.from_dict(json.loads(recorded)) == Preprocessing(scale=0.5, mean=(0.25,))


@pytest.mark.parametrize("values", [{}, {"scale": None, "mean": None, "std": None, "resize": None}])
def test_missing_and_null_fields_take_their_defaults(values: dict[str, object]) -> None:
    assert Preprocessing.from_dict(values) == Preprocessing()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"gamma": 1}, "preprocessing: expected the fields scale, .* found gamma"),
        ({"mean": 0.5}, "mean: expected a list of numbers, found 0.5"),
        ({"std": ["1"]}, "std: expected finite numbers"),
        ({"scale": [1]}, "scale: expected a finite number"),
        ({"resize": [32]}, "resize: expected a positive height and width"),
    ],
)
def test_from_dict_refuses_what_to_dict_never_writes(values: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Preprocessing.from_dict(values)


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((None, 3, 32, 32), "NCHW"),
        ((None, 32, 32, 3), "NHWC"),
        ((1, 28, 28, 1), "NHWC"),
        ((None, None, None, 4), "NHWC"),
        ((None, 3, None, None), "NCHW"),
        ((None, None, None, None), "NCHW"),
        ((None, 1, 28, 3), "NCHW"),
        ((None, 16, 8, 8), "NCHW"),
        ((None, 3), "NCHW"),
        ((1,), "NCHW"),
    ],
)
def test_infer_layout(shape: tuple[int | None, ...], layout: str) -> None:
    assert infer_layout(shape) == layout


@pytest.mark.parametrize(
    ("text", "value"), [("1/255", 1 / 255), ("0.5", 0.5), (" 2 / 4 ", 0.5), ("-1e-3", -1e-3)]
)
def test_parse_scale(text: str, value: float) -> None:
    assert parse_scale(text) == value


@pytest.mark.parametrize("text", ["", "x", "1/0", "1/2/3", "1/", "nan", "inf", "1e400"])
def test_parse_scale_refuses(text: str) -> None:
    with pytest.raises(OptionError, match=f"^scale: expected .*found '?{text}'?(; |$)"):
        parse_scale(text)


def test_parse_floats() -> None:
    assert parse_floats("0.485, 0.456,1") == (0.485, 0.456, 1.0)


@pytest.mark.parametrize("text", ["", "1,,2", "1;2", "1,nan"])
def test_parse_floats_refuses(text: str) -> None:
    with pytest.raises(OptionError, match=re.escape(f"found '{text}'")):
        parse_floats(text)


def test_parse_size() -> None:
    assert parse_size("32, 16") == (32, 16)


@pytest.mark.parametrize("text", ["", "32", "32,32,3", "32x32", "0,4", "4,-1", "1.5,2"])
def test_parse_size_refuses(text: str) -> None:
    with pytest.raises(OptionError, match=r"^resize: expected"):
        parse_size(text)


def test_normalises_each_sample_before_scaling() -> None:
    array = np.array([[0, -2, 4], [0, 0, 0]], np.int32)
    binary = Preprocessing(scale=0.5, normalize="binary").apply(array, "NCHW")
    np.testing.assert_array_equal(binary, [[0, -0.5, 0.5], [0, 0, 0]])
    largest = Preprocessing(scale=2, normalize="max").apply(array, "NCHW")
    np.testing.assert_array_equal(largest, [[0, -1, 2], [0, 0, 0]])


def test_what_events_need_is_recorded_where_they_are() -> None:
    chosen = Preprocessing(frames="time:10ms", polarity="sum", sensor=(34, 40), normalize="binary")
    recorded = json.loads(json.dumps(chosen.to_dict()))
    assert recorded["sensor"] == [34, 40]
    assert Preprocessing.from_dict(recorded) == chosen
    assert not {"frames", "polarity", "sensor", "normalize"} & Preprocessing().to_dict().keys()
