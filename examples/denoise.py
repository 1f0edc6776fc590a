"""Noise taken from images: a small convolution net, fitted here, and its spiking network.

    python -m examples.denoise --plot denoise.png

The images are the embedded digits, with Gaussian noise. The net has random filters of 5x5 pixels, a ReLU and
a convolution of 1x1 that least squares fits on 300 images; 500 others test it. The same on the command line:

    python -m examples.denoise --out den
    onnx2snn compile  den/model.onnx --calib den/train.npz
    onnx2snn evaluate model.snn.onnx --data den/test.npz --reference den/model.onnx --task restore
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import onnx

import onnx2snn
from examples.small import Array, ann, digits, folder, net, picture, ridge
from onnx2snn.analysis.evaluation import evaluate, open_reference
from onnx2snn.data.readers import open_dataset
from onnx2snn.tasks.asked import Asked

#: Standard deviation of the noise; black is 0 and white 1.
NOISE = 0.25
FILTERS = 64
SHOWN = 8


@dataclass(frozen=True)
class Result:
    """PSNR of the test images in dB, and some of these [4, SHOWN, 8, 8]: clean, noisy, ANN, spiking."""

    noisy: float
    ann: float
    spiking: float
    images: Array


def fitted(rng: np.random.Generator, noisy: Array, clean: Array) -> onnx.ModelProto:
    """A net for images float32 [N, 1, 8, 8]."""
    body = "c = Conv<pads=[2,2,2,2]>(x, filters, offsets) r = Relu(c)"
    random = {
        "filters": rng.standard_normal((FILTERS, 1, 5, 5)) / 5,
        "offsets": rng.standard_normal(FILTERS) / 4,
    }
    features = net(f"(float[N,1,8,8] x) => (float[N,{FILTERS},8,8] r) {{ {body} }}", **random)
    seen = np.moveaxis(ann(features)(noisy), 1, -1).reshape(-1, FILTERS)
    weights, bias = ridge(seen, clean.reshape(-1, 1), penalty=10)
    body += " y = Conv(r, weights, bias)"
    weights = weights.T[:, :, None, None]
    text = f"(float[N,1,8,8] x) => (float[N,1,8,8] y) {{ {body} }}"
    return net(text, **random, weights=weights, bias=bias)


def psnr(found: Array, clean: Array) -> float:
    """In dB, of values from 0 to 1."""
    return float(-10 * np.log10(np.mean((found - clean) ** 2, dtype=np.float64)))


def measure(place: Path) -> Result:
    """Fit, compile and evaluate; the net and its data are written to a folder."""
    rng = np.random.default_rng(18)
    (train, _), (test, _) = digits("calibration"), digits("test")
    noisy_train, noisy_test = (
        images + NOISE * rng.standard_normal(images.shape, np.float32) for images in (train, test)
    )
    model = fitted(rng, noisy_train, train)
    onnx.save(model, place / "model.onnx")
    np.savez(place / "train.npz", images=noisy_train)
    np.savez(place / "test.npz", images=noisy_test, labels=test)

    compiled = onnx2snn.compile(place / "model.onnx", place / "train.npz")
    session = onnx2snn.SpikingSession(compiled.model)
    data = open_dataset(place / "test.npz", session.inputs)
    reference = open_reference(place / "model.onnx", session)
    asked = Asked("restore", data_range=1.0)
    figures = evaluate(session, data, [session.timesteps], reference, asked=asked)

    some = noisy_test[:SHOWN]
    rows = (test[:SHOWN], some, ann(model)(some), session.run(some).outputs["y"])
    return Result(
        noisy=psnr(noisy_test, test),
        ann=figures.reference_measures["psnr"],
        spiking=figures.measures["psnr"][0],
        images=np.stack(rows)[:, :, 0],
    )


def draw(result: Result, file: Path) -> None:
    """A row of images for each of clean, noisy, ANN and spiking."""
    titles = ("clean", f"noisy\n{result.noisy:.1f} dB", f"ANN\n{result.ann:.1f} dB")
    titles += (f"spiking\n{result.spiking:.1f} dB",)
    with picture(file, len(titles), SHOWN, (7, 3.6)) as axes:
        for row, title, images in zip(axes, titles, result.images, strict=True):
            row[0].set_ylabel(title, rotation=0, ha="right", va="center")
            for one, image in zip(row, images, strict=True):
                one.imshow(image, cmap="gray", vmin=0, vmax=1)
                one.set(xticks=[], yticks=[])


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the net and its data.")
@click.option("--plot", type=click.Path(path_type=Path), help="Picture of some images.")
def main(out: Path | None, plot: Path | None) -> None:
    """Fit a denoiser, compile it and compare the two."""
    with folder(out) as place:
        result = measure(place)
    click.echo(f"PSNR  noisy {result.noisy:.2f} dB  ANN {result.ann:.2f} dB  spiking {result.spiking:.2f} dB")
    if plot is not None:
        draw(result, plot)


if __name__ == "__main__":
    main()
