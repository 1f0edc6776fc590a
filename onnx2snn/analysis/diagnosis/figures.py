"""What a diagnosis finds. Errors are relative to the ANN's activation, root mean square."""

from __future__ import annotations

from dataclasses import dataclass, field

from onnx2snn.artifact.output_errors import OutputFigures
from onnx2snn.records import Record


@dataclass(frozen=True)
class Fault(Record):
    """One thing that is wrong with a layer.

    Attributes:
        kind: a part of the error, or `dead channels`, `bias`, `weights`.
        harm: its share in what the layer adds to the squared error; for `inherited` in all of it.
        sentence, remedy: in words.
    """

    kind: str
    harm: float
    sentence: str
    remedy: str


@dataclass(frozen=True)
class LayerDiagnosis(Record):
    """One neuron layer.

    Attributes:
        layer: its name.
        op: its neuron's operator.
        max_spikes: Γ; None where the file does not say.
        channels, neurons: how many.
        activation_rms: of the ANN's activation, in its units.
        error: of what the layer sends.
        own_error: without what is inherited.
        components: part of the error → its size, see `onnx2snn.analysis.diagnosis.components`.
        harm: part → the share of the squared error that would go with it.
        clipped_mass: share of the activation above what the neurons can send.
        saturated_channels, dead_channels: their numbers.
        firing_rate: spikes a neuron and timestep.
        spikes_per_sample: of the layer.
        agreement_if_exact: with the ANN's answers, if this layer were exact; None without class scores.
        agreement_if_only_spiking: if it alone sent spikes.
        faults: the layer's own first.
        exponents: n of graded neurons.
        outputs_if_exact, outputs_if_only_spiking: the joint error of all outputs then; None where there is
            but one, with class scores.
    """

    layer: str
    op: str
    max_spikes: int | None
    channels: int
    neurons: int
    activation_rms: float
    error: float
    own_error: float
    components: dict[str, float]
    harm: dict[str, float]
    clipped_mass: float
    saturated_channels: list[int]
    dead_channels: list[int]
    firing_rate: float
    spikes_per_sample: float
    agreement_if_exact: float | None
    agreement_if_only_spiking: float | None
    faults: list[Fault]
    exponents: int | None = None
    outputs_if_exact: float | None = None
    outputs_if_only_spiking: float | None = None

    @property
    def if_exact(self) -> float | None:
        """The agreement, or else the joint error, if this layer were exact."""
        return self.agreement_if_exact if self.outputs_if_exact is None else self.outputs_if_exact

    @property
    def if_only_spiking(self) -> float | None:
        """The same if it alone sent spikes."""
        joint = self.outputs_if_only_spiking
        return self.agreement_if_only_spiking if joint is None else joint


@dataclass(frozen=True)
class OutputDiagnosis(Record):
    """The answer.

    Attributes:
        name: its name.
        error: of it; of whole numbers the share that differs.
        parameters: what its own layer's weights and bias make of it.
        harm: of these, as of layers.
    """

    name: str
    error: float
    parameters: float
    harm: float


@dataclass(frozen=True)
class Diagnosis(Record):
    """A network against its ANN.

    Attributes:
        samples, timesteps, schedule: what was run.
        accuracy, reference_accuracy: None without labels.
        agreement: None where the output is not [N, classes].
        output: the error of the answer.
        verdict: sentences.
        worst: layers with the largest errors of their own.
        layers: in firing order.
        not_compared: neuron → why it has no counterpart in the ANN.
        warnings: what cannot be right about the data.
        outputs: of several outputs the error of each, and all of them jointly.
    """

    samples: int
    timesteps: int
    schedule: str
    accuracy: float | None
    reference_accuracy: float | None
    agreement: float | None
    output: OutputDiagnosis
    verdict: list[str] = field(default_factory=list)
    worst: list[str] = field(default_factory=list)
    layers: list[LayerDiagnosis] = field(default_factory=list)
    not_compared: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    outputs: OutputFigures | None = None

    @property
    def exponents(self) -> int | None:
        """n, where neurons send graded spikes."""
        return next((layer.exponents for layer in self.layers if layer.exponents is not None), None)

    @property
    def worst_layers(self) -> list[LayerDiagnosis]:
        """The layers named in `worst`, in that order."""
        by_name = {layer.layer: layer for layer in self.layers}
        return [by_name[name] for name in self.worst]
