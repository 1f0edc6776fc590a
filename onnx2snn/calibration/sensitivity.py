"""What each neuron layer's way of firing costs, and what the network's output suffers from it.

One sweep: the SNN and the ANN go through the net side by side, layer by layer. At each neuron layer the
spikes that really arrive are fed to all of its ways of firing. What a way adds to the layer's error, beyond
the mean that the bias correction will take out, is added to the ANN's activation, and what the rest of the
ANN makes of it is compared with what it makes of the activation alone (Wang et al. 2025: only that layer
spikes). A way that another one beats in spikes and in the layer's own error is not followed any further.

The cost is half a pass of the ANN for each way of each layer, and one of the SNN.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.calibration.bias import rectified_shift
from onnx2snn.calibration.stage_step import threshold
from onnx2snn.calibration.stages import Stage, Train, make_stages
from onnx2snn.calibration.statistics import calibration_batches, ignore
from onnx2snn.data.readers import Dataset
from onnx2snn.graph.channels import along_axis, channels_first
from onnx2snn.graph.firing import Firing, set_firing
from onnx2snn.graph.graph import Graph, Node, clone, producer
from onnx2snn.graph.rectifiers import Rectifier
from onnx2snn.graph.tail import filled_up
from onnx2snn.graph.targets import find_targets
from onnx2snn.ops import CELLS
from onnx2snn.ops.accumulate_fire import spike_train
from onnx2snn.ops.graded_fire import words

logger = logging.getLogger(__name__)

Array = npt.NDArray[Any]

#: Samples that go through the net together, at most.
TOGETHER = 32


@dataclass(frozen=True)
class Sensitivity:
    """What was measured of one neuron layer.

    Attributes:
        ways: the ways of firing that are worth choosing from.
        divergence: for each, how far the network's outputs move, on average over them: symmetric KL
            divergence of the softmax of class scores, the relative squared error of other floats, the share
            of whole numbers that differ.
        spikes: for each, spikes a sample.
    """

    ways: list[Firing]
    divergence: list[float]
    spikes: list[float]


def measure_sensitivity(
    graph: Graph,
    dataset: Dataset,
    rectifiers: Mapping[str, Rectifier],
    ways: Mapping[str, Sequence[Firing]],
    timesteps: int,
    *,
    digits: int = 0,
    batch_size: int = TOGETHER,
    advance: Callable[[float], None] = ignore,
) -> dict[str, Sensitivity]:
    """Measure every way of firing of every neuron that has some.

    Args:
        graph: the converted graph, with cells for rectifiers and pools. Not changed.
        dataset: the samples to measure on.
        rectifiers: neuron → the activation that it stands for.
        ways: neuron → its ways of firing, the one it has first.
        timesteps: T; 1 in the schedule `layer`.
        digits: how many spikes a neuron that fires once sends of its count, or of its target: bits, or powers
            of two with a sign; 0 where it sends the count itself.
        batch_size: samples that go through the net together.
        advance: called with the share of the work that is done.
    """
    sweep = _Sweep(graph, rectifiers, ways, timesteps, digits)
    done = 0
    for inputs, count in calibration_batches(graph, dataset, batch_size):
        for share in sweep.add(inputs, count):
            advance((done + count * share) / len(dataset))
        done += count
    logger.info("sensitivity of %d neuron layers, from %d samples", len(ways), done)
    return sweep.results()


def joint_divergence(
    found: Mapping[str, Array], expected: Mapping[str, Array], samples: int, probabilities: Collection[str]
) -> float:
    """How far all outputs are from what they should be: the mean over them, summed over the samples.

    Args:
        found: by name.
        expected: by name.
        samples: N.
        probabilities: the outputs that have been through a softmax.
    """
    parts = [
        divergence(found[name], wanted, samples, probabilities=name in probabilities)
        for name, wanted in expected.items()
    ]
    return sum(parts) / len(parts)


def probable(graph: Graph) -> set[str]:
    """The outputs that come from a softmax."""
    makers = ((output.name, producer(output)) for output in graph.outputs)
    return {name for name, node in makers if node is not None and node.op == "Softmax"}


def divergence(
    scores: Array, expected: Array, samples: int | None = None, *, probabilities: bool = False
) -> float:
    """How far an output is from what it should be, summed over the samples.

    Args:
        scores: [N, classes], or anything else of a net that does not classify.
        expected: of the same shape, unless that depends on values.
        samples: N; as many as there are rows by default.
        probabilities: whether they have been through a softmax.
    """
    count = len(expected) if samples is None else samples
    if expected.dtype.kind in "iub":
        same = scores.shape == expected.shape
        return (
            count * float(np.mean(scores != expected)) if same and expected.size else float(not same) * count
        )
    spiking, wanted = filled_up(scores, expected)
    if scores.shape != expected.shape or spiking.ndim != 2 or spiking.shape[1] < 2 or len(spiking) != count:
        size = float((wanted**2).mean()) or 1.0
        return float(((spiking - wanted) ** 2).mean() / size) * count
    if probabilities:
        spiking, wanted = (np.log(np.maximum(x, 1e-30)) for x in (spiking, wanted))
    # A net is so sure of what it was trained on that nothing would move its softmax.
    temperature = float(wanted.std()) or 1.0
    logs = [_log_softmax(x / temperature) for x in (spiking, wanted)]
    return float(((np.exp(logs[0]) - np.exp(logs[1])) * (logs[0] - logs[1])).sum())


def _log_softmax(scores: Array) -> Array:
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


class _Sweep:
    """The sums over all samples so far."""

    def __init__(
        self,
        graph: Graph,
        rectifiers: Mapping[str, Rectifier],
        ways: Mapping[str, Sequence[Firing]],
        timesteps: int,
        digits: int,
    ) -> None:
        self._rectifiers, self._ways, self._timesteps, self._digits = rectifiers, ways, timesteps, digits
        self._probabilities, self._outputs = probable(graph), [output.name for output in graph.outputs]
        self._stages = make_stages(graph, self._outputs)
        self._trials = _trials(graph, ways)
        self._divergence = {name: np.zeros(len(given)) for name, given in ways.items()}
        self._spikes = {name: np.zeros(len(given)) for name, given in ways.items()}
        #: Squares of a layer's own error.
        self._errors = {name: np.zeros(len(given)) for name, given in ways.items()}
        self._followed: dict[str, list[int]] = {}
        self._samples = 0

    def add(self, inputs: Mapping[str, Array], count: int) -> Iterator[float]:
        """Send a batch through the net; tells how far it is, layer by layer."""
        ann: dict[str, Array] = {}
        for stage in self._stages:
            self._follow(stage, inputs, ann)
        expected = {name: ann[name] for name in self._outputs}
        snn: dict[str, Train | Array] = {}
        for number, stage in enumerate(self._stages[: -len(self._outputs)]):
            if stage.yields is None:
                continue
            if stage.key in self._ways and stage.cell is not None:
                snn[stage.yields], errors = self._try(stage, inputs, ann, snn)
                for way, error in errors.items():
                    moved = _like(ann[stage.yields], ann[stage.yields] + error)
                    local = {**ann, stage.yields: moved}
                    for later in self._stages[number + 1 :]:
                        self._follow(later, inputs, local)
                    self._divergence[stage.key][way] += joint_divergence(
                        local, expected, count, self._probabilities
                    )
            else:
                shift = self._shift(stage, inputs, ann, snn)
                snn[stage.yields] = stage.run({**inputs, **snn}, shift, self._timesteps)
            yield (number + 1) / len(self._stages)
        self._samples += count

    def results(self) -> dict[str, Sensitivity]:
        """The means over all samples."""
        return {
            name: Sensitivity(
                [self._ways[name][way] for way in followed],
                [float(self._divergence[name][way] / self._samples) for way in followed],
                [float(self._spikes[name][way] / self._samples) for way in followed],
            )
            for name, followed in self._followed.items()
        }

    def _follow(self, stage: Stage, inputs: Mapping[str, Array], values: dict[str, Array]) -> None:
        """What the ANN makes of values up to a stage."""
        exact = stage.current({**inputs, **values})
        if stage.cell is None:
            values[stage.target.name] = exact
            return
        kind = self._rectifiers.get(stage.key)
        assert stage.yields is not None
        values[stage.yields] = stage.activate(exact) if kind is None else _like(exact, kind(exact))

    def _shift(
        self,
        stage: Stage,
        inputs: Mapping[str, Array],
        ann: Mapping[str, Array],
        snn: Mapping[str, Train | Array],
    ) -> npt.NDArray[np.float64]:
        """What the bias correction will add to a neuron's current."""
        kind = self._rectifiers.get(stage.key)
        if stage.cell is None or (kind is None and not stage.grades):
            return np.zeros(1)
        if kind is not None and kind.step is not None:
            return np.zeros(1)
        means = {
            name: feed.mean() if isinstance(feed, Train) else feed
            for name, feed in snn.items()
            if name in stage.sources
        }
        exact = stage.current({**inputs, **ann})
        wanted = exact if kind is None else kind(exact)
        return rectified_shift([wanted], [stage.current({**inputs, **means})], kind, stage.axis)

    def _try(
        self,
        stage: Stage,
        inputs: Mapping[str, Array],
        ann: Mapping[str, Array],
        snn: Mapping[str, Train | Array],
    ) -> tuple[Train | Array, dict[int, Array]]:
        """The spikes of a neuron as it is; and the error of each of its ways that is worth following."""
        shift = self._shift(stage, inputs, ann, snn)
        currents = self._currents(stage, inputs, snn)
        kind, axis = self._rectifiers.get(stage.key), stage.axis
        mean = currents[-1] if stage.grades else np.mean(currents, axis=0, dtype=np.float32)
        corrected = mean + along_axis(shift, axis, mean.ndim).astype(mean.dtype)
        ideal = stage.activate(corrected) if kind is None else kind(corrected)
        # A relay reads spikes, as they are.
        feed = {stage.target.name: snn.get(stage.target.name, Train(currents, None))}
        errors: dict[int, Array] = {}
        own: Train | Array | None = None
        for way, trial in enumerate(self._trials[stage.key]):
            train = trial.run(feed, shift, self._timesteps)
            assert isinstance(train, Train)
            own = train if own is None else own
            self._spikes[stage.key][way] += self._count(trial, train, ideal)
            error = train.mean() - ideal
            bias = channels_first(error, axis).mean(axis=1, dtype=np.float64)
            errors[way] = error - along_axis(bias, axis, error.ndim).astype(error.dtype)
            self._errors[stage.key][way] += float((errors[way].astype(np.float64) ** 2).sum())
        if stage.key not in self._followed:
            self._followed[stage.key] = _unbeaten(self._spikes[stage.key], self._errors[stage.key])
        assert own is not None
        return own, {way: errors[way] for way in self._followed[stage.key]}

    def _currents(
        self, stage: Stage, inputs: Mapping[str, Array], snn: Mapping[str, Train | Array]
    ) -> list[Array]:
        """The current of a neuron at every timestep."""
        feeds = {name: snn[name] for name in stage.sources if name in snn}
        if not any(isinstance(feed, Train) for feed in feeds.values()):
            still = {n: feed for n, feed in feeds.items() if not isinstance(feed, Train)}
            return [stage.current({**inputs, **still})] * self._timesteps
        return [
            stage.current({**inputs, **{name: _at(feed, time) for name, feed in feeds.items()}})
            for time in range(self._timesteps)
        ]

    def _count(self, trial: Stage, train: Train, target: Array) -> float:
        """The spikes of a train; those of a neuron that fires once from its count, or its target."""
        steps = train.steps
        if trial.grades:
            assert trial.cell is not None
            if self._digits:
                zone = trial.cell.attrs["dead_zone"]
                steps = words(target, threshold(trial.cell), zone, self._digits)
            return float(sum(np.count_nonzero(b - a) for a, b in pairwise([0 * target, *steps])))
        if self._digits:
            steps = [spike_train(step, "radix", 0, self._digits) for step in steps]
        return float(sum(np.abs(step).sum(dtype=np.int64) for step in steps))


def _at(feed: Train | Array, time: int) -> Array:
    """A source's values at one timestep."""
    if not isinstance(feed, Train):
        return feed
    step = feed.steps[time]
    return step if feed.scale is None else np.asarray(step * feed.scale, feed.scale.dtype)


def _like(model: Array, values: Array) -> Array:
    """Values in the element type of others: what is computed of float16 may be float32."""
    return np.asarray(values, model.dtype)


def _trials(graph: Graph, ways: Mapping[str, Sequence[Firing]]) -> dict[str, list[Stage]]:
    """Each way of each neuron as a stage of its own, from the current to the spikes."""
    trials: dict[str, list[Stage]] = {name: [] for name in ways}
    for way in range(max(map(len, ways.values()), default=0)):
        variant = clone(graph)
        before = {target.tensor.name: target.source for target in find_targets(variant)}
        nodes: dict[str, Node] = {node.name: node for node in variant.nodes}
        for name, given in ways.items():
            if way < len(given):
                set_firing(variant, nodes[name], given[way])
                activated = nodes[name].inputs[0]
                graded = CELLS[nodes[name].op].sums
                target = before.get(activated.name, activated) if graded else activated
                stage = Stage(variant, target, nodes[name], {target.name}, activated if graded else None)
                trials[name].append(stage)
    return trials


def _unbeaten(spikes: Array, errors: Array) -> list[int]:
    """The ways that no other one beats in both, the first one always."""
    kept = [
        way
        for way in range(1, len(spikes))
        if not any(
            (spikes[other] <= spikes[way] and errors[other] < errors[way])
            or (spikes[other] < spikes[way] and errors[other] <= errors[way])
            for other in range(len(spikes))
        )
    ]
    return [0, *kept]
