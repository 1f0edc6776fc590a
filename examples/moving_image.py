"""A video in miniature: images move by a pixel a frame and pause, and a frame costs what changes.

    python -m examples.moving_image --plot moving.png

The embedded digits move before the embedded net. Other nets and images, the values as integers:

    python -m examples.moving_image --model NET.onnx --calib TRAIN.npz --data TEST.npz --scale 1/255

The same on the command line, for one image:

    python -m examples.moving_image --out mov
    onnx2snn run mov/model.snn.onnx --stream mov/frames.npy --tolerance 32
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import onnx

import onnx2snn
import onnx2snn.demo
from examples.small import PALE, SNN, Array, Example, ann, folder, picture
from onnx2snn.data.preprocessing import parse_floats, parse_scale
from onnx2snn.data.readers import open_dataset

#: Pixels to the right of where an image was: it moves, pauses, moves back and past, and pauses.
SHIFTS = np.array([0, 1, 2, *[2] * 6, 1, 0, -1, -2, *[-2] * 6, -1, 0])
#: Frames in which nothing is other than in the one before.
PAUSES = np.flatnonzero(np.diff(SHIFTS) == 0) + 1
#: Exponents make the first answer precise; the tolerance follows it with seven of them.
EXPONENTS, TOLERANCE = 12, 32
DEMO = Path(onnx2snn.demo.__path__[0])


@dataclass(frozen=True)
class Result:
    """Figures of every frame [len(SHIFTS)], on average over the images.

    Attributes:
        events: how often neurons sent something.
        operations: events times connections, and before the first neuron multiply-accumulates of changes.
        anew: the same where the frame is evaluated on its own.
        agreement: share of images with the ANN's answer.
    """

    events: Array
    operations: Array
    anew: Array
    agreement: Array

    @property
    def ratio(self) -> float:
        """Operations of all frames, as a share of what they take anew."""
        return float(self.operations.sum() / self.anew.sum())


def moved(images: Array) -> Array:
    """Frames [len(SHIFTS), N, C, H, W] of images [N, C, H, W]; what comes in repeats the border."""
    most, width = np.abs(SHIFTS).max(), images.shape[-1]
    wide = np.pad(images, ((0, 0), (0, 0), (0, 0), (most, most)), mode="edge")
    return np.stack([wide[..., most - shift : most - shift + width] for shift in SHIFTS])


def measure(
    model: Path, calib: Path, data: Path, values: onnx2snn.Preprocessing, samples: int, place: Path
) -> Result:
    """Compile, and follow the first images; the network and the frames of one image go to a folder."""
    compiled = onnx2snn.compile(
        model, calib, preprocessing=values, max_samples=300, code="graded", exponents=EXPONENTS
    )
    compiled.save(place / "model.snn.onnx")
    session = onnx2snn.SpikingSession(compiled.model)
    (batch,) = open_dataset(data, session.inputs, values, samples).batches(samples)
    (images,) = batch.values()
    frames, reference, figures = moved(images), ann(onnx.load(model)), []
    np.save(place / "frames.npy", frames[:, 0])

    prefix_macs = session.work_per_sample(images).prefix_macs
    stream = session.stream(frames, "rest", tolerance=TOLERANCE, count=True)
    for image, frame in zip(frames, stream, strict=True):
        (point,) = session.run_counted(image, [session.timesteps])
        anew = sum(events.mean() for events in point.synaptic_events.values()) + prefix_macs
        (scores,) = frame.outputs.values()
        agreement = np.mean(scores.argmax(axis=1) == reference(image).argmax(axis=1))
        operations = (frame.operations + frame.prefix_macs).mean()
        figures.append((frame.events.mean(), operations, anew, agreement))
    result = Result(*np.array(figures).T)
    assert not result.events[PAUSES].any(), "a network at rest has sent something in a pause"
    return result


def draw(result: Result, file: Path) -> None:
    """What each frame costs, and anew; pauses are shaded."""
    frames = np.arange(len(SHIFTS))
    with picture(file, 1, 1, (7, 3)) as axes:
        one = axes[0, 0]
        for frame in PAUSES:
            one.axvspan(frame - 0.5, frame + 0.5, color="#f0f0f0", linewidth=0, zorder=0)
        one.bar(frames, result.anew / 1e6, color=PALE, label="each frame anew")
        one.bar(frames, result.operations / 1e6, color=SNN, label="with state")
        one.set(xlabel="frame (pauses are shaded)", ylabel="operations [millions]", xticks=frames[::5])
        one.set(xlim=(-0.6, len(SHIFTS) - 0.4), ylim=(0, 1.25 * result.anew.max() / 1e6))
        one.legend(frameon=False, loc="upper right", ncols=2)


FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.command(cls=Example)
@click.option("--model", type=FILE, default=DEMO / "digits.onnx", help="Another classifier than the digits'.")
@click.option("--calib", type=FILE, default=DEMO / "digits_calibration.npz", help="Images for calibration.")
@click.option("--data", type=FILE, default=DEMO / "digits_test.npz", help="Images that move.")
@click.option("--scale", default="1/16", show_default=True, help="Factor on their values.")
@click.option("--mean", default="", help="Then subtracted, such as 0.485,0.456,0.406.")
@click.option("--std", default="", help="Then divided by.")
@click.option("--samples", default=20, show_default=True, help="Images that move.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the network and the frames of one.")
@click.option("--plot", type=click.Path(path_type=Path), help="Picture of what each frame costs.")
def main(
    scale: str, mean: str, std: str, samples: int, out: Path | None, plot: Path | None, **files: Path
) -> None:
    """Follow images that move and pause."""
    offsets = {name: parse_floats(text) for name, text in (("mean", mean), ("std", std)) if text}
    values = onnx2snn.Preprocessing(scale=parse_scale(scale), **offsets)
    with folder(out) as place:
        result = measure(values=values, samples=samples, place=place, **files)
    for frame, shift in enumerate(SHIFTS):
        click.echo(
            f"frame {frame:2}  shift {shift:2}  {result.operations[frame]:12,.0f} operations, anew "
            f"{result.anew[frame]:12,.0f}"
        )
    silent = result.events[PAUSES].sum()
    click.echo(f"all frames: {result.ratio:.2f} of the operations; {silent:.0f} events in pauses")
    click.echo(f"{result.agreement.mean():.1%} of answers are the ANN's")
    if plot is not None:
        draw(result, plot)


if __name__ == "__main__":
    main()
