"""Rules that turn histograms of activations into the range R of every channel (θ = R/levels).

One file per rule; all are listed in `thresholds/rules.py`.
"""
