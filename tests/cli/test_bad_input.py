"""Files that are no models or no data: exit code 2, one line with what to do, and nothing written."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image

import onnx2snn
from tests.cli.calls import OLD, refused
from tests.cli.conftest import MLP
from tests.helpers import normal, parse


def mlp(text: str = MLP) -> onnx.ModelProto:
    return parse(text, **normal(np.random.default_rng(1), w1=(4, 6), w2=(6, 3)))


class Bomb:
    """Unpickling this makes a directory `exploded` in the working directory."""

    def __reduce__(self):
        return os.mkdir, ("exploded",)


def save(text: str) -> None:
    onnx.save(mlp(text), "bad.onnx")


def no_onnx() -> None:
    Path("bad.onnx").write_text("this is a text file, not a network\n" * 50)


def empty() -> None:
    Path("bad.onnx").write_bytes(b"")


def truncated() -> None:
    whole = Path("net.onnx").read_bytes()
    Path("bad.onnx").write_bytes(whole[: len(whole) // 2])


def folder() -> None:
    Path("bad.onnx").mkdir()


def no_external_data() -> None:
    onnx.save(mlp(), "bad.onnx", save_as_external_data=True, location="bad.data", size_threshold=0)
    Path("bad.data").unlink()


def short_external_data() -> None:
    onnx.save(mlp(), "bad.onnx", save_as_external_data=True, location="bad.data", size_threshold=0)
    Path("bad.data").write_bytes(b"\0" * 8)


def nan_weights() -> None:
    model = mlp()
    values = onnx.numpy_helper.to_array(model.graph.initializer[0]).copy()
    values[1, 2] = np.nan
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(values, "w1"))
    onnx.save(model, "bad.onnx")


def nan_constant() -> None:
    save(
        "(float[N,4] x) => (float[N,6] y) { n = Constant<value=float[1] {nan}>() m = Mul(x, n) "
        "h = Gemm(m, w1) y = Relu(h) }",
    )


def no_neurons() -> None:
    save("(float[N,4] x) => (float[N,6] y) { h = Gemm(x, w1) y = Sigmoid(h) }")


def no_relu() -> None:
    save("(float[N,4] x) => (float[N,3] y) { h = Gemm(x, w1) s = Sigmoid(h) y = Gemm(s, w2) }")


def unsupported() -> None:
    save(
        "(float[N,4] x) => (float[N,3] y) { h = Gemm(x, w1) r = Relu(h) "
        "[noise] t = RandomNormalLike(r) q = Relu(t) y = Gemm(q, w2) }",
    )


def control_flow() -> None:
    save(
        "(float[N,4] x, bool c) => (float[N,6] y) { h = Gemm(x, w1) r = Relu(h) "
        "[branch] y = If(c) <then_branch = a () => (float[N,6] p) { p = Identity(r) }, "
        "else_branch = b () => (float[N,6] q) { q = Neg(r) }> }",
    )


def opset_5() -> None:
    model = mlp()
    model.opset_import[0].version = 5
    model.ir_version = 3
    model.graph.input.extend(
        onnx.helper.make_tensor_value_info(item.name, item.data_type, item.dims)
        for item in model.graph.initializer
    )
    for node in model.graph.node:
        if node.op_type == "Gemm":
            node.input.append("b" + node.input[1])
            node.attribute.append(onnx.helper.make_attribute("broadcast", 1))
    for name, size in (("bw1", 6), ("bw2", 3)):
        model.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros(size, np.float32), name))
        model.graph.input.append(onnx.helper.make_tensor_value_info(name, 1, [size]))
    onnx.save(model, "bad.onnx")


def arrays(**named: np.ndarray) -> Callable[[], None]:
    return lambda: np.savez("bad.npz", **named)


def text_as(name: str) -> Callable[[], None]:
    return lambda: Path(name).write_text("no array")


def empty_directory() -> None:
    Path("bad").mkdir()


def directory_of_mixed_shapes() -> None:
    Path("bad").mkdir()
    np.save("bad/0.npy", np.zeros((2, 3, 4, 4), np.float32))
    np.save("bad/1.npy", np.zeros((2, 3, 5, 4), np.float32))


def images_of_mixed_sizes() -> None:
    Path("bad").mkdir()
    for number, size in enumerate([(4, 4), (5, 4)]):
        Image.new("RGB", size).save(f"bad/{number}.png")


def unreadable_image() -> None:
    Path("bad").mkdir()
    Image.new("RGB", (4, 4)).save("bad/0.png")
    Path("bad/1.png").write_bytes(b"\x89PNG\r\n\x1a\n but no more")


def mixed_kinds() -> None:
    Path("bad").mkdir()
    Image.new("RGB", (4, 4)).save("bad/0.png")
    np.save("bad/1.npy", np.zeros((2, 3, 4, 4), np.float32))


def pickled_npz() -> None:
    with zipfile.ZipFile("bad.npz", "w") as archive:
        archive.writestr("images.npy", pickled_bytes())


def pickled_npy() -> None:
    Path("bad.npy").write_bytes(pickled_bytes())


def pickled_bytes() -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "|O", "fortran_order": False, "shape": (16,)})
    return buffer.getvalue() + pickle.dumps(Bomb())


def pickle_named_npy() -> None:
    Path("bad.npy").write_bytes(pickle.dumps(Bomb()))


def model_as(text: str, **shapes: tuple[int, ...]) -> Callable[[], None]:
    """Another net than the one that was compiled, for --reference."""
    return lambda: onnx.save(parse(text, **normal(np.random.default_rng(2), **shapes)), "bad.onnx")


def unsigned(prepare: Callable[[], None]) -> Callable[[], None]:
    """The same where the network does not say which ANN it came from, as behind tools that drop metadata."""

    def change() -> None:
        prepare()
        network = onnx.load("net.snn.onnx")
        kept = [item for item in network.metadata_props if item.key != "onnx2snn.source_sha256"]
        del network.metadata_props[:]
        network.metadata_props.extend(kept)
        onnx.save(network, "net.snn.onnx")

    return change


def nothing() -> None:
    return None


@dataclass(frozen=True)
class Case:
    """A command line that must fail; the words must all be in the message."""

    name: str
    prepare: Callable[[], None]
    arguments: str
    words: list[str] = field(default_factory=list)


ZEROS = np.zeros((4, 4), np.float32)
EVALUATE = "evaluate net.snn.onnx --data data.npz --json out"


def of_model(name: str, prepare: Callable[[], None], *words: str) -> list[Case]:
    return [Case(f"compile {name}", prepare, "compile bad.onnx --calib data.npz -o out", list(words))]


def of_data(name: str, file: str, prepare: Callable[[], None], *words: str) -> list[Case]:
    net = "cnn" if file == "bad" else "net"
    cases = [Case(f"compile with {name}", prepare, f"compile {net}.onnx --calib {file} -o out", list(words))]
    if net == "net":
        cases += [
            Case(f"evaluate {name}", prepare, f"evaluate net.snn.onnx --data {file} --json out", list(words)),
            Case(f"run {name}", prepare, f"run net.snn.onnx --input {file} -o out", list(words)),
        ]
    return cases


CASES = [
    *of_model("a text file", no_onnx, "bad.onnx", "export it again"),
    *of_model("an empty file", empty, "bad.onnx", "export it again"),
    *of_model("a truncated file", truncated, "bad.onnx", "export it again"),
    *of_model("no file", nothing, "bad.onnx", "nothing there", "check the path"),
    Case("compile a folder", nothing, "compile . --calib data.npz", ["found a folder", "check the path"]),
    *of_model("a folder", folder, "bad.onnx", "a folder", "check the path"),
    *of_model("missing external data", no_external_data, "bad.onnx", "bad.data", "beside the model"),
    *of_model("short external data", short_external_data, "bad.onnx"),
    *of_model("NaN in weights", nan_weights, "bad.onnx", "'w1'", "NaN", "retrain"),
    *of_model("NaN in a Constant", nan_constant, "NaN"),
    *of_model("nothing that spikes", no_neurons, "ReLU", "found none", "train the model"),
    Case(
        "compile no ReLU for bursts",
        no_relu,
        "compile bad.onnx --calib data.npz -o out --code burst --approximate none",
        ["ReLU", "found none", "onnx2snn compile MODEL --calib DATA --code graded"],
    ),
    *of_model(
        "a random operator", unsupported, "'noise'", "RandomNormalLike", "random numbers", "evaluation mode"
    ),
    *of_model("control flow", control_flow, "'branch'", "If", "control flow", "trace it"),
    *of_model("opset 5", opset_5, "opset", "expected 6", "found 5", "export"),
    Case("inspect a text file", no_onnx, "inspect bad.onnx --json out", ["bad.onnx", "export it again"]),
    Case("inspect no file", nothing, "inspect bad.onnx --json out", ["bad.onnx", "check the path"]),
    Case(
        "evaluate an ANN",
        nothing,
        "evaluate net.onnx --data data.npz --json out",
        ["compile the model first"],
    ),
    Case("run an ANN", nothing, "run net.onnx --input x.npy -o out", ["compile the model first"]),
    Case("a bad reference", no_onnx, f"{EVALUATE} --reference bad.onnx", ["bad.onnx", "export it again"]),
    *[
        Case(
            f"a reference with {name}",
            unsigned(model_as(text, w=w)),
            f"{EVALUATE} --reference bad.onnx",
            words,
        )
        for name, text, w, words in (
            (
                "another number of classes",
                "(float[N,4] x) => (float[N,5] y) { y = Gemm(x, w) }",
                (4, 5),
                ["bad.onnx: output 'y'", "[16, 3]", "found [16, 5]", "give the ANN"],
            ),
            (
                "another batch",
                "(float[1,4] x) => (float[1,3] y) { y = Gemm(x, w) }",
                (4, 3),
                ["bad.onnx: input 'x'", "[any, 4]", "found float32 [1, 4]", "give the ANN"],
            ),
            (
                "another type",
                "(double[N,4] x) => (float[N,3] y) { c = Cast<to=1>(x) y = Gemm(c, w) }",
                (4, 3),
                ["bad.onnx: input 'x'", "expected float32", "found float64"],
            ),
            (
                "other inputs",
                "(float[N,4] x, float[N,4] z) => (float[N,3] y) { s = Add(x, z) y = Gemm(s, w) }",
                (4, 3),
                ["bad.onnx: inputs", "expected x", "found x, z", "give the ANN"],
            ),
            (
                "other outputs",
                "(float[N,4] x) => (float[N,3] p, float[N,3] q) { p = Gemm(x, w) q = Relu(p) }",
                (4, 3),
                ["bad.onnx: outputs", "expected y", "found p, q", "give the ANN"],
            ),
        )
    ],
    Case(
        "another reference",
        model_as("(float[N,4] x) => (float[N,3] y) { y = Gemm(x, w) }", w=(4, 3)),
        f"{EVALUATE} --reference bad.onnx",
        ["bad.onnx", "expected the ANN that the network was compiled from (sha256 ", "give that one"],
    ),
    *of_data(
        "a negative label", "bad.npz", arrays(images=ZEROS, labels=np.arange(-1, 3)), "labels", "found -1"
    ),
    *of_data("another shape", "bad.npz", arrays(images=np.zeros((4, 5), np.float32)), "[4, 5]", "reshape"),
    *of_data("another rank", "bad.npz", arrays(images=np.zeros(4, np.float32)), "[4]", "reshape"),
    *of_data("text in an array", "bad.npz", arrays(images=np.full((4, 4), "a")), "<U1", "numeric"),
    *of_data("complex numbers", "bad.npz", arrays(images=ZEROS + 1j), "complex", "numeric"),
    *of_data("other keys", "bad.npz", arrays(a=ZEROS, b=ZEROS), "'a', 'b'", "rename"),
    *of_data("no samples", "bad.npz", arrays(images=ZEROS[:0]), "bad.npz", "found 0", "add data"),
    *of_data("NaN", "bad.npz", arrays(images=ZEROS + np.nan), "bad.npz", "sample 0", "NaN", "repair"),
    *of_data("infinity", "bad.npz", arrays(images=ZEROS + np.inf), "bad.npz", "infinity", "repair"),
    *of_data("too few labels", "bad.npz", arrays(images=ZEROS, labels=np.arange(3)), "4 labels", "found 3"),
    *of_data("labels as text", "bad.npz", arrays(images=ZEROS, labels=np.array(["a"] * 4)), "labels", "<U1"),
    *of_data("no data file", "bad.npz", nothing, "bad.npz", "cannot be read"),
    *of_data("a text file as npz", "bad.npz", text_as("bad.npz"), "bad.npz"),
    *of_data("a text file as npy", "bad.npy", text_as("bad.npy"), "bad.npy"),
    *of_data("a text file", "bad.txt", text_as("bad.txt"), "bad.txt", "another kind"),
    *of_data("objects in an npz", "bad.npz", pickled_npz, "bad.npz", "object"),
    *of_data("objects in an npy", "bad.npy", pickled_npy, "bad.npy", "object"),
    *of_data("a pickle named npy", "bad.npy", pickle_named_npy, "bad.npy"),
    *of_data("an empty directory", "bad", empty_directory, "bad", "nothing", "add data"),
    *of_data("mixed shapes", "bad", directory_of_mixed_shapes, "1.npy", "[2, 3, 5, 4]", "reshape"),
    *of_data("images of mixed sizes", "bad", images_of_mixed_sizes, "1.png", "resize"),
    *of_data("an unreadable image", "bad", unreadable_image, "1.png"),
    *of_data("mixed kinds", "bad", mixed_kinds, "array files and image files", "own directory"),
    Case(
        "a class too many",
        arrays(images=ZEROS, labels=np.arange(4)),
        "evaluate net.snn.onnx --data bad.npz --json out",
        ["classes 0 to 2", "found 3"],
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_one_line_and_nothing_written(place, case):
    case.prepare()
    message = refused(place, case.arguments)
    assert [word for word in case.words if word not in message] == []
    assert ";" in message  # what to do follows
    assert (place / "out").read_bytes() == OLD


def test_the_bomb_would_explode(place):
    """Else the cases above that hold it would show nothing."""
    np.load(io.BytesIO(pickled_bytes()), allow_pickle=True)
    assert (place / "exploded").is_dir()


@pytest.mark.parametrize("threshold", ["max", "percentile", "mse"])
@pytest.mark.parametrize("options", [{"code": "burst"}, {"signed": True}, {}])
def test_dead_channel_compiles(rng, threshold, options):
    weights = normal(rng, w1=(4, 6), w2=(6, 3))
    weights["w1"][:, 2] = 0
    x = rng.standard_normal((32, 4)).astype(np.float32)
    compiled = onnx2snn.compile(parse(MLP, **weights), x, threshold=threshold, **options)
    session = onnx2snn.SpikingSession(compiled.model)
    (cell,) = session.artifact.neurons
    theta = session.artifact.threshold(cell)
    assert np.isfinite(theta).all()
    assert (theta > 0).all()
    recorded = session.run(x, record=True)
    assert np.isfinite(recorded.outputs["y"]).all()
    (spikes,) = recorded.spikes.values()
    assert not spikes[:, :, 2].any()
    assert spikes.any()


@pytest.mark.parametrize("code", ["burst", "graded"])
def test_all_channels_dead_compiles(rng, code):
    weights = normal(rng, w2=(6, 3)) | {"w1": np.zeros((4, 6), np.float32)}
    x = rng.standard_normal((8, 4)).astype(np.float32)
    compiled = onnx2snn.compile(parse(MLP, **weights), x, code=code)
    np.testing.assert_array_equal(
        onnx2snn.SpikingSession(compiled.model).run(x).outputs["y"], np.zeros((8, 3))
    )
