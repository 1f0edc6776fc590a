"""A policy: an MLP learns what a controller does, and its spiking network takes the place in the loop.

    python -m examples.policy --plot policy.png

A motor with a bound holds pendulums upright, which are pushed once a second. The controller feeds back angle
and speed, cut off at the bound. An MLP of Tanh is trained here to do the same. In the loop the spiking
network carries its state on: an action costs what has changed of the pendulum. On the command line:

    python -m examples.policy --out pol
    onnx2snn compile  pol/model.onnx --calib pol/train.npz --exponents 12
    onnx2snn evaluate model.snn.onnx --data pol/test.npz --reference pol/model.onnx --task control
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import onnx

import onnx2snn
from examples.mlp import Mlp
from examples.pendulum import ACTIONS, BOX, STEP, begin, controller, loop
from examples.small import ANN, OTHER, SNN, Array, ann, folder, net, picture

HIDDEN, TRAINED, BATCH = 32, 1500, 256
EXPONENTS = 12


@dataclass(frozen=True)
class Result:
    """Angles [ACTIONS, PENDULUMS] in the loops of each, and the actions that the spiking network chose.

    Attributes:
        angles: by controller, ANN and spiking network.
        actions: of the spiking network [ACTIONS, PENDULUMS], as a share of the bound.
        expected: the ANN's in the same states.
        events: what the network sent for an action [ACTIONS], of a pendulum.
    """

    angles: dict[str, Array]
    actions: Array
    expected: Array
    events: Array


def cloned(rng: np.random.Generator) -> onnx.ModelProto:
    """An MLP for states float32 [N, 2], trained on those anywhere in the box."""

    def batch() -> tuple[Array, Array]:
        places = rng.uniform(-1, 1, (BATCH, 2))
        return places, controller(BOX * places)

    mlp = Mlp(rng, 2, HIDDEN, HIDDEN, 1)
    mlp.train(batch, TRAINED, rate=0.01)
    weights = {f"w{number}": value for number, value in enumerate(mlp.weights)}
    weights["w0"] = weights["w0"] / BOX[:, None]
    biases = {f"b{number}": value for number, value in enumerate(mlp.biases)}
    text = """(float[N,2] state) => (float[N,1] action) {
        a = Gemm(state, w0, b0) c = Tanh(a) d = Gemm(c, w1, b1) e = Tanh(d) f = Gemm(e, w2, b2)
        action = Tanh(f) }"""
    return net(text, **weights, **biases)


def measure(place: Path) -> Result:
    """Train, compile, and let each of the three control the same pendulums; net and data go to a folder."""
    rng = np.random.default_rng(18)
    model = cloned(rng)
    train, test = (BOX * rng.uniform(-1, 1, (count, 2)) for count in (500, 500))
    onnx.save(model, place / "model.onnx")
    np.savez(place / "train.npz", state=train.astype(np.float32))
    np.savez(place / "test.npz", state=test.astype(np.float32), labels=controller(test).astype(np.float32))

    compiled = onnx2snn.compile(place / "model.onnx", place / "train.npz", exponents=EXPONENTS)
    session = onnx2snn.SpikingSession(compiled.model)
    clone, actions, events = ann(model), [], []

    def spiking(states: Array) -> Array:
        (frame,) = session.stream([states], "rest", count=True)
        actions.append(frame.outputs["action"])
        events.append(frame.events.mean())
        return actions[-1]

    pendulums = begin(rng)
    policies = {"controller": controller, "ANN": clone, "spiking": spiking}
    ways = {name: loop(policy, *pendulums) for name, policy in policies.items()}
    expected = np.stack([clone(states.astype(np.float32)) for states in ways["spiking"]])
    angles = {name: way[:, :, 0] for name, way in ways.items()}
    return Result(angles, np.stack(actions)[:, :, 0], expected[:, :, 0], np.array(events))


def draw(result: Result, file: Path) -> None:
    """The angles of one pendulum in each loop, and what actions cost."""
    time = STEP * np.arange(ACTIONS)
    with picture(file, 2, 1, (7, 4.4)) as axes:
        for name, style in {"controller": OTHER, "ANN": ANN, "spiking": SNN}.items():
            line = "--" if name == "spiking" else "-"
            axes[0, 0].plot(time, result.angles[name][:, 0], line, color=style, label=name)
        axes[0, 0].set(ylabel="angle from upright [rad]")
        axes[0, 0].legend(frameon=False)
        axes[1, 0].fill_between(time, result.events, color=SNN, step="post")
        axes[1, 0].set(xlabel="time [s]", ylabel="events an action", ylim=(0, None))


@click.command()
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the net and its data.")
@click.option("--plot", type=click.Path(path_type=Path), help="Picture of one pendulum's way, and of costs.")
def main(out: Path | None, plot: Path | None) -> None:
    """Clone a controller and let a spiking network hold pendulums upright."""
    with folder(out) as place:
        result = measure(place)
    apart = np.abs(result.actions - result.expected)
    ways = result.angles
    click.echo(f"actions of spiking network and ANN: {apart.mean():.5f} apart, {apart.max():.5f} at worst")
    for name in ("ANN", "controller"):
        worst = np.abs(ways["spiking"] - ways[name]).max()
        click.echo(f"angles at most {worst:.5f} rad from those in the loop of the {name}")
    click.echo(
        f"events an action: {result.events[0]:.0f} for the first, {result.events[-1]:.1f} for the last"
    )
    if plot is not None:
        draw(result, plot)


if __name__ == "__main__":
    main()
