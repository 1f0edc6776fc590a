from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import onnxruntime
import pytest
from hypothesis import settings

from onnx2snn.model import parking, weights
from tests.browser import browser, browser_page, page_problems  # noqa: F401  (fixtures)

# For the workers, which start after this: NumPy's threads would take the cores from the other worker.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# The same examples in every run; ONNX2SNN_EXPLORE=1 draws new ones.
settings.register_profile("same", derandomize=True, deadline=None)
settings.register_profile("explore", deadline=None, print_blob=True)
settings.load_profile("explore" if os.environ.get("ONNX2SNN_EXPLORE") == "1" else "same")


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def small_messages(monkeypatch) -> None:
    """Let one message hold so few bytes of weights that those of tiny nets stay in files."""
    monkeypatch.setattr(weights, "MOST_BYTES", 2000)
    monkeypatch.setattr(parking, "LARGE", 500)


class OneThread(onnxruntime.SessionOptions):
    """Settings of a session that keeps to one core."""

    def __init__(self) -> None:
        super().__init__()
        self.intra_op_num_threads = 1


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Workers share the cores among themselves: threads of sessions would take them from the other worker.

    Nets here are so small that starting threads takes longer than running them. `tests/engine`, and every
    test that starts a process, has as many as onnxruntime itself chooses.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnxruntime, "SessionOptions", OneThread)
        yield
