"""The folder of the page: what is in it, whose folder it may be, and what is said when it cannot be made."""

from __future__ import annotations

import base64
import gzip
import json
import re
import stat
import tarfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

import onnx2snn
from onnx2snn.cli import main
from onnx2snn.data.preprocessing import UNCHANGED, Preprocessing
from onnx2snn.data.readers import InputSpec, dataset_from_arrays, open_dataset
from onnx2snn.errors import OptionError
from onnx2snn.model.file import write_atomically
from onnx2snn.runtime.session import SpikingSession
from onnx2snn.web import onnxruntime_web, page, samples
from onnx2snn.web.onnxruntime_web import PACKAGE, VERSION, OnnxruntimeWeb, fetch_package
from onnx2snn.web.samples import describe_drawing, describe_image
from tests.helpers import normal, parse
from tests.web.web_pages import DIGITS, unpack

#: Stands for onnxruntime-web where no browser runs it.
RUNTIME = OnnxruntimeWeb(b"script", b"loader", b"binary")


@pytest.fixture(scope="module")
def compiled(digits) -> Path:
    """The embedded net as an artifact, and a package of onnxruntime-web beside it."""
    unpack(RUNTIME, digits / "package")
    source = digits / "digits.snn.onnx"
    calibration = digits / "digits_calibration.npz"
    onnx2snn.compile(digits / "digits.onnx", calibration, preprocessing=DIGITS, timesteps=2).save(source)
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


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda path: path.write_text("x"), "expected a folder for the page, found a file"),
        (lambda path: (path.mkdir(), (path / "a").touch()), "found other files; choose another with -o"),
        (
            lambda path: (path.mkdir(), (path / "index.html").write_text("<p>mine")),
            "found other files; choose another with -o",
        ),
    ],
)
def test_a_folder_that_is_somebody_elses(compiled, tmp_path, make, words):
    make(tmp_path / "page")
    before = sorted(tmp_path.rglob("*"))
    assert words in refusal(web(compiled, "-o", tmp_path / "page"))
    assert sorted(tmp_path.rglob("*")) == before


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
    ):
        assert words in refusal(web(compiled, *arguments, "-o", tmp_path / "page"))
    command = ["web", str(ann), "--data", str(labels), "-o", str(tmp_path / "page")]
    assert "compile the model first" in refusal(CliRunner().invoke(main, command))
    assert not (tmp_path / "page").exists()


def test_half_a_page_is_completed_by_the_same_command(compiled, tmp_path, monkeypatch):
    written = []

    def stop_at_the_fifth(path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) == 5:
            raise KeyboardInterrupt
        write_atomically(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(page, "write_atomically", stop_at_the_fifth)
        stopped = web(compiled, "-o", tmp_path / "page")
    assert stopped.exit_code == 130
    assert "is not complete: the same command completes it" in stopped.stderr
    assert web(compiled, "-o", tmp_path / "page").exit_code == 0
    assert web(compiled, "-o", tmp_path / "whole").exit_code == 0
    assert {f.name for f in tmp_path.glob("page/**/*")} == {f.name for f in tmp_path.glob("whole/**/*")}


def test_a_model_too_large_for_a_browser(compiled, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "_LARGEST", 1000)
    said = refusal(web(compiled, "-o", tmp_path / "page"))
    assert "digits.snn.onnx: expected at most 0 MB for a page" in said


def test_more_samples_than_a_page_should_hold(compiled, tmp_path, monkeypatch):
    monkeypatch.setattr(samples, "_LARGEST", 3 * 8 * 8 * 4)
    said = refusal(web(compiled, "--samples", 4, "-o", tmp_path / "page"))
    assert "--samples: expected at most 3 samples of this size in a page, found 4" in said


def test_the_documentation_names_the_version():
    text = (Path(__file__).parents[2] / "docs/web.md").read_text(encoding="utf-8")
    assert f"npm pack {PACKAGE}@{VERSION}" in text


def test_a_folder_without_the_package(compiled, tmp_path):
    def said(folder: Path) -> str:
        command = ("--onnxruntime-web", folder, "-o", tmp_path / "page")
        return refusal(web(compiled, *command, runtime=False))

    assert "found no readable package.json" in said(tmp_path)
    (tmp_path / "package.json").write_text("[]")
    assert "without name and version" in said(tmp_path)
    unpack(RUNTIME, tmp_path, "1.0.0")
    assert f"found {PACKAGE} 1.0.0; run `npm pack {PACKAGE}@{VERSION}`" in said(tmp_path)
    unpack(RUNTIME, tmp_path)
    (tmp_path / onnxruntime_web.BINARY).unlink()
    assert "cannot read one" in said(tmp_path)


def test_no_npm(compiled, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    said = refusal(web(compiled, "-o", tmp_path / "page", runtime=False))
    assert f"npm: expected on the PATH, to fetch {PACKAGE} {VERSION}, found none; install Node.js" in said


def test_an_npm_that_cannot_have_the_package(tmp_path, monkeypatch):
    script = "#!/bin/sh\n[ $1 = view ] && echo 'npm error network down' >&2\nexit 1\n"
    _npm(tmp_path, script, monkeypatch)
    with pytest.raises(OptionError, match=r"cannot be had \(network down\); check the network"):
        fetch_package()


def test_another_package_under_its_name(tmp_path, monkeypatch):
    unpack(RUNTIME, tmp_path / "package")
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        archive.add(tmp_path / "package", "package")
    _npm(tmp_path, f'#!/bin/sh\n/bin/cp "{tmp_path}/a.tgz" "$5"\n', monkeypatch)
    with pytest.raises(OptionError, match="its integrity is sha512-"):
        fetch_package()


def test_the_package_by_npm(tmp_path, monkeypatch):
    unpack(RUNTIME, tmp_path / "package")
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as archive:
        archive.add(tmp_path / "package", "package")
    _npm(tmp_path, f'#!/bin/sh\n/bin/cp "{tmp_path}/a.tgz" "$5"\n', monkeypatch)
    monkeypatch.setattr(onnxruntime_web, "_check_integrity", lambda _: None)
    assert fetch_package() == RUNTIME


def _npm(folder: Path, script: str, monkeypatch) -> None:
    program = folder / "npm"
    program.write_text(script)
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(folder))


def test_rows_are_the_busiest_neurons(rng, tmp_path):
    """Of 400 neurons 32, in order of their spikes."""
    net = parse(
        "(float[N,400] x) => (float[N,2] y) { r = Relu(x) y = Gemm(r, v) }", **normal(rng, v=(400, 2))
    )
    source, data = tmp_path / "a.snn.onnx", tmp_path / "x.npy"
    inputs = rng.uniform(0, 1, (4, 400)).astype(np.float32) * np.linspace(0, 1, 400, dtype=np.float32)
    onnx2snn.compile(net, inputs, granularity="layer").save(source)
    np.save(data, inputs)
    session = SpikingSession(source)
    page.save_page(
        tmp_path / "page", page.make_page(source, session, open_dataset(data, session.inputs), RUNTIME)
    )
    text = (tmp_path / "page/description.js").read_text()
    (layer,) = json.loads(text.removeprefix("describe(").removesuffix(");\n"))["layers"]
    counts = session.run(inputs, record=True).spikes[layer["name"]].astype(int).sum(axis=(0, 1))
    assert layer["neurons"] == 400
    assert len(layer["rows"]) == 32
    assert counts[layer["rows"]].tolist() == np.sort(counts)[::-1][:32].tolist()


def test_colours_are_those_before_the_preprocessing():
    """Channels last, normalised each by its own mean and std."""
    colours = np.array([[0, 0.25, 0.5], [1, 0.75, 0]]).reshape(1, 1, 2, 3)
    preprocessing = Preprocessing(scale=1, mean=(0.5, 0.1, 0.2), std=(2, 3, 4), layout="NHWC")
    values = ((colours - preprocessing.mean) / preprocessing.std).astype(np.float32)
    spec = InputSpec("x", np.dtype(np.float32), (None, 1, 2, 3))
    image = describe_image(dataset_from_arrays(values, [spec], preprocessing), {"x": values})
    assert image["layout"] == "NHWC"
    assert (image["height"], image["width"], image["channels"]) == (1, 2, 3)
    restored = values * image["std"] + image["mean"]
    np.testing.assert_allclose(restored, colours, atol=1e-6)
    assert (image["low"], image["high"]) == pytest.approx((0, 1), abs=1e-6)
    assert image["drawing"] is None


@pytest.mark.parametrize(("shape", "dtype"), [((2, 2, 8, 8), "f4"), ((2, 8), "f4"), ((2, 1, 8, 65), "i8")])
def test_what_is_no_picture_to_draw(shape, dtype):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    spec = InputSpec("x", array.dtype, (None, *shape[1:]))
    image = describe_image(dataset_from_arrays(array, [spec], UNCHANGED), {"x": array})
    assert image is None or image["drawing"] is None


def test_where_ink_is():
    """Dark ink on bright paper, 4 pixels high and 1 wide, in the left half."""
    pictures = np.full((2, 8, 8), 0.9, np.float32)
    pictures[:, 2:6, 1] = 0.1
    found = describe_drawing(pictures)
    assert found == pytest.approx({"paper": 0.9, "ink": 0.1, "x": 1.5 / 8, "y": 0.5, "size": 0.5})
    assert describe_drawing(np.ones((2, 8, 8))) is None
