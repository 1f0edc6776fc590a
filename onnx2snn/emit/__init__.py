"""From the converted flat graph to the artifact: one ordinary ONNX file that runs all timesteps.

One file per schedule; cells become calls of functions with true bodies, states become the Loop's variables.
"""
