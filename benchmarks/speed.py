"""Speed of an artifact against its own ANN, in one run: `python -m benchmarks.speed`.

All run in plain onnxruntime sessions, interleaved, on the same batches; the table shows medians and the
median of the ratios of neighbours. Absolute times mean nothing on another machine. `wide` is a VGG with 64
channels and more, of random weights.
"""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import click
import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from rich.console import Console
from rich.table import Table

import onnx2snn
from benchmarks.nets import NETS

SETTINGS: dict[str, dict[str, Any]] = {
    "stream, burst": {},
    "stream, signed": {"signed": True},
    "layer, burst": {"schedule": "layer"},
    "layer, int8": {"schedule": "layer", "weights": "int8"},
}

#: Output channels of the 3×3 convolutions of `wide`; 0 for a MaxPool.
WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512)


def wide_net() -> onnx.ModelProto:
    """A VGG for 32×32 images, weights random."""
    rng = np.random.default_rng(0)
    nodes, weights, source, channels = [], [], "images", 3
    for number, width in enumerate(WIDTHS):
        name = f"layer{number}"
        if not width:
            pool = helper.make_node("MaxPool", [source], [name], name, kernel_shape=[2, 2], strides=[2, 2])
            nodes.append(pool)
            source = name
            continue
        drawn = rng.standard_normal((width, channels, 3, 3)) * np.sqrt(2 / (9 * channels))
        weights.append(numpy_helper.from_array(drawn.astype(np.float32), f"{name}/weight"))
        weights.append(numpy_helper.from_array(np.zeros(width, np.float32), f"{name}/bias"))
        inputs = [source, f"{name}/weight", f"{name}/bias"]
        nodes.append(helper.make_node("Conv", inputs, [f"{name}/current"], f"{name}/conv", pads=[1] * 4))
        nodes.append(helper.make_node("Relu", [f"{name}/current"], [name], f"{name}/relu"))
        source, channels = name, width
    nodes.append(helper.make_node("GlobalAveragePool", [source], ["features"], "features"))
    graph = helper.make_graph(
        nodes,
        "wide",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["N", 3, 32, 32])],
        [helper.make_tensor_value_info("features", onnx.TensorProto.FLOAT, ["N", channels, 1, 1])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    """A plain session: nothing registered, default settings."""
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def seconds(runner: onnxruntime.InferenceSession, feeds: dict) -> float:
    """One timed run."""
    started = time.perf_counter()
    runner.run(None, feeds)
    return time.perf_counter() - started


def _load(name: str, samples: int) -> tuple[onnx.ModelProto, Any]:
    """A net and its calibration data."""
    if name == "wide":
        return wide_net(), np.random.default_rng(1).standard_normal((32, 3, 32, 32)).astype(np.float32)
    return onnx.load(NETS[name].path), NETS[name].train(samples)


def _feeds(name: str, batch: int) -> dict:
    if name == "wide":
        return {"images": np.random.default_rng(2).standard_normal((batch, 3, 32, 32)).astype(np.float32)}
    return next(NETS[name].test().batches(batch))


@click.command()
@click.option("--net", "names", multiple=True, default=("resnet20",), show_default=True, help="Also: wide.")
@click.option("--batch", "batches", multiple=True, type=int, default=(64,), show_default=True)
@click.option("--timesteps", default=8, show_default=True)
@click.option("--samples", default=512, show_default=True, help="Calibration images.")
@click.option("--only", default="", help="Only settings whose name holds this.")
@click.option("--repeats", default=15, show_default=True)
def main(
    names: tuple[str, ...], batches: tuple[int, ...], timesteps: int, samples: int, repeats: int, only: str
) -> None:
    """Print the table."""
    table = Table(box=None, header_style="bold")
    for column in ("net", "neuron", "T", "batch", "ANN ms", "SNN ms", "SNN / ANN", "compile s"):
        table.add_column(column, justify="left" if column in ("net", "neuron") else "right")
    for name in names:
        model, calibration = _load(name, samples)
        chosen = {label: options for label, options in SETTINGS.items() if only in label}
        runners, compile_seconds = [session(model)], []
        for options in chosen.values():
            started = time.perf_counter()
            compiled = onnx2snn.compile(model, calibration, timesteps=timesteps, **options)
            compile_seconds.append(time.perf_counter() - started)
            runners.append(session(compiled.model))
        for batch in batches:
            feeds = _feeds(name, batch)
            rounds = [[seconds(runner, feeds) for runner in runners] for _ in range(repeats + 2)][2:]
            for place, label in enumerate(chosen, start=1):
                table.add_row(
                    name,
                    label,
                    str(timesteps),
                    str(batch),
                    f"{1e3 * median(times[0] for times in rounds):.1f}",
                    f"{1e3 * median(times[place] for times in rounds):.1f}",
                    f"{median(times[place] / times[0] for times in rounds):.2f}",
                    f"{compile_seconds[place - 1]:.1f}",
                )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
