"""How close the spiking network's outputs come to the ANN's, on real topologies with random weights.

`python -m benchmarks.convergence [name …] [--timesteps 32,128] [--calibration N] [--samples N]` compiles each
net anew for every T (Γ = 4, signed) and prints, for its worst output, the relative L2 error

    |f_SNN(x) - f_ANN(x)| / |f_ANN(x)|        over test inputs that calibration has not seen, and
    |Δf_SNN - Δf_ANN| / |Δf_ANN|              of the difference Δ between one input's outputs and the next's,

which a network that only reproduces a constant would not pass.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

import onnx2snn
from benchmarks.topologies import FIXTURES, LIGHT_NETS, example_feeds, load
from onnx2snn.engine.engines import OnnxruntimeEngine

Arrays = dict[str, npt.NDArray[Any]]

#: Nets without a single ReLU: their smooth activations are fitted by sums of ReLUs.
SMOOTH = ("vit_gelu",)


@dataclass(frozen=True)
class Error:
    """Relative L2 errors of the worst output.

    Attributes:
        output: of the outputs themselves.
        difference: of their differences from input to input.
        share: of the MACs that spikes feed; None where it is not known.
    """

    output: float
    difference: float
    share: float | None = None


def measure(
    model: onnx.ModelProto, timesteps: int, *, calibration: int, samples: int, **options: Any
) -> Error:
    """Compile a net and compare its outputs with the ANN's.

    Args:
        model: the ANN.
        timesteps: T.
        calibration: number of calibration samples.
        samples: number of test inputs, at least 2.
        **options: of `onnx2snn.compile`, beyond Γ = 4 and signed neurons.
    """
    compiled = onnx2snn.compile(
        model,
        example_feeds(model, calibration, seed=1),
        timesteps=timesteps,
        code="burst",
        max_spikes=4,
        signed=True,
        **options,
    )
    feeds = example_feeds(model, samples, seed=2)
    wanted, found = OnnxruntimeEngine(model).run(feeds), OnnxruntimeEngine(compiled.model).run(feeds)
    outputs = [_relative(found[name], wanted[name]) for name in wanted]
    differences = [_relative(_turns(found[name]), _turns(wanted[name])) for name in wanted]
    return Error(max(outputs), max(differences), compiled.report.macs.share)


def options_for(name: str) -> dict[str, Any]:
    """What a net needs beyond the defaults."""
    return {"approximate": "relu-sum"} if name.startswith(SMOOTH) else {}


def _turns(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return values - np.roll(values, 1, axis=0)


def _relative(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float:
    gap = np.subtract(found, wanted, dtype=np.float64)
    return float(np.linalg.norm(gap) / np.linalg.norm(wanted.astype(np.float64)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", help="parts of the names of nets")
    parser.add_argument("--timesteps", default="32,128")
    parser.add_argument("--calibration", type=int, help="samples; by default 64, and 4 of 224×224 pixels")
    parser.add_argument("--samples", type=int, default=4)
    parser.add_argument(
        "--no-correct-bias", action="store_true", help="leave out what takes T passes over the samples"
    )
    arguments = parser.parse_args()
    steps = [int(text) for text in arguments.timesteps.split(",")]
    head = "".join(f"   T={count:<4} output  difference" for count in steps)
    print(f"{'net':28}{head}   MACs fed by spikes   seconds")
    for name in (*FIXTURES, *LIGHT_NETS):
        if arguments.names and not any(part in name for part in arguments.names):
            continue
        started, model = time.perf_counter(), load(name)
        errors = [
            measure(
                model,
                count,
                calibration=arguments.calibration or (4 if name in LIGHT_NETS else 64),
                samples=arguments.samples,
                correct_bias=not arguments.no_correct_bias,
                **options_for(name),
            )
            for count in steps
        ]
        cells = "".join(f"   {e.output:13.2%} {e.difference:11.2%}" for e in errors)
        share = errors[0].share
        print(
            f"{name:28}{cells}   {'' if share is None else f'{share:.1%}':>18}"
            f"   {time.perf_counter() - started:7.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
