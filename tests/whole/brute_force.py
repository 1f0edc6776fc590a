"""Random nets, and what they compute counted spike by spike and connection by connection.

Nothing here shares code with the package: operators are drawn, written as ONNX text, and counted by loops
over the ANN and over the spikes that its neurons were seen to send.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import TypeVar

import numpy as np
import onnx

from tests.helpers import parse
from tests.whole.windows import Place, Window

Array = np.ndarray
T = TypeVar("T")
INPUT = (2, 5, 4)


@dataclass
class Tensor:
    """What a tensor carries.

    Attributes:
        shape: of one sample.
        trains: integers [T, N, *shape], spikes on their way; a sum has one for each term, as all arrive.
        analog: bool [*shape], where values are that are the same at every timestep.
        moving: whether it has values that change over time and are no spikes.
    """

    shape: Place
    trains: list[Array]
    analog: Array
    moving: bool = False


@dataclass
class Count:
    """Counts of a run.

    Attributes:
        sent: neuron → the spikes that it was seen to send, [T, N, …].
        code: `burst` or `radix` of the schedule `layer`, with its levels N; None in `stream`.
        operations: layer → spikes that arrived there, by sample [N].
        events: the same, of bursts.
        macs: multiply-accumulates a sample of layers that read `analog` values, spikes and analog values
            (`joined`), values that change but are no spikes (`moving`), and of the ANN (`all`).
        moving: layers of these.
    """

    sent: Mapping[str, Array]
    code: str | None
    levels: Mapping[str, int]
    operations: dict[str, Array] = field(default_factory=dict)
    events: dict[str, Array] = field(default_factory=dict)
    macs: Counter[str] = field(default_factory=Counter)
    moving: list[str] = field(default_factory=list)

    def arrive(self, layer: str, trains: list[Array], connections: Mapping[Place, int]) -> None:
        """Every spike on its own, over every connection."""
        samples = trains[0].shape[1]
        self.operations[layer], self.events[layer] = (np.zeros(samples, np.int64) for _ in range(2))
        for train in trains:
            for time, sample, *place in np.argwhere(train):
                size = abs(int(train[time, sample, *place]))
                reached = connections[tuple(map(int, place))]
                for _ in range(size):
                    self.operations[layer][sample] += reached
                self.events[layer][sample] += reached


#: From the tensors read, and the name of the one made.
Step = Callable[[Count, str, list[Tensor]], Tensor]


class Net:
    """A random net: first a convolution and a neuron, then what `seeds` draw, then scores."""

    def __init__(self, seeds: Sequence[int]) -> None:
        self._rng = np.random.default_rng(seeds)
        self._weights: dict[str, Array] = {}
        self._lines: dict[str, tuple[str, list[str], Step]] = {}
        self._shapes: dict[str, Place] = {"x": INPUT}
        self._whole: set[str] = set()  # tensors of spikes of one neuron, alone or pooled
        self._currents: set[str] = set()  # tensors with what layers made of spikes
        self._mixed: set[str] = set()  # those of them that have spikes as well
        last = self._relu(self._conv("x"))
        drawn = [self._conv, self._relu, self._transposed, self._maximum, self._average]
        drawn += [self._residual, self._concat, self._swap, self._conv, self._relu]
        for _ in range(self._pick(3, 7)):
            names = [*list(self._shapes)[2:], *[last] * 6]
            last = drawn[self._pick(0, len(drawn) - 1)](names[self._pick(0, len(names) - 1)])
        self.output = self._score(last if last in self._whole else self._relu(last))
        self._keep_what_is_needed()

    @property
    def model(self) -> onnx.ModelProto:
        """The ANN; a tensor has the name of its node."""
        lines = " ".join(f"{name} = {text}" for name, (text, _, _) in self._lines.items())
        read = parse(f"(float[N,2,5,4] x) => (float[N,K] {self.output}) {{ {lines} }}")
        used = {name for node in read.graph.node for name in node.input}
        for node in read.graph.node:
            node.name = node.output[0]
        weights = {name: array for name, array in self._weights.items() if name in used}
        read.graph.initializer.extend(onnx.numpy_helper.from_array(w, name) for name, w in weights.items())
        return read

    @property
    def sizes(self) -> dict[str, int]:
        """Places of every tensor of a sample."""
        return {name: int(np.prod(self._shapes[name])) for name in self._lines}

    def count(self, sent: Mapping[str, Array], code: str | None, levels: Mapping[str, int]) -> Count:
        """Count a run in which the neurons sent these spikes."""
        count = Count(sent, code, levels)
        known = {"x": Tensor(INPUT, [], np.ones(INPUT, bool))}
        for name, (_, sources, step) in self._lines.items():
            known[name] = step(count, name, [known[source] for source in sources])
        return count

    # --- operators: each adds one that reads `a`, and gives the name of what it makes -----------------------

    def _conv(self, a: str) -> str:
        channels, *size = self._shapes[a]
        groups = self._one_of([g for g in {1, 2, channels} if channels % g == 0])
        outputs = groups * self._pick(1, 2)
        window = self._window(size, dilated=True)
        inside, shape = channels // groups, (outputs, *window.places)
        weight = self._random(outputs, inside, *window.kernel)

        def connect() -> Iterator[Place]:
            for output, *place in product(*map(range, shape)):
                first = output // (outputs // groups) * inside
                for channel in range(first, first + inside):
                    for row, column in window.inputs(place):
                        yield channel, row, column

        return self._add(
            f"Conv<{window}, group={groups}>({a}, {weight})", shape, _weighted(connect, shape), a
        )

    def _transposed(self, a: str) -> str:
        channels, *size = self._shapes[a]
        groups = self._one_of([g for g in {1, channels} if channels % g == 0])
        each, kernel, strides = self._pick(1, 2), self._pair(1, 3), self._pair(1, 2)
        pads = [self._pick(0, k - 1) for k in kernel * 2]
        places = [(s - 1) * t + k for s, t, k in zip(size, strides, kernel, strict=True)]
        places = [p - pads[axis] - pads[axis + 2] for axis, p in enumerate(places)]
        if min(places) < 1 or max(places) > 6:
            return a
        weight, shape = self._random(channels, each, *kernel), (each * groups, *places)

        def connect() -> Iterator[Place]:
            for channel, row, column in product(range(channels), *map(range, size)):
                for _, i, j in product(range(each), *map(range, kernel)):
                    y, x = row * strides[0] + i - pads[0], column * strides[1] + j - pads[1]
                    if 0 <= y < places[0] and 0 <= x < places[1]:
                        yield channel, row, column

        text = f"ConvTranspose<strides={strides}, pads={pads}, group={groups}>({a}, {weight})"
        return self._add(text, shape, _weighted(connect, shape), a)

    def _relu(self, a: str) -> str:
        if a in self._whole:
            return a

        def fire(count: Count, name: str, read: list[Tensor]) -> Tensor:
            (source,) = read
            if source.trains:
                count.arrive(name, source.trains, dict.fromkeys(np.ndindex(source.shape), 1))
            return Tensor(source.shape, [count.sent[name].astype(int)], np.zeros(source.shape, bool))

        name = self._add(f"Relu({a})", self._shapes[a], fire, a)
        self._whole.add(name)
        return name

    def _maximum(self, a: str) -> str:
        if a not in self._whole:
            return a
        channels, *size = self._shapes[a]
        window = self._window(size, dilated=True)
        shape = (channels, *window.places)

        def pool(count: Count, name: str, read: list[Tensor]) -> Tensor:
            (train,) = read[0].trains
            levels = count.levels[self._neuron_of(name)] if count.code else 0
            so_far = _values(train, count.code)
            pooled = np.zeros((*train.shape[:2], *shape), int)
            for time, sample, channel, *place in product(*map(range, pooled.shape)):
                found = [so_far[time, sample, channel, i, j] for i, j in window.inputs(place)]
                pooled[time, sample, channel, *place] = max(found)
            sent = _train(pooled, count.code, levels)
            return Tensor(shape, [sent], np.zeros(shape, bool))

        name = self._add(f"MaxPool<kernel_shape={window.kernel}, {window}>({a})", shape, pool, a)
        self._whole.add(name)
        return name

    def _average(self, a: str) -> str:
        channels, *size = self._shapes[a]
        window = self._window(size, dilated=False)
        shape = (channels, *window.places)

        def average(_: Count, __: str, read: list[Tensor]) -> Tensor:
            """Each spike in a window goes on; analog values become one value."""
            (source,) = read
            offsets = list(product(*map(range, window.kernel)))
            trains = []
            for train, offset in product(source.trains, offsets):
                taken = np.zeros((*train.shape[:2], *shape), int)
                for place in product(*map(range, window.places)):
                    at = window.input(place, offset)
                    if at is not None:
                        taken[:, :, :, *place] = train[:, :, :, *at]
                trains.append(taken)
            analog = np.zeros(shape, bool)
            for channel, *place in product(*map(range, shape)):
                analog[channel, *place] = any(source.analog[channel, i, j] for i, j in window.inputs(place))
            return Tensor(shape, trains, analog, source.moving)

        padded = self._pick(0, 1)
        text = f"AveragePool<kernel_shape={window.kernel}, count_include_pad={padded}, {window}>({a})"
        return self._add(text, shape, average, a)

    def _residual(self, a: str) -> str:
        def add(_: Count, __: str, read: list[Tensor]) -> Tensor:
            one, other = read
            analog, moving = one.analog | other.analog, one.moving or other.moving
            return Tensor(one.shape, [*one.trains, *other.trains], analog, moving)

        b = self._other([name for name, shape in self._shapes.items() if shape == self._shapes[a]])
        return self._add(f"Add({a}, {b})", self._shapes[a], add, a, b)

    def _concat(self, a: str) -> str:
        (first, *size), shapes = self._shapes[a], self._shapes.items()
        fitting = [n for n, s in shapes if list(s[1:]) == size and s[0] + first <= 6]
        # Spikes beside currents are not followed: the neurons behind are listed as not counted.
        b = self._other([n for n in fitting if (n in self._currents) == (a in self._currents)] or [a])
        if a in self._currents and (a in self._mixed or b in self._mixed):
            return a
        second = self._shapes[b][0]
        shape = (first + second, *size)

        def join(_: Count, __: str, read: list[Tensor]) -> Tensor:
            trains = []
            for start, tensor in ((0, read[0]), (first, read[1])):
                for train in tensor.trains:
                    wide = np.zeros((*train.shape[:2], *shape), int)
                    wide[:, :, start : start + tensor.shape[0]] = train
                    trains.append(wide)
            analog = np.concatenate([tensor.analog for tensor in read])
            return Tensor(shape, trains, analog, any(tensor.moving for tensor in read))

        return self._add(f"Concat<axis=1>({a}, {b})", shape, join, a, b)

    def _swap(self, a: str) -> str:
        channels, height, width = self._shapes[a]
        shape = (channels, width, height)

        def swap(_: Count, __: str, read: list[Tensor]) -> Tensor:
            (source,) = read
            trains = [train.swapaxes(3, 4) for train in source.trains]
            return Tensor(shape, trains, source.analog.swapaxes(1, 2), source.moving)

        return self._add(f"Transpose<perm=[0,1,3,2]>({a})", shape, swap, a)

    def _score(self, a: str) -> str:
        channels, *size = self._shapes[a]
        averaged, turned, outputs = self._pick(0, 1), self._pick(0, 1), self._pick(2, 3)
        width = channels if averaged else channels * size[0] * size[1]
        shape = (width,)

        def average(_: Count, __: str, read: list[Tensor]) -> Tensor:
            places = list(product(*map(range, size)))
            trains = [train[..., i, j] for train in read[0].trains for i, j in places]
            return Tensor((channels,), trains, np.zeros(channels, bool))

        def flatten(_: Count, __: str, read: list[Tensor]) -> Tensor:
            trains = [train.reshape(*train.shape[:2], -1) for train in read[0].trains]
            return Tensor(shape, trains, np.zeros(shape, bool))

        def connect() -> Iterator[Place]:
            for _, source in product(range(outputs), range(width)):
                yield (source,)

        if averaged:
            a = self._add(f"ReduceMean<keepdims=0>({a}, pixels)", shape, average, a)
        else:
            a = self._add(f"Flatten({a})", shape, flatten, a)
        weight = self._random(*((outputs, width) if turned else (width, outputs)))
        return self._add(
            f"Gemm<transB={turned}>({a}, {weight})", (outputs,), _weighted(connect, (outputs,)), a
        )

    # --- drawing ------------------------------------------------------------------------------------------

    def _add(self, text: str, shape: Place, step: Step, *sources: str) -> str:
        name = f"t{len(self._lines)}"
        self._lines[name] = (text, list(sources), step)
        self._shapes[name] = shape
        if text.startswith("Conv") and sources != ("x",):
            self._currents.add(name)
        elif not text.startswith("Relu") and not self._currents.isdisjoint(sources):
            self._currents.add(name)
            if not self._mixed.isdisjoint(sources) or not self._currents.issuperset(sources):
                self._mixed.add(name)
        self._weights["pixels"] = np.int64([2, 3])
        return name

    def _neuron_of(self, name: str) -> str:
        while not self._lines[name][0].startswith("Relu"):
            (name,) = self._lines[name][1]
        return name

    def _keep_what_is_needed(self) -> None:
        needed = {self.output}
        for name in reversed(self._lines):
            if name in needed:
                needed.update(self._lines[name][1])
        self._lines = {name: line for name, line in self._lines.items() if name in needed}

    def _pick(self, least: int, most: int) -> int:
        return int(self._rng.integers(least, most + 1))

    def _pair(self, least: int, most: int) -> list[int]:
        return [self._pick(least, most), self._pick(least, most)]

    def _one_of(self, choices: Sequence[T]) -> T:
        return choices[self._pick(0, len(choices) - 1)]

    def _other(self, fitting: list[str]) -> str:
        """One of these, half the time one that no spikes reach, if there is any."""
        analog = [name for name in fitting if name in ("x", "t0")]
        return self._one_of(analog if analog and self._pick(0, 1) else fitting)

    def _random(self, *shape: int) -> str:
        name = f"w{len(self._weights)}"
        values = self._rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        self._weights[name] = values.astype(np.float32)
        return name

    def _window(self, size: list[int], *, dilated: bool) -> Window:
        kernel = [self._pick(1, min(3, edge)) for edge in size]
        room = [dilated and 2 * (k - 1) < edge for k, edge in zip(kernel, size, strict=True)]
        dilations = [self._pick(1, 2) if wide else 1 for wide in room]
        pads = [self._pick(0, k - 1) for k in kernel * 2]
        return Window(size, kernel, self._pair(1, 2), dilations, pads)


def _weighted(connect: Callable[[], Iterator[Place]], shape: Place) -> Step:
    """A layer with weights: `connect` gives the place in the input of one connection after another."""

    def weigh(count: Count, name: str, read: list[Tensor]) -> Tensor:
        (source,) = read
        connections = Counter(connect())
        macs = connections.total()
        count.macs["all"] += macs
        if source.moving:
            count.macs["moving"] += macs
            count.moving.append(name)
        elif source.trains:
            count.macs["joined"] += sum(n for place, n in connections.items() if source.analog[place])
            count.arrive(name, source.trains, connections)
        else:
            count.macs["analog"] += macs
            return Tensor(shape, [], np.ones(shape, bool))
        return Tensor(shape, [], np.zeros(shape, bool), moving=True)

    return weigh


def _values(train: Array, code: str | None) -> Array:
    """What has been sent by each timestep, in θ; bits of the code `radix` are worth powers of two."""
    timesteps = len(train)
    worth = [2 ** (timesteps - 1 - t) if code == "radix" else 1 for t in range(timesteps)]
    return np.cumsum([train[t] * worth[t] for t in range(timesteps)], axis=0)


def _train(values: Array, code: str | None, levels: int) -> Array:
    """The spikes behind values so far; in a code all follow from the last, the value sent in all."""
    if code is None:
        return np.diff(values, axis=0, prepend=0)
    timesteps, train = len(values), np.zeros_like(values)
    for index in np.ndindex(values.shape[1:]):
        left = int(values[-1, *index])
        for t in range(timesteps):
            if code == "radix":
                train[t, *index] = left >> (timesteps - 1 - t) & 1
            else:
                sent = min(left, -(-levels // timesteps))
                train[t, *index], left = sent, left - sent
    return train
