"""One file, or a file and its weights: whole, old or new, whatever happens meanwhile."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from onnx2snn.errors import ModelError, OutputError
from onnx2snn.model import save, weights
from onnx2snn.model.file import load_model, serialize
from onnx2snn.model.save import save_model
from onnx2snn.model.weights import references
from tests.cli.calls import snapshot
from tests.helpers import normal, parse, save_outside

pytestmark = pytest.mark.usefixtures("small_messages")

NET = "(float[N,16] x) => (float[N,4] y) { a = MatMul(x, w1) r = Relu(a) y = MatMul(r, w2) }"


def net(seed: int, folder: Path) -> onnx.ModelProto:
    """A model whose weights are in a file."""
    (folder / str(seed)).mkdir(exist_ok=True)
    model = parse(NET, **normal(np.random.default_rng(seed), w1=(16, 32), w2=(32, 4)))
    return load_model(save_outside(model, folder / str(seed) / "source.onnx"))


@pytest.fixture
def models(tmp_path_factory) -> list[onnx.ModelProto]:
    folder = tmp_path_factory.mktemp("sources")
    return [net(seed, folder) for seed in range(2)]


def answer(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.ones((1, 16), np.float32)})[0]


def test_a_pair_runs_by_its_path(models, tmp_path):
    before = serialize(models[0])
    path, data = save_model(tmp_path / "net.onnx", models[0])
    assert sorted(snapshot(tmp_path)) == [data.name, "net.onnx"]
    onnx.checker.check_model(path)
    stored = onnx.load(path, load_external_data=False)
    places = [{entry.key: entry.value for entry in item.external_data} for item in references(stored)]
    assert {place["location"] for place in places} == {data.name}
    assert [int(place["offset"]) % 4096 for place in places] == [0, 0]
    expected = onnxruntime.InferenceSession(
        parse(NET, **normal(np.random.default_rng(0), w1=(16, 32), w2=(32, 4))).SerializeToString()
    ).run(None, {"x": np.ones((1, 16), np.float32)})[0]
    np.testing.assert_allclose(answer(path), expected, rtol=1e-5)
    assert serialize(models[0]) == before


def test_the_same_bytes_every_time(models, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        save_model(tmp_path / name / "net.onnx", models[0])
    assert snapshot(tmp_path / "one") == snapshot(tmp_path / "two")
    before = snapshot(tmp_path / "one")
    save_model(tmp_path / "one" / "net.onnx", models[0])
    assert snapshot(tmp_path / "one") == before


def test_values_that_are_read_twice_are_written_once(models, tmp_path):
    model = models[0]
    twin = model.graph.initializer.add()
    twin.CopyFrom(model.graph.initializer[0])
    twin.name = "twin"
    path, data = save_model(tmp_path / "net.onnx", model)
    assert data.stat().st_size == 4 * 16 * 32 + 2048 + 4 * 32 * 4
    assert len(references(onnx.load(path, load_external_data=False))) == 3


def test_a_pair_replaces_a_pair(models, tmp_path):
    path, first = save_model(tmp_path / "net.onnx", models[0])
    before = answer(path)
    path.chmod(0o640)
    _, second = save_model(path, models[1])
    assert first.name != second.name
    assert sorted(snapshot(tmp_path)) == [second.name, "net.onnx"]
    assert not np.allclose(answer(path), before)
    assert [stat.S_IMODE(file.stat().st_mode) for file in (path, second)] == [0o640] * 2


def test_one_file_replaces_a_pair(models, tmp_path):
    path, _ = save_model(tmp_path / "net.onnx", models[0])
    whole = parse(NET, **normal(np.random.default_rng(0), w1=(16, 32), w2=(32, 4)))
    assert save_model(path, whole) == [path]
    assert snapshot(tmp_path) == {"net.onnx": serialize(whole)}


def test_what_one_file_holds_is_one_file(models, tmp_path, monkeypatch):
    expected = parse(NET, **normal(np.random.default_rng(0), w1=(16, 32), w2=(32, 4)))
    before = serialize(models[0])
    monkeypatch.setattr(weights, "MOST_BYTES", 1 << 20)
    assert save_model(tmp_path / "net.onnx", models[0]) == [tmp_path / "net.onnx"]
    assert snapshot(tmp_path) == {"net.onnx": serialize(expected)}
    assert serialize(models[0]) == before


def test_other_files_stay(models, tmp_path):
    others = ["net.data", "net.0123456789abcdef.data", "other.0123456789abcdef.data", "net.onnx.bak"]
    for other in others:
        (tmp_path / other).write_text(other)
    path, data = save_model(tmp_path / "net.onnx", models[0])
    save_model(tmp_path / "other.onnx", models[0])
    save_model(path, models[1])
    left = set(snapshot(tmp_path))
    assert {*others, "net.onnx", "other.onnx"} < left
    assert data.name not in left
    assert answer(tmp_path / "other.onnx").shape == (1, 4)


def test_a_file_that_is_no_model_is_replaced(models, tmp_path):
    (tmp_path / "net.0123456789abcdef.data").write_text("mine")
    (tmp_path / "net.onnx").write_text("no model")
    path, data = save_model(tmp_path / "net.onnx", models[0])
    assert sorted(snapshot(tmp_path)) == sorted(["net.0123456789abcdef.data", data.name, path.name])


def test_a_link_stays_one(models, tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "net.onnx").touch()
    (tmp_path / "link.onnx").symlink_to(tmp_path / "there" / "net.onnx")
    save_model(tmp_path / "link.onnx", models[0])
    assert (tmp_path / "link.onnx").is_symlink()
    assert answer(tmp_path / "there" / "net.onnx").shape == (1, 4)


def fails(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def on_replace(count: int, error: BaseException) -> Callable[[Path, Path], Path]:
    """`Path.replace`, until it was called so often."""
    calls, replace = [], Path.replace

    def fail(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == count:
            raise error
        return replace(self, target)

    return fail


ERRORS = [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()]


@pytest.mark.parametrize("error", ERRORS, ids=["a full disk", "Ctrl-C"])
@pytest.mark.parametrize("existing", [False, True], ids=["nothing before", "a pair before"])
@pytest.mark.parametrize("place", ["weights", "model", "first rename", "second rename"])
def test_what_was_there_stays_whole(models, tmp_path, monkeypatch, place, existing, error):
    path = tmp_path / "net.onnx"
    if existing:
        save_model(path, models[0])
    before = snapshot(tmp_path)
    with monkeypatch.context() as patch:
        if place == "weights":
            patch.setattr(save, "contents", fails(error))
        elif place == "model":
            patch.setattr(Path, "write_bytes", fails(error))
        else:
            patch.setattr(Path, "replace", on_replace(1 if place == "first rename" else 2, error))
        expected = OutputError if isinstance(error, OSError) else KeyboardInterrupt
        with pytest.raises(expected) as caught:
            save_model(path, models[1])
    assert snapshot(tmp_path) == before
    if expected is OutputError:
        assert str(caught.value).startswith(f"{path}: cannot be written ([Errno 28] No space left")
        assert len(str(caught.value).splitlines()) == 1


def test_ctrl_c_behind_the_last_rename_leaves_the_new_pair(models, tmp_path, monkeypatch):
    path, _ = save_model(tmp_path / "net.onnx", models[0])
    replace = Path.replace

    def stopped(self: Path, target: Path) -> Path:
        result = replace(self, target)
        if target == path:
            raise KeyboardInterrupt
        return result

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stopped)
        with pytest.raises(KeyboardInterrupt):
            save_model(path, models[1])
    (named,) = {item.external_data[0].value for item in references(onnx.load(path, load_external_data=False))}
    assert (tmp_path / named).is_file()
    assert answer(path).shape == (1, 4)


def test_the_same_weights_stay_when_their_model_cannot_be_written(models, tmp_path, monkeypatch):
    """The new pair would have had the old one's file of weights."""
    path, _ = save_model(tmp_path / "net.onnx", models[0])
    before = snapshot(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", on_replace(2, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            save_model(path, models[0])
    assert snapshot(tmp_path) == before


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_folder_that_takes_nothing(models, tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="no permission to write there"):
        save_model(tmp_path / "net.onnx", models[0])


def test_a_folder_that_is_none(models, tmp_path):
    with pytest.raises(OutputError, match=r"the folder .* does not exist"):
        save_model(tmp_path / "none" / "net.onnx", models[0])


def test_weights_that_are_gone(models, tmp_path):
    path = Path(references(models[0])[0].external_data[0].value)
    path.unlink()
    with pytest.raises(ModelError, match="weights 'w1'"):
        save_model(tmp_path / "net.onnx", models[0])
    assert snapshot(tmp_path) == {}
