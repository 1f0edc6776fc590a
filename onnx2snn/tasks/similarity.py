"""Structural similarity of images (Wang, Bovik, Sheikh & Simoncelli 2004).

    SSIM = mean of (2·μx·μy + C1)(2·σxy + C2) / ((μx² + μy² + C1)(σx² + σy² + C2))
    C1 = (0.01·range)², C2 = (0.03·range)²

Means and variances are weighted by a Gaussian window of 11 × 11 pixels, σ = 1.5, at all places where it lies
within the image; those of scikit-image with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`.
"""

from __future__ import annotations

import numpy as np

from onnx2snn.tasks.task import Array

#: Pixels of a side of the window; and its σ.
WINDOW, _SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03


def similarity(found: Array, truth: Array, data_range: float) -> Array:
    """SSIM of images [..., H, W] of at least 11 × 11 pixels: float64 [...]."""
    x, y = found.astype(np.float64), truth.astype(np.float64)
    mean_x, mean_y = _blurred(x), _blurred(y)
    spread_x, spread_y = _blurred(x * x) - mean_x**2, _blurred(y * y) - mean_y**2
    shared = _blurred(x * y) - mean_x * mean_y
    c1, c2 = (_K1 * data_range) ** 2, (_K2 * data_range) ** 2
    above = (2 * mean_x * mean_y + c1) * (2 * shared + c2)
    below = (mean_x**2 + mean_y**2 + c1) * (spread_x + spread_y + c2)
    return np.asarray((above / below).mean(axis=(-2, -1)))


def _blurred(images: Array) -> Array:
    """The weighted means of all windows that lie within images [..., H, W]."""
    offsets = np.arange(WINDOW) - WINDOW // 2
    weights = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    weights /= weights.sum()
    rows, columns = (size - WINDOW + 1 for size in images.shape[-2:])
    down = sum(weight * images[..., at : at + rows, :] for at, weight in enumerate(weights))
    return np.asarray(sum(weight * down[..., at : at + columns] for at, weight in enumerate(weights)))
