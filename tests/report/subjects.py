"""Subjects of reports made by hand: what every command would have found in a net with layers of any name."""

from __future__ import annotations

from typing import Any

import numpy as np

from onnx2snn.analysis.diagnosis.figures import Diagnosis
from onnx2snn.analysis.energy import Activity, Energy, estimate_energy
from onnx2snn.analysis.evaluation import Evaluation
from onnx2snn.analysis.sweep import Sweep
from onnx2snn.artifact.records import CalibrationRecord, Metadata, Verdict
from onnx2snn.compiler.report import CompileReport
from onnx2snn.graph.macs import Macs
from onnx2snn.options import CompileOptions
from onnx2snn.report.recording import Channel, Recording
from onnx2snn.report.subject import Subject
from onnx2snn.runtime.results import Work

PLAIN = ("/Relu", "/layer1/Relu", "/layer2/Relu_1")
#: Names that would break a page, a drawing or a line.
HOSTILE = (
    "<script>alert(1)</script>\"><img src=x onerror='alert(2)'>",
    "{{ 7 * 7 }} {% if %} #0b62a8 var(--blue) 层 & $\\frac{a}$",
    "/two\nlines\x00\x1b[31m\u202egnp" + "/very" * 60,
)
SAMPLES = ("sample 0: class 3, right", "sample 50: class 1, wrong (<b>7</b>)")


def compiled(names: tuple[str, ...] = PLAIN) -> Subject:
    """A compilation."""
    said = metadata(names)
    others = [
        Verdict(f"other {number}", "Conv", role, "")
        for number, role in enumerate(("linear", "linear", "analog"))
    ]
    found = CompileReport(
        [*said.nodes, *others],
        Macs(40_000_000, 39_600_000, 0.99),
        said.neurons,
        said.activations,
        CompileOptions(code="burst"),
        CalibrationRecord(512, "/data/of/someone/train.npz"),
    )
    line = f"onnx2snn compile net.onnx --calib 'train {names[0][:9]!r}.npz'"
    return Subject("compile", "/home/someone/net.onnx", found, line, said)


def evaluated(names: tuple[str, ...] = PLAIN) -> Subject:
    """An evaluation with labels, a reference and an early exit."""
    rng = np.random.default_rng(0)
    spikes = {name: float(1000 + 400 * n) for n, name in enumerate(names)}
    operations = [4e6, 9e6, 2e7]
    energy = charged([1, 2, 4], operations)
    found: dict[str, Any] = {
        "samples": 1234,
        "timesteps": [1, 2, 4],
        "accuracy": [0.5, 0.875, 0.91],
        "agreement": [0.55, 0.9, 0.975],
        "output_error": [0.7, 0.3, 0.1],
        "reference_accuracy": 0.92,
        "spikes_per_sample": [1000.0, 2100.0, sum(spikes.values())],
        "spikes_by_neuron": spikes,
        "synaptic_operations_per_sample": operations,
        "energy": energy.to_dict(),
        "samples_per_second": list(rng.uniform(size=3)),
        "uncounted": [names[0]],
        "early_exit": {
            "rule": {"criterion": "confidence", "thresholds": [2.0, 0.9, 0.8], "probabilities": False},
            "mean_timesteps": 2.25,
            "histogram": [0, 900, 300, 34],
            "accuracy": 0.9,
            "agreement": 0.95,
            "spikes_per_sample": 1500.0,
            "synaptic_operations_per_sample": 8e6,
            "energy": charged([2.25], [8e6]).to_dict(),
            "samples_per_second": 1.0,
            "speedup": 2.0,
        },
    }
    line = "onnx2snn evaluate net.snn.onnx --data test.npz --reference net.onnx"
    return Subject(
        "evaluate", "/tmp/x/net.snn.onnx", Evaluation.from_dict(found), line, metadata(names), recorded(names)
    )


def swept(names: tuple[str, ...] = PLAIN) -> Subject:
    """A sweep of six points."""
    points = []
    for number, (kind, steps) in enumerate((k, t) for t in (2, 4) for k in ("stream", "signed", "radix")):
        options: dict[str, Any] = {"timesteps": steps}
        points.append(
            {
                "name": f"{kind}, T = {steps}",
                "options": options | ({"compress": "energy", "max_loss": 0.3} if number == 4 else {}),
                "accuracy": 0.8 + 0.02 * number,
                "agreement": 0.85 + 0.02 * number,
                "spikes_per_sample": 1e4 * (number + 1),
                "synaptic_operations_per_sample": 1e6 * (number + 1),
                "joules_per_sample": 1e-5 * (number + 1),
                "energy_ratio": 0.1 * (number + 1),
                "milliseconds_per_sample": 1.0,
                "reference_accuracy": 0.92,
                "best": number != 1,
                "knee": number == 3,
            }
        )
    found = {
        "samples": 500,
        "measure": "accuracy",
        "reference_accuracy": 0.92,
        "points": points,
        "command": f"onnx2snn compile net.onnx --calib '{names[0][:9]!r}' --timesteps 4",
        "source_sha256": "ab" * 32,
    }
    return Subject(
        "sweep", "C:\\nets\\net.onnx", Sweep.from_dict(found), "onnx2snn sweep net.onnx --calib train.npz"
    )


def diagnosed(names: tuple[str, ...] = PLAIN) -> Subject:
    """A diagnosis in which the first layer clips, and the last has no counterpart in the ANN."""
    layers = [_diagnosed(name, number, last=name == names[-1]) for number, name in enumerate(names)]
    found = {
        "samples": 256,
        "timesteps": 8,
        "schedule": "stream",
        "accuracy": 0.9,
        "reference_accuracy": 0.92,
        "agreement": 0.95,
        "output": {"name": "y", "error": 0.08, "parameters": 0.0, "harm": 0.0},
        "verdict": ["The network gives the ANN's answer on 95.0 %.", f"{names[0]}: raise the percentile."],
        "worst": list(names[:3]),
        "layers": layers,
        "not_compared": {names[-1]: "the compiler put it in"},
    }
    line = "onnx2snn diagnose net.snn.onnx --reference net.onnx --data test.npz"
    return Subject(
        "diagnose", "net.snn.onnx", Diagnosis.from_dict(found), line, metadata(names), recorded(names)
    )


SUBJECTS = {"compile": compiled, "evaluate": evaluated, "sweep": swept, "diagnose": diagnosed}


def _diagnosed(name: str, number: int, *, last: bool) -> dict[str, Any]:
    components = {
        "parameters": 0.001,
        "inherited": 0.05 * number,
        "clipping": 0.03,
        "quantisation": 0.04,
        "timing": 0.01,
    }
    return {
        "layer": name,
        "op": "BurstIF",
        "max_spikes": None if last else 4,
        "channels": 16,
        "neurons": 4096,
        "activation_rms": 1.5,
        "error": 0.05 + 0.04 * number,
        "own_error": 0.05,
        "components": components,
        "harm": dict.fromkeys(components, 0.2),
        "clipped_mass": 0.002,
        "saturated_channels": [1, 2, 3, 5, 8],
        "dead_channels": [] if number else [4],
        "firing_rate": 0.3,
        "spikes_per_sample": 9830.4,
        "agreement_if_exact": 0.96,
        "agreement_if_only_spiking": None if last else 0.99,
        "faults": [
            {"kind": "clipping", "harm": 0.4, "sentence": f"{name} clips", "remedy": "--threshold max"},
        ],
    }


def charged(timesteps: list[float], operations: list[float]) -> Energy:
    """Energy as an evaluation gives it."""
    work = Work(
        ann_macs=40_000_000, prefix_macs=400_000, joined_macs=0, analog_macs=0, head_macs=640, neurons={}
    )
    return estimate_energy(work, Activity(timesteps, operations, operations))


def metadata(names: tuple[str, ...]) -> Metadata:
    """What an artifact says of itself."""
    theta = {"least": 0.1, "median": 0.5, "greatest": 0.9}
    neuron = {"op": "BurstIF", "max_spikes": 4, "levels": 4, "channels": 16, "threshold": theta, "clip": None}
    counts = [int(1e6 * 0.7**n) for n in range(40)]
    activation = {
        "zeros": 0.5,
        "maximum": 3.9,
        "bin": 0.1,
        "counts": counts,
        "clipped": 0.0123,
        "range": {"least": 0.4, "median": 2.0, "greatest": 3.6},
        "threshold": theta,
    }
    nodes = [
        {
            "node": name,
            "op": "Relu",
            "role": "spiking",
            "reason": f"BurstIF of {name}",
            "remedy": "",
            "island": "",
        }
        for name in names
    ]
    return Metadata.from_dict(
        {
            "version": "0.0.1",
            "schedule": "stream",
            "source_sha256": "cd" * 32,
            "options": CompileOptions(code="burst").to_dict(),
            "neurons": dict.fromkeys(names, neuron),
            "activations": dict.fromkeys(names, activation),
            "nodes": nodes,
            "macs": {"per_sample": 40_000_000, "fed_by_spikes": 39_600_000, "share": 0.99},
            "calibration": {"samples": 512, "source": "/data/of/someone/train.npz"},
            "preprocessing": {"scale": 1 / 255, "mean": [0.5], "std": [0.2], "layout": None, "resize": None},
        }
    )


def recorded(names: tuple[str, ...]) -> Recording:
    """Spikes of two samples in eight timesteps."""
    rng = np.random.default_rng(1)
    shape = (len(SAMPLES), 8)
    channels = tuple(
        Channel(name, 7, rng.uniform(0, 2, shape), np.maximum(rng.uniform(-1, 0.3, shape), 0))
        for name in names
    )
    return Recording(8, dict.fromkeys(names, 4096), channels, SAMPLES)
