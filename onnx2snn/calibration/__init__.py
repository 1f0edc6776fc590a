"""Calibration and evaluation data, activation statistics, and the thresholds that follow from them."""
