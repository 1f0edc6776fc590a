"""The files of a page, whose folder it may be, and how they are written: half a page is known as one."""

from __future__ import annotations

import base64
import errno
import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnx2snn
from onnx2snn.analysis.evaluation import open_reference
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.errors import ModelError, OutputError
from onnx2snn.runtime.session import SpikingSession
from onnx2snn.web import page as module
from onnx2snn.web.page import INDEX, check_folder, make_page, save_page
from tests.helpers import normal, parse
from tests.web.web_pages import RUNTIME

MARK = '<meta name="generator" content="onnx2snn web">'


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    """An ANN, and what it was compiled to, with an early exit and without."""
    rng, folder = np.random.default_rng(0), tmp_path_factory.mktemp("net")
    ann = parse("(float[N,6] x) => (float[N,3] y) { r = Relu(x) y = Gemm(r, v) }", **normal(rng, v=(6, 3)))
    onnx.save(ann, folder / "ann.onnx")
    x = rng.uniform(0, 1, (4, 6)).astype(np.float32)
    np.save(folder / "x.npy", x)
    for name, more in (("net", {}), ("exit", {"early_exit": "confidence:0.9"})):
        onnx2snn.compile(folder / "ann.onnx", x, timesteps=2, **{"code": "burst", **more}).save(
            folder / f"{name}.snn.onnx"
        )
    return folder


def made(net: Path, name="net", reference=False, samples=2, labels=None) -> dict[str, bytes]:
    source = net / f"{name}.snn.onnx"
    session = SpikingSession(source)
    dataset = dataset_from_arrays(np.load(net / "x.npy")[:samples], session.inputs, labels=labels)
    ann = open_reference(net / "ann.onnx", session) if reference else None
    return make_page(source, session, dataset, RUNTIME, ann)


def description(files: dict[str, bytes]) -> dict:
    text = files["description.js"].decode("ascii")
    return json.loads(text.removeprefix("describe(").removesuffix(");\n"))


def embedded(files: dict[str, bytes], name: str) -> bytes:
    before, _, packed = files[f"{name}.js"].decode("ascii").partition('", "')
    assert before == f'embed("{name}'
    return gzip.decompress(base64.b64decode(packed.removesuffix('");\n')))


def test_models_samples_and_runtime_are_in_it(net):
    files = made(net)
    assert embedded(files, "models/artifact") == (net / "net.snn.onnx").read_bytes()
    assert embedded(files, "samples/0") == np.load(net / "x.npy")[:2].astype("<f4").tobytes()
    assert files["onnxruntime-web/ort.js"] == b"script"
    assert embedded(files, "onnxruntime-web/loader") == b"loader"
    assert embedded(files, "onnxruntime-web/wasm") == b"binary"
    assert {INDEX, "page.css", "page.js", "onnxruntime-web/LICENSE.txt"} <= files.keys()
    assert MARK in files[INDEX].decode()


def test_what_the_page_reads_of_the_network(net):
    found = description(made(net, labels=np.array([2, 0])))
    assert (found["name"], found["timesteps"], found["schedule"]) == ("net.snn.onnx", 2, "stream")
    assert found["inputs"] == [{"name": "x", "type": "float32", "dims": [6]}]
    assert (found["batch"], found["output"], found["exit"], found["reference"]) == (1, "y", None, None)
    assert (found["samples"], found["labels"], found["classes"]) == (2, [2, 0], ["0", "1", "2"])
    assert [layer["neurons"] for layer in found["layers"]] == [6]


def test_the_ann_is_in_it_where_one_is_given(net):
    assert "models/ann.js" not in made(net)
    files = made(net, reference=True)
    assert embedded(files, "models/ann") == onnx.load(net / "ann.onnx").SerializeToString()
    assert description(files)["reference"] == {"name": "ann.onnx", "inputs": {"x": "x"}, "output": "y"}


def test_an_exit_of_the_file_is_described(net):
    found = description(made(net, "exit"))["exit"]
    (output,) = (o.name for o in onnx.load(net / "exit.snn.onnx").graph.output if o.name != "y")
    assert found == {
        "output": output,
        "criterion": "confidence",
        "thresholds": [0.9],
        "probabilities": False,
    }


def test_the_same_arguments_give_the_same_bytes(net):
    assert made(net, reference=True) == made(net, reference=True)


def test_names_are_ascii_in_the_script(net):
    source = net / "net.snn.onnx"
    session = SpikingSession(source)
    dataset = dataset_from_arrays(np.load(net / "x.npy"), session.inputs)
    named = replace(dataset, label_names=("</script>", 'quo"te', "层"))
    files = make_page(source, session, named, RUNTIME)
    assert description(files)["classes"] == ["</script>", 'quo"te', "层"]


def test_progress_is_told_of_every_sample(net):
    session = SpikingSession(net / "net.snn.onnx")
    dataset = dataset_from_arrays(np.load(net / "x.npy"), session.inputs)
    done: list[int] = []
    make_page(net / "net.snn.onnx", session, dataset, RUNTIME, None, done.append)
    assert done == [1, 2, 3, 4]


def test_a_model_too_large_for_a_browser(net, monkeypatch):
    artifact, ann = ((net / name).stat().st_size for name in ("net.snn.onnx", "ann.onnx"))
    assert ann < artifact
    monkeypatch.setattr(module, "_LARGEST", artifact)
    made(net, reference=True)
    monkeypatch.setattr(module, "_LARGEST", artifact - 1)
    with pytest.raises(ModelError) as refused:
        made(net)
    assert str(refused.value) == (
        f"{net}/net.snn.onnx: expected at most 0 MB for a page, found 0 MB; use a smaller model"
    )


def _file(path):
    path.write_text("x")
    return f"{path}: expected a folder for the page, found a file; choose another with -o"


def _others(path):
    path.mkdir()
    (path / "a").touch()
    return _found_others(path)


def _index_of_others(path):
    path.mkdir()
    (path / INDEX).write_text("<p>mine")
    return _found_others(path)


def _index_of_bytes(path):
    path.mkdir()
    (path / INDEX).write_bytes(b"\xff" + MARK.encode())
    return _found_others(path)


def _found_others(path):
    return (
        f"{path}: expected no folder, an empty one or an earlier page, found other files; "
        "choose another with -o"
    )


@pytest.mark.parametrize("make", [_file, _others, _index_of_others, _index_of_bytes])
def test_a_folder_that_is_somebody_elses(tmp_path, make):
    said = make(tmp_path / "page")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(OutputError) as refused:
        check_folder(tmp_path / "page")
    assert str(refused.value) == said
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_that_one_may_write_into(tmp_path):
    check_folder(tmp_path / "a/b/c")
    check_folder(str(tmp_path))
    (tmp_path / INDEX).write_text(f"<!doctype html>{MARK}")
    (tmp_path / "CNAME").write_text("example.org")
    check_folder(tmp_path)


def test_it_is_written_with_its_size(tmp_path):
    page = save_page(tmp_path / "a/b", {INDEX: b"index", "models/x.js": b"four"})
    assert (page.index, page.size) == (tmp_path / "a/b" / INDEX, 9)
    assert (tmp_path / "a/b/models/x.js").read_bytes() == b"four"


def test_files_of_an_earlier_page_go_and_others_stay(tmp_path):
    save_page(tmp_path, {INDEX: b"1", "models/a.js": b"", "models/b.js": b"", "samples/0.js": b""})
    (tmp_path / "CNAME").write_text("example.org")
    save_page(tmp_path, {INDEX: b"2", "models/b.js": b"new"})
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    assert left == ["CNAME", INDEX, "models/b.js"]
    assert (tmp_path / INDEX).read_bytes() == b"2"
    assert (tmp_path / "models/b.js").read_bytes() == b"new"


def test_half_a_page_is_known_as_one_of_ours(tmp_path, monkeypatch):
    """The index comes last; until then it says that it is not complete."""
    replace_by, moved = Path.replace, []

    def stop_at_the_second(path: Path, target: Path) -> Path:
        if target.suffix == ".js":
            moved.append(target.name)
            if len(moved) == 2:
                raise OSError(errno.ENOSPC, "full")
        return replace_by(path, target)

    files = {INDEX: b"all", "a.js": b"a", "b.js": b"b"}
    monkeypatch.setattr(Path, "replace", stop_at_the_second)
    with pytest.raises(OutputError, match="full"):
        save_page(tmp_path, files)
    assert moved == ["a.js", "b.js"]
    assert (tmp_path / INDEX).read_text() == f"<!doctype html>{MARK}<title>not complete</title>\n"
    assert {path.name for path in tmp_path.iterdir()} == {INDEX, "a.js"}
    check_folder(tmp_path)
    save_page(tmp_path, files)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_a_file_where_a_folder_should_be(tmp_path):
    (tmp_path / "models").write_text("a file")
    with pytest.raises(OutputError) as refused:
        save_page(tmp_path, {INDEX: b"", "models/a.js": b""})
    assert str(refused.value) == (
        f"{tmp_path}: cannot be made a page's folder (File exists); choose another with -o"
    )
