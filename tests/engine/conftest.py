from __future__ import annotations

import onnxruntime
import pytest


@pytest.fixture(autouse=True)
def as_many_threads_as_users_have(one_thread, monkeypatch) -> None:
    """What `one_thread` does elsewhere is undone where sessions themselves are tested."""
    del one_thread
    monkeypatch.setattr(onnxruntime, "SessionOptions", onnxruntime.SessionOptions.__base__)
