"""What a finished file is: its parts, its neurons, how it counts spikes and synaptic operations.

Reads and rewrites artifacts, runs nothing; running them is `onnx2snn.runtime`.
"""
