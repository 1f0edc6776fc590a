"""Broken models of every kind compile or are refused in one line: no traceback, no hang, no file left.

`python -m tests.attack --only models` tries many more.
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

import onnx2snn
from onnx2snn.cli import main
from tests.attack.mutations import MUTATIONS, Model, mutate, sparse_weight
from tests.attack.seeds import FIXTURES, HAND_MADE, samples, seed_models
from tests.helpers import Arrays, parse


def refusal(attempt: Callable[[], object]) -> str | None:
    """The message, one line, of an attempt that is refused."""
    try:
        attempt()
    except onnx2snn.Onnx2SnnError as error:
        message = str(error)
    else:
        return None
    assert message.strip()
    assert len(message.splitlines()) == 1
    assert "this is a bug" not in message
    return message


def check_api(model: Model, mutated: Model) -> None:
    """For bursts; graded spikes, the default, are what the command line is checked with."""
    unread = refusal(lambda: onnx2snn.inspect(mutated, code="burst"))
    refused = refusal(lambda: onnx2snn.compile(mutated, samples(model, mutated), timesteps=2, code="burst"))
    assert unread is None or refused == unread


def check_command_line(content: bytes, samples: Arrays) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "net.onnx").write_bytes(content)
        np.savez(
            folder / "data.npz", **{key: array for key, array in samples.items() if key and "/" not in key}
        )
        before = sorted(folder.iterdir())
        for arguments, written in (
            (f"inspect {folder}/net.onnx --json {folder}/out", "out"),
            (
                f"compile {folder}/net.onnx --calib {folder}/data.npz -T 2 -o {folder}/net.snn.onnx",
                "net.snn.onnx",
            ),
        ):
            result = CliRunner().invoke(main, arguments.split(), catch_exceptions=False)
            assert result.exit_code in (0, 2), result.output
            assert "Traceback" not in result.output
            if result.exit_code == 2:
                assert result.stderr.startswith("error: ")
                assert result.stderr.count("\n") == 1
                assert result.stdout == ""
            else:
                before = sorted([*before, folder / written])
            assert sorted(folder.iterdir()) == before


EXAMPLES = settings(
    derandomize=True,
    deadline=timedelta(seconds=20),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
chosen = given(
    name=st.sampled_from([*HAND_MADE, "digits", *FIXTURES]),
    mutations=st.lists(st.sampled_from(MUTATIONS), min_size=1, max_size=3),
    rng=st.randoms(use_true_random=False),
)


@settings(EXAMPLES, max_examples=150)
@chosen
def test_a_broken_model_compiles_or_is_refused_in_one_line(name, mutations, rng):
    model = seed_models()[name]
    mutated = mutate(model, mutations, rng)
    check_api(model, mutated)


@settings(EXAMPLES, max_examples=25)
@chosen
def test_a_broken_file_leaves_nothing_behind(name, mutations, rng):
    model = seed_models()[name]
    mutated = mutate(model, mutations, rng)
    content = bytearray(mutated.SerializeToString())
    if rng.randrange(4) == 0:
        content[rng.randrange(len(content))] = rng.randrange(256)
        note("and a byte changed")
    check_command_line(bytes(content), samples(model, mutated))


def small(body: str = "r = Relu(x) y = MatMul(r, w)", **arrays: np.ndarray) -> Model:
    return parse(
        f"(float[N,4] x) => (float[N,4] y) {{ {body} }}", **({"w": np.eye(4, dtype=np.float32)} | arrays)
    )


def with_weight(**fields: int) -> Model:
    model = small()
    for name, value in fields.items():
        setattr(model.graph.initializer[0], name, value)
    return model


def with_rows(rows: int) -> Model:
    model = small()
    model.graph.initializer[0].dims[0] = rows
    return model


def of_type(kind: int) -> Model:
    model = small("y = Relu(x)")
    for item in (*model.graph.input, *model.graph.output):
        item.type.tensor_type.elem_type = kind
    return model


def sparse(version: int) -> Model:
    model = small()
    model.opset_import[0].version = version
    sparse_weight(model, Random(0))
    return model


def of_our_domain() -> Model:
    model = small()
    model.graph.node[0].domain = "onnx2snn"
    return model


def sloped(alpha: float) -> Model:
    model = small("a = MatMul(x, w) r = LeakyRelu<alpha = 0.5>(a) y = MatMul(r, w)")
    model.graph.node[1].attribute[0].f = alpha
    return model


def batchnorm_behind_a_stranger() -> Model:
    model = small(
        "c = com.unknown.Block(x) n = BatchNormalization(c, one, three, one, one) y = Relu(n)",
        one=np.ones(4, np.float32),
        three=np.ones(3, np.float32),
    )
    model.opset_import.append(helper.make_opsetid("com.unknown", 1))
    return model


def batchnorm_of(kind: type) -> Model:
    return small(
        "n = BatchNormalization(x, one, bias, one, one) y = Relu(n)",
        one=np.ones(4, np.float32),
        bias=np.ones(4, kind),
    )


def quantised_to_float8() -> Model:
    body = "a = MatMul(x, w) q = QuantizeLinear(a, s, z) d = DequantizeLinear(q, s, z) y = Relu(d)"
    model = small(body, s=np.float32(0.5), z=np.uint8(0))
    model.graph.initializer[-1].data_type = TensorProto.FLOAT8E4M3FN
    return model


#: The smallest models of what was found once, and what the message must name; None: it may compile.
FOUND: dict[str, tuple[Model, str | None]] = {
    "dims of fewer values than there are": (with_rows(1), "'w'"),
    "a data type that does not exist": (with_weight(data_type=99), "'w'"),
    "a data type of half a byte": (with_weight(data_type=TensorProto.INT4), "'w'"),
    "strings as weights": (small(w=np.full((4, 4), "a", object)), "'w'"),
    "a sparse weight": (sparse(21), "sparse"),
    "a sparse weight of an older opset": (sparse(13), "sparse"),
    "ONNX's operator in our domain": (of_our_domain(), "onnx2snn.Relu"),
    "bfloat16": (of_type(TensorProto.BFLOAT16), "bfloat16"),
    "float8": (of_type(TensorProto.FLOAT8E5M2), "float8"),
    "an input type that does not exist": (of_type(99), "'x'"),
    "NaN in an attribute": (sloped(math.nan), "NaN"),
    "infinity in an attribute": (sloped(math.inf), "Inf"),
    "too many biases behind an unknown operator": (batchnorm_behind_a_stranger(), "com.unknown.Block"),
    "complex biases": (batchnorm_of(np.complex64), "bias"),
    "a branch on a matrix": (
        small(
            "y = If(w) <then_branch = a () => (float[N,4] p) { p = Relu(x) }, "
            "else_branch = b () => (float[N,4] q) { q = Neg(x) }>"
        ),
        "If",
    ),
    "a quantiser to float8": (quantised_to_float8(), None),
    "weights whose squares overflow": (
        small("a = MatMul(x, w) y = Relu(a)", w=np.full((4, 4), 1e30, "f")),
        None,
    ),
    "a slope whose square overflows": (sloped(1e30), None),
}


@pytest.mark.parametrize("code", ["burst", "graded"])
@pytest.mark.parametrize("name", FOUND)
def test_found_before(name, code):
    model, word = FOUND[name]
    x = np.random.default_rng(0).standard_normal((8, 4)).astype(np.float32)
    refusal(lambda: onnx2snn.inspect(model, code=code))
    message = refusal(lambda: onnx2snn.compile(model, x, timesteps=2, code=code))
    if word is not None:
        assert message is not None
        assert word in message


@pytest.mark.parametrize("number", [1, 1 << 40])
def test_a_split_of_another_number(tmp_path, number):
    model = small(f"r = Relu(x) p, q = Split<axis = 1, num_outputs = {number}>(r) y = Concat<axis = 1>(p, q)")
    onnx.save(model, tmp_path / "net.onnx")
    command = [sys.executable, "-m", "onnx2snn", "inspect", str(tmp_path / "net.onnx")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "Split" in result.stderr
    assert result.stderr.count("\n") == 1


def test_onnxruntime_adds_no_line_of_its_own(tmp_path):
    """Of a bias with two axes ONNX says nothing, and onnxruntime only once it runs."""
    model = parse(
        "(float[N,2,4,4] x) => (float[N,3,2,2] y) { c = Conv(x, k, b) y = Relu(c) }",
        k=np.ones((3, 2, 3, 3), np.float32),
        b=np.ones((1, 3), np.float32),
    )
    onnx.save(model, tmp_path / "net.onnx")
    np.save(tmp_path / "data.npy", np.ones((2, 2, 4, 4), np.float32))
    command = [sys.executable, "-m", "onnx2snn", "compile", "net.onnx", "--calib", "data.npy"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("code", ["burst", "graded"])
def test_without_a_mutation_all_compile_but_the_one_with_a_branch(code):
    """Else what is said of the mutated ones would be said of models that nobody can compile."""
    for name, model in seed_models().items():
        data = samples(model, model)
        message = refusal(
            lambda model=model, data=data: onnx2snn.compile(model, data, timesteps=2, code=code)
        )
        assert (message is None) == (name != "branch"), message
