"""A network whose every spike is easily found by hand: T = 4, θ = 1, and each neuron starts at θ/2."""

from __future__ import annotations

import numpy as np
import onnx

import onnx2snn
from tests.helpers import parse

#: What four samples give, after 1, 2, 3 and 4 timesteps; [spikes] so far, the output.
#:   0: [1] 1, 0   [2] ½, 1   [3] ⅔, ⅔   [3] ½, ½     the ANN: ½, ½
#:   1: [1] 1, 0   [2] 1, 0   [3] 1, 0   [4] 1, 0     the ANN: 1, 0
#:   2: [1] 0, 2   [2] 0, 2   [3] 0, 2   [5] ¼, 2     the ANN: ⅛, 2
#:   3: [1] 0, 2   [2] 0, 2   [2] 0, 4⁄3   [3] 0, 3⁄2   the ANN: 0, 3⁄2
SAMPLES = np.float32([[0.5, 0.25], [1, 0], [0.125, 1], [-1, 0.75]])


def ann(batch: str | int = "N", output: str = "MatMul(r, w)") -> onnx.ModelProto:
    text = f"(float[{batch},2] x) => (float[{batch},2] y) {{ [r] r = Relu(x) [y] y = {output} }}"
    return parse(text, w=np.float32([[1, 0], [0, 2]]))


def compiled(model: onnx.ModelProto | None = None, **options: object) -> onnx2snn.SpikingSession:
    chosen = {"timesteps": 4, "max_spikes": 1, "threshold": "max", "granularity": "layer"}
    chosen |= {"correct_bias": False} | options
    return onnx2snn.SpikingSession(onnx2snn.compile(model or ann(), SAMPLES, **chosen).model)
