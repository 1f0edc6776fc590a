"""Bits of a spike: for every neuron by hand, and in words."""

from __future__ import annotations

import numpy as np
import pytest

import onnx2snn
from onnx2snn.artifact.artifact import take_apart
from onnx2snn.artifact.spike_bits import bits_convention, spike_bits
from tests.artifact.flat import flat
from tests.helpers import parse

NET = "(float[N,2] x) => (float[N,2] y) {{ a = onnx2snn.{first}(x, p) y = onnx2snn.{last}(a, p) }}"
FIRE = "AccumulateFire<levels=4, potential=0.5>"


def net(first: str, last: str):
    return flat(NET.format(first=first, last=last), p=np.float32(1))


def graded(exponents: int) -> str:
    return f"GradedFire2<exponents={exponents}, dead_zone=0.1>"


@pytest.mark.parametrize(
    ("exponents", "bits"), [(1, 2), (2, 2), (3, 3), (4, 3), (5, 4), (8, 4), (9, 5), (16, 5)]
)
def test_a_graded_spike_is_its_sign_and_which_of_its_sizes(exponents, bits):
    assert spike_bits(net(graded(exponents), graded(exponents))) == {"a": bits, "y": bits}


def test_equal_spikes_are_there_or_not():
    artifact = net(FIRE, FIRE)
    assert spike_bits(artifact) == {"a": 1, "y": 1}
    assert bits_convention(artifact) == "1 bit a spike: itself, not which neuron sent it"


def test_where_spikes_may_be_negative_a_sign_is_one_more():
    leaky = flat(
        """(float[N,2] x) => (float[N,2] y) {
            a = onnx2snn.AccumulateFire<levels=4, potential=0.5>(x, p)
            y = onnx2snn.LeakyAccumulateFire<levels=4, potential=0.5>(a, s, p) }""",
        p=np.float32(1),
        s=np.float32(0.1),
    )
    assert spike_bits(leaky) == {"a": 1, "y": 2}
    assert bits_convention(leaky) == (
        "1 to 2 bits a spike: itself and its sign where it may have either, not which neuron sent it"
    )


@pytest.mark.parametrize("op", ["SignedBurstIF", "QuantizedIF", "BurstIF"])
def test_neurons_that_take_back_send_a_sign(op):
    model = parse("(float[N,2] x) => (float[N,2] y) { r = Relu(x) y = MatMul(r, w) }", w=np.eye(2, dtype="f"))
    options = {"signed": op != "BurstIF"}
    if op == "QuantizedIF":
        model = parse(
            """(float[N,2] x) => (float[N,2] y) {
                a = MatMul(x, w) d = Div(a, q) f = Round(d) c = Clip(f, zero, top) r = Mul(c, q)
                y = MatMul(r, w) }""",
            q=np.float32(0.25), zero=np.float32(0), top=np.float32(4), w=np.eye(2, dtype="f"),
        )  # fmt: skip
    artifact = take_apart(
        onnx2snn.compile(model, np.ones((4, 2), np.float32), **{"code": "burst", **options}).model
    )
    assert [cell.op_type for cell in artifact.neurons] == [op]
    (bits,) = spike_bits(artifact).values()
    assert bits == (1 if op == "BurstIF" else 2)


def test_sizes_that_differ_from_layer_to_layer_are_a_range():
    assert bits_convention(net(graded(3), graded(9))) == (
        "3 to 5 bits a spike: which of 3 to 9 sizes it has and its sign, not which neuron sent it"
    )
    assert bits_convention(net(graded(7), graded(7))) == (
        "4 bits a spike: which of 7 sizes it has and its sign, not which neuron sent it"
    )
