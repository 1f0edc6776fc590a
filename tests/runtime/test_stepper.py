"""What a step makes of carried values goes back into it, in place or by way of NumPy."""

from __future__ import annotations

import numpy as np
import onnx.shape_inference
import pytest

from onnx2snn.artifact.artifact import Carried
from onnx2snn.engine.engines import make_engine
from onnx2snn.errors import DataError
from onnx2snn.runtime.stepper import make_stepper, select_rows
from tests.helpers import parse

#: sum += x, and last = the sum before.
STEP = """(float[N,2] x, float[P,Q] total, float[R,S] last) => (float[N,2] total_out, float[N,2] last_out)
    { total_out = Add(total, x) zero = Sub(x, x) last_out = Add(total, zero) }"""
CARRIED = (
    Carried("total", "total_out", np.float32([[10]])),
    Carried("last", "last_out", np.float32([[-1]])),
)
X = np.float32([[1, 2], [3, 4], [5, 6]])


@pytest.fixture(params=["onnxruntime", "numpy"])
def engine(request):
    return make_engine(parse(STEP), request.param)


@pytest.fixture
def stepper(engine):
    return make_stepper(engine, CARRIED, {"x": X, "unread": np.zeros(7, np.float32)})


def test_values_begin_as_the_artifact_says_and_go_back_in(stepper):
    assert {n: v.tolist() for n, v in stepper.carried(["total", "last"]).items()} == {
        "total": [[10]],
        "last": [[-1]],
    }
    for step in range(1, 6):
        stepper.advance()
        found = stepper.carried(["last", "total"])
        np.testing.assert_array_equal(found["total"], 10 + step * X)
        np.testing.assert_array_equal(found["last"], 10 + (step - 1) * X)
        np.testing.assert_array_equal(stepper.results()["total_out"], 10 + step * X)
    assert set(stepper.carried(["total"])) == {"total"}


def test_a_run_may_begin_at_other_values(engine):
    state = {"total": np.float32([[100]]), "last": np.float32([[0]])}
    stepper = make_stepper(engine, CARRIED, {"x": X}, state)
    stepper.advance()
    np.testing.assert_array_equal(stepper.carried(["total"])["total"], 100 + X)


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_a_restart_goes_back_to_the_beginning_with_other_inputs(stepper, steps):
    for _ in range(steps):
        stepper.advance()
    stepper.restart({"x": -X})
    np.testing.assert_array_equal(stepper.carried(["total"])["total"], [[10]])
    for step in range(1, 4):
        stepper.advance()
        np.testing.assert_array_equal(stepper.carried(["total"])["total"], 10 - step * X)


def test_inputs_that_change_stay_until_they_change_again(stepper):
    stepper.advance()
    stepper.advance({"x": 2 * X})
    stepper.advance()
    np.testing.assert_array_equal(stepper.carried(["total"])["total"], 10 + 5 * X)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_those_that_stay_go_on_from_where_they_are(stepper, steps):
    for _ in range(steps):
        stepper.advance()
    fewer = stepper.select(np.array([2, 0]))
    stepper.advance()
    for step in (1, 2, 3):
        fewer.advance()
        np.testing.assert_array_equal(fewer.carried(["total"])["total"], 10 + (steps + step) * X[[2, 0]])
    np.testing.assert_array_equal(stepper.carried(["total"])["total"], 10 + (steps + 1) * X)


def test_another_batch_is_refused_where_memory_is_kept():
    stepper = make_stepper(make_engine(parse(STEP)), CARRIED, {"x": X})
    stepper.advance()
    with pytest.raises(DataError) as caught:
        stepper.advance({"x": X[:2]})
    assert str(caught.value) == (
        "'x': expected shape [3, 2], as in the steps before, found [2, 2]; call reset() first"
    )


def test_a_pool_whose_shape_is_inferred_too_large_keeps_its_state():
    """The last window lies in the padding: inference counts it, the kernel does not."""
    text = """(float[1,1,4,4] x, float[1,1,A,B] s) => (float[] s_out) {
        p = MaxPool<kernel_shape=[2,2], strides=[4,4], ceil_mode=1, pads=[0,0,1,1]>(x) s_out = Add(p, s) }"""
    model = onnx.shape_inference.infer_shapes(parse(text))
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    initial = np.zeros((1, 1, 1, 1), np.float32)
    stepper = make_stepper(make_engine(model), [Carried("s", "s_out", initial)], {"x": x})
    for step in range(1, 6):
        stepper.advance()
        np.testing.assert_array_equal(stepper.carried(["s"])["s"], [[[[5 * step]]]])


def test_inputs_stay_as_they_were_given(engine):
    given = X.copy()
    stepper = make_stepper(engine, CARRIED, {"x": given})
    stepper.advance()
    stepper.restart({"x": -X})
    stepper.advance({"x": -2 * X})
    np.testing.assert_array_equal(given, X)


def test_what_all_samples_share_is_not_selected():
    values = {"a": X, "b": X[:1], "c": np.float32(7)}
    found = select_rows(values, np.array([2, 1]))
    np.testing.assert_array_equal(found["a"], X[[2, 1]])
    assert found["b"] is values["b"]
    assert found["c"] is values["c"]
