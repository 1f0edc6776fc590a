"""Nets of gigabytes: `python -m benchmarks.large --gigabytes 3`.

Writes nets with seeded weights straight to disk, compiles each in a process of its own, and prints what
memory that took as a share of the weights (the most that the process had in memory, mapped files included).
Then the artifact runs in a stock onnxruntime, by `SpikingSession` and by `onnx2snn run`, each in its own
process, and what they give is compared. It takes four times as much disk as the weights, in the folder and in
TMPDIR.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import onnx.parser
import onnxruntime
from onnx import TensorProto
from rich.console import Console
from rich.table import Table

import onnx2snn
from onnx2snn.memory import peak_memory

#: Samples to calibrate on, and how many of them are run.
SAMPLES, RUN = 8, 4
CLASSES = 1000
#: Values that are drawn and written at a time.
_PIECE = 1 << 22

#: Name, shape and standard deviation of each weight; 0 for ones.
Weights = list[tuple[str, tuple[int, ...], float]]


def _mlp(gigabytes: float, width: int = 12_288) -> tuple[str, str, Weights]:
    """Gemm, BatchNormalization and ReLU over and over."""
    layers = max(1, round(gigabytes * 1e9 / (4 * width**2)))
    lines, weights, last = [], Weights(), "x"
    for n in range(layers):
        lines.append(f"a{n} = Gemm <transB = {n % 2}> ({last}, w{n}, b{n})")
        lines.append(f"c{n} = BatchNormalization (a{n}, g{n}, b{n}, b{n}, g{n})  r{n} = Relu (c{n})")
        weights += [(f"w{n}", (width, width), (2 / width) ** 0.5), (f"b{n}", (width,), 0.02)]
        weights += [(f"g{n}", (width,), 0.0)]
        last = f"r{n}"
    lines.append(f"y = MatMul ({last}, head)")
    return f"float[N,{width}] x", " ".join(lines), [*weights, ("head", (width, CLASSES), width**-0.5)]


def _conv(gigabytes: float, width: int = 2048) -> tuple[str, str, Weights]:
    """Residual blocks of a 3×3 convolution with BatchNormalization, on 7×7 pixels."""
    layers = max(1, round(gigabytes * 1e9 / (36 * width**2)))
    lines, weights, last = [], Weights(), "x"
    for n in range(layers):
        lines.append(f"a{n} = Conv <pads = [1, 1, 1, 1]> ({last}, w{n})")
        lines.append(f"c{n} = BatchNormalization (a{n}, g{n}, b{n}, b{n}, g{n})")
        lines.append(f"d{n} = Add ({last}, c{n})  r{n} = Relu (d{n})")
        weights += [(f"w{n}", (width, width, 3, 3), 0.3 / (9 * width) ** 0.5), (f"b{n}", (width,), 0.02)]
        weights += [(f"g{n}", (width,), 0.0)]
        last = f"r{n}"
    lines.append(f"p = GlobalAveragePool ({last})  f = Flatten (p)  y = MatMul (f, head)")
    return f"float[N,{width},7,7] x", " ".join(lines), [*weights, ("head", (width, CLASSES), width**-0.5)]


def _transformer(gigabytes: float, width: int = 2048) -> tuple[str, str, Weights]:
    """Blocks of attention with one head and of two layers with a GELU, on 16 tokens."""
    blocks = max(1, round(gigabytes * 1e9 / (48 * width**2)))
    lines, weights, last = ["scale = Constant <value = float {%g}> ()" % width**-0.5], Weights(), "x"
    for n in range(blocks):
        names = [f"{kind}{n}" for kind in ("wq", "wk", "wv", "wo")]
        lines.append(f"m{n} = LayerNormalization ({last}, g, b)")
        lines += [f"{name[1:]} = MatMul (m{n}, {name})" for name in names[:3]]
        lines.append(f"t{n} = Transpose <perm = [0, 2, 1]> (k{n})  s{n} = MatMul (q{n}, t{n})")
        lines.append(f"e{n} = Mul (s{n}, scale)  p{n} = Softmax (e{n})  z{n} = MatMul (p{n}, v{n})")
        lines.append(f"o{n} = MatMul (z{n}, wo{n})  h{n} = Add ({last}, o{n})")
        lines.append(f"l{n} = LayerNormalization (h{n}, g, b)  u{n} = MatMul (l{n}, wu{n})")
        lines.append(f"i{n} = Gelu (u{n})  d{n} = MatMul (i{n}, wd{n})  r{n} = Add (h{n}, d{n})")
        weights += [(name, (width, width), width**-0.5) for name in names]
        weights += [(f"wu{n}", (width, 4 * width), width**-0.5), (f"wd{n}", (4 * width, width), width**-0.5)]
        last = f"r{n}"
    lines.append(f"j = ReduceMean <keepdims = 0> ({last}, axis)  y = MatMul (j, head)")
    weights += [("g", (width,), 0.0), ("b", (width,), 0.02), ("head", (width, CLASSES), width**-0.5)]
    return f"float[N,16,{width}] x", " ".join(lines), weights


NETS: dict[str, Callable[[float], tuple[str, str, Weights]]] = {
    "mlp": _mlp,
    "conv": _conv,
    "transformer": _transformer,
}
SCHEDULES = ("stream", "layer")


def write_net(folder: Path, name: str, gigabytes: float) -> int:
    """Write `net.onnx`, `net.data` and `data.npy` with as much memory as one piece takes.

    Returns:
        Bytes of weights.
    """
    source, body, weights = NETS[name](gigabytes)
    text = f"g ({source}) => (float[N,{CLASSES}] y) {{ {body} }}"
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 21]> {text}')
    if name == "transformer":
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray([1]), "axis"))
    offset = 0
    with (folder / "net.data").open("wb") as file:
        for number, (weight, shape, spread) in enumerate(weights):
            size = int(np.prod(shape))
            entry = TensorProto(
                name=weight, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL
            )
            for key, value in (("location", "net.data"), ("offset", offset), ("length", 4 * size)):
                entry.external_data.add(key=key, value=str(value))
            model.graph.initializer.append(entry)
            for values in _drawn(number, size, spread):
                file.write(values.data)
            offset += 4 * size
    (folder / "net.onnx").write_bytes(model.SerializeToString())
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim][1:]
    np.save(folder / "data.npy", np.random.default_rng(0).standard_normal((SAMPLES, *shape), np.float32))
    np.save(folder / "x.npy", np.load(folder / "data.npy", mmap_mode="r")[:RUN])
    return offset


def _drawn(seed: int, size: int, spread: float) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
    rng = np.random.default_rng(seed + 1)
    for start in range(0, size, _PIECE):
        count = min(_PIECE, size - start)
        yield rng.standard_normal(count, np.float32) * spread if spread else np.ones(count, np.float32)


def compile_net(folder: str, schedule: str) -> dict[str, float]:
    """Compile as the command line does, and tell what it took."""
    before, started = peak_memory() or 0, time.perf_counter()
    compiled = onnx2snn.compile(f"{folder}/net.onnx", f"{folder}/data.npy", schedule=schedule)
    compiled.save(f"{folder}/{schedule}.snn.onnx")
    return {
        "seconds": time.perf_counter() - started,
        "peak": peak_memory() or 0,
        "before": before,
        "phases": compiled.report.peak_megabytes,  # type: ignore[dict-item]
    }


def run_stock(folder: str, name: str, output: str, unpacked: str = "") -> dict[str, float]:
    """Run a file in an onnxruntime that knows nothing of us; as it comes, or without packing weights.

    Packed ones are added up in another order, by which some spikes come a timestep later.
    """
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    if unpacked:
        settings.add_session_config_entry("session.disable_prepacking", "1")
    session = onnxruntime.InferenceSession(f"{folder}/{name}", settings, ["CPUExecutionProvider"])
    started = time.perf_counter()
    np.save(f"{folder}/{output}", session.run(["y"], {"x": np.load(f"{folder}/x.npy")})[0])
    return {"seconds": time.perf_counter() - started, "peak": peak_memory() or 0}


def run_session(folder: str, schedule: str) -> dict[str, float]:
    """Run an artifact by our runtime."""
    session = onnx2snn.SpikingSession(f"{folder}/{schedule}.snn.onnx")
    started = time.perf_counter()
    np.save(f"{folder}/session.npy", session.run(np.load(f"{folder}/x.npy")).outputs["y"])
    return {"seconds": time.perf_counter() - started, "peak": peak_memory() or 0}


def _apart(function: str, *args: str) -> dict[str, Any]:
    """Call one of the functions above in a process of its own."""
    call = f"import json; from benchmarks import large; print(json.dumps(large.{function}(*{args!r})))"
    found = subprocess.run([sys.executable, "-c", call], check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return result


def _difference(folder: Path, one: str, other: str) -> float:
    """The norm of the difference of two outputs, as a share of the second's spread."""
    found, expected = (np.load(folder / name).astype(np.float64) for name in (one, other))
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected - expected.mean()))


@click.command()
@click.option("--gigabytes", default=3.0, show_default=True, help="Size of each net.")
@click.option("--net", "nets", type=click.Choice(list(NETS)), multiple=True, help="All by default.")
@click.option("--schedule", "schedules", type=click.Choice(SCHEDULES), multiple=True, help="Both by default.")
@click.option("--folder", type=click.Path(file_okay=False, exists=True), help="Where the files are made.")
@click.option("--phases", is_flag=True, help="Print the peak after each phase.")
def main(
    gigabytes: float, nets: tuple[str, ...], schedules: tuple[str, ...], folder: str | None, phases: bool
) -> None:
    """Compile and run nets of gigabytes."""
    titles = ("net", "schedule", "GB", "peak GB", "÷ weights", "s", "stock GB", "session GB")
    table = Table(*titles, "vs ANN", "session vs stock, unpacked", "run vs stock, unpacked")
    for name in nets or NETS:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            size = write_net(Path(place), name, gigabytes)
            _apart("run_stock", place, "net.onnx", "ann.npy")
            for schedule in schedules or SCHEDULES:
                made = _apart("compile_net", place, schedule)
                if phases:
                    Console().print(name, schedule, made["before"] / 1e6, made["phases"])
                stock = _apart("run_stock", place, f"{schedule}.snn.onnx", "stock.npy")
                _apart("run_stock", place, f"{schedule}.snn.onnx", "unpacked.npy", "unpacked")
                session = _apart("run_session", place, schedule)
                command = ["run", f"{place}/{schedule}.snn.onnx", "--input", f"{place}/x.npy", "-o"]
                subprocess.run(
                    [sys.executable, "-m", "onnx2snn", "-q", *command, f"{place}/run.npz"], check=True
                )
                np.save(f"{place}/run.npy", np.load(f"{place}/run.npz")["y"])
                numbers = (size / 1e9, made["peak"] / 1e9, made["peak"] / size, made["seconds"])
                peaks = (stock["peak"] / 1e9, session["peak"] / 1e9)
                table.add_row(
                    name,
                    schedule,
                    *(f"{number:.2f}" for number in (*numbers, *peaks)),
                    f"{_difference(Path(place), 'stock.npy', 'ann.npy'):.3%}",
                    *(
                        f"{_difference(Path(place), f'{way}.npy', 'unpacked.npy'):.1e}"
                        for way in ("session", "run")
                    ),
                )
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
