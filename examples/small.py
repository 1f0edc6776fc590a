"""What the examples share: digits, small nets that are fitted here, and pictures.

Needs nothing that onnx2snn does not need itself; pictures take `pip install 'onnx2snn[report]'`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import onnx
import onnx.parser
import onnxruntime
from onnx import numpy_helper

from onnx2snn.errors import Onnx2SnnError

Array = npt.NDArray[Any]

#: Colours.
ANN, SNN, OTHER, PALE = "#888888", "#0b6e99", "#c2571a", "#c4c4c4"


def digits(name: str) -> tuple[Array, Array]:
    """The embedded digits, `calibration` (300) or `test` (500): float32 [N, 1, 8, 8] in 0..1, int64 [N]."""
    file = resources.files("onnx2snn.demo").joinpath(f"digits_{name}.npz")
    with file.open("rb") as stream, np.load(stream) as data:
        return data["images"].astype(np.float32) / 16, data["labels"]


def net(text: str, **weights: Array) -> onnx.ModelProto:
    """A model from `(inputs) => (outputs) { nodes }`; weights become float32 initializers of their names."""
    model = onnx.parser.parse_model(f'<ir_version: 10, opset_import: ["" : 21]> net {text}')
    held = {name: np.asarray(array, np.float32) for name, array in weights.items()}
    model.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in held.items())
    return model


def ann(model: onnx.ModelProto) -> Callable[[Array], Array]:
    """A net of one input and one output as a function."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (name,) = (value.name for value in session.get_inputs())
    return lambda x: session.run(None, {name: x})[0]


def ridge(features: Array, wanted: Array, penalty: float) -> tuple[Array, Array]:
    """Weights [F, K] and biases [K] that make what is wanted [M, K] of features [M, F], by least squares."""
    x = np.concatenate([features, np.ones((len(features), 1))], axis=1, dtype=np.float64)
    both = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ wanted)
    return both[:-1], both[-1]


class Example(click.Command):
    """A command that says in one line what is wrong with a user's data."""

    def invoke(self, context: click.Context) -> Any:
        """Run it."""
        try:
            return super().invoke(context)
        except Onnx2SnnError as error:
            raise click.UsageError(str(error)) from error


@contextmanager
def folder(out: Path | None) -> Iterator[Path]:
    """Where nets and data are written: what the user says, or a folder that is gone afterwards."""
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        yield out
        return
    with TemporaryDirectory() as name:
        yield Path(name)


@contextmanager
def picture(file: Path, rows: int, columns: int, size: tuple[float, float]) -> Iterator[Any]:
    """Axes [rows, columns] of a figure of so many inches, written afterwards."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise click.UsageError("--plot needs matplotlib: pip install 'onnx2snn[report]'") from error
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    yield axes
    for one in axes.flat:
        one.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=110, metadata={"Software": None})
