"""`python -m onnx2snn`: the command line."""

from onnx2snn.cli import main

main()
