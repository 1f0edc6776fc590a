from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import settings

from onnx2snn.model import parking, weights
from tests.browser import browser, browser_page, page_problems  # noqa: F401  (fixtures)

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
