"""An event camera: a spiking network follows recordings, and a frame costs what happens in it.

    python -m examples.event_camera --plot events.png

The recordings are embedded digits before a simulated camera that makes three saccades, as it did for N-MNIST:
a pixel sends an event where its brightness has changed by a threshold. The net has random filters, a ReLU, an
average, and a read-out that least squares fits. Others, whose input is the events of 100 ms:

    python -m examples.event_camera --model NET.onnx --train TRAIN.npz --test TEST.npz

The same on the command line:

    python -m examples.event_camera --out ev
    onnx2snn compile  ev/model.onnx --calib ev/train.npz --max-samples 1000 --frames time:10ms --accumulate 10
    onnx2snn evaluate model.snn.onnx --data ev/test.npz --reference ev/model.onnx --stream --tolerance 32
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
import onnx

import onnx2snn
from examples.camera import SENSOR, record
from examples.small import PALE, SNN, Example, ann, digits, folder, net, picture, ridge
from onnx2snn.analysis.evaluation import open_reference
from onnx2snn.analysis.stream_evaluation import StreamEvaluation, evaluate_stream
from onnx2snn.artifact.artifact import input_specs
from onnx2snn.data.readers import open_dataset
from onnx2snn.runtime.frames import Pace

#: A window of 100 ms moves on by 10 ms.
FRAMES = onnx2snn.Preprocessing(frames="time:10ms", accumulate=10)
#: Exponents make the first answer precise; the tolerance follows it with seven of them.
EXPONENTS, TOLERANCE = 12, 32
FILTERS = 32
TRAINED, TESTED = 200, 40


def fitted(train: Path, rng: np.random.Generator) -> onnx.ModelProto:
    """A net for event counts float32 [N, 2, SENSOR, SENSOR] that tells digits, fitted on all frames."""
    body = """ c = Conv<pads=[2,2,2,2], strides=[2,2]>(counts, filters, offsets) r = Relu(c)
        p = AveragePool<kernel_shape=[2,2], strides=[2,2]>(r) f = Flatten(p)"""
    random = {
        "filters": rng.standard_normal((FILTERS, 2, 5, 5)) / 5,
        "offsets": rng.standard_normal(FILTERS) / 2,
    }
    head = f"(float[N,2,{SENSOR},{SENSOR}] counts) =>"
    features = net(f"{head} (float[N,K] f) {{ {body} }}", **random)
    data = open_dataset(train, input_specs(features), FRAMES)
    (batch,) = data.batches(len(data))
    weights, bias = ridge(ann(features)(batch["counts"]), np.eye(10)[data.labels], penalty=300)
    text = f"{head} (float[N,10] scores) {{ {body} scores = Gemm(f, weights, bias) }}"
    return net(text, **random, weights=weights, bias=bias)


def prepare(place: Path) -> tuple[Path, Path, Path]:
    """Write a net and recordings of digits to a folder: model, train, test."""
    rng = np.random.default_rng(18)
    model, train, test = (place / name for name in ("model.onnx", "train.npz", "test.npz"))
    for name, file, count in (("calibration", train, TRAINED), ("test", test, TESTED)):
        images, labels = digits(name)
        record(images[:count], labels[:count], file, rng)
    onnx.save(fitted(train, rng), model)
    return model, train, test


def follow(model: Path, train: Path, test: Path) -> StreamEvaluation:
    """Compile a net and let it follow the test recordings."""
    compiled = onnx2snn.compile(
        model, train, preprocessing=FRAMES, max_samples=1000, code="graded", exponents=EXPONENTS
    )
    session = onnx2snn.SpikingSession(compiled.model)
    data = open_dataset(test, session.inputs, FRAMES)
    return evaluate_stream(
        session, data, Pace("rest", TOLERANCE), open_reference(model, session), seconds=0.01
    )


def draw(figures: StreamEvaluation, file: Path) -> None:
    """Accuracy over time, and what a frame costs."""
    with picture(file, 1, 2, (7.5, 2.8)) as axes:
        time, cost = axes[0]
        right = 100 * np.array(figures.accuracy_by_frame)
        time.plot(10 * np.arange(1, len(right) + 1), right, color=SNN)
        time.set(xlabel="time of a recording [ms]", ylabel="recordings right [%]", ylim=(0, 102))
        costs = np.array([figures.anew_operations_per_frame, figures.operations_per_frame]) / 1000
        bars = cost.barh(["each frame\nanew", "with\nstate"], costs, color=[PALE, SNN])
        cost.bar_label(bars, fmt="{:,.0f}", padding=3)
        cost.set(xlabel="operations a frame [thousands]", xlim=(0, 1.2 * costs.max()))
        cost.locator_params(axis="x", nbins=4)


FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(cls=Example)
@click.option("--model", type=FILE, help="A net for event counts, with --train and --test.")
@click.option("--train", type=FILE, help="Recordings for calibration.")
@click.option("--test", type=FILE, help="Recordings to follow, with labels.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the net and recordings made here.")
@click.option("--plot", type=click.Path(path_type=Path), help="Picture of accuracy over time, and costs.")
def main(
    model: Path | None, train: Path | None, test: Path | None, out: Path | None, plot: Path | None
) -> None:
    """Follow recordings of an event camera."""
    given = (model, train, test)
    if any(given) and not all(given):
        raise click.UsageError("expected --model, --train and --test together, or none of them")
    with folder(out) as place:
        figures = follow(*(given if all(given) else prepare(place)))
    right = figures.accuracy_by_frame
    for frame in range(4, len(right), 5):
        click.echo(f"after {10 * (frame + 1):3} ms  {right[frame]:6.1%} of recordings right")
    click.echo(
        f"in the end    {figures.accuracy:6.1%}, ANN on the same frames {figures.reference_accuracy:.1%}; "
        f"{figures.agreement:.1%} of frames with its answer"
    )
    click.echo(
        f"a frame       {figures.operations_per_frame:,.0f} operations, anew "
        f"{figures.anew_operations_per_frame:,.0f}: {figures.operations_ratio:.2f}"
    )
    if plot is not None:
        draw(figures, plot)


if __name__ == "__main__":
    main()
