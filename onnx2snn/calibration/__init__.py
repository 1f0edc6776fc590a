"""What calibration data say: statistics, moments, the error of every stage, refitted weights and biases.

Works on flat graphs between passes; the thresholds that follow from statistics are in `onnx2snn.thresholds`.
"""
