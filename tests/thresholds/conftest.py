from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def activations(rng):
    """Light, heavy and nearly uniform tails, and one with zeros."""
    light = np.abs(rng.normal(0, 1, 20_000))
    heavy = rng.lognormal(0, 1, 20_000)
    even = rng.uniform(0, 7, 20_000)
    sparse = np.where(rng.random(20_000) < 0.9, 0, rng.exponential(3, 20_000))
    return np.asarray([light, heavy, even, sparse], dtype=np.float32)
