"""How integer arrays, image files and event recordings become the floats that a model was trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from onnx2snn.data.event_frames import FrameRule, Polarity, parse_accumulate
from onnx2snn.errors import OptionError

Layout = Literal["NCHW", "NHWC"]
Normalize = Literal["none", "binary", "max"]

CHANNEL_COUNTS = (1, 3, 4)
"""Channels of grey, RGB and RGBA images: what tells a channel axis from a spatial one."""


@dataclass(frozen=True)
class Preprocessing:
    """Integers, images and event counts are fed as ``(x * scale - mean) / std``; float arrays as they are.

    Attributes:
        scale: factor on the stored integers, usually 1/255; 1 for event counts as they are.
        mean: subtracted after scaling; empty (0), one value, or one a channel.
        std: divided by after that; empty (1), one value, or one a channel.
        layout: axis order that the model's input expects; None: see `infer_layout`.
        resize: (height, width) in pixels that image files are resized to, and events counted in; None: they
            have the model's size.
        frames: which events of a recording share a frame, such as `count:1`: see `FrameRule.parse`; needed
            for event recordings only.
        polarity: what a frame counts, see `count_events`: `channels` (darker, brighter), `signed` or `sum`.
        sensor: (height, width) of the camera in pixels; None: as the file says, or as the model's input.
        accumulate: how many frames of a recording are summed into each, itself among them; `all` for all up
            to it.
        normalize: what is done to a sample before scaling: `none`; `binary`: every value becomes its sign;
            `max`: all are divided by the largest magnitude among them, a sample of zeros stays.

    Raises:
        OptionError: a number that is not finite, a zero scale or std, a mean and std of different lengths,
            an unknown layout, rule or name, a size that is not positive, or `polarity`, `sensor` or
            `accumulate` without `frames`.
    """

    scale: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    layout: Layout | None = None
    resize: tuple[int, int] | None = None
    frames: str | None = None
    polarity: Polarity = "channels"
    sensor: tuple[int, int] | None = None
    accumulate: int | Literal["all"] = 1
    normalize: Normalize = "none"

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
            _check_size("resize", self.resize)
        if self.sensor is not None:
            _check_size("sensor", self.sensor)
        for name, names in (("polarity", get_args(Polarity)), ("normalize", get_args(Normalize))):
            if (found := getattr(self, name)) not in names:
                raise OptionError(f"{name}: expected {', '.join(names[:-1])} or {names[-1]}, found {found!r}")
        parse_accumulate(self.accumulate)
        if self.frames is not None:
            FrameRule.parse(self.frames)
            return
        defaults = {"sensor": None, "polarity": "channels", "accumulate": 1}
        for name, default in defaults.items():
            if getattr(self, name) != default:
                raise OptionError(
                    f"{name}: expected only with --frames, which event recordings need; add that or leave it "
                    "out"
                )

    def apply(self, array: NDArray[Any], layout: Layout) -> NDArray[np.float32]:
        """Normalise and scale a batch, in float32; a value past float32's range becomes infinite.

        Args:
            array: integers of shape [N, ...], unchanged by this call.
            layout: where the array's channels are: axis 1 (NCHW) or the last one (NHWC).

        Returns:
            A new float32 array of the same shape.

        Raises:
            OptionError: more than one mean or std, but not one a channel.
        """
        with np.errstate(all="ignore"):
            result = _normalized(array.astype(np.float32), self.normalize)
            result *= np.float32(self.scale)
            if self.mean:
                result -= _per_channel("mean", self.mean, array.shape, layout)
            if self.std:
                result /= _per_channel("std", self.std, array.shape, layout)
        return result

    def to_dict(self) -> dict[str, Any]:
        """Fields as JSON values, ready for the artifact's metadata; those of events only where used."""
        events = {
            "frames": self.frames,
            "polarity": self.polarity,
            "sensor": None if self.sensor is None else [int(value) for value in self.sensor],
        }
        return {
            "scale": float(self.scale),
            "mean": [float(value) for value in self.mean],
            "std": [float(value) for value in self.std],
            "layout": self.layout,
            "resize": None if self.resize is None else [int(value) for value in self.resize],
            **(events if self.frames is not None else {}),
            **({"accumulate": self.accumulate} if self.accumulate != 1 else {}),
            **({"normalize": self.normalize} if self.normalize != "none" else {}),
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
        for name in {"mean", "std", "resize", "sensor"} & set(given):
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


def parse_size(text: str, name: str = "resize") -> tuple[int, int]:
    """A height and a width in pixels, such as ``32,32``; `name` is the option's.

    Raises:
        OptionError: anything else, or a size that is not positive.
    """
    try:
        height, width = (int(item) for item in text.split(","))
    except ValueError as error:
        raise OptionError(f"{name}: expected HEIGHT,WIDTH such as 32,32, found '{text}'") from error
    _check_size(name, (height, width))
    return height, width


def _is_finite(value: object) -> bool:
    return isinstance(value, Real) and math.isfinite(value)


def _normalized(samples: NDArray[np.float32], rule: Normalize) -> NDArray[np.float32]:
    """Samples [N, ...] that `apply` may change."""
    if rule == "binary":
        return np.sign(samples)
    if rule == "max":
        largest = np.abs(samples).max(axis=tuple(range(1, samples.ndim)), keepdims=True, initial=0)
        samples /= np.where(largest > 0, largest, np.float32(1))
    return samples


def _check_size(name: str, size: tuple[int, ...]) -> None:
    if len(size) != 2 or not all(isinstance(value, int) and value > 0 for value in size):
        raise OptionError(f"{name}: expected a positive height and width, found {size!r}")


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
