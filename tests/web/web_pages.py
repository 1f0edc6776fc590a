"""What the tests of the page share."""

from __future__ import annotations

import json
from pathlib import Path

from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.web import onnxruntime_web
from onnx2snn.web.onnxruntime_web import OnnxruntimeWeb

#: The preprocessing of the embedded net.
DIGITS = Preprocessing(scale=1 / 16)
#: Stands for onnxruntime-web where no browser runs it.
RUNTIME = OnnxruntimeWeb(b"script", b"loader", b"binary")


def unpack(package: OnnxruntimeWeb, folder: Path, version: str = onnxruntime_web.VERSION) -> None:
    """A folder as npm's archive has it."""
    (folder / "dist").mkdir(parents=True, exist_ok=True)
    names = (onnxruntime_web.SCRIPT, onnxruntime_web.LOADER, onnxruntime_web.BINARY)
    for name, content in zip(names, (package.script, package.loader, package.binary), strict=True):
        (folder / name).write_bytes(content)
    said = {"name": onnxruntime_web.PACKAGE, "version": version}
    (folder / "package.json").write_text(json.dumps(said))
