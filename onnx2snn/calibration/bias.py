"""Correction of biases, and of weights, measured in one sweep through the already converted net.

The SNN and the ANN go through the net side by side, layer by layer. Each neuron's input current is shifted,
per channel, until the rectified mean current has the ANN's mean activation,

    E[f(Ī + c)] = E[f(z)]        f(x) = clip(x, 0, ceiling), below zero slope·x for a leaky one

with Ī the SNN's mean current over time and z the ANN's pre-activation; for the layer that the outputs are
made of, f is the identity. A neuron that stands for a trained quantiser is exact and gets no correction.
Matching after the rectifier matters: what happens far below zero, where the neuron is silent, would
otherwise shift the values that it does send.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.calibration.places import Places, at_places
from onnx2snn.calibration.refit import Refitting
from onnx2snn.calibration.shelf import Shelf
from onnx2snn.calibration.stages import Stage, Train, make_stages
from onnx2snn.calibration.statistics import calibration_batches, fixed_batch, ignore
from onnx2snn.data.readers import Dataset
from onnx2snn.errors import ModelError
from onnx2snn.graph.channels import along_axis
from onnx2snn.graph.graph import Graph, operands, producer
from onnx2snn.graph.rectifiers import Rectifier
from onnx2snn.graph.sections import divide
from onnx2snn.graph.tail import find_tail
from onnx2snn.ops.standard import WEIGHTED
from onnx2snn.thresholds.histogram import Vector

logger = logging.getLogger(__name__)

Array = npt.NDArray[Any]

#: About so many samples × timesteps does the sweep simulate, spread evenly over the calibration data.
BUDGET = 640

#: And so many bytes of activations: a sample of a large net has as many as hundreds of a small one.
LOAD = 1 << 32

#: But no fewer samples than these, below which a mean is no better than a guess.
FEWEST = 16

#: Places of a channel that a shift is found from: far more than its mean needs.
_PLACES = 1 << 15

#: Rows of the shelf: by tensor, what the ANN has there and the SNN sends; of the stage at hand, the SNN's
#: mean currents, and at some places these and what they should come to.
_ANN, _SNN, _CURRENT, _SOME, _WANTED = "ann/", "snn/", "current", "some", "wanted"

#: Newton steps to a channel's shift; the equation is piecewise linear, so few are enough.
_ITERATIONS = 3


@dataclass(frozen=True)
class Corrections:
    """What the sweep found.

    Attributes:
        shifts: what to add to each neuron's input, and to what the outputs are made of; [C] by `Stage.key`.
        weights: new weights, by name.
    """

    shifts: dict[str, Vector] = field(default_factory=dict)
    weights: dict[str, Array] = field(default_factory=dict)


def measure_corrections(
    graph: Graph,
    dataset: Dataset,
    rectifiers: Mapping[str, Rectifier],
    batch_size: int,
    timesteps: int,
    advance: Callable[[float], None] = ignore,
    *,
    memory: int,
    sample_bytes: int = 0,
    refit: bool = False,
) -> Corrections:
    """Sweep through the net, and correct each layer before the next.

    Args:
        graph: the converted graph, with cells for rectifiers and pools.
        dataset: calibration samples.
        rectifiers: neuron → the activation that it stands for.
        batch_size: samples a batch.
        timesteps: T.
        advance: called with the share of the sweep that is done.
        memory: bytes of activations and spikes to hold; what goes beyond it waits in temporary files.
        sample_bytes: of all activations of one sample.
        refit: refit weights as well (see `onnx2snn.calibration.refit`).

    Cost: T + 2 passes over each layer in all, whatever the depth, for the share of the samples that `BUDGET`
    and `LOAD` allow.

    Raises:
        ModelError: currents that float32 cannot add up.
        OutputError: no room for the temporary files.
    """
    stages = make_stages(graph, _output_layers(graph))
    dataset = dataset.spread(_samples(graph, len(dataset), timesteps, sample_bytes))
    with Shelf(memory) as shelf:
        sweep = _Sweep(stages, shelf, rectifiers, timesteps, memory if refit else None)
        for inputs, count in calibration_batches(graph, dataset, batch_size):
            sweep.begin(inputs, count)
        for number, stage in enumerate(stages):
            sweep.correct(stage)
            stage.release()
            sweep.forget(_last_read(stages, number))
            advance((number + 1) / len(stages))
        logger.info("bias correction: %d samples, %d bytes in files", sweep.samples, shelf.spilled)
    return sweep.corrections


class _Sweep:
    """The ANN and the SNN on their way through the net: what both made of every batch, up to some stage."""

    def __init__(
        self,
        stages: Sequence[Stage],
        shelf: Shelf,
        rectifiers: Mapping[str, Rectifier],
        timesteps: int,
        refit: int | None,
    ) -> None:
        self._shelf, self._rectifiers, self._timesteps = shelf, rectifiers, timesteps
        #: Bytes for the refit of one layer; None where weights stay as they are.
        self._memory = refit
        self._read = {name for stage in stages for name in stage.sources}
        self._batches = 0
        #: Of what moves over time: θ where spikes are held as integers, and whether steps are sums.
        self._trains: dict[str, tuple[Array | None, bool]] = {}
        self.corrections = Corrections()
        self.samples = 0

    def begin(self, inputs: Mapping[str, Array], count: int) -> None:
        """Another batch."""
        for name in self._read & inputs.keys():
            self._shelf.put(_ANN + name, inputs[name])
        self._batches += 1
        self.samples += count

    def forget(self, names: Sequence[str]) -> None:
        """What no stage reads any more."""
        for name in names:
            self._shelf.drop(_ANN + name)
            self._shelf.drop(_SNN + name)
            self._trains.pop(name, None)

    def correct(self, stage: Stage) -> None:
        """Find a stage's correction, and let both nets go through it."""
        kind = self._rectifiers.get(stage.key)
        free = kind is not None and kind.step is None
        corrects = stage.yields is None or stage.grades or free
        self._follow(
            stage, kind, corrects=corrects, refits=self._memory is not None and free and self._moves(stage)
        )
        shift = np.zeros(1)
        if corrects:
            wanted = _WANTED if _WANTED in self._shelf else _ANN + str(stage.yields)
            current = _SOME if _SOME in self._shelf else _CURRENT
            shift = rectified_shift(self._shelf.row(wanted), self._shelf.row(current), kind, stage.axis)
            if not np.isfinite(shift).all():
                raise ModelError(
                    f"'{stage.key}': expected currents that float32 can add up, found too large ones; "
                    "check the weights and the preprocessing (--scale, --mean, --std)"
                )
            self.corrections.shifts[stage.key] = shift
        if stage.yields is not None:
            self._fire(stage, stage.yields, shift)
        for label in (_CURRENT, _SOME, _WANTED):
            self._shelf.drop(label)

    def _follow(self, stage: Stage, kind: Rectifier | None, *, corrects: bool, refits: bool) -> None:
        """What the ANN makes of every batch, and, where it is corrected, the SNN's mean current.

        What lies between cells is affine, or exact on means, so means over time go in and the mean comes out.
        """
        refitting, places, chosen = None, Places(self.samples, _PLACES), []
        for batch in range(self._batches):
            exact = stage.current(self._exact(stage, batch))
            wanted = exact
            if stage.yields is not None:
                if stage.cell is not None:
                    wanted = stage.activate(exact) if kind is None else kind(exact)
                self._shelf.put(_ANN + stage.yields, wanted)
            chosen.append(places.some(exact.shape, stage.axis, None if kind is None else kind.slope))
            if corrects and chosen[-1] is not None:
                self._shelf.put(_WANTED, at_places(exact if kind is None else wanted, stage.axis, chosen[-1]))
            elif corrects and kind is None:
                self._shelf.put(_WANTED, exact)
            if refits and self._memory is not None:
                assert kind is not None, "a free neuron has one"
                means = self._means(stage, batch)
                refitting = refitting or Refitting(stage, means, kind, self.samples, self._memory)
                refitting.add(means, exact)
            elif corrects:
                self._take_in(stage, batch, chosen[-1])
        if refitting is not None:
            self.corrections.weights.update(refitting.solve())
            for batch in range(self._batches):
                self._take_in(stage, batch, chosen[batch])

    def _take_in(self, stage: Stage, batch: int, places: npt.NDArray[np.int64] | None) -> None:
        """The SNN's mean current, at some places, or everywhere where all is wanted or will be."""
        current = stage.current(self._means(stage, batch))
        if places is None or self._is_all(stage):
            self._shelf.put(_CURRENT, current)
        if places is not None:
            self._shelf.put(_SOME, at_places(current, stage.axis, places))

    def _is_all(self, stage: Stage) -> bool:
        """Whether the mean current is all there is: in one timestep, where no other cell sends it."""
        return self._timesteps == 1 and stage.cell is not None and stage.target.name not in stage.sources

    def _fire(self, stage: Stage, name: str, shift: Vector) -> None:
        """What the SNN makes of every batch."""
        known = self._is_all(stage) and _CURRENT in self._shelf
        firing = stage.behind() if known else stage
        for batch in range(self._batches):
            feeds: dict[str, Train | Array]
            if known:
                feeds = {stage.target.name: Train([self._shelf.get(_CURRENT, batch)], None)}
            else:
                feeds = {source: self._sent(source, batch) for source in stage.sources}
            sent = firing.run(feeds, shift, self._timesteps)
            if isinstance(sent, Train):
                self._trains[name] = sent.scale, sent.sums
            for step in sent.steps if isinstance(sent, Train) else [sent]:
                self._shelf.put(_SNN + name, step)
        firing.release()

    def _exact(self, stage: Stage, batch: int) -> dict[str, Array]:
        """What the stage reads in the ANN."""
        return {name: self._shelf.get(_ANN + name, batch) for name in stage.sources}

    def _means(self, stage: Stage, batch: int) -> dict[str, Array]:
        """The mean over time of all that the stage reads in the SNN."""
        sent = {name: self._sent(name, batch) for name in stage.sources}
        return {name: feed.mean() if isinstance(feed, Train) else feed for name, feed in sent.items()}

    def _sent(self, name: str, batch: int) -> Train | Array:
        """What a stage gave, or the net's input."""
        if name not in self._trains:
            return self._shelf.get((_SNN if _SNN + name in self._shelf else _ANN) + name, batch)
        first = batch * self._timesteps
        steps = [self._shelf.get(_SNN + name, first + time) for time in range(self._timesteps)]
        return Train(steps, *self._trains[name])

    def _moves(self, stage: Stage) -> bool:
        """Whether the stage reads spikes, and not only what is the ANN's own."""
        return any(name in self._trains for name in stage.sources)


def _samples(graph: Graph, samples: int, timesteps: int, sample_bytes: int) -> int:
    """How many samples `BUDGET` and `LOAD` allow."""
    simulated = min(BUDGET, LOAD // max(1, sample_bytes))
    return min(samples, max(FEWEST, simulated // timesteps, fixed_batch(graph) or 1))


def rectified_shift(
    ann: Sequence[Array], snn: Sequence[Array], kind: Rectifier | None, axis: int | None
) -> Vector:
    """The shift c of each channel for which E[f(snn + c)] = E[f(ann)].

    Args:
        ann: f of the pre-activations, batch by batch.
        snn: mean currents, of the same shapes.
        kind: f; None for the identity.
        axis: of the channels; None where all is one channel.

    A channel that is silent in both gets no shift.
    """
    if kind is None:
        lacking = np.sum([_channel_sums(_gap(a, s), axis) for a, s in zip(ann, snn, strict=True)], axis=0)
        return np.asarray(lacking / sum(array.size // len(lacking) for array in ann))
    gain = 0.0 if kind.slope is None else np.maximum(kind.slope, 0)
    shift = np.zeros(1)
    for _ in range(_ITERATIONS):
        gap, slope = np.zeros(1), np.zeros(1)
        for current, target in zip(snn, ann, strict=True):
            given = kind(current + along_axis(shift, axis, current.ndim).astype(current.dtype))
            gap = gap + _channel_sums(_gap(target, given), axis)
            # The slope over all that is active on either side: less than Newton's step, so no overshoot.
            active = (target > 0) | (given > 0)
            slope = slope + _channel_sums(active if kind.slope is None else np.where(active, 1.0, gain), axis)
        shift = shift + np.divide(gap, slope, out=np.zeros_like(gap), where=slope > 0)
    return shift


def _gap(target: Array, given: Array) -> Array:
    """Target − given; 0 where a mask has made both infinite."""
    return np.where(target == given, 0, target - given).astype(target.dtype, copy=False)


def _channel_sums(values: Array, axis: int | None) -> Vector:
    """Over all axes but that of the channels: rows as they lie in memory first, then these in float64."""
    others = tuple(place for place in range(values.ndim) if place != axis)
    inner = tuple(place for place in others if axis is None or place > axis)
    rows = values.sum(axis=inner, dtype=np.promote_types(values.dtype, np.float32))
    sums: Vector = rows.sum(axis=tuple(range(rows.ndim - (axis is not None))), dtype=np.float64)
    return np.atleast_1d(sums)


def _output_layers(graph: Graph) -> list[str]:
    """For each output behind the last neuron, the tensor of the last linear layer before it and the tail."""
    layers: dict[str, None] = {}
    sections, tail = divide(graph), find_tail(graph)
    for output in graph.outputs:
        node = producer(output)
        while node is not None and sections.of[node.name] == "head":
            if node.name not in tail and (node.op in WEIGHTED or node.op == "Add"):
                layers[node.outputs[0].name] = None
                break
            node = next((producer(source) for source in operands(node)), None)
    return list(layers)


def _last_read(stages: Sequence[Stage], number: int) -> list[str]:
    """What no stage after this one reads."""
    later = {source for stage in stages[number + 1 :] for source in stage.sources}
    yielded = stages[number].yields
    earlier = [*stages[number].sources, *([] if yielded is None else [yielded])]
    return [name for name in earlier if name not in later]
