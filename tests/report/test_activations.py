"""The section of activations: which layers are drawn, which clip, and what is written under a histogram."""

from __future__ import annotations

from dataclasses import replace

import pytest

from onnx2snn.artifact.records import Spread
from onnx2snn.report import activations as module
from onnx2snn.report.activations import activations_section
from tests.report.drawn import letters, plain
from tests.report.subjects import evaluated


def section(**changes):
    """Of three layers that are all the same, but for what `changes` says of a name."""
    subject = evaluated(("a", "b", "c"))
    layers = {
        name: replace(record, **changes.get(name, {}))
        for name, record in subject.metadata.activations.items()
    }
    return activations_section(replace(subject, metadata=replace(subject.metadata, activations=layers)))


def test_a_histogram_says_what_there_is_to_see():
    plot, *_ = section().plots
    assert (plot.key, plot.title) == ("activations-0", "a")
    assert plain(plot.description) == (
        "Histogram of the activations of a: 50.0 % zeros; maximum 3.9; R 2 (from 0.4 to 3.6); "
        "θ 0.5 (from 0.1 to 0.9)."
    )
    assert plain(plot.caption) == "50.0 % zeros · R 2 · θ 0.5 · 1.23 % clipped"
    assert {"θ", "R", "activation", "count", "10⁶"} <= set(letters(plot))


def test_one_value_for_all_channels_is_no_range():
    same = {"range": Spread(2.0, 2.0, 2.0), "threshold": Spread(0.5, 0.5, 0.5)}
    assert "; R 2; θ 0.5." in section(a=same).plots[0].description


def test_no_activations_no_section():
    nothing = {"counts": []}
    assert section(a=nothing, b=nothing, c=nothing) is None
    assert [plot.title for plot in section(a=nothing).plots] == ["b", "c"]


@pytest.mark.parametrize(("clipped", "told"), [(0.01, True), (0.0099, False)])
def test_the_layer_that_clips_most_is_named_where_it_clips_a_hundredth(clipped, told):
    little = {"clipped": 0.001}
    lead = [plain(line) for line in section(a=little, b={"clipped": clipped}, c=little).lead]
    assert ("b loses the most above what its neurons can send: 1.0 % of its sum." in lead) == told
    assert len(lead) == 1 + told


def test_of_many_layers_those_that_clip_most_are_drawn_in_their_order(monkeypatch):
    monkeypatch.setattr(module, "_MOST_LAYERS", 2)
    made = section(a={"clipped": 0.2}, b={"clipped": 0.1}, c={"clipped": 0.3})
    assert [plot.title for plot in made.plots] == ["a", "c"]
    assert made.lead[-1] == "Of 3 layers the 2 that lose the most above that are drawn."


def test_as_many_layers_as_are_drawn_are_all_drawn(monkeypatch):
    monkeypatch.setattr(module, "_MOST_LAYERS", 3)
    made = section()
    assert len(made.plots) == 3
    assert len(made.lead) == 2


def test_samples_are_told_where_they_are_known():
    subject = evaluated(("a",))
    assert "on 512 samples:" in activations_section(subject).lead[0]
    unknown = replace(subject, metadata=replace(subject.metadata, calibration=None))
    assert activations_section(unknown).lead[0].startswith("What calibration saw: all channels")


def test_graded_neurons_have_a_range_and_no_threshold():
    subject = evaluated(("a", "b"))
    neurons = {name: replace(record, exponents=7) for name, record in subject.metadata.neurons.items()}
    made = activations_section(replace(subject, metadata=replace(subject.metadata, neurons=neurons)))
    assert made.title == "Activations and R"
    assert "range R, which the largest spike carries, the next ones half of it, a quarter …;" in made.lead[0]
    assert plain(made.plots[0].caption) == "50.0 % zeros · R 2 · 1.23 % clipped"
    assert made.plots[0].description.endswith("R 2 (from 0.4 to 3.6).")
    assert "θ" not in letters(made.plots[0])
