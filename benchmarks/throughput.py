"""Time of a run, side by side: the ANN, our networks, and PyTorch's. `python -m benchmarks.throughput`.

Everything runs on the same batches and threads in one process, interleaved, each warmed up by itself: the
threads of the one before it may still be spinning. The table has medians, and medians of
the ratios of neighbours in time; absolute times mean nothing on another machine. `vgg16` has the size of a
VGG-16 for 32×32 images, and random weights. Eager PyTorch runs where torch is installed, SpikingJelly's
converted net where that is (`pip install --no-deps spikingjelly tqdm loguru h5py scipy`: its own dependencies
would bring torchvision).

`stock` and `native` are `SpikingSession` without and with the native kernels, `file` the artifact in a plain
onnxruntime session.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable
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
from onnx2snn.engine.native import find_kernels

#: Name → options of our networks.
SETTINGS: dict[str, dict[str, Any]] = {
    "stream, burst": {"code": "burst"},
    "stream, signed": {"code": "burst", "signed": True},
    "layer, float": {"code": "burst", "schedule": "layer"},
    "layer, int8": {"code": "burst", "schedule": "layer", "weights": "int8"},
    "stream, graded": {"code": "graded"},
    "layer, graded": {"code": "graded", "schedule": "layer"},
}
EAGER = "stream, burst: eager PyTorch"
JELLY = "stream, IF: SpikingJelly"

#: Output channels of the 3×3 convolutions of `vgg16`; 0 for a MaxPool.
WIDTHS = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)

_AT_LEAST = 0.1

Feeds = dict[str, np.ndarray]
Runner = Callable[[Feeds], dict[str, np.ndarray]]


def vgg16() -> onnx.ModelProto:
    """A VGG-16 for 32×32 images, weights random."""
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
    drawn = rng.standard_normal((channels, 10)) / np.sqrt(channels)
    weights.append(numpy_helper.from_array(drawn.astype(np.float32), "head/weight"))
    nodes.append(helper.make_node("Flatten", [source], ["features"], "flatten"))
    nodes.append(helper.make_node("Gemm", ["features", "head/weight"], ["logits"], "head"))
    graph = helper.make_graph(
        nodes,
        "vgg16",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, ["N", 3, 32, 32])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["N", 10])],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def load(name: str, samples: int) -> tuple[onnx.ModelProto, Any]:
    """A net and its calibration data."""
    if name == "vgg16":
        return vgg16(), np.random.default_rng(1).standard_normal((32, 3, 32, 32)).astype(np.float32)
    return onnx.load(NETS[name].path), NETS[name].train(samples)


def _samples_of(name: str, batch: int) -> Feeds:
    if name == "vgg16":
        return {"images": np.random.default_rng(2).standard_normal((batch, 3, 32, 32)).astype(np.float32)}
    return next(NETS[name].test().batches(batch))


def _plain(model: onnx.ModelProto, threads: int) -> Runner:
    """A plain session: nothing registered."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    settings.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), settings, providers=["CPUExecutionProvider"]
    )
    names = [output.name for output in session.get_outputs()]
    return lambda feeds: dict(zip(names, session.run(names, feeds), strict=True))


def _session(model: onnx.ModelProto, threads: int, *, native: bool) -> Runner:
    session = onnx2snn.SpikingSession(model, threads=threads, native=native)
    return lambda feeds: session.run(feeds).outputs


def _spiking(label: str, model: onnx.ModelProto, threads: int) -> dict[str, Runner]:
    """All that runs one of our artifacts."""
    runners = {f"{label}: file": _plain(model, threads)}
    if label.startswith("stream"):
        runners[f"{label}: stock"] = _session(model, threads, native=False)
    if find_kernels().path is not None and label != "layer, int8":  # int8 has no kernel
        runners[f"{label}: native"] = _session(model, threads, native=True)
    return runners


def _jelly(name: str, timesteps: int, threads: int) -> Runner:
    from benchmarks import spikingjelly

    ann = spikingjelly.vgg16(WIDTHS) if name == "vgg16" else spikingjelly.resnet20()
    run = spikingjelly.make_runner(ann, timesteps, threads)
    return lambda feeds: {"": run(next(iter(feeds.values())))}


def _eager(model: onnx.ModelProto, threads: int, feeds: Feeds, tolerance: float) -> Runner:
    """The same network in PyTorch; after two timesteps of `feeds` its scores are still the artifact's.

    In a deep net of random weights one neuron that a sum in another order tips over tips hundreds behind it,
    between two settings of onnxruntime as well: there they only have to be alike.
    """
    import torch

    from benchmarks.eager import EagerNetwork

    torch.set_num_threads(threads)
    session = onnx2snn.SpikingSession(model)
    network = EagerNetwork(session.artifact)
    found, expected = network.run(feeds, 2), session.run(feeds, timesteps=2).outputs
    for name, scores in expected.items():
        if np.linalg.norm(found[name] - scores) > tolerance * np.linalg.norm(scores):
            raise AssertionError("eager PyTorch does not compute what the artifact does")
    return lambda feeds: network.run(feeds, session.timesteps)


def _seconds(runner: Runner, feeds: Feeds) -> float:
    """Seconds a run: the mean over a tenth of a second, behind another tenth that warms up."""
    for _ in range(2):
        started, runs = time.perf_counter(), 0
        while (elapsed := time.perf_counter() - started) < _AT_LEAST:
            runner(feeds)
            runs += 1
    return elapsed / runs


@click.command()
@click.option("--net", "names", multiple=True, default=("resnet20", "vgg16"), show_default=True)
@click.option("--batch", "batches", multiple=True, type=int, default=(1, 16, 64), show_default=True)
@click.option("--timesteps", "lengths", multiple=True, type=int, default=(4, 8, 32), show_default=True)
@click.option("--samples", default=64, show_default=True, help="Calibration images.")
@click.option("--only", multiple=True, help="Only networks whose name holds this.")
@click.option("--peers/--no-peers", default=importlib.util.find_spec("spikingjelly") is not None)
@click.option("--repeats", default=9, show_default=True)
@click.option("--threads", default=2, show_default=True)
def main(
    names: tuple[str, ...],
    batches: tuple[int, ...],
    lengths: tuple[int, ...],
    samples: int,
    only: tuple[str, ...],
    peers: bool,
    repeats: int,
    threads: int,
) -> None:
    """Print the table."""
    table = Table(box=None, header_style="bold")
    table.add_column("net")
    for column in ("T", "batch"):
        table.add_column(column, justify="right")
    table.add_column("network")
    for column in ("ms", "ANN = 1", "a timestep", "faster than eager"):
        table.add_column(column, justify="right")
    for name in names:
        model, calibration = load(name, samples)
        for timesteps in lengths:
            runners = {"ANN": _plain(model, threads)}
            for label, options in SETTINGS.items():
                if not any(part in label for part in only or ("",)):
                    continue
                compiled = onnx2snn.compile(model, calibration, timesteps=timesteps, **options).model
                runners |= _spiking(label, compiled, threads)
                if EAGER.startswith(label) and importlib.util.find_spec("torch") is not None:
                    runners[EAGER] = _eager(
                        compiled, threads, _samples_of(name, 4), 0.5 if name == "vgg16" else 1e-4
                    )
            if peers and name in ("resnet20", "vgg16"):
                runners[JELLY] = _jelly(name, timesteps, threads)
            for batch in batches:
                feeds = _samples_of(name, batch)
                rounds = [
                    {label: _seconds(runner, feeds) for label, runner in runners.items()}
                    for _ in range(repeats + 1)
                ][1:]
                for label in runners:
                    table.add_row(
                        name, str(timesteps), str(batch), label, *_figures(rounds, label, timesteps)
                    )
    Console(width=120).print(table)


def _figures(rounds: list[dict[str, float]], label: str, timesteps: int) -> list[str]:
    ratio = median(times[label] / times["ANN"] for times in rounds)
    figures = [f"{1e3 * median(times[label] for times in rounds):.1f}", f"{ratio:.2f}"]
    figures.append(f"{ratio / timesteps:.2f}" if label.startswith("stream") else "")
    against = EAGER in rounds[0] and label not in ("ANN", EAGER)
    figures.append(f"{median(times[EAGER] / times[label] for times in rounds):.1f}" if against else "")
    return figures


if __name__ == "__main__":
    main()
