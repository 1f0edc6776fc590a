from __future__ import annotations

import pytest

from onnx2snn.report import words


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (words.percent(0.9225), "92.2\u00a0%"),
        (words.percent(0.00042, 2), "0.04\u00a0%"),
        (words.percent(None), ""),
        (words.points(-0.008), "−0.8 points"),
        (words.points(0.012), "+1.2 points"),
        (words.points(-0.0001), "±0.0 points"),
        (words.count(884940.66), "884,941"),
        (words.count(3.14159), "3.14"),
        (words.count(7.0), "7"),
        (words.large(884940), "885\u00a0k"),
        (words.large(2.5e6), "2.5\u00a0M"),
        (words.large(9999), "9,999"),
        (words.joules(1.41e-4), "141\u00a0µJ"),
        (words.power(-12), "10⁻¹²"),
        (words.timesteps(1), "1 timestep"),
        (words.timesteps(8), "8 timesteps"),
        (words.sentence("same as the ANN"), "Same as the ANN"),
        (words.listed(["a"]), "a"),
        (words.listed(["a", "b", "c"]), "a, b and c"),
        (words.file_name("/home/me/a b.onnx"), "a b.onnx"),
        (words.file_name("C:\\nets\\net.onnx"), "net.onnx"),
        (words.file_name("images/"), "images"),
        (words.file_name("-"), "-"),
        (words.shown("a\nb\x00\u202e"), "a�b��"),
        (words.short("/Relu"), "/Relu"),
        (words.short("/model/layer1/layer1.0/Relu_1", 20), "…/layer1.0/Relu_1"),
        (words.short("a" * 30, 10), "…" + "a" * 9),
    ],
)
def test_figures_and_names_as_they_are_written(written, expected):
    assert written == expected


@pytest.mark.parametrize("most", [5, 9, 22])
def test_a_short_name_is_short(most):
    assert len(words.short("/one/two/three/four/five/six", most)) <= most
