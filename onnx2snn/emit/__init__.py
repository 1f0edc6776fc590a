"""From the converted flat graph to the artifact: one ordinary ONNX file that runs all timesteps."""
