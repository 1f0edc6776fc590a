"""A data set: its batches, every so many of its samples, and what an input makes of stored arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnx2snn.data.dataset import fit_array
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.data.readers import Dataset, InputSpec, dataset_from_arrays
from onnx2snn.errors import DataError, OptionError
from tests.data.reader_cases import CHW, HWC, VECTOR, floats, pixels, spec, whole


def test_batches_are_copies() -> None:
    array = floats(1, 2)
    next(dataset_from_arrays(array, VECTOR).batches(1))["x"][:] = -1
    np.testing.assert_array_equal(array, floats(1, 2))


@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(any), batch_size=st.integers(1, 9))
def test_batches_join_to_the_whole_whatever_their_size(sizes: list[int], batch_size: int) -> None:
    samples = floats(sum(sizes), 2)
    pieces = np.split(samples, np.cumsum(sizes)[:-1])
    parts = [part for piece in pieces for part in dataset_from_arrays_or_nothing(piece)]
    data = Dataset(tuple(VECTOR), tuple(parts), Preprocessing(), "parts")
    for _ in range(2):  # re-iterable, in the same order
        lengths = [len(batch["x"]) for batch in data.batches(batch_size)]
        assert set(lengths[:-1]) <= {batch_size}
        assert 1 <= lengths[-1] <= batch_size
        np.testing.assert_array_equal(whole(data, batch_size), samples)


@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(any), stride=st.integers(1, 7))
def test_every_so_many_samples_are_taken_across_the_parts(sizes: list[int], stride: int) -> None:
    samples = floats(sum(sizes), 2)
    pieces = np.split(samples, np.cumsum(sizes)[:-1])
    parts = [part for piece in pieces for part in dataset_from_arrays_or_nothing(piece)]
    data = Dataset(tuple(VECTOR), tuple(parts), Preprocessing(), "parts", np.arange(len(samples))).every(
        stride
    )
    np.testing.assert_array_equal(whole(data, 2), samples[::stride])
    np.testing.assert_array_equal(data.labels, np.arange(len(samples))[::stride])
    assert len(data) == len(samples[::stride])


@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=4).filter(any), data=st.data())
def test_so_many_samples_are_spread_across_the_parts(sizes: list[int], data: st.DataObject) -> None:
    samples = floats(sum(sizes), 2)
    pieces = np.split(samples, np.cumsum(sizes)[:-1])
    parts = [part for piece in pieces for part in dataset_from_arrays_or_nothing(piece)]
    whole_set = Dataset(tuple(VECTOR), tuple(parts), Preprocessing(), "parts", np.arange(len(samples)))
    count = data.draw(st.integers(1, len(samples)))
    found = whole_set.spread(count)
    assert len(found) == count
    np.testing.assert_array_equal(whole(found, 2), samples[found.labels])
    assert {len(part) for part in np.split(np.arange(len(samples)), found.labels)[1:]} <= {
        len(samples) // count,
        -(-len(samples) // count),
    }
    np.testing.assert_array_equal(whole(found.every(2), 2), samples[found.labels[::2]])


def test_a_bad_sample_is_named_by_its_number_whatever_was_taken() -> None:
    samples = floats(10, 2)
    samples[6] = np.nan
    with pytest.raises(DataError, match=r"sample 6: expected finite values"):
        list(dataset_from_arrays(samples, VECTOR).every(3).batches(2))


def dataset_from_arrays_or_nothing(piece: np.ndarray) -> tuple[Any, ...]:
    return dataset_from_arrays(piece, VECTOR).parts if len(piece) else ()


def test_integers_are_preprocessed_and_floats_are_not() -> None:
    rule = Preprocessing(scale=0.5, mean=(1.0,), std=(2.0,))
    for dtype in ("uint8", "int64", "bool"):
        array = np.array([[0, 1]], dtype)
        np.testing.assert_array_equal(whole(dataset_from_arrays(array, VECTOR, rule)), [[-0.5, -0.25]])
    np.testing.assert_array_equal(whole(dataset_from_arrays(floats(1, 2), VECTOR, rule)), [[0, 1]])


@pytest.mark.parametrize("stored", ["float16", "float64", ">f4", "uint8"])
@pytest.mark.parametrize("wanted", ["float16", "float32", "float64"])
def test_batches_have_the_dtype_of_the_input(stored: str, wanted: str) -> None:
    result = whole(dataset_from_arrays(np.array([[1, 2]], stored), [spec(None, 2, dtype=wanted)]))
    assert result.dtype == np.dtype(wanted)
    np.testing.assert_array_equal(result, [[1, 2]])


def test_integer_inputs_take_integers_as_they_are() -> None:
    data = dataset_from_arrays(np.array([[1, 300]]), [spec(None, 2, dtype="int16")], Preprocessing(scale=0.5))
    assert whole(data).dtype == np.int16
    np.testing.assert_array_equal(whole(data), [[1, 300]])


def test_a_fixed_batch_dimension_does_not_bind_the_stored_arrays() -> None:
    assert len(dataset_from_arrays(floats(3, 2), [spec(1, 2)])) == 3


@pytest.mark.parametrize("inputs", [CHW, HWC], ids=["NCHW", "NHWC"])
@pytest.mark.parametrize("stored", ["NCHW", "NHWC"])
def test_integers_are_transposed_to_the_model(inputs: list[InputSpec], stored: str) -> None:
    chw = pixels(2, 3, 6, 5)
    rule = Preprocessing(mean=(1.0, 2.0, 3.0))
    expected = chw - np.array([1, 2, 3], np.float32).reshape(3, 1, 1)
    if inputs is HWC:
        expected = expected.transpose(0, 2, 3, 1)
    data = dataset_from_arrays(chw if stored == "NCHW" else chw.transpose(0, 2, 3, 1), inputs, rule)
    np.testing.assert_array_equal(whole(data), expected)


def test_an_array_that_fits_as_it_is_stays_as_it_is() -> None:
    array = pixels(1, 3, 3, 3)
    np.testing.assert_array_equal(whole(dataset_from_arrays(array, [spec(None, 3, 3, 3)])), array)


def test_the_channel_count_tells_where_the_model_is_dynamic() -> None:
    array = pixels(1, 2, 5, 3)
    anything = [spec(None, None, None, None)]
    as_nchw = dataset_from_arrays(array, anything)
    np.testing.assert_array_equal(whole(as_nchw), array.transpose(0, 3, 1, 2))
    as_nhwc = dataset_from_arrays(array, anything, Preprocessing(layout="NHWC"))
    np.testing.assert_array_equal(whole(as_nhwc), array)


def test_layout_option_says_where_the_channels_are() -> None:
    # By its shape alone this input is NHWC.
    inputs = [spec(None, 2, 5, 3)]
    rule = Preprocessing(mean=(1.0, 2.0), layout="NCHW")
    result = whole(dataset_from_arrays(np.zeros((1, 2, 5, 3), np.uint8), inputs, rule))
    np.testing.assert_array_equal(result[0, :, 0, 0], [-1, -2])


def test_only_one_batch_is_converted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    converted = []
    apply = Preprocessing.apply
    monkeypatch.setattr(
        Preprocessing,
        "apply",
        lambda self, array, layout: converted.append(len(array)) or apply(self, array, layout),
    )
    batches = dataset_from_arrays(pixels(10, 2), VECTOR).batches(3)
    next(batches)
    assert converted == [3]


def test_integer_arrays_are_not_resized() -> None:
    anything = [spec(None, 1, None, None)]
    rule = Preprocessing(resize=(4, 4))
    assert whole(dataset_from_arrays(pixels(1, 1, 4, 4), anything, rule)).shape == (1, 1, 4, 4)
    with pytest.raises(DataError, match=r"expected \[4, 4\] pixels, .* found \[2, 2\]"):
        dataset_from_arrays(pixels(1, 1, 2, 2), anything, rule)


@pytest.mark.parametrize(
    ("stride", "start", "expected"),
    [
        (1, 0, list(range(10))),
        (3, 0, [0, 3, 6, 9]),
        (3, 1, [1, 4, 7]),
        (3, 2, [2, 5, 8]),
        (4, 5, [5, 9]),
        (1, 2, [2, 3, 4, 5, 6, 7, 8, 9]),
        (2, 9, [9]),
        (20, 3, [3]),
    ],
)
def test_from_a_number_on(stride: int, start: int, expected: list[int]) -> None:
    """Across parts of 2, 3, 1 and 4 samples, of which more are stored than belong to the data."""
    samples, parts = floats(10, 2), []
    for first, count in ((0, 2), (2, 3), (5, 1), (6, 4)):
        stored = np.concatenate([samples[first : first + count], np.full((3, 2), -1, np.float32)])
        parts.append(replace(dataset_from_arrays(stored, VECTOR).parts[0], samples=count))
    data = Dataset(tuple(VECTOR), tuple(parts), Preprocessing(), "parts", np.arange(10))
    chosen = data.every(stride, start)
    np.testing.assert_array_equal(whole(chosen), samples[expected])
    assert chosen.labels is not None
    assert chosen.labels.tolist() == expected
    assert len(chosen) == len(expected)
    assert all(part.samples for part in chosen.parts)  # what has none of them is not read
    assert replace(data, labels=None).every(stride, start).labels is None


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as caught:
        call()
    return str(caught.value)


def test_arrays_that_do_not_fit_say_what_does() -> None:
    def fit(shape: tuple[int, ...], dtype: str, inputs: list[InputSpec], **rule: Any) -> tuple[int, ...]:
        return fit_array("a.npy", shape, np.dtype(dtype), inputs[0], Preprocessing(**rule))

    assert fit((9, 6, 5, 3), "uint8", CHW) == (9, 3, 6, 5)
    assert fit((9, 3, 6, 5), "float32", CHW) == (9, 3, 6, 5)
    assert refused(lambda: fit((9, 6, 5, 3), "float32", CHW)) == (
        "a.npy: expected shape [N, 3, 6, 5] for input 'x', found [9, 6, 5, 3]; reshape or transpose the array"
    )
    assert refused(lambda: fit((), "float32", [spec()])) == (
        "a.npy: expected shape [N] for input 'x', found []; reshape or transpose the array"
    )
    assert refused(lambda: fit((3, 2), "complex64", VECTOR)) == (
        "a.npy: expected floats or integers for input 'x' (float32), found dtype complex64; store a plain "
        "numeric array"
    )
    assert refused(lambda: fit((3, 2), "float32", [spec(None, 2, dtype="int8")])) == (
        "a.npy: expected integers for input 'x' (int8), found dtype float32; store a plain numeric array"
    )
    assert refused(lambda: fit((9, 3, 6, 5), "uint8", CHW, resize=(5, 6))) == (
        "a.npy: expected [5, 6] pixels, the size to resize images to, found [6, 5]; only image files are "
        "resized, so store the array in that size"
    )
    assert fit((9, 6, 5, 3), "uint8", HWC, resize=(6, 5)) == (9, 6, 5, 3)
    assert fit((9, 3, 6, 5), "float32", CHW, resize=(5, 6)) == (9, 3, 6, 5)


@pytest.mark.parametrize(
    ("bad", "dtype"), [(np.nan, "float32"), (-np.inf, "float64"), (1e39, "float32"), (300, "int8")]
)
def test_the_first_sample_that_cannot_be_an_input_is_named(bad: float, dtype: str) -> None:
    array = np.zeros((7, 2), np.int64 if dtype == "int8" else np.float64)
    array[[4, 6], 1] = bad
    batches = dataset_from_arrays(array, [spec(None, 2, dtype=dtype)]).batches(3)
    next(batches)
    assert refused(lambda: next(batches)) == (
        f"arrays['images'], sample 4: expected finite values in the range of {dtype} for input 'x', found "
        "NaN, infinity or a value past it; repair or remove the sample"
    )


def test_a_batch_of_none() -> None:
    with pytest.raises(OptionError) as caught:
        dataset_from_arrays(floats(2, 2), VECTOR).batches(0)
    assert str(caught.value) == "batch size: expected at least 1, found 0"


def test_batches_lie_in_memory_as_the_model_reads_them() -> None:
    (batch,) = dataset_from_arrays(pixels(2, 6, 5, 3), [spec(None, 3, 6, 5, dtype="uint8")]).batches(2)
    assert batch["x"].flags.c_contiguous


def test_vectors_are_not_resized() -> None:
    rule = Preprocessing(resize=(4, 4))
    assert whole(dataset_from_arrays(pixels(1, 2), VECTOR, rule)).shape == (1, 2)


@pytest.mark.parametrize(
    ("recordings", "first", "second"),
    [
        (None, [0, 2, 4], [1, 3]),
        ([3, 3, 5, 8, 8], [0, 1, 3, 4], [2]),  # whole recordings
        ([7, 7, 7, 7, 7], [0, 2, 4], [1, 3]),  # of one there are only its frames
    ],
)
def test_halves_share_nothing(recordings: list[int] | None, first: list[int], second: list[int]) -> None:
    data = dataset_from_arrays(floats(5, 2), VECTOR, labels=np.arange(5))
    if recordings is not None:
        data = replace(data, recordings=np.array(recordings))
    for half, rows in zip(data.halves(), (first, second), strict=True):
        np.testing.assert_array_equal(whole(half), floats(5, 2)[rows])
        np.testing.assert_array_equal(half.labels, rows)
        assert half.recordings is None or recordings is not None
        if recordings is not None:
            np.testing.assert_array_equal(half.recordings, np.array(recordings)[rows])
