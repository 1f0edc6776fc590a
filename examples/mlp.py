"""An MLP of Tanh in NumPy, and Adam (Kingma and Ba 2015) to train it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from examples.small import Array

Batch = Callable[[], tuple[Array, Array]]


class Mlp:
    """Layers of given sizes, each with a Tanh behind it, the last one too."""

    def __init__(self, rng: np.random.Generator, *sizes: int) -> None:
        self.weights = [rng.standard_normal(shape) / np.sqrt(shape[0]) for shape in pairwise(sizes)]
        self.biases = [np.zeros(size) for size in sizes[1:]]

    def layers(self, x: Array) -> list[Array]:
        """The inputs [N, …] and what every layer makes of the one before."""
        values = [x]
        for weights, bias in zip(self.weights, self.biases, strict=True):
            values.append(np.tanh(values[-1] @ weights + bias))
        return values

    def gradients(self, x: Array, wanted: Array) -> list[Array]:
        """Of half the mean square error, by the weights and then by the biases."""
        values = self.layers(x)
        slopes = (values[-1] - wanted) / len(x)
        by_weights, by_biases = [], []
        for before, after, weights in reversed(list(zip(values[:-1], values[1:], self.weights, strict=True))):
            slopes = slopes * (1 - after**2)
            by_weights.insert(0, before.T @ slopes)
            by_biases.insert(0, slopes.sum(axis=0))
            slopes = slopes @ weights.T
        return by_weights + by_biases

    def train(self, batch: Batch, steps: int, rate: float) -> None:
        """Fit by Adam, with a rate that falls to zero."""
        values = self.weights + self.biases
        means, squares = ([np.zeros_like(value) for value in values] for _ in range(2))
        for step in range(steps):
            unbiased = np.sqrt(1 - 0.999 ** (step + 1)) / (1 - 0.9 ** (step + 1))
            moved = rate * (1 - step / steps) * unbiased
            gradients = self.gradients(*batch())
            for value, slope, mean, square in zip(values, gradients, means, squares, strict=True):
                mean += 0.1 * (slope - mean)
                square += 0.001 * (slope**2 - square)
                value -= moved * mean / (np.sqrt(square) + 1e-8)
