"""The embedded example: a digits CNN with its data, made by `examples/train_digits.py`."""
