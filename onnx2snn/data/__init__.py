"""Data of the user: readers of arrays and images, preprocessing, labels, batches.

What comes out is a `Dataset` of float arrays under the model's input names.
"""
