"""Compiled networks that somebody has changed: metadata, Loop, neurons, functions, bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
import onnx
from onnx import helper, numpy_helper

import onnx2snn
from onnx2snn.emit.metadata import METADATA_PREFIX
from tests.attack.damage import damage_bytes, damage_json
from tests.attack.faults import command
from tests.attack.mutations import MUTATIONS, mutate
from tests.helpers import normal, parse

Model = onnx.ModelProto
Change = Callable[[Model, Random], None]

_NET = """(float[N,2,6,6] x) => (float[N,3] y) {
    c = Conv<pads=[1,1,1,1]>(x, k) r = Relu(c) m = MaxPool<kernel_shape=[2,2], strides=[2,2]>(r)
    d = Conv(m, v) s = Relu(d) f = Flatten(s) y = Gemm(f, w) }"""
_OPTIONS = {
    "graded": {"exponents": 4},
    "rest": {"until_rest": True, "early_exit": "confidence:0.9"},
    "burst": {"code": "burst", "max_spikes": 2},
    "signed": {"signed": True, "max_spikes": 2, "early_exit": "entropy:0.2"},
    "compressed": {"code": "burst", "compress": "spikes"},
    "layer": {"schedule": "layer"},
    "radix": {"schedule": "layer", "code": "radix"},
    "bursts": {"schedule": "layer", "code": "burst"},
    "int8": {"schedule": "layer", "code": "burst", "weights": "int8"},
}
_VALUES = (
    *(None, True, 0, -1, 3, 1.5, 1e300, float("nan"), float("inf"), 10**30, 1 << 40),
    *("", "x" * 5000, "\u001b[2J", [], {}, [[]], [None], {"a": {}}, [1] * 300, "stream", "layer"),
)
_NUMBERS = (0, 1, -1, 2, 3, 255, 256, 1 << 31, 1 << 40, -(1 << 63), (1 << 63) - 1)
_FLOATS = (0.0, -1.0, 1e-40, 1e30, 0.1, 3.0)


@cache
def source() -> tuple[Model, np.ndarray]:
    """The ANN, and samples."""
    rng = np.random.default_rng(0)
    net = parse(_NET, **normal(rng, k=(4, 2, 3, 3), v=(4, 4, 2, 2), w=(16, 3)))
    return net, normal(rng, x=(8, 2, 6, 6))["x"]


@cache
def network(name: str) -> bytes:
    """What is compiled from it."""
    net, x = source()
    return onnx2snn.compile(net, x, **{"timesteps": 3, **_OPTIONS[name]}).model.SerializeToString()


def _entry(model: Model, rng: Random) -> onnx.StringStringEntryProto | None:
    own = [entry for entry in model.metadata_props if entry.key.startswith(METADATA_PREFIX)]
    return rng.choice(own) if own else None


def _places(value: object) -> list[tuple[list | dict, object]]:
    """Everything inside of decoded JSON, as a container and a key."""
    keys = range(len(value)) if isinstance(value, list) else list(value) if isinstance(value, dict) else []
    return [place for key in keys for place in [(value, key), *_places(value[key])]]


def other_value(model: Model, rng: Random) -> None:
    """One value of the metadata is another."""
    entry = _entry(model, rng)
    if entry is None:
        return
    held = {"all": json.loads(entry.value)} if _is_json(entry.value) else {"all": None}
    container, key = rng.choice(_places(held))
    container[key] = rng.choice(_VALUES)
    entry.value = json.dumps(held["all"])


def without_value(model: Model, rng: Random) -> None:
    """One value of the metadata is gone."""
    entry = _entry(model, rng)
    if entry is None or not _is_json(entry.value):
        return
    places = _places(json.loads(entry.value))
    if places:
        held = json.loads(entry.value)
        container, key = rng.choice(_places(held))
        del container[key]
        entry.value = json.dumps(held)


def damaged_json(model: Model, rng: Random) -> None:
    """Metadata as the fuzzer of JSON leaves it."""
    entry = _entry(model, rng)
    if entry is not None and _is_json(entry.value):
        entry.value = damage_json(entry.value, rng)


def no_json(model: Model, rng: Random) -> None:
    """Metadata that is nothing at all, or too deep."""
    entry = _entry(model, rng)
    if entry is not None:
        entry.value = rng.choice(["", "{", "[" * 100_000, "1" * 9999, "null", "NaN", "[]", '"'])


def dropped_metadata(model: Model, rng: Random) -> None:
    """A tool has dropped some of the metadata, or all of it."""
    kept = [] if rng.randrange(2) else [entry for entry in model.metadata_props if rng.randrange(2)]
    kept = [(entry.key, entry.value) for entry in kept]
    del model.metadata_props[:]
    for key, value in kept:
        model.metadata_props.add(key=key, value=value)


def _graphs(model: Model) -> list[onnx.GraphProto]:
    graphs = [model.graph]
    for node in model.graph.node:
        graphs += [item.g for item in node.attribute if item.HasField("g")]
    return graphs


def _nodes(model: Model, rng: Random) -> onnx.NodeProto | None:
    """One of the nodes that make it a spiking network."""
    nodes = [node for graph in _graphs(model) for node in graph.node if node.domain or node.op_type == "Loop"]
    return rng.choice(nodes) if nodes else None


def other_attribute(model: Model, rng: Random) -> None:
    """A neuron has another attribute, or one that is none of its own."""
    node = _nodes(model, rng)
    if node is None:
        return
    names = [item.name for item in node.attribute if not item.HasField("g")]
    name = rng.choice([*names, "block", "rectified", "repeats"])
    kept = [item for item in node.attribute if item.name != name]
    value = rng.choice([rng.choice(_NUMBERS), rng.choice(_FLOATS), [rng.choice(_NUMBERS)] * 2, "x", [0.5]])
    made = [] if rng.randrange(5) == 0 else [helper.make_attribute(name, value)]
    copies = [onnx.AttributeProto.FromString(item.SerializeToString()) for item in kept]
    del node.attribute[:]
    node.attribute.extend([*copies, *made])


def other_wiring(model: Model, rng: Random) -> None:
    """A neuron, or the Loop, reads or gives something else, more or less."""
    node = _nodes(model, rng)
    if node is None:
        return
    names = node.input if rng.randrange(3) else node.output
    taken = [
        name for graph in _graphs(model) for other in graph.node for name in (*other.input, *other.output)
    ]
    match rng.randrange(4):
        case 0 if names:
            del names[rng.randrange(len(names))]
        case 1 if names:
            names[rng.randrange(len(names))] = rng.choice([*taken, "", "nothing"])
        case 2:
            names.append(rng.choice(taken))
        case _ if len(names) > 1:
            names[0], names[-1] = names[-1], names[0]


def other_weights(model: Model, rng: Random) -> None:
    """A trip count, a state or a threshold has other values, another type or shape."""
    held = [item for graph in _graphs(model) for item in graph.initializer if item.ByteSize() < 4096]
    if not held:
        return
    tensor = rng.choice(held)
    old = numpy_helper.to_array(tensor)
    new = rng.choice(
        [
            np.full_like(old, rng.choice((0, 1, 2, 100))),
            np.full((rng.choice((0, 1, 2, 7)),) * rng.choice((1, 2, 4)), 1, old.dtype),
            old.astype(rng.choice((np.float64, np.int64, np.float16, np.bool_))),
            np.asarray(rng.choice(_NUMBERS), np.int64),
            old[None],
            old.ravel(),
            np.full(old.shape, rng.choice((np.nan, np.inf, -1.0, 1e30)), np.float32),
        ]
    )
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(new), tensor.name))


def other_body(model: Model, rng: Random) -> None:
    """A function does something else, or is gone; or a part of the Loop's body is."""
    parts = [*model.functions, *_graphs(model)[1:]]
    if not parts:
        return
    if rng.randrange(6) == 0 and model.functions:
        del model.functions[rng.randrange(len(model.functions))]
        return
    part = rng.choice(parts)
    match rng.randrange(4):
        case 0 if part.node:
            del part.node[rng.randrange(len(part.node))]
        case 1 if part.node:
            rng.choice(part.node).op_type = rng.choice(["Identity", "Add", "Neg", "BurstIF", "Relu"])
        case 2 if part.input:
            del part.input[rng.randrange(len(part.input))]
        case _ if part.output:
            del part.output[rng.randrange(len(part.output))]


def other_names(model: Model, rng: Random) -> None:
    """Nodes have other names, or none."""
    for node in [node for graph in _graphs(model) for node in graph.node]:
        if rng.randrange(3) == 0:
            node.name = rng.choice(["", "x", "onnx2snn/timesteps", node.op_type])


def some_mutation(model: Model, rng: Random) -> None:
    """What models have wrong."""
    model.CopyFrom(mutate(model, [rng.choice(MUTATIONS)], rng))


CHANGES: tuple[Change, ...] = (
    *(other_value, other_value, other_value, without_value, damaged_json, no_json, dropped_metadata),
    *(other_attribute, other_wiring, other_weights, other_weights, other_body, other_names, some_mutation),
)
_COMMANDS = (
    "run net.snn.onnx --input x.npy -o out",
    "run net.snn.onnx --input x.npy -o out --timesteps 2",
    "evaluate net.snn.onnx --data x.npy --json out",
    "evaluate net.snn.onnx --data x.npy --reference net.onnx --json out",
    "diagnose net.snn.onnx --data x.npy --reference net.onnx --json out",
    "run net.snn.onnx --input x.npy -o out --stream --steps-per-frame 2",
)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _plan(seed: int) -> tuple[str, list[Change], bool, str]:
    rng = Random(seed)
    changes = rng.choices(CHANGES, k=rng.choice([1, 1, 1, 2, 3]))
    return rng.choice(list(_OPTIONS)), changes, rng.randrange(20) == 0, rng.choice(_COMMANDS)


def steps(seed: int) -> int:
    """How many things are wrong, each of which may be left out."""
    _, changes, bytes_too, _ = _plan(seed)
    return len(changes) + bytes_too


def tampered(seed: int, without: Collection[int] = ()) -> bytes:
    """A network with a few things changed."""
    name, changes, bytes_too, _ = _plan(seed)
    model = onnx.load_from_string(network(name))
    for place, change in enumerate(changes):
        if place not in without:
            change(model, Random(f"{seed} {place}"))
    content = model.SerializeToString()
    return damage_bytes(content, Random(seed)) if bytes_too and len(changes) not in without else content


def attempt(seed: int, folder: Path, without: Collection[int] = ()) -> str:
    """Write the network, inspect it, and run it, measure it or take it apart."""
    net, x = source()
    (folder / "net.snn.onnx").write_bytes(tampered(seed, without))
    (folder / "net.onnx").write_bytes(net.SerializeToString())
    np.save(folder / "x.npy", x)
    here = [folder / word if (folder / word).suffix else word for word in _plan(seed)[3].split()]
    here = [folder / "out" if word == "out" else word for word in here]
    command(folder, ["inspect", folder / "net.snn.onnx", "--json", folder / "out"], ["out"])
    return command(folder, here, ["out"])
