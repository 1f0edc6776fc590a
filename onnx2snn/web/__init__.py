"""A page that runs an artifact in a browser: `onnx2snn web`.

The page is static: onnxruntime-web, the network and samples lie in one folder that opens by double click.
"""
