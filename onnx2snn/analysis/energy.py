"""Energy estimates: multiply-accumulates of the ANN against synaptic operations of the SNN.

Convention: 45 nm CMOS, 32-bit floating point (Horowitz 2014): 4.6 pJ a multiply-accumulate (MAC), 0.9 pJ
an accumulate, which is what one synaptic operation costs. A burst of s spikes costs s operations. Layers
before the first neuron take the analog input: they are charged as MACs, once, since the current they give
is the same at every timestep. Zero padding is not counted on either side. Neuron updates and memory are
not counted.
"""

from __future__ import annotations

from typing import Any

PICOJOULES_PER_MAC = 4.6
PICOJOULES_PER_SYNAPTIC_OPERATION = 0.9
CONVENTION = (
    "45 nm, 32-bit float: 4.6 pJ a MAC, 0.9 pJ a synaptic operation; each spike of a burst counts; "
    "layers before the first neuron charged once as MACs"
)


def estimate_energy(ann_macs: float, prefix_macs: float, synaptic_operations: list[float]) -> dict[str, Any]:
    """Energy a sample in joules, for the ANN and for the SNN after each number of timesteps.

    Args:
        ann_macs: MACs of the whole ANN.
        prefix_macs: those of them before the first neuron.
        synaptic_operations: per sample, one entry for each number of timesteps.
    """
    ann = ann_macs * PICOJOULES_PER_MAC * 1e-12
    snn = [
        (prefix_macs * PICOJOULES_PER_MAC + operations * PICOJOULES_PER_SYNAPTIC_OPERATION) * 1e-12
        for operations in synaptic_operations
    ]
    return {
        "convention": CONVENTION,
        "ann_macs_per_sample": ann_macs,
        "prefix_macs_per_sample": prefix_macs,
        "ann_joules_per_sample": ann,
        "snn_joules_per_sample": snn,
        "ratio": [joules / ann if ann else None for joules in snn],
    }
