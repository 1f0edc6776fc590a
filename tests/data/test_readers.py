from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from onnx2snn.data.readers import dataset_from_arrays, open_dataset
from tests.data.reader_cases import PAIR, VECTOR, floats, pixels, spec, whole

# --- kinds of array data ---


@pytest.mark.parametrize("key", ["images", "x", "anything"])
def test_npz_of_a_single_input(tmp_path: Path, key: str) -> None:
    np.savez(tmp_path / "d.npz", **{key: floats(3, 2)}, labels=np.array([2, 0, 1], np.uint8))
    data = open_dataset(tmp_path / "d.npz", VECTOR)
    assert len(data) == 3
    assert data.source == "d.npz"
    assert data.label_names is None
    assert data.labels is not None
    assert data.labels.dtype == np.int64
    np.testing.assert_array_equal(data.labels, [2, 0, 1])
    np.testing.assert_array_equal(whole(data), floats(3, 2))


def test_the_input_name_is_preferred_to_images(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", images=floats(1, 9), x=floats(1, 2))
    np.testing.assert_array_equal(whole(open_dataset(tmp_path / "d.npz", VECTOR)), floats(1, 2))


def test_labels_are_data_where_an_input_has_that_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", labels=floats(1, 2))
    data = open_dataset(tmp_path / "d.npz", [spec(None, 2, name="labels")])
    assert data.labels is None
    np.testing.assert_array_equal(whole(data, name="labels"), floats(1, 2))


def test_npz_of_several_inputs(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", a=floats(3, 2), b=floats(3, 1), unused=np.array([object()]))
    batches = list(open_dataset(tmp_path / "d.npz", PAIR).batches(2))
    assert [set(batch) for batch in batches] == [{"a", "b"}, {"a", "b"}]
    np.testing.assert_array_equal(batches[1]["a"], floats(3, 2)[2:])
    np.testing.assert_array_equal(batches[1]["b"], floats(3, 1)[2:])


@pytest.mark.parametrize("path_type", [str, Path])
def test_npy(tmp_path: Path, path_type: type) -> None:
    np.save(tmp_path / "d.npy", floats(5, 2))
    data = open_dataset(path_type(tmp_path / "d.npy"), VECTOR)
    assert data.labels is None
    assert [len(batch["x"]) for batch in data.batches(2)] == [2, 2, 1]
    np.testing.assert_array_equal(whole(data), floats(5, 2))


def test_directory_is_read_in_order_of_name_and_takes_single_samples(tmp_path: Path) -> None:
    np.save(tmp_path / "b.npy", floats(5, 2)[2])
    np.savez(tmp_path / "a.npz", images=floats(5, 2)[:2])
    np.save(tmp_path / "C.NPY.npy", np.zeros((0, 2), np.float32))
    np.save(tmp_path / "c.npy", floats(5, 2)[3:])
    (tmp_path / "README.txt").write_text("not data")
    (tmp_path / "._a.npz").write_text("not data either")
    data = open_dataset(tmp_path, VECTOR)
    assert data.source == tmp_path.name
    assert [len(batch["x"]) for batch in data.batches(4)] == [4, 1]
    np.testing.assert_array_equal(whole(data, 4), floats(5, 2))


def test_labels_of_a_directory_are_joined_and_cut(tmp_path: Path) -> None:
    np.savez(tmp_path / "b.npz", images=floats(2, 2), labels=np.array([7, 8]))
    np.savez(tmp_path / "a.npz", images=floats(2, 2), labels=np.array([5, 6]))
    data = open_dataset(tmp_path, VECTOR, max_samples=3)
    assert len(data) == 3
    assert data.labels is not None
    assert data.labels.tolist() == [5, 6, 7]
    np.testing.assert_array_equal(whole(data), np.concatenate([floats(2, 2), floats(1, 2)]))


def test_arrays_in_memory() -> None:
    data = dataset_from_arrays(floats(3, 2), VECTOR, labels=np.array([1, 2, 3]), max_samples=2)
    assert data.source == "arrays"
    assert data.labels is not None
    assert data.labels.tolist() == [1, 2]
    np.testing.assert_array_equal(whole(data), floats(2, 2))


def test_mapping_in_memory_brings_its_labels() -> None:
    data = dataset_from_arrays({"a": floats(2, 2), "b": floats(2, 1), "labels": np.array([3, 4])}, PAIR)
    assert data.labels is not None
    assert data.labels.tolist() == [3, 4]
    np.testing.assert_array_equal(whole(data, name="b"), floats(2, 1))


# --- laziness ---


def test_npy_is_mapped_not_read(tmp_path: Path) -> None:
    np.save(tmp_path / "d.npy", floats(4, 2))
    stored = open_dataset(tmp_path / "d.npy", VECTOR).parts[0].read()["x"]
    assert isinstance(stored, np.memmap)


def test_files_are_opened_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        np.savez(tmp_path / f"{name}.npz", images=pixels(2, 2))
    opened = []
    load = np.load
    monkeypatch.setattr(np, "load", lambda file, **options: opened.append(file.name) or load(file, **options))
    batches = open_dataset(tmp_path, VECTOR).batches(2)
    assert opened == []
    next(batches)
    assert opened == ["a.npz"]
