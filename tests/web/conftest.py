from __future__ import annotations

import fcntl
import os
from importlib import resources
from pathlib import Path

import pytest

from onnx2snn.errors import OptionError
from onnx2snn.web import onnxruntime_web
from onnx2snn.web.onnxruntime_web import OnnxruntimeWeb, fetch_package, read_package
from tests.browser import lacking
from tests.web.web_pages import unpack

FILES = ("digits.onnx", "digits_calibration.npz", "digits_test.npz")


@pytest.fixture(scope="session")
def runtime(tmp_path_factory) -> OnnxruntimeWeb:
    """onnxruntime-web, fetched once for all workers, or from the folder that ONNX2SNN_ORT_WEB names."""
    named = os.environ.get("ONNX2SNN_ORT_WEB")
    if named is not None:
        return read_package(named)
    folder = tmp_path_factory.getbasetemp().parent / f"onnxruntime-web-{onnxruntime_web.VERSION}"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            try:
                package = fetch_package()
            except OptionError as error:
                lacking(str(error))
            unfinished = folder.with_suffix(".unfinished")
            unpack(package, unfinished)
            unfinished.rename(folder)
        return read_package(folder)


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """The embedded net with its data."""
    folder = tmp_path_factory.mktemp("digits")
    for name in FILES:
        (folder / name).write_bytes(resources.files("onnx2snn.demo").joinpath(name).read_bytes())
    return folder
