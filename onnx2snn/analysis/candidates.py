"""Conversions of one net that are compared: their names, what is typed for them, and their networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import onnx

from onnx2snn.calibration.statistics import Statistics
from onnx2snn.checks.findings import UNASKED
from onnx2snn.compiler.compiler import convert
from onnx2snn.data.readers import Dataset
from onnx2snn.options import CompileOptions
from onnx2snn.runtime.session import SpikingSession

#: Name → options: how neurons fire.
KINDS: dict[str, dict[str, Any]] = {
    "stream": {"schedule": "stream", "code": "burst"},
    "signed": {"schedule": "stream", "code": "burst", "signed": True},
    "layer": {"schedule": "layer", "code": "burst"},
    "radix": {"schedule": "layer", "code": "radix"},
    "graded": {"schedule": "stream", "code": "graded"},
    "graded-layer": {"schedule": "layer", "code": "graded"},
}
#: What need not be typed. The code is: which one is the default hangs on the other options.
_DEFAULTS = {"schedule": CompileOptions.schedule}


class Candidates:
    """Conversions of a net on the same samples, whose statistics are measured once.

    Args:
        model: the ANN.
        calibration: samples to calibrate on.
    """

    def __init__(self, model: onnx.ModelProto, calibration: Dataset) -> None:
        self.model = model
        self.calibration = calibration
        self._measured: dict[tuple[int, bool], Statistics] = {}

    def session(self, options: Mapping[str, Any]) -> SpikingSession:
        """The network of one choice of options, ready to run."""
        chosen = CompileOptions(**options)
        compiled = convert(self.model, self.calibration, chosen, measured=self._measured, found=UNASKED)
        return SpikingSession(compiled.model)


def describe(options: Mapping[str, Any]) -> str:
    """A point in a few words."""
    kind = next(name for name, given in reversed(KINDS.items()) if given.items() <= options.items())
    limits = (("Γ", "max_spikes"), ("n", "exponents"))
    spikes = "".join(f", {letter} = {options[name]}" for letter, name in limits if name in options)
    saved = f", compressed {options['max_loss']:g}" if "compress" in options else ""
    return f"{kind}, T = {options['timesteps']}{spikes}{saved}"


def command(options: Mapping[str, Any]) -> str:
    """The options as they are typed."""
    words = []
    for name, value in options.items():
        if _DEFAULTS.get(name) != value:
            words.append("--" + name.replace("_", "-") + ("" if value is True else f" {value}"))
    return " ".join(words)
