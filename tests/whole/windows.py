"""The geometry of convolutions and pools, place by place, for counts by loops."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

#: A place of a tensor of one sample, such as (channel, row, column).
Place = tuple[int, ...]


@dataclass
class Window:
    """The geometry of a convolution or a pool over two axes."""

    size: list[int]
    kernel: list[int]
    strides: list[int]
    dilations: list[int]
    pads: list[int]

    def __str__(self) -> str:
        return f"strides={self.strides}, dilations={self.dilations}, pads={self.pads}"

    @property
    def places(self) -> list[int]:
        """How many places it has along each axis."""
        spans = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True)]
        rooms = [s + self.pads[axis] + self.pads[axis + 2] - spans[axis] for axis, s in enumerate(self.size)]
        return [room // stride + 1 for room, stride in zip(rooms, self.strides, strict=True)]

    def input(self, place: Place, offset: Place) -> Place | None:
        """What it reads there at an offset in the kernel; None in the padding."""
        at = tuple(
            place[axis] * self.strides[axis] + offset[axis] * self.dilations[axis] - self.pads[axis]
            for axis in (0, 1)
        )
        return at if all(0 <= i < edge for i, edge in zip(at, self.size, strict=True)) else None

    def inputs(self, place: Place) -> list[Place]:
        """All that it reads there."""
        found = (self.input(place, offset) for offset in product(*map(range, self.kernel)))
        return [at for at in found if at is not None]
