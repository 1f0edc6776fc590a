"""The command `web`: what is in its folder, and what is said when that cannot be made."""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

import onnx2snn
from onnx2snn.cli import main
from tests.helpers import parse
from tests.web.web_pages import DIGITS, RUNTIME, unpack


@pytest.fixture(scope="module")
def compiled(digits) -> Path:
    """The embedded net as an artifact, and a package of onnxruntime-web beside it."""
    unpack(RUNTIME, digits / "package")
    source = digits / "digits.snn.onnx"
    calibration = digits / "digits_calibration.npz"
    onnx2snn.compile(
        digits / "digits.onnx", calibration, preprocessing=DIGITS, timesteps=2, code="burst"
    ).save(source)
    return digits


def embedded(folder: Path, name: str) -> bytes:
    """A file that the page unpacks."""
    said = re.fullmatch(r'embed\("(.+)", "(.+)"\);\n', (folder / f"{name}.js").read_text())
    assert said[1] == name
    return gzip.decompress(base64.b64decode(said[2]))


def web(folder: Path, *arguments: object, runtime: bool = True):
    package = ["--onnxruntime-web", folder / "package"] if runtime else []
    command = ["web", folder / "digits.snn.onnx", "--data", folder / "digits_test.npz", *package, *arguments]
    return CliRunner().invoke(main, [str(argument) for argument in command])


def refusal(result) -> str:
    """The only line of a refused command."""
    assert result.exit_code == 2, result.output
    assert result.stderr.count("\n") == 1
    return result.stderr


def test_what_is_in_it(compiled, tmp_path):
    result = web(compiled, "--reference", compiled / "digits.onnx", "--samples", 3, "-o", tmp_path / "page")
    assert result.exit_code == 0, result.output
    assert f"python3 -m http.server -d {tmp_path / 'page'}" in result.stdout
    folder = tmp_path / "page"
    assert embedded(folder, "models/artifact") == (compiled / "digits.snn.onnx").read_bytes()
    for part in ("prefix", "step", "head", "ann"):
        assert onnx.load_from_string(embedded(folder, f"models/{part}")).graph.node
    with np.load(compiled / "digits_test.npz") as archive:
        images = archive["images"][:3].astype(np.float32) / 16
    np.testing.assert_array_equal(np.frombuffer(embedded(folder, "samples/0"), "<f4"), images.ravel())
    assert (folder / "onnxruntime-web/ort.js").read_bytes() == RUNTIME.script
    assert embedded(folder, "onnxruntime-web/wasm") == RUNTIME.binary
    assert "Permission is hereby granted" in (folder / "onnxruntime-web/LICENSE.txt").read_text()
    index = (folder / "index.html").read_text()
    for name in re.findall(r'(?:src|href)="([^":]+)"', index):
        assert (folder / name).is_file(), name
    assert not re.search(r"https?://", index)


def test_the_same_bytes_again(compiled, tmp_path):
    for name in ("a", "b"):
        assert web(compiled, "-o", tmp_path / name).exit_code == 0
    first, second = (
        {file.relative_to(tmp_path / name): file.read_bytes() for file in (tmp_path / name).rglob("*.*")}
        for name in ("a", "b")
    )
    assert first == second
    assert str(tmp_path) not in first[Path("description.js")].decode()


def test_an_earlier_page_gives_way_and_other_files_stay(compiled, tmp_path):
    assert web(compiled, "--reference", compiled / "digits.onnx", "-o", tmp_path).exit_code == 0
    assert (tmp_path / "models/ann.js").exists()
    (tmp_path / "CNAME").write_text("example.org")
    assert web(compiled, "-o", tmp_path).exit_code == 0
    assert (tmp_path / "CNAME").read_text() == "example.org"
    assert not (tmp_path / "models/ann.js").exists()


def test_it_is_named_after_the_artifact(compiled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert web(compiled).exit_code == 0
    assert (tmp_path / "digits-web/index.html").is_file()


def test_class_folders_name_the_classes(compiled, tmp_path):
    pil = pytest.importorskip("PIL.Image")
    for name in ("nought", "one"):
        (tmp_path / "data" / name).mkdir(parents=True)
        pil.new("L", (8, 8)).save(tmp_path / "data" / name / "a.png")
    result = web(compiled, "--data", tmp_path / "data", "-o", tmp_path / "page")
    assert result.exit_code == 0, result.output
    text = (tmp_path / "page/description.js").read_text()
    said = json.loads(text.removeprefix("describe(").removesuffix(");\n"))
    assert said["classes"] == ["nought", "one", *map(str, range(2, 10))]
    assert said["labels"] == [0, 1]


def test_bad_input(compiled, tmp_path):
    no_samples, labels, other = tmp_path / "none.npz", tmp_path / "labels.npz", tmp_path / "other.onnx"
    images = np.zeros((2, 1, 8, 8), np.uint8)
    np.savez(no_samples, images=images[:0])
    np.savez(labels, images=images, labels=np.array([0, 10]))
    onnx.save(parse("(float[N,1,8,8] x) => (float[N,1,8,8] y) { y = Relu(x) }"), other)
    ann = compiled / "digits.onnx"
    for arguments, words in (
        (("--data", tmp_path / "absent"), "absent: cannot be read"),
        (("--data", no_samples), "expected at least 1 sample, found 0"),
        (("--data", labels), "labels"),
        (("--samples", 0), "--samples: expected at least 1, found 0"),
        (("--reference", other), "expected the ANN that the network was compiled from"),
        (("--reference", tmp_path / "absent.onnx"), "expected an ONNX file"),
        (("--onnxruntime-web", tmp_path), "found no readable package.json"),
    ):
        assert words in refusal(web(compiled, *arguments, "-o", tmp_path / "page"))
    command = ["web", str(ann), "--data", str(labels), "-o", str(tmp_path / "page")]
    assert "compile the model first" in refusal(CliRunner().invoke(main, command))
    assert not (tmp_path / "page").exists()
    assert "found other files; choose another with -o" in refusal(web(compiled, "-o", tmp_path))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def stopping(call: Callable, number: int) -> Callable:
    """A function that a user stops in its call of that number."""
    calls = []

    def stopped(*arguments):
        calls.append(arguments)
        if len(calls) == number:
            raise KeyboardInterrupt
        return call(*arguments)

    return stopped


def test_a_page_stays_as_it_is_until_the_next_is_whole(compiled, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", stopping(Path.write_bytes, 5))
        stopped = web(compiled, "-o", tmp_path / "page")
    assert (stopped.exit_code, stopped.stderr) == (130, "stopped; nothing was written\n")
    assert not (tmp_path / "page").exists()
    assert web(compiled, "-o", tmp_path / "page").exit_code == 0
    before = contents(tmp_path / "page")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", stopping(Path.write_bytes, 5))
        assert web(compiled, "--samples", 3, "-o", tmp_path / "page").exit_code == 130
    assert contents(tmp_path / "page") == before


def test_half_a_page_says_so_and_is_completed_by_the_same_command(compiled, tmp_path, monkeypatch):
    folder = tmp_path / "page"
    assert web(compiled, "-o", folder).exit_code == 0
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", stopping(Path.replace, 5))
        stopped = web(compiled, "--samples", 3, "-o", folder)
    assert stopped.exit_code == 130
    assert "is not complete: the same command completes it" in stopped.stderr
    assert "<title>not complete</title>" in (folder / "index.html").read_text()
    (folder / ".onnx2snn-page-killed").mkdir()  # what SIGKILL leaves
    assert web(compiled, "--samples", 3, "-o", folder).exit_code == 0
    assert web(compiled, "--samples", 3, "-o", tmp_path / "whole").exit_code == 0
    assert contents(folder) == contents(tmp_path / "whole")
    assert not list(folder.glob(".*"))
