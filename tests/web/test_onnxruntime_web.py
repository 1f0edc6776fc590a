"""onnxruntime-web, from a folder or by npm: only this version, whole, and as npm knows it."""

from __future__ import annotations

import base64
import hashlib
import stat
import tarfile
from pathlib import Path

import pytest

from onnx2snn.errors import OptionError
from onnx2snn.web import onnxruntime_web as module
from onnx2snn.web.onnxruntime_web import PACKAGE, VERSION, fetch_package, read_package
from tests.web.web_pages import RUNTIME, unpack

BY_HAND = f"`npm pack {PACKAGE}@{VERSION}`, unpack it, and give its folder `package` with --onnxruntime-web"
FAILING = "#!/bin/sh\n[ $1 = view ] && echo '{said}' >&2\nexit {code}\n"


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Puts a script of this name alone on the PATH."""

    def put(script: str) -> None:
        program = tmp_path / "npm"
        program.write_text(script)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", str(tmp_path))

    return put


@pytest.fixture
def archive(tmp_path, npm):
    """An archive as npm has it, which `npm pack` gives."""
    unpack(RUNTIME, tmp_path / "package")
    (tmp_path / "package/dist/other.js").write_text("not wanted")
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as packed:
        packed.add(tmp_path / "package", "package")
    npm(f'#!/bin/sh\n/bin/cp "{tmp_path}/a.tgz" "$5"\n')
    return tmp_path / "a.tgz"


def refusal(call, *arguments) -> str:
    with pytest.raises(OptionError) as refused:
        call(*arguments)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_the_documentation_names_the_version():
    text = (Path(__file__).parents[2] / "docs/web.md").read_text(encoding="utf-8")
    assert f"npm pack {PACKAGE}@{VERSION}" in text


def test_an_unpacked_package(tmp_path):
    unpack(RUNTIME, tmp_path)
    assert read_package(tmp_path) == RUNTIME
    assert read_package(str(tmp_path)) == RUNTIME


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (None, "no readable package.json"),
        ("[]", "a package.json without name and version"),
        ("{", "a package.json without name and version"),
        ('{"name": "onnxruntime-web"}', "a package.json without name and version"),
        ('{"name": "onnxruntime-web", "version": "1.0.0"}', "onnxruntime-web 1.0.0"),
        (f'{{"name": "onnxruntime", "version": "{VERSION}"}}', f"onnxruntime {VERSION}"),
    ],
)
def test_a_folder_of_something_else(tmp_path, content, found):
    unpack(RUNTIME, tmp_path)
    (tmp_path / "package.json").unlink()
    if content is not None:
        (tmp_path / "package.json").write_text(content)
    assert refusal(read_package, tmp_path) == (
        f"--onnxruntime-web {tmp_path}: expected the unpacked npm package {PACKAGE} {VERSION}, found "
        f"{found}; run {BY_HAND}"
    )


@pytest.mark.parametrize("name", [module.SCRIPT, module.LOADER, module.BINARY])
def test_a_folder_with_a_part_missing(tmp_path, name):
    unpack(RUNTIME, tmp_path)
    (tmp_path / name).unlink()
    said = refusal(read_package, tmp_path)
    assert said.startswith(
        f"--onnxruntime-web {tmp_path}: expected dist/ort.wasm.min.js, dist/ort-wasm-simd-threaded.mjs, "
        "dist/ort-wasm-simd-threaded.wasm, cannot read one ("
    )
    assert said.endswith(f"; run {BY_HAND}")


def test_no_npm(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert refusal(fetch_package) == (
        f"npm: expected on the PATH, to fetch {PACKAGE} {VERSION}, found none; install Node.js, or on a "
        f"machine that has it run {BY_HAND}"
    )


@pytest.mark.parametrize(
    ("said", "code", "reason"),
    [
        ("npm error network down", 1, "network down"),
        ("npm error code E404\nnpm error 404 Not Found\nnpm error 404 more\nnpm error x", 1, None),
        ("", 3, "npm ended with 3"),
        ("", 0, "npm ended with 0"),  # and left no archive
    ],
)
def test_an_npm_that_cannot_have_the_package(npm, said, code, reason):
    npm(FAILING.format(said=said, code=code))
    reason = reason or "404 Not Found; 404 more"
    assert refusal(fetch_package) == (
        f"npm: {PACKAGE} {VERSION} cannot be had ({reason}); check the network and npm's registry, or "
        f"elsewhere run {BY_HAND}"
    )


@pytest.mark.usefixtures("archive")
def test_another_package_under_its_name():
    said = refusal(fetch_package)
    assert f"{PACKAGE} {VERSION} cannot be had (its integrity is sha512-" in said
    assert f"…, not {module.INTEGRITY[:20]}…); check the network" in said


def test_the_package_by_npm(archive, monkeypatch):
    monkeypatch.setattr(module, "INTEGRITY", integrity(archive))
    told: list[tuple[str, float]] = []
    assert fetch_package(lambda *step: told.append(step)) == RUNTIME
    assert told == [(f"{PACKAGE} {VERSION} by npm", 0.0)]


def test_a_package_of_other_bytes_is_another(archive, monkeypatch):
    monkeypatch.setattr(module, "INTEGRITY", integrity(archive))
    archive.write_bytes(archive.read_bytes() + b"\0")
    assert "its integrity is" in refusal(fetch_package)


def integrity(archive: Path) -> str:
    """As npm writes it, by its own means."""
    return "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode("ascii")
