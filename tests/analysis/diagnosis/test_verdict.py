"""What is said of a layer and of a net: faults in words, their remedies, what is not worth any."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from onnx2snn.analysis.diagnosis.figures import Diagnosis, Fault, OutputDiagnosis
from onnx2snn.analysis.diagnosis.verdict import (
    dead_channels,
    find_faults,
    own_error,
    own_harms,
    saturated_channels,
    summarise,
)
from tests.analysis.diagnosis.observed import CLIPS, layer, tallied

#: Layers that are off by one thing each.
CLIPPED = {"before": [[2.0], [1.0]], "sent": [[1], [1]]}
COARSE = {"before": [[0.6], [0.4]], "sent": [[0.5], [0.5]]}
LATE = {"before": [[0.5], [0.75]], "sent": [[0.75], [0.5]]}
SHIFTED = {"before": [[0.25], [0.5]], "taught": [[0.5], [0.75]], "sent": [[0.5], [0.75]]}
WEIGHTED = {"before": [[0.25], [0.5]], "taught": [[0.5], [0.25]], "sent": [[0.5], [0.25]]}
INHERITED = {"before": [[0.25], [0.5]], "current": [[0.5], [0.25]], "sent": [[0.5], [0.25]]}
STREAM = {"schedule": "stream", "max_spikes": 4}


def faults(seen, op="BurstIF", *, refitted=False, **options):
    seen = {"current": seen.get("taught", seen["before"]), **seen}
    return find_faults("r", op, tallied(**seen, refitted=refitted), STREAM | options)


@pytest.mark.parametrize(
    ("seen", "kind", "harm", "sentence"),
    [
        (CLIPPED, "clipping", 1, "r clips 33 % of its mass"),
        (COARSE, "quantisation", 1, "r: its threshold is too coarse, which makes 19.6 % of error"),
        (LATE, "timing", 1, "r: spikes come at the wrong time, which makes 39.2 % of error"),
        (SHIFTED, "bias", 1, "r: its bias is not the ANN's (63.2 % of error, mostly in channel 0)"),
        (WEIGHTED, "weights", 1, "r: its weights are not the ANN's (63.2 % of error, mostly in channel 0)"),
        (INHERITED, "inherited", 1, "r inherits 63.2 % of error from the layers before it"),
    ],
)
def test_every_fault_has_its_words(seen, kind, harm, sentence):
    (fault,) = faults(seen)
    assert (fault.kind, fault.sentence) == (kind, sentence)
    assert fault.harm == pytest.approx(harm, rel=1e-5)


@pytest.mark.parametrize(
    ("seen", "options", "remedy"),
    [
        (CLIPPED, {"threshold": "percentile"}, "raise --percentile, or use --threshold mse"),
        (CLIPPED, {"threshold": "max"}, "calibrate on samples like these"),
        (CLIPPED, {"threshold": "mse"}, "calibrate on more samples like these, or use --threshold max"),
        (CLIPPED, {"threshold": "max", "compress": "energy"}, "calibrate on samples like these"),
        (COARSE, {"compress": "energy", "spike_budget": 3}, "a lower --max-loss"),
        (LATE, {"compress": "energy"}, "a lower --max-loss"),
        (COARSE, {"spike_budget": 3.0, "compress": "none"}, "a larger --spike-budget"),
        (COARSE, {}, "more timesteps (-T), or a larger --max-spikes"),
        (COARSE, {"levels": 4}, "more timesteps (-T), or a larger --max-spikes"),
        (COARSE, {"levels": 3}, "more timesteps (-T), or more --levels"),
        (COARSE, {"levels": 3, "schedule": "layer"}, "more timesteps (-T), or a larger --max-spikes"),
        (COARSE, {"schedule": "layer", "code": "radix"}, "more timesteps (-T)"),
        (SHIFTED, {}, "compile again; compare them"),
        (INHERITED, {}, "see to these first"),
    ],
)
def test_the_remedy_is_that_of_the_options(seen, options, remedy):
    (fault,) = faults(seen, **options)
    assert fault.remedy == remedy


@pytest.mark.parametrize(
    ("op", "remedy"),
    [
        ("BurstIF", "--signed, or --schedule layer; more timesteps help too"),
        ("SignedBurstIF", "--schedule layer; more timesteps help too"),
        ("AccumulateFire", "--schedule layer; more timesteps help too"),
    ],
)
def test_who_takes_spikes_back_needs_no_signs(op, remedy):
    assert faults(LATE, op)[0].remedy == remedy


def test_own_faults_come_first_by_harm():
    """Ahead of what is inherited, though that is larger."""
    found = faults(
        {
            "before": [[0.25, 0.5, 1.2, 0.55]],
            "current": [[1.0, 0.5, 1.2, 0.55]],
            "sent": [[1.0, 0.25, 1.0, 0.5]],
        }
    )
    assert [fault.kind for fault in found] == ["timing", "clipping", "quantisation", "inherited"]
    added = 0.25**2 + 0.2**2 + 0.05**2
    assert [fault.harm for fault in found[:3]] == pytest.approx(
        [0.0625 / added, 0.04 / added, 0.0025 / added], rel=1e-4
    )
    assert found[3].harm == pytest.approx(0.5625 / (0.5625 + added), rel=1e-4)


def test_what_is_small_is_not_worth_a_word():
    assert faults({"before": [[1.0]] * 100, "sent": [[1.0]] * 99 + [[0.95]]}) == []  # an error of 0.5 %
    found = faults({"before": [[1.0, 0.75, 0.26]], "sent": [[0.75, 0.75, 0.25]]})  # and a share of 0.2 %
    assert [fault.kind for fault in found] == ["timing"]


def test_a_dead_channel_that_nothing_moves():
    found = faults(
        {"before": [[0.5, 1], [0.75, 0.5]], "taught": [[-1, 1], [-1, 0.5]], "sent": [[0, 1], [0, 0.5]]}
    )
    assert found[0] == Fault(
        "dead channels",
        1.0,
        "r: channel 0 does not fire, whatever the input, though the ANN's does",
        "compile again; compare its weights",
    )


def test_many_dead_channels_are_not_all_named():
    before = np.tile(np.float32([[0.5], [1]]), 6)
    found = faults({"before": before, "taught": 0 * before, "sent": 0 * before})
    assert found[0].sentence == (
        "r: 6 channels (0, 1, 2, 3, …) do not fire, whatever the input, though the ANN's do"
    )


def test_a_dead_channel_that_moves_has_other_weights():
    found = faults({"before": [[0.5], [0.75]], "taught": [[-1], [-9]], "sent": [[0], [0]]})
    assert [fault.kind for fault in found] == ["weights"]


def test_a_channel_is_dead_where_the_ann_s_is_not():
    silent = [[0.0, 0, 0, 0.25]] * 100
    before = np.zeros((100, 4), np.float32)
    before[:1, 1], before[:2, 2], before[:2, 3] = 1, 1, 1  # used in 0 %, 1 %, 2 % and 2 % of places
    assert dead_channels(tallied(before, sent=silent)) == [2]


def test_a_channel_is_saturated_where_it_often_sends_all():
    before = np.full((100, 3), 0.5, np.float32)
    before[:5, 1], before[:6, 2] = 2, 2
    assert saturated_channels(tallied(before, sent=np.minimum(before, 1))) == [2]
    few = np.zeros((100, 1), np.float32)
    few[0] = 2
    assert saturated_channels(tallied(few, sent=np.minimum(few, 1))) == [0]


def test_a_few_channels_are_named_where_they_have_most_of_the_error():
    before = np.ones((2, 16), np.float32) * [[0.25], [0.5]]
    taught = before.copy()
    taught[:, [3, 9]] += 0.25
    (fault,) = faults({"before": before, "taught": taught, "sent": taught})
    assert fault.sentence.endswith("% of error, mostly in 2 channels (9, 3))")
    taught[:, 5] += 0.125  # a ninth of it all
    fault, *_ = faults({"before": before, "taught": taught, "sent": taught})
    assert fault.sentence.endswith("% of error, mostly in 2 channels (9, 3))")
    taught[:, 5] += 0.125
    (fault,) = faults({"before": before, "taught": taught, "sent": taught})
    assert fault.sentence == "r: its bias is not the ANN's (27.4 % of error)"


def test_other_weights_are_a_fault_of_refitted_ones_only_where_they_harm():
    moved = tallied(**SHIFTED, current=SHIFTED["taught"], refitted=True)
    assert own_harms(moved)["parameters"] == pytest.approx(1)
    assert own_error(moved) == pytest.approx(math.sqrt(0.125 / 0.3125))
    repaired = {"before": [[0.5]], "taught": [[0.75]], "current": [[0.5]], "sent": [[0.5]]}
    assert own_harms(tallied(**repaired, refitted=True))["parameters"] < 0
    assert own_error(tallied(**repaired, refitted=True)) == 0
    assert own_error(tallied(**repaired)) == 0.5


# The net


COMES_IN = Fault(
    "inherited", 0.9, "r inherits 63.2 % of error from the layers before it", "see to these first"
)
NET = Diagnosis(
    50, 8, "stream", accuracy=0.91, reference_accuracy=0.934, agreement=0.96,
    output=OutputDiagnosis("y", 0.1234, 0.0, 0.0), worst=["r"], layers=[layer()],
)  # fmt: skip
NONE = "No layer adds more than 5 % of error of its own."


def test_the_first_sentence_is_how_near_the_net_is():
    assert summarise(NET) == [
        "The network gives the ANN's answer on 96.0 % of 50 samples, and the right one on 91.0 % "
        "(the ANN on 93.4 %).",
        NONE,
    ]
    unlabelled = replace(NET, accuracy=None, reference_accuracy=None)
    assert summarise(unlabelled)[0] == "The network gives the ANN's answer on 96.0 % of 50 samples."
    scoreless = replace(unlabelled, agreement=None)
    assert summarise(scoreless)[0] == "The output is off by 12.3 % (root mean square) on 50 samples."


def test_then_come_the_first_own_faults_of_the_worst_layers():
    other = Fault(
        "bias", 0.2, "q: its bias is not the ANN's (63.2 % of error)", "compile again; compare them"
    )
    layers = [
        layer("q", found=[other]),
        layer("p", found=[CLIPS]),
        layer("r", found=[COMES_IN, CLIPS, other]),
    ]
    assert summarise(replace(NET, layers=layers, worst=["r", "q"]))[1:] == [
        "r clips 33 % of its mass: raise --percentile, or use --threshold mse.",
        "q: its bias is not the ANN's (63.2 % of error): compile again; compare them.",
    ]


@pytest.mark.parametrize(
    ("one", "notable"),
    [
        (layer(own=0.05, found=[CLIPS]), True),
        (layer(own=0.049, found=[CLIPS]), False),
        (layer(own=0.049, dead=[1], found=[CLIPS]), True),
        (layer(own=0.5, found=[COMES_IN]), False),
        (layer(own=0.5), False),
    ],
)
def test_only_what_is_notable_is_said(one, notable):
    assert (summarise(replace(NET, layers=[one]))[1] != NONE) == notable


@pytest.mark.parametrize(
    ("parameters", "harm", "notable"), [(0.05, 0.25, True), (0.049, 0.9, False), (0.9, 0.249, False)]
)
def test_the_output_s_own_layer(parameters, harm, notable):
    spoken = summarise(replace(NET, output=OutputDiagnosis("y", 0.1, parameters, harm)))
    expected = (
        "y: the layer's weights or bias are not the ANN's (5.0 % of error): compile again; compare them."
    )
    assert spoken[1:] == [expected if notable else NONE]


@pytest.mark.parametrize(
    ("seen", "sentence", "remedy"),
    [
        (COARSE, "r: its smallest spike is too coarse, which makes 19.6 % of error", "more --exponents"),
        (LATE, "r: it is not yet at rest, which makes 39.2 % of error", "more timesteps (-T)"),
        (CLIPPED, "r clips 33 % of its mass", "more timesteps (-T); or calibrate on samples like these"),
        (WEIGHTED, "r: its weights or bias are not the ANN's (63.2 % of error, mostly in channel 0)",
         "compile again; compare them"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("op", ["GradedIF", "GradedFire2"])
def test_graded_neurons_have_words_and_remedies_of_their_own(op, seen, sentence, remedy):
    (fault,) = faults(seen, op, threshold="max", code="graded")
    assert (fault.sentence, fault.remedy) == (sentence, remedy)


def test_where_other_weights_made_it_worse_all_shares_are_of_all_the_error():
    """Else what little the layer adds by itself would come before them."""
    seen = WEIGHTED | {"current": WEIGHTED["taught"], "sent": [[0.5], [0.0]]}
    assert [fault.kind for fault in faults(seen, refitted=True)] == ["weights", "timing"]
    tally = tallied(**seen, refitted=True)
    assert own_harms(tally)["timing"] == pytest.approx(tally.harm("timing")) == pytest.approx(0.6)
    assert tally.harm("timing", "added") == 1
