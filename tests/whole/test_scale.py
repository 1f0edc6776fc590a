"""The nets of `benchmarks.scale` are those of their papers, and sound; its figures are what they say."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

import onnx2snn
from benchmarks import scale
from benchmarks.scale import Figures, main, measure, seeded_images
from benchmarks.scale_nets import SIZES, build, stripped
from benchmarks.topologies import activations, example_feeds

# As torchvision, timm and Ultralytics count them; running means and variances are no parameters.
PARAMETERS = {
    "resnet50": 25_557_032,
    "vgg16": 138_357_544,
    "mobilenet_v2": 3_504_872,
    "efficientnet_b0": 5_288_548,
    "vit_s16": 22_050_664,
}
SCORES = {name: [("N", 1000)] for name in SIZES} | {
    "yolo": [("N", 255, 52, 52), ("N", 255, 26, 26), ("N", 255, 13, 13)],
    "unet": [("N", 21, 256, 256)],
}
SMALL = 32  # height and width at which activations are looked at


@pytest.mark.parametrize("name", SIZES)
def test_a_net_is_that_of_its_paper(name):
    net = stripped(name)
    counts = {
        tensor.name: int(np.prod(tensor.dims)) for tensor in net.graph.initializer if not tensor.raw_data
    }
    learnt = sum(count for weight, count in counts.items() if ".running_" not in weight)
    assert learnt == PARAMETERS.get(name, learnt)
    shapes = [
        [dim.dim_param or dim.dim_value for dim in out.type.tensor_type.shape.dim] for out in net.graph.output
    ]
    assert [tuple(shape) for shape in shapes] == SCORES[name]


@pytest.mark.parametrize("name", SIZES)
def test_a_net_is_valid_sound_and_accepted(name):
    net = build(name, SMALL)
    found = activations(net, example_feeds(net, 2, seed=1))
    assert all(0.02 < values.std() < 30 for values in found.values() if values.dtype.kind == "f")
    for output in net.graph.output:
        values = found[output.name]
        assert 0.5 < values.std() < 10
        assert np.linalg.norm(values[0] - values[1]) > 0.005 * np.linalg.norm(values[0])
    inspection = onnx2snn.inspect(net)  # which checks it as onnx does
    assert not [verdict for verdict in inspection.nodes if verdict.role == "refused"]
    assert inspection.macs.share > 0.9


def test_weights_follow_from_the_seed():
    first, again, other = (build("mobilenet_v2", 32, seed).SerializeToString() for seed in (0, 0, 1))
    assert first == again != other


def test_images_follow_from_the_seed_and_are_made_part_by_part():
    images, other = seeded_images(70, 32, 1), seeded_images(70, 32, 2)
    assert [part.samples for part in images.parts] == [32, 32, 6]
    (whole,), (again,), (different,) = (list(data.batches(100)) for data in (images, images, other))
    np.testing.assert_array_equal(whole["image"], again["image"])
    assert len({image.tobytes() for image in (*whole["image"], *different["image"])}) == 140
    (strided,) = images.every(9, 4).batches(100)
    np.testing.assert_array_equal(strided["image"], whole["image"][4::9])
    assert abs(whole["image"].mean()) < 0.5
    assert 0.5 < whole["image"].std() < 2


def tiny(builder):
    return [builder.classify(builder.block("second", builder.block("first", "image", (3, 8)), (8, 9)), 9)]


@pytest.fixture
def file(monkeypatch, tmp_path):
    """A file of a net that is quick."""
    monkeypatch.setitem(SIZES, "tiny", (tiny, 32))
    onnx.save(build("tiny"), tmp_path / "net.onnx")
    return str(tmp_path / "net.onnx")


def test_figures_of_each_schedule(file):
    stream = measure(Figures("tiny", "stream graded", 6, 3), file, [2, 6], {})
    layer = measure(Figures("tiny", "layer graded", 6, 3), file, [2, 6], {})
    for found in (stream, layer):
        assert found.refused is None
        assert 0 < found.before <= found.peak
        assert found.ann > 0
    assert list(stream.errors) == ["2", "6"]
    assert list(layer.errors) == ["6"]
    assert stream.errors["6"] < stream.errors["2"]
    assert layer.errors["6"] < stream.errors["2"]
    assert stream.passes == pytest.approx((stream.compile - 5) / stream.ann)
    assert layer.passes == pytest.approx((layer.compile - 20) / layer.ann)
    assert Figures.from_dict(json.loads(json.dumps(stream.to_dict()))) == stream


def test_a_refused_net_says_why(file):
    found = measure(Figures("tiny", "stream graded", 6, 3), file, [6], {"exponents": 99})
    assert found.refused is not None
    assert "exponents" in found.refused


def test_a_row_for_each_network(monkeypatch):
    asked = []

    def child(wanted, _, timesteps, memory):
        asked.append((wanted.setting, wanted.timesteps, tuple(timesteps), memory))
        return replace(wanted, refused="too large") if wanted.timesteps == 4 else wanted

    monkeypatch.setattr(scale, "_child", child)
    names = ("--net", "mobilenet_v2", "--setting", "stream graded", "--setting", "layer radix")
    said = CliRunner().invoke(main, [*names, "--memory", "1GiB"], catch_exceptions=False).output
    assert asked == [
        ("stream graded", 8, (4, 8), "1GiB"),
        ("layer radix", 4, (4, 8), "1GiB"),
        ("layer radix", 8, (4, 8), "1GiB"),
    ]
    assert "mobilenet_v2, layer radix, T=4: too large" in said
    told = json.loads(CliRunner().invoke(main, [*names, "--json"], catch_exceptions=False).output)
    assert [row["timesteps"] for row in told] == [8, 4, 8]


def test_a_process_that_ends_says_how(tmp_path):
    wanted = Figures("mobilenet_v2", "stream graded", 8, 4)
    assert "missing.onnx" in (scale._child(wanted, str(tmp_path / "missing.onnx"), [8], None).refused or "")
