"""What goes into a run: refused in one line where it does not fit, counted, and cut."""

from __future__ import annotations

import numpy as np
import pytest

from onnx2snn.data.dataset import InputSpec
from onnx2snn.errors import DataError, OptionError
from onnx2snn.runtime.inputs import are_alike, check_inputs, check_timesteps, count_samples, cut

F32 = np.dtype(np.float32)
IMAGE = InputSpec("image", F32, (None, 2))
MASK = InputSpec("mask", np.dtype(np.int64), (None, 3))
SCALE = InputSpec("scale", F32, ())
GOOD = np.ones((4, 2), np.float32)


def test_one_array_is_the_first_input():
    found = check_inputs([IMAGE], GOOD)
    assert list(found) == ["image"]
    assert found["image"] is GOOD


def test_inputs_by_name_come_in_the_order_of_the_model():
    mask, scale = np.zeros((1, 3), np.int64), np.float32(2)
    found = check_inputs([IMAGE, MASK, SCALE], {"scale": scale, "mask": mask, "image": GOOD})
    assert list(found) == ["image", "mask", "scale"]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (
            GOOD[0],
            "input 'image': expected shape [N, 2], found [2]; reshape or transpose the array",
        ),
        (
            GOOD[:, :1],
            "input 'image': expected shape [N, 2], found [4, 1]; reshape or transpose the array",
        ),
        (
            GOOD.astype(np.float64),
            "input 'image': expected dtype float32, found float64; convert it with .astype('float32') and "
            "the model's preprocessing",
        ),
        (
            GOOD * np.float32(np.nan),
            "input 'image': expected finite values, found NaN or Inf; repair the samples",
        ),
        (
            GOOD * np.float32(-np.inf),
            "input 'image': expected finite values, found NaN or Inf; repair the samples",
        ),
    ],
)
def test_an_array_that_does_not_fit(array, message):
    with pytest.raises(DataError) as caught:
        check_inputs([IMAGE], array)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("inputs", "found"),
    [({}, "none"), ({"mask": GOOD}, "mask"), ({"image": GOOD, "mask": GOOD, "a": GOOD}, "a, image, mask")],
)
def test_every_input_is_to_be_given_and_no_other(inputs, found):
    with pytest.raises(DataError) as caught:
        check_inputs([MASK, IMAGE], inputs)
    assert str(caught.value) == (f"inputs: expected image, mask, found {found}; give every input by its name")


def test_samples_are_counted_on_the_first_input_that_has_any():
    feeds = {"scale": np.float32(1), "image": GOOD, "mask": np.zeros((3, 3), np.int64)}
    assert count_samples([SCALE, IMAGE, MASK], feeds) == 4
    assert count_samples([MASK, IMAGE], feeds) == 3
    assert count_samples([SCALE], feeds) == 1


def test_inputs_are_alike_if_all_have_as_many_samples():
    feeds = {"scale": np.float32(1), "image": GOOD, "mask": np.zeros((3, 3), np.int64)}
    assert are_alike([SCALE, IMAGE], feeds)
    assert are_alike([SCALE], feeds)
    assert not are_alike([IMAGE, MASK], feeds)


@pytest.mark.parametrize(
    ("samples", "size", "sizes"),
    [(5, 5, [5]), (5, 9, [5]), (5, 4, [2, 3]), (6, 2, [2, 2, 2]), (7, 3, [2, 2, 3]), (3, 1, [1, 1, 1])],
)
def test_groups_are_of_about_one_size_and_lose_nothing(samples, size, sizes):
    x = np.arange(samples)
    groups = cut({"x": x, "y": -x}, samples, size)
    assert [len(group["x"]) for group in groups] == sizes
    np.testing.assert_array_equal(np.concatenate([group["x"] for group in groups]), x)
    np.testing.assert_array_equal(np.concatenate([group["y"] for group in groups]), -x)


def test_timesteps_are_as_compiled_or_as_somebody_says():
    assert check_timesteps(None, 8, "stream") == 8
    assert check_timesteps(np.int64(3), 8, "stream") == 3
    assert check_timesteps(8, 8, "layer") == 8


@pytest.mark.parametrize(
    ("given", "schedule", "said"),
    [
        (0, "stream", "timesteps: expected a whole number, at least 1, found 0; leave it out for 8"),
        (2.0, "stream", "timesteps: expected a whole number, at least 1, found 2.0; leave it out for 8"),
        (
            4,
            "layer",
            "timesteps: expected 8, which the levels of the network are made for, found 4; compile again "
            "with --timesteps 4",
        ),
    ],
)
def test_timesteps_that_no_run_has(given, schedule, said):
    with pytest.raises(OptionError) as caught:
        check_timesteps(given, 8, schedule)
    assert str(caught.value) == said
