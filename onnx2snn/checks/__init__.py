"""Data that cannot be right is said: each mistake that users make has a file, which knows how it is told.

A check takes the `Evidence` and gives one line, or None where it is not sure: a false alarm is worse than a
miss.
To add one, write its file, and add it to `CHECKS`.
"""

from onnx2snn.checks import alike, chance, channels, layout, ranges, scale

#: Of data that a net is to see, in order: what explains the others comes first, and ends the search.
CHECKS = (
    alike.check,
    scale.check,
    ranges.check,
    layout.check,
    channels.check,
    chance.check,
)
