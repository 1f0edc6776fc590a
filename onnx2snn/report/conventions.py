"""Energy under other conventions: papers differ in just these."""

from __future__ import annotations

from onnx2snn.analysis.energy import Charge, Energy
from onnx2snn.report.content import Section, Table
from onnx2snn.report.subject import Subject
from onnx2snn.report.words import count, joules, sentence, shown

#: What a model has a price for.
_PRICES = {
    "mac": "MAC",
    "analog_mac": "MAC on analog input",
    "synaptic_operation": "synaptic operation",
    "neuron_update": "neuron update",
}


def conventions_section(subject: Subject) -> Section:
    """The same run under every model and convention."""
    energy: Energy = subject.figures.energy
    models: dict[str, Charge] = {energy.model: energy, **energy.models}
    rows = [
        (
            shown(name),
            sentence(convention.sentence),
            joules(convention.snn_joules_per_sample[-1]),
            joules(model.ann_joules_per_sample),
            "" if convention.ratio[-1] is None else f"{convention.ratio[-1]:.2f}",
        )
        for name, model in models.items()
        for convention in model.conventions
    ]
    steps = subject.figures.timesteps[-1]
    columns = ("model", "convention", "SNN", "ANN", "ANN = 1")
    # Graded spikes and single ones are events: the same row for both.
    table = Table(f"Energy a sample at T = {steps}", columns, list(dict.fromkeys(rows)), 2)
    parameters = [
        (
            shown(name),
            shown(model.parameters.technology),
            shown(model.parameters.source),
            *(joules(getattr(model.parameters, f"joules_per_{key}")) for key in _PRICES),
        )
        for name, model in models.items()
    ]
    prices = Table("Models", ("model", "technology", "source", *_PRICES.values()), parameters, 3)
    lead = ["Estimates from counts, not measurements: the same run, charged as different papers charge it."]
    if energy.bits_sent_per_sample:
        sent = energy.bits_sent_per_sample[-1]
        lead.append(f"Neurons send {count(sent)} bits a sample: {energy.bits_convention}.")
    return Section("energy", "Energy, convention by convention", lead, tables=[table, prices])
