"""Say what is wrong with a layer, and with the net, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from onnx2snn.analysis.diagnosis.components import LayerTally
from onnx2snn.analysis.diagnosis.figures import Diagnosis, Fault
from onnx2snn.ops import CELLS

#: A part of the error below this share of a layer's squared error is not worth a word …
_LEAST_HARM = 0.02
#: … nor is any, where the layer's own error is below this share of its activation.
_LEAST_ERROR = 0.01
#: From here on a layer's own error is worth a sentence of the verdict.
_NOTABLE = 0.05
#: From here on a part of the output's error is what there is to see to.
_MOST_OF_IT = 0.25
#: A dead channel is one that the ANN uses in this share of places.
_USED = 0.01
#: A saturated one sends all that it can in this share of the places where it sends anything.
_SATURATED = 0.05
#: The share of a difference between currents that a constant per channel must explain to be a bias.
_CONSTANT = 0.9
#: Channels that are named.
_NAMED = 4


def dead_channels(tally: LayerTally) -> list[int]:
    """Channels that never fire although the ANN's activation is worth spikes."""
    silent = (tally.of("active") == 0) & (tally.of("expected") > _USED * tally.places)
    return [int(channel) for channel in np.flatnonzero(silent)]


def saturated_channels(tally: LayerTally) -> list[int]:
    """Channels that often send all that they can."""
    full = tally.of("full") > _SATURATED * np.maximum(tally.of("active"), 1)
    return [int(channel) for channel in np.flatnonzero(full)]


def find_faults(name: str, op: str, tally: LayerTally, options: Mapping[str, Any]) -> list[Fault]:
    """The faults of a layer, its own first, by the harm that they do.

    Args:
        name: of its neuron.
        op: the neuron's operator.
        tally: what was seen of it.
        options: that the network was compiled with.
    """
    if tally.relative("error") < _LEAST_ERROR:
        return []
    faults = []
    numb = _numb_channels(tally)
    if numb:
        share = float(tally.of("added")[numb].sum()) / tally.total("added")
        sentence = f"{name}: {_channels(numb)} not fire, whatever the input, though the ANN's {_do(numb)}"
        faults.append(Fault("dead channels", share, sentence, "compile again; compare its weights"))
    own = [
        _describe(name, kind, harm, tally, op, _remedy(kind, op, options))
        for kind, harm in own_harms(tally).items()
        if harm >= _LEAST_HARM
    ]
    faults += sorted(own, key=lambda fault: -fault.harm)
    if tally.harm("inherited") >= _LEAST_HARM:
        harm = tally.harm("inherited")
        faults.append(_describe(name, "inherited", harm, tally, op, "see to these first"))
    return faults


def own_harms(tally: LayerTally) -> dict[str, float]:
    """Part → the share that it has in what the layer adds to the error that it inherits.

    Of all of its error, where other weights have made that much worse.
    """
    of = "error" if _refitted_badly(tally) else "added"
    harms = {kind: tally.harm(kind, of) for kind in ("parameters", "clipping", "quantisation", "timing")}
    if tally.refitted:  # a fault only where other weights made the whole error worse
        harms["parameters"] = tally.harm("parameters")
    return harms


def own_error(tally: LayerTally) -> float:
    """How much error the layer adds to what it inherits, relative to the ANN's activation."""
    badly = _refitted_badly(tally)
    return math.hypot(tally.relative("added"), tally.relative("parameters") if badly else 0.0)


def _refitted_badly(tally: LayerTally) -> bool:
    return tally.refitted and tally.harm("parameters") >= _MOST_OF_IT


def summarise(diagnosis: Diagnosis) -> list[str]:
    """The verdict on a net: how near it is to the ANN, then the first fault of its worst layers."""
    sentences = [_nearness(diagnosis)]
    told = {layer.layer: layer.outputs_if_only_spiking or 0.0 for layer in diagnosis.layers}
    costly = max(told, key=lambda name: told[name], default="")
    if diagnosis.outputs is not None and costly and told[costly] > 0:
        sentences[0] += (
            f" All outputs jointly are off by {100 * diagnosis.outputs.joint:.1f} %, most by {costly}: "
            f"{100 * told[costly]:.1f} % if it alone sent spikes."
        )
    output = diagnosis.output
    if output.parameters >= _NOTABLE and output.harm >= _MOST_OF_IT:
        sentences.append(
            f"{output.name}: the layer's weights or bias are not the ANN's "
            f"({100 * output.parameters:.1f} % of error): compile again; compare them."
        )
    for layer in diagnosis.worst_layers:
        own = [fault for fault in layer.faults if fault.kind != "inherited"]
        if own and (layer.own_error >= _NOTABLE or layer.dead_channels):
            sentences.append(f"{own[0].sentence}: {own[0].remedy}.")
    if len(sentences) == 1:
        sentences.append(f"No layer adds more than {100 * _NOTABLE:.0f} % of error of its own.")
    return sentences


def _nearness(diagnosis: Diagnosis) -> str:
    samples = f"{diagnosis.samples} samples"
    if diagnosis.agreement is None:
        equal = diagnosis.outputs is not None and diagnosis.output.name in diagnosis.outputs.equal
        if equal:
            return f"{100 * diagnosis.output.error:.1f} % of the output's values differ on {samples}."
        return f"The output is off by {100 * diagnosis.output.error:.1f} % (root mean square) on {samples}."
    answers = f"The network gives the ANN's answer on {100 * diagnosis.agreement:.1f} % of {samples}"
    if diagnosis.accuracy is None or diagnosis.reference_accuracy is None:
        return f"{answers}."
    accuracy, reference = 100 * diagnosis.accuracy, 100 * diagnosis.reference_accuracy
    return f"{answers}, and the right one on {accuracy:.1f} % (the ANN on {reference:.1f} %)."


def _remedy(kind: str, op: str, options: Mapping[str, Any]) -> str:
    """What would make a part of a layer's error smaller."""
    if kind == "clipping":
        rules = {
            "percentile": "raise --percentile, or use --threshold mse",
            "max": "calibrate on samples like these",
        }
        larger = rules.get(
            str(options.get("threshold")), "calibrate on more samples like these, or use --threshold max"
        )
        return f"more timesteps (-T); or {larger}" if CELLS[op].sums else larger
    if CELLS[op].sums:
        return "more --exponents" if kind == "quantisation" else "more timesteps (-T)"
    if options.get("compress", "none") != "none":
        return "a lower --max-loss"
    if options.get("spike_budget") is not None:
        return "a larger --spike-budget"
    if kind == "timing":
        neuron = CELLS[op].neuron
        hasty = neuron is not None and not (neuron.takes_back or neuron.fires_once)
        signed = "--signed, or " if hasty else ""
        return f"{signed}--schedule layer; more timesteps help too"
    levels, most = options.get("levels"), options.get("max_spikes")
    if options.get("code") == "radix":
        return "more timesteps (-T)"
    if options.get("schedule") == "stream" and isinstance(levels, int) and levels < (most or 0):
        return "more timesteps (-T), or more --levels"
    return "more timesteps (-T), or a larger --max-spikes"


def _describe(name: str, kind: str, harm: float, tally: LayerTally, op: str, remedy: str) -> Fault:
    size = f"{100 * tally.relative(kind):.1f} %"
    if kind == "parameters":
        return _describe_parameters(name, harm, tally, op)
    graded = CELLS[op].sums
    coarse = "its smallest spike is" if graded else "its threshold is"
    late = "it is not yet at rest" if graded else "spikes come at the wrong time"
    lost = 100 * tally.total("lost") / max(tally.total("mass"), np.finfo(np.float64).tiny)
    sentences = {
        "clipping": f"{name} clips {lost:.2g} % of its mass",
        "quantisation": f"{name}: {coarse} too coarse, which makes {size} of error",
        "timing": f"{name}: {late}, which makes {size} of error",
        "inherited": f"{name} inherits {size} of error from the layers before it",
    }
    return Fault(kind, harm, sentences[kind], remedy)


def _describe_parameters(name: str, harm: float, tally: LayerTally, op: str) -> Fault:
    constant = float((tally.of("shift") ** 2 / tally.places).sum()) / max(tally.total("shift²"), 1e-300)
    where = _concentrated(tally.of("parameters"))
    if constant > _CONSTANT:
        what, sentence = "bias", f"{name}: its bias is not the ANN's"
    else:
        either = "weights or bias" if CELLS[op].sums else "weights"
        what, sentence = "weights", f"{name}: its {either} are not the ANN's"
    size = f"{100 * tally.relative('parameters'):.1f} %"
    place = "" if where is None else f", mostly in {_channels(where, verb=False)}"
    return Fault(what, harm, f"{sentence} ({size} of error{place})", "compile again; compare them")


def _concentrated(error: Any) -> list[int] | None:
    """The few channels that have most of an error; None where there are many."""
    order = np.argsort(error)[::-1]
    reached = np.cumsum(error[order]) >= 0.8 * error.sum()
    few = int(np.argmax(reached)) + 1
    return [int(channel) for channel in order[:few]] if few <= max(1, len(error) // 8) else None


def _numb_channels(tally: LayerTally) -> list[int]:
    """Dead channels whose current does not follow the ANN's, even where all before them is exact."""
    still = tally.variance("taught") < 1e-6 * tally.variance("before")
    return [channel for channel in dead_channels(tally) if still[channel]]


def _channels(numbers: Sequence[int], *, verb: bool = True) -> str:
    named = ", ".join(map(str, numbers[:_NAMED])) + (", …" if len(numbers) > _NAMED else "")
    noun = "channel" if len(numbers) == 1 else f"{len(numbers)} channels"
    does = "" if not verb else " does" if len(numbers) == 1 else " do"
    return f"{noun} {named}{does}" if len(numbers) == 1 else f"{noun} ({named}){does}"


def _do(numbers: Sequence[int]) -> str:
    return "does" if len(numbers) == 1 else "do"
