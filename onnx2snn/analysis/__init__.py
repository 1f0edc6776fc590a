"""How well a spiking network does, what it costs and where its error comes from.

Evaluation, energy, diagnosis, sweep; `onnx2snn.report` and the command line show their figures.
"""
