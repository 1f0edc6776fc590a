"""Passes: each takes the flat graph one step from the ANN to the spiking network, and says what it did.

One file, one class, one sentence each; their order stands in `passes/pipeline.py`.
"""
