"""The page in headless Chromium: `python -m benchmarks.web`.

For each net the median time of a timestep, the head and the counting of its spikes included, and how far the
browser's scores are from Python's after any timestep. WebAssembly rounds sums in another order: where that
takes a membrane potential across its threshold, one spike differs, and what follows from it. Such samples are
the ones beyond 1e-4. Both nets in `stream --signed`, T = 8, Γ = 4.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np
from rich.console import Console
from rich.table import Table

import onnx2snn
from benchmarks.nets import NETS
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.data.readers import Dataset, InputSpec, open_dataset
from onnx2snn.web.onnxruntime_web import OnnxruntimeWeb, fetch_package, read_package
from onnx2snn.web.page import make_page, save_page
from tools.chromium import open_chromium

#: How far scores may be from Python's.
TOLERANCE = 1e-4
#: Every timestep of a sample: its scores, and the milliseconds that it took.
STEPS = """async (sample) => {
    await player.choose(samples[sample], null);
    while (!player.finished) await player.step();
    return {scores: player.history, milliseconds: player.milliseconds};
}"""


@dataclass(frozen=True)
class Case:
    """A net with its data."""

    name: str
    model: Path
    train: Dataset
    test: Dataset


@click.command()
@click.option("--samples", default=10, show_default=True, help="Samples of each net.")
@click.option("--onnxruntime-web", "package", help="The unpacked npm package.  [default: fetched by npm]")
@click.option("--digit-only", is_flag=True, help="Leave out the net that is not part of the project.")
def main(samples: int, package: str | None, digit_only: bool) -> None:
    """Print the table."""
    runtime = fetch_package() if package is None else read_package(package)
    table = Table(box=None, header_style="bold")
    table.add_column("net")
    for column in ("neurons", "ms a timestep", "slowest", "within 1e-4", "these differ by", "the others by"):
        table.add_column(column, justify="right")
    with _cases(samples, digit_only=digit_only) as cases, tempfile.TemporaryDirectory() as folder:
        for case in cases:
            table.add_row(*_measure(case, Path(folder) / case.name, runtime))
    Console().print(table)


@contextmanager
def _cases(samples: int, *, digit_only: bool) -> Iterator[list[Case]]:
    with resources.as_file(resources.files("onnx2snn.demo")) as demo:
        spec = InputSpec("images", np.dtype(np.float32), (None, 1, 8, 8))
        calibration, test = (
            open_dataset(demo / f"digits_{part}.npz", [spec], Preprocessing(scale=1 / 16), limit)
            for part, limit in (("calibration", None), ("test", samples))
        )
        cases = [Case("digit", demo / "digits.onnx", calibration, test)]
        if not digit_only:
            net = NETS["resnet20"]
            cases.append(Case(net.name, net.path, net.train(256), net.test(samples)))
        yield cases


def _measure(case: Case, folder: Path, runtime: OnnxruntimeWeb) -> list[str]:
    """A row of the table."""
    source = folder.with_suffix(".snn.onnx")
    onnx2snn.compile(case.model, case.train, code="burst", signed=True).save(source)
    session = onnx2snn.SpikingSession(source)
    index = save_page(folder, make_page(source, session, case.test, runtime)).index
    stepped = _step_in_browser(index, len(case.test))
    times = [time for sample in stepped for time in sample["milliseconds"]]
    output = session.artifact.outputs[0]
    differences = []
    for sample, batch in zip(stepped, case.test.batches(1), strict=True):
        run = session.run(batch, record=True)
        differences.append(float(np.abs(np.array(sample["scores"]) - run.steps[output][:, 0]).max()))
    neurons = sum(train[0].size for train in run.spikes.values())
    equal = [difference for difference in differences if difference <= TOLERANCE]
    others = [difference for difference in differences if difference > TOLERANCE]
    return [
        case.name,
        f"{neurons:,}",
        f"{median(times):.1f}",
        f"{max(times):.1f}",
        f"{len(equal)} of {len(differences)}",
        *(f"{max(part):.1e}" if part else "" for part in (equal, others)),
    ]


def _step_in_browser(index: Path, samples: int) -> list[dict[str, Any]]:
    """Every sample's timesteps, after one sample to warm up."""
    with open_chromium() as browser:
        page = browser.new_page(reduced_motion="reduce")
        page.goto(index.as_uri())
        page.locator("html[data-state=paused]").wait_for(state="attached", timeout=120_000)
        page.evaluate("async () => { globalThis.samples = await loadSamples(); }")
        page.evaluate(STEPS, 0)
        return [page.evaluate(STEPS, sample) for sample in range(samples)]


if __name__ == "__main__":
    main()
