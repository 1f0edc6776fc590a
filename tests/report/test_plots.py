"""Pictures of a sweep: what can be drawn is known before any work; the same figures give the same file."""

from __future__ import annotations

from dataclasses import replace

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from onnx2snn.errors import OptionError
from onnx2snn.report import plots as module
from onnx2snn.report.plots import (
    SUFFIXES,
    check_extra,
    check_plot,
    draw_sweep,
    draw_sweep_over_time,
    plot_sweep,
)
from tests.report.subjects import swept


def axes_of(draw, **changes):
    axes = Figure().add_subplot()
    draw(axes, replace(swept().figures, **changes))
    return axes


def labels(axes):
    return axes.get_legend_handles_labels()[1]


@pytest.mark.parametrize("path", ["x.txt", "x", "svg"])
def test_a_file_of_another_kind_is_refused(path):
    with pytest.raises(OptionError) as refused:
        check_plot(path)
    assert str(refused.value) == (
        f"--plot: expected a file name in .png, .svg, .pdf, found '{path}'; rename it"
    )


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".PNG"])
def test_the_kinds_of_files(suffix, tmp_path):
    check_plot(f"x{suffix}")
    plot_sweep(swept().figures, tmp_path / f"x{suffix}")
    beginning = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix.lower()]
    assert (tmp_path / f"x{suffix}").read_bytes().startswith(beginning)


def test_packages_that_are_missing_are_all_named(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None if name != "jinja2" else name)
    with pytest.raises(OptionError) as refused:
        check_extra("--report", ("matplotlib", "jinja2", "other"))
    assert str(refused.value) == (
        "--report: expected matplotlib and other, found none; pip install 'onnx2snn[report]'"
    )
    check_extra("--report", ("jinja2",))
    with pytest.raises(OptionError, match=r"^--plot: expected matplotlib, found none"):
        check_plot("x.svg")


@pytest.mark.parametrize("suffix", [".svg", ".pdf"])
def test_the_same_figures_give_the_same_file(suffix, tmp_path):
    for name in ("a", "b"):
        plot_sweep(swept().figures, tmp_path / f"{name}{suffix}")
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_kinds_have_marks_of_their_own_and_compressed_ones_are_hollow():
    axes = axes_of(draw_sweep)
    assert labels(axes) == [
        *("stream", "signed", "signed, compressed", "radix", "best for its energy"),
        *("knee: stream, T = 4 (86.0 %, 40 µJ)", "ANN"),
    ]
    filled = {drawn.get_label(): len(drawn.get_facecolor()) for drawn in axes.collections}
    assert filled["signed"] == 1
    assert filled["signed, compressed"] == 0
    places = {drawn.get_label(): drawn.get_offsets().tolist() for drawn in axes.collections}
    assert places["signed, compressed"] == [pytest.approx([50, 88])]
    assert places["stream"] == [pytest.approx([10, 80]), pytest.approx([40, 86])]


def test_the_frontier_leaves_out_what_is_not_best():
    frontier, ann = axes_of(draw_sweep).lines
    assert frontier.get_xdata().tolist() == pytest.approx([10, 30, 40, 50, 60])
    assert frontier.get_ydata().tolist() == pytest.approx([80, 84, 86, 88, 90])
    assert list(ann.get_ydata()) == pytest.approx([92, 92])


@pytest.mark.parametrize("changes", [{"measure": "agreement"}, {"reference_accuracy": None}])
def test_the_ann_has_a_line_where_it_has_an_accuracy(changes):
    assert "ANN" not in labels(axes_of(draw_sweep, **changes))


def test_axes_say_what_is_measured():
    for draw in (draw_sweep, draw_sweep_over_time):
        assert axes_of(draw).get_ylabel() == "accuracy, %"
        assert axes_of(draw, measure="agreement").get_ylabel() == "same answer as the ANN, %"


def test_over_time_each_kind_has_its_best():
    points = swept().figures.points
    weaker = replace(points[0], accuracy=0.1)
    axes = axes_of(draw_sweep_over_time, points=[weaker, *points, weaker])
    assert {line.get_label(): line.get_ydata() for line in axes.lines} == {
        "stream": pytest.approx([80, 86]),
        "signed": pytest.approx([82, 88]),
        "radix": pytest.approx([84, 90]),
    }
    assert [list(line.get_xdata()) for line in axes.lines] == [[2, 4]] * 3
    assert [text.get_text() for text in axes.get_xticklabels()] == ["2", "4"]


def test_series_are_told_apart_in_any_colour():
    """No two lines share a mark."""
    axes = axes_of(draw_sweep_over_time)
    assert len({line.get_marker() for line in axes.lines}) == 3
    assert len({to_hex(line.get_color()) for line in axes.lines}) == 3
