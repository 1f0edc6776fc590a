"""A simulated event camera: a pixel sends an event where its brightness has changed by a threshold.

It looks at digits and makes three saccades, as the camera did that recorded N-MNIST.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from examples.small import Array

#: Pixels of the camera along an axis, those that a digit's pixel has, and those around a digit.
SENSOR, SCALE, MARGIN = 20, 2, 5
#: Corners of the path that the camera takes, in pixels, and milliseconds from one to the next.
CORNERS, SACCADE = ((0, 0), (2, 4), (4, 0), (0, 0)), 100
#: A change of brightness that is an event; white less black is 1.
THRESHOLD, MISMATCH = 0.2, 0.03


def scenes(images: Array) -> Array:
    """Digits [N, 1, 8, 8] in the camera's pixels, with a black margin that it never leaves."""
    large = np.kron(images[:, 0], np.ones((SCALE, SCALE)))
    return np.pad(large, ((0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN)))


def looked_at(scene: Array, millisecond: int) -> Array:
    """Brightness [N, SENSOR, SENSOR] from where the camera is then, interpolated between pixels."""
    saccade, part = divmod(millisecond, SACCADE)
    here, there = np.array(CORNERS[saccade]), np.array(CORNERS[min(saccade + 1, len(CORNERS) - 1)])
    place = here + (there - here) * part / SACCADE
    whole, rest = place.astype(int), place % 1
    seen = np.zeros((len(scene), SENSOR, SENSOR))
    for down, right in np.ndindex(2, 2):
        top, left = MARGIN - whole - (down, right)
        weight = abs(1 - down - rest[0]) * abs(1 - right - rest[1])
        seen += weight * scene[:, top : top + SENSOR, left : left + SENSOR]
    return seen


def record(images: Array, labels: Array, file: Path, rng: np.random.Generator) -> None:
    """Write recordings of digits: events (x, y, polarity, time in µs) and where those of each begin."""
    shape = (len(images), SENSOR, SENSOR)
    threshold = THRESHOLD * (1 + MISMATCH * rng.standard_normal(shape))
    scene = scenes(images)
    known, found = looked_at(scene, 0), []
    for millisecond in range(1, SACCADE * (len(CORNERS) - 1) + 1):
        steps = np.trunc((looked_at(scene, millisecond) - known) / threshold)
        known += steps * threshold
        number, y, x = np.nonzero(steps)
        brighter = steps[number, y, x] > 0
        found.append(np.stack([number, x, y, brighter, np.full(len(x), 1000 * millisecond)], axis=1))
    events = np.concatenate(found)
    events = events[np.argsort(events[:, 0], kind="stable")]  # times stay in order
    offsets = np.searchsorted(events[:, 0], np.arange(len(images) + 1))
    np.savez(file, events=events[:, 1:].astype(np.int32), offsets=offsets, labels=labels)
