"""Arguments that name files: what a shell completes."""

from __future__ import annotations

from tests.cli.calls import complete


def test_files_are_completed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("net.onnx", "net.snn.onnx", "net.npz"):
        (tmp_path / name).touch()
    assert complete("inspect ") == [("plain", "net.onnx"), ("plain", "net.snn.onnx")]
    assert complete("inspect net.s") == [("plain", "net.snn.onnx")]
    assert complete(f"inspect {tmp_path}/net.s") == [("plain", f"{tmp_path}/net.snn.onnx")]
    assert complete("evaluate x.onnx --reference net.o") == [("plain", "net.onnx")]
    assert complete("compile net.onnx --calib n") == [("file", "n")]
    assert complete("demo --out n") == [("dir", "n")]
    (tmp_path / "nets").mkdir()  # the shell may want to go there
    assert complete("inspect n") == [("file", "n")]
    (tmp_path / "two words.onnx").touch()  # only the shell quotes
    assert complete("inspect two") == [("file", "two")]
    assert complete("inspect nowhere/x") == [("file", "nowhere/x")]


def test_other_files_are_left_to_the_shell():
    assert complete("web x.snn.onnx -o n") == [("dir", "n")]
    assert complete("web x.snn.onnx --data n") == [("file", "n")]
    assert complete("sweep x.onnx --cache n") == [("dir", "n")]


def test_files_in_folders_are_completed_with_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nets").mkdir()
    for name in ("b.onnx", "a.onnx", "c.npz"):
        (tmp_path / "nets" / name).touch()
    assert complete("inspect nets/") == [("plain", "nets/a.onnx"), ("plain", "nets/b.onnx")]
    assert complete("inspect nets/b") == [("plain", "nets/b.onnx")]
    assert complete("inspect nets/c") == [("file", "nets/c")]
