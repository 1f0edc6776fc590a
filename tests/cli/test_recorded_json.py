"""What `--json` gives, field for field: same keys in the same order at every depth, same types, same values.

The samples in `recorded/` are of the embedded net on a few pictures. After a change of the JSON that is meant
`ONNX2SNN_RECORD=1 pytest tests/cli/test_recorded_json.py` writes them anew.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from onnx2snn.cli import main

RECORDED = Path(__file__).parent / "recorded"
GRADED = "compile ann.onnx --calib train.npz --scale 1/16 -T 2 -o out.onnx"
COMPILE = f"{GRADED} --code burst"
DATA = "--data test.npz --reference ann.onnx"
#: Sample → its command.
COMMANDS = {
    "compile": COMPILE,
    "compile_graded": GRADED,
    "compile_signed": f"{COMPILE} --signed --early-exit auto",
    "compile_int8": f"{COMPILE} --schedule layer --weights int8",
    "compile_adapted": f"{COMPILE} --max-spikes auto",
    "compile_compressed": f"{COMPILE} --compress energy --max-loss 5",
    "inspect_ann": "inspect ann.onnx --code burst",
    "inspect_ann_graded": "inspect ann.onnx",
    "inspect_snn": "inspect snn.onnx",
    "evaluate": f"evaluate snn.onnx {DATA}",
    "evaluate_alone": "evaluate snn.onnx --data test.npz --timesteps 2 --energy-model rolls-77fj",
    "evaluate_exit": f"evaluate snn.onnx {DATA} --early-exit confidence:0.6",
    "evaluate_layer": f"evaluate layer.snn.onnx {DATA}",
    "diagnose": f"diagnose snn.onnx {DATA}",
    "sweep": "sweep ann.onnx --calib train.npz --data test.npz --scale 1/16 --kinds stream,radix "
    "--timesteps 2 --max-spikes 2 --max-loss none",
    "doctor": "doctor",
}

#: What no two runs or machines share; the keys inside stay, and what is written is `MASKED`.
VARYING = (
    *(
        "seconds",
        "peak_megabytes",
        "samples_per_second",
        "speedup",
        "milliseconds_per_sample",
    ),  # times, memory
    *("version", "versions", "platform", "native", "providers", "extras"),  # what is installed
)
MASKED = "…"
#: Another processor adds in another order.
ROUNDED = {"rel": 1e-6}
#: Of numbers with six digits the last one then may be another.
SIX_DIGITS = {"rel": 2e-5}
#: And a current that lies next to a threshold, or to the edge of a bin, may come to lie on its other side.
COUNTED = {"rel": 1e-2}
#: What is left of two numbers that are nearly equal may be anything that is small.
LEFT = {"rel": 1e-2, "abs": 1e-5}
#: Key → how far numbers inside may be from the recorded ones, where that is not `ROUNDED`.
TOLERANCES = {
    "activations": SIX_DIGITS,
    **dict.fromkeys(("counts", "zeros", "clipped", "clipped_mass", "unit", "output_error"), COUNTED),
    **dict.fromkeys(("spikes", "spikes_per_sample", "spikes_by_neuron", "firing_rate"), COUNTED),
    **dict.fromkeys(("synaptic_operations_per_sample", "synaptic_events_per_sample"), COUNTED),
    **dict.fromkeys(("joules_per_sample", "snn_joules_per_sample", "ratio", "energy_ratio"), COUNTED),
    **dict.fromkeys(("output", "error", "own_error", "components", "harm", "correction"), LEFT),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """The embedded net, a few of its pictures, and two artifacts."""
    folder = tmp_path_factory.mktemp("recorded")
    source = resources.files("onnx2snn") / "demo"
    (folder / "ann.onnx").write_bytes((source / "digits.onnx").read_bytes())
    for name, stem, samples in (("train", "digits_calibration", 24), ("test", "digits_test", 12)):
        with (source / f"{stem}.npz").open("rb") as file, np.load(file) as arrays:
            np.savez(folder / f"{name}.npz", **{key: array[:samples] for key, array in arrays.items()})
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        call(f"{COMPILE} --signed -o snn.onnx")
        call(f"{COMPILE} --schedule layer -o layer.snn.onnx")
    return folder


def call(command: str) -> Any:
    """The JSON of a command, without what varies."""
    result = CliRunner().invoke(main, [*shlex.split(command), "--json", "-"])
    assert result.exit_code == 0, result.output
    return without_varying(json.loads(result.stdout))


def without_varying(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: masked(part) if k in VARYING else without_varying(part) for k, part in value.items()}
    return [without_varying(part) for part in value] if isinstance(value, list) else value


def masked(value: Any) -> Any:
    return {key: masked(part) for key, part in value.items()} if isinstance(value, dict) else MASKED


def differences(found: Any, wanted: Any, path: str, tolerance: dict[str, float]) -> Iterator[str]:
    """A line for everything that is not as it was."""
    if type(found) is not type(wanted):
        yield f"{path}: {type(found).__name__}, was {type(wanted).__name__}"
    elif isinstance(wanted, dict):
        if list(found) != list(wanted):
            yield f"{path}: keys {list(found)}, were {list(wanted)}"
        for key in wanted.keys() & found.keys():
            inside = TOLERANCES.get(key, tolerance)
            yield from differences(found[key], wanted[key], f"{path}.{key}", inside)
    elif isinstance(wanted, list):
        if len(found) != len(wanted):
            yield f"{path}: {len(found)} items, were {len(wanted)}"
        for number, pair in enumerate(zip(found, wanted, strict=False)):
            yield from differences(*pair, f"{path}[{number}]", tolerance)
    elif found != wanted and not is_near(found, wanted, tolerance):
        yield f"{path}: {found!r}, was {wanted!r}"


def is_near(found: Any, wanted: Any, tolerance: dict[str, float]) -> bool:
    """Whether numbers differ by rounding alone; whole ones only do where they count."""
    if type(wanted) is int and tolerance is COUNTED:
        return abs(found - wanted) <= max(2, tolerance["rel"] * wanted)
    return isinstance(wanted, float) and found == pytest.approx(wanted, **{"abs": 0.0, **tolerance})


@pytest.mark.parametrize("name", COMMANDS)
def test_json_is_as_recorded(name, folder, monkeypatch):
    monkeypatch.chdir(folder)
    found, sample = call(COMMANDS[name]), RECORDED / f"{name}.json"
    if os.environ.get("ONNX2SNN_RECORD") == "1":
        sample.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    wanted = json.loads(sample.read_text(encoding="utf-8"))
    assert not list(differences(found, wanted, name, ROUNDED))


def test_every_sample_has_a_command():
    assert {path.stem for path in RECORDED.iterdir()} == set(COMMANDS)
