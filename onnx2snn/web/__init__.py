"""A page that runs an artifact in a browser: `onnx2snn web`."""
