"""Weights that stay in files: what refers to them, what reads them, and what may not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnx2snn.errors import ModelError
from onnx2snn.model import weights
from onnx2snn.model.file import load_model
from onnx2snn.model.weights import (
    contents,
    inline,
    is_mapped,
    is_present,
    map_file,
    model_bytes,
    pieces,
    place_in_file,
    place_of,
    references,
    take_references,
    to_tensor,
    values_of,
    weight_bytes,
    with_checksums,
)
from tests.helpers import normal, parse, save_outside

pytestmark = pytest.mark.usefixtures("small_messages")

NET = "(float[N,16] x) => (float[N,4] y) { a = MatMul(x, w1) r = Relu(a) y = MatMul(r, w2) }"


@pytest.fixture
def model(rng) -> onnx.ModelProto:
    return parse(NET, **normal(rng, w1=(16, 32), w2=(32, 4)))


@pytest.fixture
def loaded(model, tmp_path) -> onnx.ModelProto:
    return load_model(save_outside(model, tmp_path / "net.onnx"))


def test_large_weights_of_a_large_model_stay_in_their_file(loaded, model, tmp_path):
    assert [tensor.name for tensor in references(loaded)] == ["w1", "w2"]
    for found, expected in zip(loaded.graph.initializer, model.graph.initializer, strict=True):
        assert place_of(found)[0] == str((tmp_path / "net.data").resolve())
        values = values_of(found)
        assert is_mapped(values)
        assert not values.flags.writeable
        np.testing.assert_array_equal(values, onnx.numpy_helper.to_array(expected))
        assert b"".join(contents(found)) == expected.raw_data


def test_sizes_count_what_is_in_files(loaded, model):
    assert weight_bytes(loaded) == weight_bytes(model) == 4 * (16 * 32 + 32 * 4)
    assert loaded.ByteSize() < 1000
    assert model_bytes(loaded) == loaded.ByteSize() + weight_bytes(model)
    assert model_bytes(model) == model.ByteSize()


def test_read_into_the_model_it_is_what_it_was(loaded, model):
    inline(loaded)
    assert loaded.SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)


def test_large_weights_inside_go_to_a_file_as_well(model, tmp_path):
    onnx.save(model, tmp_path / "net.onnx")
    loaded = load_model(tmp_path / "net.onnx")
    assert [tensor.name for tensor in references(loaded)] == ["w1", "w2"]
    inline(loaded)
    assert loaded.SerializeToString(deterministic=True) == model.SerializeToString(deterministic=True)


def test_a_checksum_stands_for_the_values_wherever_they_are(loaded, model, tmp_path):
    onnx.save(model, tmp_path / "whole.onnx")
    other = load_model(tmp_path / "whole.onnx")
    assert other.SerializeToString() != loaded.SerializeToString()
    assert with_checksums(other).SerializeToString() == with_checksums(loaded).SerializeToString()
    changed = np.array(onnx.numpy_helper.to_array(model.graph.initializer[1]))
    changed[-1, -1] += 1
    model.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(changed, "w2"))
    different = load_model(save_outside(model, tmp_path / "other.onnx"))
    assert with_checksums(different).SerializeToString() != with_checksums(loaded).SerializeToString()


def test_files_that_nobody_looked_at_are_not_read(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(4096))
    tensor = TensorProto(
        name="w", data_type=TensorProto.FLOAT, dims=[1024], data_location=TensorProto.EXTERNAL
    )
    for key, value in (("location", str(secret)), ("offset", "0"), ("length", "4096")):
        tensor.external_data.add(key=key, value=value)
    assert not is_present(tensor)
    with pytest.raises(ModelError, match="weights 'w': expected them in the model"):
        values_of(tensor)


def test_a_file_that_is_gone(loaded, tmp_path):
    assert all(map(is_present, loaded.graph.initializer))
    (tmp_path / "net.data").unlink()
    with pytest.raises(ModelError, match=r"weights 'w1': .* give the path of the model's file"):
        values_of(loaded.graph.initializer[0])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"length": "8"}, r"'w1' needs 2048 bytes from 0 on of net\.data, found 8"),
        ({"offset": "600"}, r"'w1' needs 2048 bytes from 600 on of net\.data, found 1960"),
        ({"offset": "2560"}, r"net\.onnx: the model or its external data"),
        ({"offset": "-4"}, r"net\.onnx: the model or its external data"),
        ({"location": "../net.data"}, r"net\.onnx: the model or its external data"),
        ({"location": "/etc/hostname"}, r"net\.onnx: the model or its external data"),
        ({"location": ""}, r"net\.onnx: the model or its external data"),
    ],
)
def test_places_that_are_none(model, tmp_path, change, said):
    path = save_outside(model, tmp_path / "net.onnx")
    light = onnx.load(path, load_external_data=False)
    for entry in light.graph.initializer[0].external_data:
        entry.value = change.get(entry.key, entry.value)
    path.write_bytes(light.SerializeToString())
    with pytest.raises(ModelError, match=said) as caught:
        load_model(path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_link_out_of_the_folder_is_not_followed(model, tmp_path):
    (tmp_path / "inside").mkdir()
    save_outside(model, tmp_path / "net.onnx").rename(tmp_path / "inside" / "net.onnx")
    (tmp_path / "inside" / "net.data").symlink_to(tmp_path / "net.data")
    with pytest.raises(ModelError, match=r"net\.onnx: the model or its external data cannot be read"):
        load_model(tmp_path / "inside" / "net.onnx")


def test_views_know_their_place(tmp_path):
    (tmp_path / "f").write_bytes(np.arange(24, dtype=np.float32).tobytes())
    array = map_file(str(tmp_path / "f"), np.dtype(np.float32), (4, 5), 16)
    for view, offset in ((array, 16), (array[1:], 36), (np.asarray(array).reshape(5, 4)[2:], 48)):
        assert place_in_file(view) == (str(tmp_path / "f"), offset)
    assert is_mapped(array.T)
    for other in (array.T, array[:, 1:], array + 1, np.ones(3)):
        assert place_in_file(other) is None
    other = np.memmap(tmp_path / "f", np.float32, "r")
    assert place_in_file(other) is None  # somebody else's


def test_an_initializer_of_any_array(tmp_path):
    np.arange(256, dtype=np.float32).tofile(tmp_path / "f")
    array = map_file(str(tmp_path / "f"), np.dtype(np.float32), (16, 16))
    assert references(model_of(to_tensor("w", array)))
    for other in (array[:2], array.T, np.array(array)):
        tensor = to_tensor("w", other)
        assert not references(model_of(tensor))
        np.testing.assert_array_equal(values_of(tensor), other)


def test_those_of_a_body_are_found_and_taken(tmp_path):
    np.arange(256, dtype=np.float32).tofile(tmp_path / "f")
    tensor = to_tensor("w", map_file(str(tmp_path / "f"), np.dtype(np.float32), (16, 16)))
    body = model_of(tensor, numpy_of("small")).graph
    model = model_of(numpy_of("other"))
    model.graph.node.append(helper.make_node("Loop", ["n", "c"], ["o"], "loop", body=body))
    assert [item.name for item in references(model)] == ["w"]
    assert weight_bytes(model) == 1024 + 8
    assert [item.name for item in take_references(model.graph)] == ["w"]
    assert references(model) == []
    assert [item.name for item in weights.initializers(model.graph)] == ["other", "small"]


def numpy_of(name: str) -> TensorProto:
    return onnx.numpy_helper.from_array(np.float32(1), name)


def model_of(*initializers: TensorProto) -> onnx.ModelProto:
    return helper.make_model(helper.make_graph([], "g", [], [], list(initializers)))


def test_pieces_are_the_whole(monkeypatch):
    monkeypatch.setattr(weights, "PIECE", 100)
    array = np.arange(70, dtype=np.float32).reshape(7, 10)
    parts = list(pieces(array))
    assert [part.shape for _, part in parts] == [(2, 10)] * 3 + [(1, 10)]
    np.testing.assert_array_equal(np.concatenate([array[place] for place, _ in parts]), array)
    wide = np.zeros((2, 1000), np.float32)  # a row is the least
    assert [part.shape for _, part in pieces(wide)] == [(1, 1000)] * 2


def test_what_is_let_go_is_there_again(tmp_path):
    Path(tmp_path / "f").write_bytes(np.arange(4096, dtype=np.float32).tobytes())
    array = map_file(str(tmp_path / "f"), np.dtype(np.float32), (4096,))
    assert array.sum() == np.arange(4096).sum()
    weights.let_go()
    assert array.sum() == np.arange(4096).sum()
