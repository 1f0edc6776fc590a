"""Plant faults into ResNet-20 and let the diagnosis find them: what it names, and how long it takes.

    python -m benchmarks.diagnosis [--samples 256]

One layer's θ is divided by 4, a channel of another layer is silenced, the bias of a third is dropped, all
behind what would correct them; then the sound net.
"""

from __future__ import annotations

import argparse
import time
from unittest.mock import patch

import onnx2snn
from benchmarks.nets import NETS
from benchmarks.planting import CHANNEL, with_faults
from onnx2snn.analysis.diagnosis import PreparedReference, diagnose
from onnx2snn.compiler import compiler

FAULTS = {
    "/layer1/layer1.1/Relu": "channel",
    "/layer2/layer2.1/Relu": "bias",
    "/layer3/layer3.1/Relu": "theta",
}


def main() -> None:
    """Print the verdicts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=256)
    arguments = parser.parse_args()
    for faults in (FAULTS, {}):
        print(f"planted: {faults or 'nothing'} (channel {CHANNEL})")
        examine(faults, arguments.samples)


def examine(faults: dict[str, str], samples: int) -> None:
    """Compile with the faults, and diagnose."""
    net = NETS["resnet20"]
    with patch.object(compiler, "COMPLETION", with_faults(faults)):
        compiled = onnx2snn.compile(net.path, net.train(256), code="burst")
    session = onnx2snn.SpikingSession(compiled.model)
    data = net.test(samples)
    started = time.perf_counter()
    found = diagnose(session, PreparedReference(net.path, session), data)
    seconds = time.perf_counter() - started
    print(f"{seconds:.1f} s for {samples} samples")
    for layer in found["layers"]:
        if layer["layer"] in faults:
            print(f"  {layer['layer']}: {layer['faults'][0]['kind']}, harm {layer['faults'][0]['harm']:.2f}")
    for sentence in found["verdict"]:
        print(f"  {sentence}")


if __name__ == "__main__":
    main()
