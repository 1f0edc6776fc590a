"""How integer arrays and image files become the floats that a model was trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from onnx2snn.errors import OptionError

Layout = Literal["NCHW", "NHWC"]

CHANNEL_COUNTS = (1, 3, 4)
"""Channels of grey, RGB and RGBA images: what tells a channel axis from a spatial one."""


@dataclass(frozen=True)
class Preprocessing:
    """Integers and images are fed as ``(x * scale - mean) / std``; float arrays are fed as they are.

    Attributes:
        scale: factor on the stored integers, usually 1/255.
        mean: subtracted after scaling; empty (0), one value, or one a channel.
        std: divided by after that; empty (1), one value, or one a channel.
        layout: axis order that the model's input expects; None: see `infer_layout`.
        resize: (height, width) in pixels that image files are resized to; None: they have the model's size.

    Raises:
        OptionError: a number that is not finite, a zero scale or std, a mean and std of different lengths,
            an unknown layout, or a size that is not positive.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    layout: Layout | None = None
    resize: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not _is_finite(self.scale) or self.scale == 0:
            raise OptionError(f"scale: expected a finite number other than 0, found {self.scale!r}")
        if not all(map(_is_finite, self.mean)):
            raise OptionError(f"mean: expected finite numbers, found {self.mean!r}")
        if not all(_is_finite(value) and value != 0 for value in self.std):
            raise OptionError(
                f"std: expected finite numbers other than 0, found {self.std!r}; leave it out for 1"
            )
        if len(self.mean) > 1 and len(self.std) > 1 and len(self.mean) != len(self.std):
            raise OptionError(
                f"mean and std: expected as many values in both, found {len(self.mean)} and {len(self.std)}"
            )
        if self.layout not in (None, "NCHW", "NHWC"):
            raise OptionError(f"layout: expected NCHW or NHWC, found {self.layout!r}")
        if self.resize is not None:
            _check_size(self.resize)

    def apply(self, array: NDArray[Any], layout: Layout) -> NDArray[np.float32]:
        """Scale and normalise a batch, in float32; a value past float32's range becomes infinite.

        Args:
            array: integers of shape [N, ...], unchanged by this call.
            layout: where the array's channels are: axis 1 (NCHW) or the last one (NHWC).

        Returns:
            A new float32 array of the same shape.

        Raises:
            OptionError: more than one mean or std, but not one a channel.
        """
        with np.errstate(all="ignore"):
            result = array.astype(np.float32)
            result *= np.float32(self.scale)
            if self.mean:
                result -= _per_channel("mean", self.mean, array.shape, layout)
            if self.std:
                result /= _per_channel("std", self.std, array.shape, layout)
        return result

    def to_dict(self) -> dict[str, Any]:
        """Every field as a JSON value, ready for the artifact's metadata."""
        return {
            "scale": float(self.scale),
            "mean": [float(value) for value in self.mean],
            "std": [float(value) for value in self.std],
            "layout": self.layout,
            "resize": None if self.resize is None else [int(value) for value in self.resize],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`; a field that is missing or null takes its default.

        Raises:
            OptionError: an unknown field, or a value that the field cannot take.
        """
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(values) - set(known)):
            raise OptionError(
                f"preprocessing: expected the fields {', '.join(known)}, found {', '.join(unknown)}"
            )
        given = {name: value for name, value in values.items() if value is not None}
        for name in {"mean", "std", "resize"} & set(given):
            given[name] = _as_tuple(name, given[name])
        return cls(**given)


def infer_layout(shape: Sequence[int | None]) -> Layout:
    """The layout of an input of this shape, None standing for a dynamic dimension.

    NCHW, unless the last dimension is one of `CHANNEL_COUNTS` and dimension 1 is not.
    """
    channels_last = len(shape) > 2 and shape[-1] in CHANNEL_COUNTS and shape[1] not in CHANNEL_COUNTS
    return "NHWC" if channels_last else "NCHW"


def parse_scale(text: str) -> float:
    """A number such as ``0.5`` or a fraction such as ``1/255``.

    Raises:
        OptionError: anything else, or a value that is not finite.
    """
    numerator, slash, denominator = text.partition("/")
    try:
        value = float(numerator) / float(denominator) if slash else float(numerator)
    except (ValueError, ZeroDivisionError) as error:
        raise OptionError(
            f"scale: expected a number or a fraction such as 1/255, found '{text}'; leave it out for 1"
        ) from error
    if not math.isfinite(value):
        raise OptionError(f"scale: expected a finite number, found '{text}'")
    return value


def parse_floats(text: str) -> tuple[float, ...]:
    """Numbers separated by commas, such as ``0.485,0.456,0.406``.

    Raises:
        OptionError: anything else, or a value that is not finite.
    """
    try:
        values = tuple(float(item) for item in text.split(","))
    except ValueError as error:
        raise OptionError(f"mean or std: expected numbers separated by commas, found '{text}'") from error
    if not all(map(math.isfinite, values)):
        raise OptionError(f"mean or std: expected finite numbers, found '{text}'")
    return values


def parse_size(text: str) -> tuple[int, int]:
    """A height and a width in pixels, such as ``32,32``.

    Raises:
        OptionError: anything else, or a size that is not positive.
    """
    try:
        height, width = (int(item) for item in text.split(","))
    except ValueError as error:
        raise OptionError(f"resize: expected HEIGHT,WIDTH such as 32,32, found '{text}'") from error
    _check_size((height, width))
    return height, width


def _is_finite(value: object) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _check_size(size: tuple[int, ...]) -> None:
    if len(size) != 2 or not all(isinstance(value, int) and value > 0 for value in size):
        raise OptionError(f"resize: expected a positive height and width, found {size!r}")


def _as_tuple(name: str, value: object) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise OptionError(f"{name}: expected a list of numbers, found {value!r}")
    return tuple(value)


def _per_channel(
    name: str, values: tuple[float, ...], shape: tuple[int, ...], layout: Layout
) -> NDArray[np.float32]:
    """The values as float32, shaped to broadcast over the channel axis of an array of this shape."""
    if len(values) == 1:
        return np.array(values[0], np.float32)
    axis = 1 if layout == "NCHW" else len(shape) - 1
    channels = shape[axis] if len(shape) > 1 else 1
    if len(values) != channels:
        raise OptionError(
            f"{name}: expected 1 value or {channels} (channels of the {layout} input), found {len(values)}"
        )
    broadcast = [1] * len(shape)
    broadcast[axis] = channels
    return np.array(values, np.float32).reshape(broadcast)


UNCHANGED = Preprocessing()
"""Integers become floats of the same value."""
