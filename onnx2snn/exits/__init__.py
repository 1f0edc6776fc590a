"""Early exit: when a sample is decided, with which thresholds, in a running network and in the file itself.

The loop over calibration data belongs to `compiler`, the tally of what was saved to `analysis`.
"""
