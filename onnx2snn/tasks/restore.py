"""Images: peak signal-to-noise ratio and structural similarity.

    PSNR = 10·log10(range² / mean square error), over the pixels of all samples; of equal images there is none
    SSIM: see `similarity.py`; the mean over channels and samples

The range is the largest less the least value of all labels, or what the user says.
"""

from __future__ import annotations

import numpy as np

from onnx2snn.data.targets import Targets
from onnx2snn.tasks.similarity import WINDOW, similarity
from onnx2snn.tasks.task import Array, Figures, Measure, Meter, Output, Setting, Task, same_numbers


class ImageMeter(Meter):
    """Sums of squares and of similarities."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting
        self._squares, self._values = 0.0, 0
        self._similar, self._images = 0.0, 0

    def add(self, found: Array, truth: Array) -> None:
        """Images [N, …], and those that they should be."""
        wanted = truth.reshape(found.shape)
        self._squares += float(((found.astype(np.float64) - wanted) ** 2).sum())
        self._values += found.size
        if found.ndim == 4 and self._setting.data_range:
            if self._setting.layout == "NHWC":
                found, wanted = found.transpose(0, 3, 1, 2), wanted.transpose(0, 3, 1, 2)
            if min(found.shape[2:]) >= WINDOW:
                alike = similarity(found, wanted, self._setting.data_range)
                self._similar += float(alike.mean(axis=1).sum())
                self._images += len(found)

    def figures(self) -> Figures:
        """PSNR in dB, and SSIM of images that are large enough for its window."""
        error, data_range = self._squares / self._values, self._setting.data_range
        return {
            "psnr": float(10 * np.log10(data_range**2 / error)) if error and data_range else None,
            "ssim": self._similar / self._images if self._images else None,
        }


def _takes(output: Output) -> bool:
    return output.dtype.kind == "f" and len(output.shape) >= 2


def _fits(truth: Targets, output: Output) -> bool:
    return same_numbers(truth, output)


def _likely(output: Output, truth: Targets | None) -> bool:
    return len(output.shape) == 4 and (truth is not None or output.like_input or output.image)


RESTORE = Task(
    name="restore",
    measures=(Measure("psnr", "PSNR", "dB"), Measure("ssim", "SSIM", "value")),
    outputs="images",
    takes=_takes,
    labels="images in the shape of the output",
    fits=_fits,
    likely=_likely,
    meter=ImageMeter,
    answers=lambda found, _: found,
    images=True,
    relative=True,
)
