"""What a graph is: the mutable graph of the passes, and what its nodes are, which nothing here changes.

Linear parts, channels, sections, islands, rectifiers. Only `graph/graph.py` knows onnx_graphsurgeon.
"""
