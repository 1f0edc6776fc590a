"""Names of nodes and tensors that an artifact reserves."""

from __future__ import annotations

#: Name of the Loop node.
LOOP = "onnx2snn/timesteps_loop"
#: Name of T where the user has a tensor `timesteps`, and always in the parts that a session runs.
TIMESTEPS = "onnx2snn/timesteps"
#: How the names of T as a float begin, by which the sums over time are divided.
DIVISOR = f"{TIMESTEPS}_as_"
