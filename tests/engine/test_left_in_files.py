"""Weights in files: read where they are, by all sessions."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from onnx2snn.engine import left_in_files
from onnx2snn.engine.engines import make_engine
from onnx2snn.engine.left_in_files import leave_in_files
from onnx2snn.errors import ModelError
from onnx2snn.model.file import load_model
from onnx2snn.model.weights import values_of
from tests.helpers import normal, parse, save_outside

pytestmark = pytest.mark.usefixtures("small_messages")


@pytest.fixture
def model(rng, tmp_path) -> onnx.ModelProto:
    whole = parse("(float[N,16] x) => (float[N,32] y) { y = MatMul(x, w) }", **normal(rng, w=(16, 32)))
    return load_model(save_outside(whole, tmp_path / "net.onnx"))


def test_sessions_share_weights_in_files(model, tmp_path):
    """What they read is the map itself, not a copy of it."""
    (tensor,) = model.graph.initializer
    place = values_of(tensor)
    settings = onnxruntime.SessionOptions()
    light, (weights,) = leave_in_files(model, settings, share=True)
    assert weights.data_ptr() == place.__array_interface__["data"][0]
    path = str((tmp_path / "net.data").resolve())
    assert [entry.value for entry in light.graph.initializer[0].external_data] == [path[1:], "0", "2048"]
    assert settings.get_session_config_entry("session.disable_prepacking") == "1"
    assert settings.get_session_config_entry(left_in_files._FOLDER) == "/"


def test_an_onnxruntime_too_old_for_weights_in_files(model, monkeypatch):
    monkeypatch.setattr(onnxruntime, "__version__", "1.20.1")
    with pytest.raises(ModelError) as caught:
        make_engine(model)
    assert str(caught.value) == (
        "weights: expected onnxruntime 1.21 or newer for so many, found 1.20.1; upgrade it"
    )


def test_another_device_reads_the_file(model):
    """Whose memory is not ours to share; the CPU shows that the place is right."""
    settings = onnxruntime.SessionOptions()
    light, weights = leave_in_files(model, settings, share=False)
    assert weights == []
    session = onnxruntime.InferenceSession(light.SerializeToString(), settings, ["CPUExecutionProvider"])
    x = np.ones((2, 16), np.float32)
    expected = x @ values_of(model.graph.initializer[0])
    np.testing.assert_allclose(session.run(None, {"x": x})[0], expected, rtol=1e-5)
