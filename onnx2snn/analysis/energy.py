"""Energy estimates: multiply-accumulates of the ANN against synaptic operations of the SNN.

What an operation takes is an *energy model*: a small TOML file, some of which are in `energy_models/`. What
is counted is a *convention*, and published figures differ in just these, so every figure names its own:

* a burst of s spikes as s synaptic operations a connection, or as one event whatever its size; a graded
  spike is one event by either;
* layers before the first neuron, whose current is the same at every timestep, charged once or T times.

Whatever reads values that are no spikes is charged as MACs. Zero padding is not counted on either side.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from onnx2snn.errors import OptionError, first_line
from onnx2snn.files import check_regular
from onnx2snn.records import Record

if TYPE_CHECKING:
    from onnx2snn.runtime.results import Work

Bursts = Literal["spikes", "events"]
FirstLayer = Literal["once", "every timestep"]

#: The model of whoever names none.
DEFAULT_MODEL = "45nm-float32"
#: What more than an operation can take: who gives it has forgotten that the unit is a joule.
_MOST_JOULES = 1e-3
_BURSTS: dict[Bursts, str] = {
    "spikes": "each spike of a burst counts",
    "events": "a burst counts as one event, whatever its size",
}
#: The same of graded spikes, by either.
_GRADED = "each spike is one event, whatever its size: one addition, of a shifted weight, a connection"
_FIRST_LAYER: dict[FirstLayer, str] = {
    "once": "layers before the first neuron are charged once, as MACs",
    "every timestep": "layers before the first neuron are charged at every timestep, as MACs",
}


@dataclass(frozen=True)
class EnergyModel(Record):
    """What operations take.

    Attributes:
        name: by which it is chosen.
        source: where the numbers come from.
        technology: what they were measured on.
        convention: how they are meant, in one sentence.
        flops_per_mac: FLOPs that the source sees in a multiply-accumulate.
        joules_per_mac: a multiply-accumulate of the ANN.
        joules_per_analog_mac: one of a layer of the SNN that reads something other than spikes.
        joules_per_synaptic_operation: one spike arriving over one connection.
        joules_per_neuron_update: one neuron in one timestep.
    """

    name: str
    source: str
    technology: str
    convention: str
    flops_per_mac: float
    joules_per_mac: float
    joules_per_analog_mac: float
    joules_per_synaptic_operation: float
    joules_per_neuron_update: float

    @property
    def prices(self) -> str:
        """What it charges, as a phrase."""
        charged = {
            "a MAC": self.joules_per_mac,
            "a MAC on analog input": self.joules_per_analog_mac,
            "a synaptic operation": self.joules_per_synaptic_operation,
            "a neuron update": self.joules_per_neuron_update,
        }
        if self.joules_per_analog_mac == self.joules_per_mac:
            del charged["a MAC on analog input"]
        if not self.joules_per_neuron_update:
            del charged["a neuron update"]
        charges = ", ".join(f"{format_joules(joules)} {name}" for name, joules in charged.items())
        return f"{self.name}: {charges}"


@dataclass(frozen=True)
class Convention(Record):
    """What one model says by one convention; lists have one entry for each number of timesteps.

    Attributes:
        bursts: `spikes` or `events`.
        first_layer: `once` or `every timestep`.
        sentence: both in words.
        snn_joules_per_sample: energy of the SNN, in joules.
        ratio: the same over the ANN's; None where the ANN multiplies nothing.
    """

    bursts: Bursts
    first_layer: FirstLayer
    sentence: str
    snn_joules_per_sample: list[float]
    ratio: list[float | None]


@dataclass(frozen=True)
class Charge(Record):
    """What one energy model says of a network.

    Attributes:
        model: its name.
        parameters: it.
        convention: what it charges, and the usual convention, as a sentence.
        ann_joules_per_sample: energy of the ANN, in joules.
        snn_joules_per_sample, ratio: by the usual convention: each spike counts, first layers once.
        conventions: all four.
    """

    model: str
    parameters: EnergyModel
    convention: str
    ann_joules_per_sample: float
    snn_joules_per_sample: list[float]
    ratio: list[float | None]
    conventions: list[Convention]


@dataclass(frozen=True)
class Energy(Charge):
    """What the chosen model says, what was counted, and what all the other models say.

    Attributes:
        ann_macs_per_sample: multiply-accumulates of the ANN.
        ann_flops_per_sample: the same in FLOPs, as the model's source counts them.
        prefix_macs_per_sample: those before the first neuron.
        analog_macs_per_sample: those of the SNN that read no spikes, for each number of timesteps.
        neuron_updates_per_sample: neurons times timesteps.
        synaptic_operations_per_sample, synaptic_events_per_sample: as in `Activity`.
        models: name → what another model says.
        bits_sent_per_sample, bits_convention: as in `Activity`.
    """

    ann_macs_per_sample: int
    ann_flops_per_sample: float
    prefix_macs_per_sample: int
    analog_macs_per_sample: list[float]
    neuron_updates_per_sample: list[float]
    synaptic_operations_per_sample: list[float]
    synaptic_events_per_sample: list[float]
    models: dict[str, Charge]
    bits_sent_per_sample: list[float] = field(default_factory=list)
    bits_convention: str = ""


@dataclass(frozen=True)
class AnnEnergy(Record):
    """Energy of one inference of the ANN, from shapes alone.

    Attributes:
        model: name of the energy model.
        parameters: it.
        ann_macs_per_sample, ann_flops_per_sample: zero padding counts.
        ann_joules_per_sample: in joules.
        models: name → joules by another model.
    """

    model: str
    parameters: EnergyModel
    ann_macs_per_sample: int
    ann_flops_per_sample: float
    ann_joules_per_sample: float
    models: dict[str, float]


@dataclass(frozen=True)
class Activity:
    """What spikes did for a sample; every list has one entry for each number of timesteps.

    Attributes:
        timesteps: these numbers; an average over samples need not be whole.
        synaptic_operations: spikes times connections.
        synaptic_events: the same of bursts, whatever their size.
        bits: what neurons sent, in bits; empty where that was not counted.
        bits_convention: how these are counted, as a phrase.
        graded: whether spikes have sizes.
    """

    timesteps: Sequence[float]
    synaptic_operations: Sequence[float]
    synaptic_events: Sequence[float]
    bits: Sequence[float] = ()
    bits_convention: str = ""
    graded: bool = False


@cache
def builtin_models() -> Mapping[str, EnergyModel]:
    """The models that come with the package, by name, the default first."""
    folder = resources.files("onnx2snn.analysis").joinpath("energy_models")
    files = [file for file in folder.iterdir() if file.name.endswith(".toml")]
    models = {model.name: model for model in (_parse(f.name, f.read_text(encoding="utf-8")) for f in files)}
    return {name: models[name] for name in sorted(models, key=lambda name: (name != DEFAULT_MODEL, name))}


def load_energy_model(named: str | None = None) -> EnergyModel:
    """A model by its name, or from a TOML file.

    Args:
        named: name or path; None for the default.

    Raises:
        OptionError: neither, or a file that is no such model.
    """
    known = builtin_models()
    if named is None or named in known:
        return known[named or DEFAULT_MODEL]
    if not named.endswith(".toml"):
        raise OptionError(
            f"--energy-model: expected {', '.join(known)} or a file that ends in .toml, found '{named}'; "
            "choose one of these"
        )
    check_regular(named, f"{', '.join(known)} or a TOML file", OptionError)
    try:
        text = Path(named).read_bytes().decode("utf-8-sig")  # some editors begin a file with a mark
    except OSError as error:
        raise OptionError(
            f"{named}: cannot be read ({error.strerror}); give another file, or one of {', '.join(known)}"
        ) from error
    except UnicodeDecodeError as error:
        raise OptionError(f"{named}: expected a TOML file in UTF-8, found other bytes; save it so") from error
    model = _parse(named, text)
    if model.name in known:
        raise OptionError(
            f"{named}: name: expected another than {', '.join(known)}, found '{model.name}'; rename it"
        )
    return model


def estimate_energy(work: Work, activity: Activity, model: EnergyModel | None = None) -> Energy:
    """Energy a sample of the ANN, and of the SNN after each number of timesteps.

    Args:
        work: what is computed beside spikes.
        activity: what spikes did.
        model: what operations take; the default one if None.
    """
    chosen = model or load_energy_model()
    others = (other for other in builtin_models().values() if other.name != chosen.name)
    return Energy(
        **vars(_charge(work, activity, chosen)),
        ann_macs_per_sample=work.ann_macs,
        ann_flops_per_sample=work.ann_macs * chosen.flops_per_mac,
        prefix_macs_per_sample=work.prefix_macs,
        analog_macs_per_sample=_analog_macs(work, activity, "once"),
        neuron_updates_per_sample=_neuron_updates(work, activity),
        synaptic_operations_per_sample=list(activity.synaptic_operations),
        synaptic_events_per_sample=list(activity.synaptic_events),
        models={other.name: _charge(work, activity, other) for other in others},
        bits_sent_per_sample=list(activity.bits),
        bits_convention=activity.bits_convention,
    )


def estimate_from_shapes(macs: int, model: EnergyModel | None = None) -> AnnEnergy:
    """Energy of one inference of the ANN.

    Args:
        macs: multiply-accumulates of the ANN.
        model: what operations take; the default one if None.
    """
    chosen = model or load_energy_model()
    others = (other for other in builtin_models().values() if other.name != chosen.name)
    return AnnEnergy(
        chosen.name,
        chosen,
        macs,
        macs * chosen.flops_per_mac,
        macs * chosen.joules_per_mac,
        {other.name: macs * other.joules_per_mac for other in others},
    )


def format_joules(joules: float) -> str:
    """Three digits and a unit: 1.95e-4 → 195 µJ; tenths of a picojoule stay such, as papers give them."""
    if 0.0995e-12 <= joules < 1e-12:
        return f"{joules / 1e-12:.3g} pJ"
    for unit, size in (("J", 1.0), ("mJ", 1e-3), ("µJ", 1e-6), ("nJ", 1e-9), ("pJ", 1e-12)):
        if joules >= 0.9995 * size:
            return f"{joules / size:.3g} {unit}" if joules < 999.5 * size else f"{joules / size:,.0f} {unit}"
    return f"{joules / 1e-15:.3g} fJ"


def _charge(work: Work, activity: Activity, model: EnergyModel) -> Charge:
    """What one model says by every convention, the default first."""
    ann = work.ann_macs * model.joules_per_mac
    conventions = []
    for bursts, counted in (dict.fromkeys(_BURSTS, _GRADED) if activity.graded else _BURSTS).items():
        for first_layer, charged in _FIRST_LAYER.items():
            arriving = activity.synaptic_operations if bursts == "spikes" else activity.synaptic_events
            analog = _analog_macs(work, activity, first_layer)
            joules = [
                macs * model.joules_per_analog_mac
                + operations * model.joules_per_synaptic_operation
                + updates * model.joules_per_neuron_update
                for macs, operations, updates in zip(
                    analog, arriving, _neuron_updates(work, activity), strict=True
                )
            ]
            ratio = [value / ann if ann else None for value in joules]
            conventions.append(Convention(bursts, first_layer, f"{counted}; {charged}", joules, ratio))
    usual = conventions[0]
    return Charge(
        model.name,
        model,
        f"{model.prices}; {usual.sentence}",
        ann,
        usual.snn_joules_per_sample,
        usual.ratio,
        conventions,
    )


def _analog_macs(work: Work, activity: Activity, first_layer: FirstLayer) -> list[float]:
    """MACs of what reads no spikes, for each number of timesteps."""
    still = work.prefix_macs + work.joined_macs
    return [
        still * (1 if first_layer == "once" else steps) + work.analog_macs * steps + work.head_macs
        for steps in activity.timesteps
    ]


def _neuron_updates(work: Work, activity: Activity) -> list[float]:
    return [sum(work.neurons.values()) * steps for steps in activity.timesteps]


def _parse(source: str, text: str) -> EnergyModel:
    """A model from TOML; `source` is what an error calls it."""
    try:
        parameters = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise OptionError(
            f"{source}: expected an energy model in TOML, found something else ({first_line(error)}); "
            "docs/energy.md has an example"
        ) from error
    keys = {item.name: item.type for item in fields(EnergyModel)}
    every = ", ".join(keys)
    if unknown := [key for key in parameters if key not in keys]:
        raise OptionError(f"{source}: expected only the keys {every}, found '{unknown[0]}'; leave it out")
    if missing := [key for key in keys if key not in parameters]:
        raise OptionError(
            f"{source}: expected the keys {every}, found no {', '.join(missing)}; add what is missing"
        )
    for key, kind in keys.items():
        if kind == "str":
            _check_text(source, key, parameters[key])
        else:
            _check_number(source, key, parameters[key])
    return EnergyModel(**parameters)


def _check_text(source: str, key: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise OptionError(f"{source}: {key}: expected a line of text, found {value!r}; write one in quotes")


def _check_number(source: str, key: str, value: object) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if key == "flops_per_mac":
        if not is_number or not 0 < value <= 16:  # type: ignore[operator]
            raise OptionError(f"{source}: {key}: expected 1 or 2, say, found {value!r}; give FLOPs of a MAC")
    elif not is_number or not 0 <= value <= _MOST_JOULES:  # type: ignore[operator]
        raise OptionError(
            f"{source}: {key}: expected joules, from 0 to {_MOST_JOULES:g}, found {value!r}; "
            "4.6 pJ, say, are 4.6e-12"
        )
