"""Let every layer fire as suits it: a Γ of its own within a budget of spikes, or thresholds as high as go.

What each way of firing costs and what the output suffers is measured layer by layer
(`calibration/sensitivity.py`); all sums of them that are worth anything are the frontier
(`calibration/frontier.py`). Which point of it to take is not computed but tried: the network is finished,
run, and held to what the user asked for.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from onnx2snn.artifact.records import Adaptation, LayerAdaptation
from onnx2snn.calibration.frontier import Frontier, make_frontier
from onnx2snn.calibration.sensitivity import (
    TOGETHER,
    Sensitivity,
    joint_divergence,
    measure_sensitivity,
    probable,
)
from onnx2snn.calibration.statistics import fixed_batch
from onnx2snn.calibration.timesteps import share_timesteps, timesteps_of
from onnx2snn.compiler.quality import Quality
from onnx2snn.compiler.report import CompileReport
from onnx2snn.data.readers import Dataset
from onnx2snn.emit.metadata import add_metadata
from onnx2snn.engine.engines import make_engine
from onnx2snn.errors import OptionError
from onnx2snn.graph.firing import Firing, choices, is_adaptable, timestep_choices, why_not_adaptable
from onnx2snn.graph.graph import Graph, Node, clone
from onnx2snn.passes.base import Context
from onnx2snn.passes.replace_relu import ranges
from onnx2snn.rules import MOST_SPIKES
from onnx2snn.runtime.session import SpikingSession
from onnx2snn.thresholds.budget import parse_budget

logger = logging.getLogger(__name__)

Array = npt.NDArray[Any]
#: The artifact and its report.
Finished = tuple[onnx.ModelProto, CompileReport]
#: Completes a converted graph.
Finish = Callable[[Graph, Context], Finished]

#: What searches for ways of firing.
_SEARCHES = "--max-spikes auto, --exponents auto, --levels auto and --compress"
#: Points that compression may cost where the user names none.
_MAX_LOSS = 0.3
#: Networks that compression tries.
_TRIALS = 6
#: Networks that are tried to come as near to a budget as this.
_BUDGET_TRIALS = 4
_NEAR = 0.98
#: How often a sample's activations are held while a network runs and is counted, beside spikes over time.
_COPIES = 6
#: Samples a batch of those held back, at most.
_BATCH = 64
#: How far layers differ: 1 as the frontier has it, 0 for one factor on all thresholds.
_BLENDS = (1.0, 0.5, 0.0)


@dataclass(frozen=True)
class _Trial:
    """One network that was finished and run.

    Attributes:
        finished: it.
        firing: how its neurons fire.
        spikes: a sample, of each neuron.
        operations: synaptic operations a sample.
        divergence: of its output from the ANN's.
        loss: points of accuracy, or agreement, below what it is compared with; or of relative error above.
    """

    finished: Finished
    firing: dict[str, Firing]
    spikes: dict[str, float]
    operations: float
    divergence: float
    loss: float = 0.0

    @property
    def total(self) -> float:
        """Spikes a sample of all neurons."""
        return sum(self.spikes.values())


def adapt(graph: Graph, context: Context, held_back: Dataset, finish: Finish) -> Finished:
    """Finish a converted graph with the ways of firing that suit its options.

    Args:
        graph: converted, with cells for rectifiers and pools, its biases not yet corrected. Not changed.
        context: of its conversion.
        held_back: samples on which the loss is measured; the search may use them otherwise.
        finish: completes a graph.

    Raises:
        OptionError: a budget below what the ways of firing need at least, or nothing to choose.
    """
    search = _Search(graph, context, finish)
    if context.options.compress != "none":
        trial, adaptation = _compress(search, held_back)
    elif context.options.varies_timesteps:
        trial, adaptation = _distribute(search)
    else:
        trial, adaptation = _spend(search)
    artifact, report = trial.finished
    add_metadata(artifact, {"adaptation": adaptation.to_dict()})
    return artifact, replace(report, adaptation=adaptation)


class _Search:
    """Networks that fire in other ways, finished, run and counted."""

    def __init__(self, graph: Graph, context: Context, finish: Finish) -> None:
        assert context.dataset is not None
        self.options, self.model = context.options, context.model
        self._graph, self._context, self._finish = graph, context, finish
        self._ann = make_engine(context.model)
        self.batch_size = context.batch(_COPIES)
        fixed = fixed_batch(graph)
        samples, most = len(context.dataset), self.options.max_search_samples
        stride = -(-samples // most) if fixed is None else samples // max(most, fixed)
        self.dataset = context.dataset.every(max(1, stride))
        self._ways = {
            node.name: self._choices(node)
            for node in graph.nodes
            if is_adaptable(node, context.rectifiers.get(node.name), relays=self.options.varies_timesteps)
        }
        if not self._ways:
            found = (why_not_adaptable(node, context.rectifiers.get(node.name)) for node in graph.nodes)
            reasons = " and ".join(sorted({reason for reason in found if reason is not None}))
            raise OptionError(
                f"{_SEARCHES}: expected neurons whose thresholds are free, found none"
                f"{', as ' if reasons else ''}{reasons}; leave the option out"
            )

    def _choices(self, node: Node) -> list[Firing]:
        """In which ways a neuron may fire."""
        kind = self._context.rectifiers.get(node.name)
        if kind is None or not self.options.varies_timesteps:
            return choices(node, kind, self.options)
        if node.attrs["levels"] != self.options.total_levels:  # a shortcut's
            return [Firing(int(node.attrs["levels"]), 1.0)]
        name = node.outputs[0].name
        return timestep_choices(
            node, self.options.timesteps, lambda levels: ranges(name, kind, self._context, levels) / levels
        )

    def sensitivity(self) -> dict[str, Sensitivity]:
        """Of every neuron that has a choice."""
        layered = self.options.schedule == "layer"
        timesteps = 1 if layered else self.options.timesteps
        return measure_sensitivity(
            self._graph,
            self.dataset,
            self._context.rectifiers,
            self._ways,
            timesteps,
            digits=self._digits if layered and self.options.code != "burst" else 0,
            batch_size=self._context.batch(timesteps + _COPIES, TOGETHER),
            advance=self._context.advance,
        )

    @property
    def _digits(self) -> int:
        """The most timesteps of any layer."""
        most = (way.limit for ways in self._ways.values() for way in ways)
        return max(most).bit_length() if self.options.varies_timesteps else self.options.timesteps

    def try_out(self, firing: dict[str, Firing]) -> tuple[_Trial, SpikingSession]:
        """The network in which the neurons fire so, and what it costs on the samples of the search."""
        finished = self._finish(clone(self._graph), self._context.fork(firing))
        session = SpikingSession(finished[0])
        spikes, operations, moved, samples = dict.fromkeys(session.neurons, 0.0), 0.0, 0.0, 0
        for batch, count in session.batches(self.dataset, self.batch_size):
            point = session.run_counted(batch, [session.timesteps])[-1]
            for name, sent in point.spikes.items():
                spikes[name] += int(sent[:count].sum())
            operations += sum(int(sent[:count].sum()) for sent in point.synaptic_operations.values())
            moved += self._divergence(session, point.outputs, batch, count)
            samples += count
        mean = {name: count / samples for name, count in spikes.items()}
        trial = _Trial(finished, firing, mean, operations / samples, moved / samples)
        logger.info(
            "trial: %.0f spikes, %.0f synaptic operations a sample, divergence %.4g",
            trial.total,
            trial.operations,
            trial.divergence,
        )
        return trial, session

    def _divergence(
        self, session: SpikingSession, found: Mapping[str, Array], batch: Mapping[str, Array], count: int
    ) -> float:
        """Of the outputs of a batch from the ANN's, summed over the samples that count."""
        expected, samples = self._ann.run(batch), len(next(iter(batch.values())))
        mine, theirs = (
            {name: spec.first(outputs[name], count, samples) for name, spec in session.outputs.items()}
            for outputs in (found, expected)
        )
        return joint_divergence(mine, theirs, count, probable(self._graph))

    def blended(self, firing: Mapping[str, Firing], share: float) -> dict[str, Firing]:
        """Ways between those chosen (a share of 1) and the same factor for all layers (0)."""
        common = float(np.exp(np.mean([np.log(chosen.scale) for chosen in firing.values()])))
        return {
            name: self._scaled(name, common ** (1 - share) * chosen.scale**share, chosen)
            for name, chosen in firing.items()
        }

    def _scaled(self, name: str, scale: float, like: Firing) -> Firing:
        """Another factor on a layer's thresholds, for the same range; the old one where a ceiling fits it."""
        kind = self._context.rectifiers.get(name)
        if scale == like.scale or (self.options.code != "graded" and kind and math.isfinite(kind.ceiling)):
            return like
        if self.options.code == "graded":
            return Firing(like.limit, scale)
        most = max(1, math.ceil(like.limit * like.scale / scale - 1e-6))
        steps = self.options.timesteps if self.options.schedule == "layer" else 1
        return Firing(min(most, MOST_SPIKES * (1 if self.options.weights == "int8" else steps)), scale)

    def within(self, budget: float, firing: dict[str, Firing]) -> _Trial:
        """The network with these ways, all thresholds times what brings it to a budget of spikes."""
        tried, factor = [], 1.0
        for _ in range(_BUDGET_TRIALS):
            ways = {name: self._scaled(name, factor * way.scale, way) for name, way in firing.items()}
            trial, _ = self.try_out(ways)
            tried.append(trial)
            if _NEAR * budget <= trial.total <= budget or not (trial.total and budget):
                break
            factor *= trial.total / ((1 + _NEAR) / 2 * budget)
        fitting = [trial for trial in tried if trial.total <= budget]
        return max(fitting, key=lambda trial: trial.total) if fitting else min(tried, key=lambda t: t.total)

    def firing(
        self, measured: Mapping[str, Sensitivity], frontier: Frontier, point: int
    ) -> dict[str, Firing]:
        """The ways that a point of the frontier takes."""
        taken = frontier.choices[point]
        return {name: found.ways[way] for (name, found), way in zip(measured.items(), taken, strict=True)}


def _spend(search: _Search) -> tuple[_Trial, Adaptation]:
    """The least divergence within a budget of spikes, which are counted, not only predicted."""
    base, _ = search.try_out({})
    amount, is_share = parse_budget(search.options.spike_budget)
    budget = amount * base.total if is_share else amount
    measured = search.sensitivity()
    frontier = make_frontier(*_costs(measured, dict.fromkeys(measured, 1.0)))
    # Neurons that have no choice send theirs as well.
    rest = sum(sent for name, sent in base.spikes.items() if name not in measured)
    least = float(frontier.cost[0]) + rest
    if not base.total:  # a silent network has nothing to save
        return base, _savings(base, base, Adaptation("spike_budget", budget=budget, met=True))
    if budget < least:
        raise OptionError(
            f"--spike-budget: expected at least {least:,.0f} spikes a sample, which the highest thresholds "
            f"need, found {budget:,.0f}; give more, such as {100 * least / base.total + 1:.0f}%"
        )
    point = frontier.best(budget - rest)
    assert point is not None
    chosen = search.firing(measured, frontier, point)
    # Errors of layers add up only about: how much they should differ is tried as well.
    trials = [base, *(search.within(budget, search.blended(chosen, share)) for share in _BLENDS)]
    fitting = [trial for trial in trials if trial.total <= budget]
    if not fitting:
        logger.warning("--spike-budget: no network was found that keeps to %.0f spikes a sample", budget)
    best = min(fitting or trials, key=lambda trial: trial.divergence if fitting else trial.total)
    return best, _savings(base, best, Adaptation("spike_budget", budget=budget, met=bool(fitting)))


def _distribute(search: _Search) -> tuple[_Trial, Adaptation]:
    """The least divergence with a T for every layer, and the mean that was asked for."""
    base, _ = search.try_out({})
    measured = {name: found for name, found in search.sensitivity().items() if len(found.ways) > 1}
    shares = share_timesteps(measured, search.options.timesteps)
    best = min([base, *(search.try_out(share)[0] for share in shares)], key=lambda trial: trial.divergence)
    taken = [timesteps_of(best.firing.get(name, found.ways[0])) for name, found in measured.items()]
    return best, _savings(base, best, Adaptation("timesteps", budget=float(np.mean(taken)), met=True))


def _compress(search: _Search, held_back: Dataset) -> tuple[_Trial, Adaptation]:
    """The least cost whose loss, measured on samples held back, is within the bound."""
    options = search.options
    bound = _MAX_LOSS if options.max_loss is None else options.max_loss
    base, session = search.try_out({})
    batch_size = min(_BATCH, search.batch_size)
    quality = Quality(search.model, options.loss_measure, held_back, session, batch_size)
    if quality.measure != "error" and bound * len(held_back) < 100:
        logger.warning(
            "--max-loss: %g points are less than one of the %d samples held back; more would tell more",
            bound,
            len(held_back),
        )
    reference = quality.of(session)
    weight = dict.fromkeys(session.neurons, 1.0)
    if options.compress == "energy":
        weight = _fan_out(session, search.dataset, search.batch_size)
    measured = search.sensitivity()
    frontier = make_frontier(*_costs(measured, weight))
    low, high = float(frontier.cost[0]), float(sum(costs[0] for costs in _costs(measured, weight)[0]))
    best = base
    for _ in range(_TRIALS):
        point = frontier.best((low + high) / 2)
        assert point is not None
        trial, session = search.try_out(search.firing(measured, frontier, point))
        trial = replace(trial, loss=reference - quality.of(session))
        logger.info("trial: divergence %.4g, loss %.2f points", frontier.loss[point], trial.loss)
        if trial.loss <= bound:
            high = (low + high) / 2
            best = min(best, trial, key=lambda tried: _cost(tried, options.compress))
        else:
            low = (low + high) / 2
    found = Adaptation(
        "compress",
        saves=options.compress,
        max_loss=bound,
        loss=best.loss,
        measure=quality.measure,
        held_back=len(held_back),
        met=best is not base,
    )
    return best, _savings(base, best, found)


def _cost(trial: _Trial, compress: str) -> float:
    return trial.operations if compress == "energy" else trial.total


def _costs(
    measured: Mapping[str, Sensitivity], weight: Mapping[str, float]
) -> tuple[list[list[float]], list[list[float]]]:
    costs = [[weight[name] * count for count in found.spikes] for name, found in measured.items()]
    return costs, [found.divergence for found in measured.values()]


def _savings(base: _Trial, chosen: _Trial, adaptation: Adaptation) -> Adaptation:
    """The adaptation with what it changed."""
    return replace(
        adaptation,
        spikes_per_sample=(base.total, chosen.total),
        synaptic_operations_per_sample=(base.operations, chosen.operations),
        layers={
            name: LayerAdaptation(
                chosen.firing[name].scale if name in chosen.firing else 1.0, chosen.spikes[name], spikes
            )
            for name, spikes in base.spikes.items()
        },
    )


def _fan_out(session: SpikingSession, dataset: Dataset, batch_size: int) -> dict[str, float]:
    """Synaptic operations a spike of each neuron, on one batch."""
    batch, _ = next(session.batches(dataset, min(batch_size, len(dataset))))
    return session.fan_out(batch)
