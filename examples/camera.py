"""A simulated event camera: a pixel sends an event where its brightness has changed by a threshold.

It looks at digits and makes three saccades, as the camera did that recorded N-MNIST.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from examples.small import Array

#: Pixels of the camera along an axis, and how many of them a pixel of a digit has.
SENSOR, SCALE = 20, 2
#: Corners of the path that the camera takes, in pixels, and milliseconds from one to the next.
CORNERS, SACCADE = ((0, 0), (2, 4), (4, 0), (0, 0)), 100
#: A change of brightness that is an event; white less black is 1.
THRESHOLD, MISMATCH = 0.2, 0.03


def looked_at(images: Array, millisecond: int) -> Array:
    """Brightness [N, SENSOR, SENSOR] of digits [N, 1, 8, 8], seen from where the camera is."""
    saccade, part = divmod(millisecond, SACCADE)
    here, there = np.array(CORNERS[saccade]), np.array(CORNERS[min(saccade + 1, len(CORNERS) - 1)])
    place = here + (there - here) * part / SACCADE
    whole, rest = place.astype(int), place % 1
    large = np.kron(images[:, 0], np.ones((SCALE, SCALE)))
    margin = SENSOR + 1 - large.shape[-1]
    scene = np.pad(large, ((0, 0), (0, margin), (0, margin)))
    seen = np.zeros((len(images), SENSOR, SENSOR))
    for down, right in np.ndindex(2, 2):
        weight = abs(1 - down - rest[0]) * abs(1 - right - rest[1])
        seen += weight * np.roll(scene, whole + np.array([down, right]), axis=(1, 2))[:, :SENSOR, :SENSOR]
    return seen


def record(images: Array, labels: Array, file: Path, rng: np.random.Generator) -> None:
    """Write recordings of digits: events (x, y, polarity, time in µs) and where those of each begin."""
    shape = (len(images), SENSOR, SENSOR)
    threshold = THRESHOLD * (1 + MISMATCH * rng.standard_normal(shape))
    known, found = looked_at(images, 0), []
    for millisecond in range(1, SACCADE * (len(CORNERS) - 1) + 1):
        steps = np.trunc((looked_at(images, millisecond) - known) / threshold)
        known += steps * threshold
        number, y, x = np.nonzero(steps)
        brighter = steps[number, y, x] > 0
        found.append(np.stack([number, x, y, brighter, np.full(len(x), 1000 * millisecond)], axis=1))
    events = np.concatenate(found)
    events = events[np.argsort(events[:, 0], kind="stable")]  # times stay in order
    offsets = np.searchsorted(events[:, 0], np.arange(len(images) + 1))
    np.savez(file, events=events[:, 1:].astype(np.int32), offsets=offsets, labels=labels)
