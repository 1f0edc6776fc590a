"""The raster: whose spikes it shows, marks as high as what was sent, and what is said of the rest."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from onnx2snn.report.raster import raster_section
from onnx2snn.report.recording import Channel, Recording
from tests.report.drawn import letters
from tests.report.subjects import diagnosed, evaluated


def section(*channels, neurons=("a", "b"), samples=("sample 0",), timesteps=2):
    recording = Recording(timesteps, dict.fromkeys(neurons, 10), channels, samples)
    return raster_section(replace(evaluated(), recording=recording))


def channel(sent, negative=(0, 0), layer="a", number=0):
    return Channel(layer, number, np.array([sent], float), np.array([negative], float))


def marks(plot, colour):
    """Left end, right end, line and tip of each mark of a colour, in the drawing's units."""
    paths = re.findall(rf'<path d="([^"]*)"[^>]*style="fill: var\(--{colour}\)', plot.svg)
    path = paths[0] if paths else ""  # the second is the legend's
    corners = [re.findall(r"(-?[\d.]+) (-?[\d.]+)", mark) for mark in path.split("z") if mark.strip()]
    return [
        (float(at[0][0]), float(at[2][0]), float(at[0][1]), float(at[1][1])) for at in corners if len(at) >= 4
    ]


def test_nothing_was_recorded():
    assert raster_section(replace(evaluated(), recording=None)) is None
    assert section() is None


def test_a_picture_for_each_sample():
    made = raster_section(evaluated())
    assert [(plot.key, plot.title) for plot in made.plots] == [
        ("raster-0", "Sample 0: class 3, right"),
        ("raster-1", "Sample 50: class 1, wrong (<b>7</b>)"),
    ]


def test_the_highest_mark_and_the_busiest_channel_are_told():
    made = section(channel([1.5, 0]), channel([1, 1], layer="b", number=7))
    assert made.lead == [
        "The busiest channels of the layers, in the order in which they fire. A mark is as high as the "
        "channel sends spikes in that timestep; the highest one here stands for 1.5 spikes a neuron."
    ]
    assert made.plots[0].description == (
        "2 channels over 2 timesteps, from a down. Busiest: channel 7 of b, 2 spikes a neuron in all."
    )
    assert {"a [0]", "b [7]", "timestep"} <= set(letters(made.plots[0]))
    assert "below zero" not in letters(made.plots[0])


def test_a_mark_is_as_high_as_the_channel_sends():
    (plot,) = section(channel([2, 1]), channel([0, 2], layer="b")).plots
    first, second, third = marks(plot, "blue")
    heights = [line - tip for *_, line, tip in (first, second, third)]
    assert heights == pytest.approx([heights[0], heights[0] / 2, heights[0]], abs=0.03)
    assert heights[0] > 0
    assert first[2] == second[2] < third[2]  # the second row lies below
    assert first[1] < second[0] == third[0]  # and timesteps from left to right


def test_marks_fill_their_row_and_timestep():
    """0.8 of a timestep around its number, 0.86 of a row around its middle, as far as the highest go."""
    above, below = channel([2, 1], [0, 1]), channel([0, 2], layer="b")
    (plot,) = section(above, below).plots
    first, second, third = marks(plot, "blue")
    (down,) = marks(plot, "orange")
    timestep, row = second[0] - first[0], third[2] - first[2]
    assert first[1] - first[0] == pytest.approx(0.8 * timestep, abs=0.03)
    assert down[3] - first[3] == pytest.approx(0.86 * row, abs=0.03)
    centres = [float(x) for x in re.findall(r'x="([\d.]+)"[^>]*>[12]<', plot.svg)]
    assert [(mark[0] + mark[1]) / 2 for mark in (first, second)] == pytest.approx(centres, abs=0.03)
    (label,) = re.findall(r'y="([\d.]+)"[^>]*>a \[0\]<', plot.svg)
    assert float(label) == pytest.approx(first[2], abs=5)
    clip = re.search(
        r'<clipPath[^>]*><rect x="[\d.]+" y="([\d.]+)" width="[\d.]+" height="([\d.]+)"', plot.svg
    )
    top, height = map(float, clip.groups())
    assert height == pytest.approx(2.2 * row, abs=0.03)  # rows reach from -0.6 to 1.6
    middle = top + 0.6 * row
    assert (first[3] + down[3]) / 2 == pytest.approx(middle, abs=0.03)


def test_spikes_below_zero_have_marks_of_their_own():
    made = section(channel([2, 0], [0, 1]), neurons=["a"])
    assert made.lead[1:] == [
        "Marks below a row's line are spikes below zero: taken back, or of a leaky neuron."
    ]
    (plot,) = made.plots
    assert {"spikes sent", "below zero"} <= set(letters(plot))
    (up,), (down,) = marks(plot, "blue"), marks(plot, "orange")
    assert up[2] == down[2]
    assert up[2] - up[3] == pytest.approx(2 * (down[3] - down[2]), abs=0.03)


def test_a_network_that_sends_nothing_is_drawn_without_marks():
    made = section(channel([0, 0]))
    assert "stands for 0 spikes a neuron" in made.lead[0]
    assert marks(made.plots[0], "blue") == []


def test_it_says_when_layers_are_left_out():
    subject = diagnosed()
    fewer = replace(subject, recording=replace(subject.recording, channels=subject.recording.channels[1:]))
    said = "Of 3 layers the 2 with the busiest channels are shown."
    assert [said in raster_section(about).lead for about in (subject, fewer)] == [False, True]


def graded(above, below, layer="a"):
    """One sample in which a channel sends, by timestep and size, so many spikes a neuron."""
    sizes = np.array([[above, below]], float).swapaxes(1, 2)  # [samples, T, 2, n]
    sent, negative = np.moveaxis(sizes.sum(axis=-1), -1, 0)
    return Channel(layer, 0, sent, negative, sizes)


def shades(plot, colour):
    """Opacity → marks of a colour, as in `marks`; what is clipped is no legend's."""
    found = {}
    for path, style in re.findall(r'<path d="([^"]*)" clip-path[^>]*style="([^"]*)"', plot.svg):
        if f"fill: var(--{colour})" in style:
            opacity = float((re.findall(r"opacity: ([\d.]+)", style) or ["1"])[0])
            one = f'<path d="{path}" style="fill: var(--{colour})'
            found[opacity] = marks(replace(plot, svg=one), colour)
    return {opacity: drawn for opacity, drawn in found.items() if drawn}


def test_the_size_of_graded_spikes_is_the_shade_of_a_mark_and_their_sign_its_side():
    made = section(graded([[0.5, 0, 0.25], [0, 0, 0]], [[0, 0.25, 0], [0, 0, 0.5]]), neurons=["a"])
    assert made.lead[1:] == [
        "Marks below a row's line are spikes below zero.",
        "The shade of a mark is the size of its spikes: the strongest, next to the line, are worth the range "
        "R of their channel, and each fainter one half of the one before.",
    ]
    (plot,) = made.plots
    assert [text for text in letters(plot) if "R" in text] == [
        "spikes sent, R",
        "below zero, R",
        "R/2",
        "R/2",
        "R/4",
        "R/4",
    ]
    above, below = shades(plot, "blue"), shades(plot, "orange")
    assert (sorted(above), sorted(below)) == ([0.25, 1], [0.25, 0.625])
    (large,), (small,) = above[1], above[0.25]
    assert small[2] == pytest.approx(large[3], abs=0.03)  # on top of the larger
    assert large[2] - large[3] == pytest.approx(2 * (small[2] - small[3]), abs=0.05)
    ((left, _, line, tip),) = below[0.625]
    assert (left, line) == pytest.approx((large[0], large[2]), abs=0.03)
    assert tip - line == pytest.approx(small[2] - small[3], abs=0.05)
    ((later, *_),) = below[0.25]
    assert later > left


def test_layers_of_fewer_sizes_share_the_shades():
    (plot,) = section(graded([[0.5, 0.5]], [[0, 0]]), graded([[0, 0, 0, 1]], [[0, 0, 0, 0]], "b")).plots
    found = shades(plot, "blue")
    assert {shade: len(drawn) for shade, drawn in found.items()} == {1: 1, 0.75: 1, 0.25: 1}
