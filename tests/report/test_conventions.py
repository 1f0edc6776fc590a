"""The section of energy: every model with each of its conventions, at the last number of timesteps."""

from __future__ import annotations

from dataclasses import replace

from onnx2snn.analysis.energy import Activity, builtin_models, estimate_energy
from onnx2snn.report.conventions import conventions_section
from onnx2snn.runtime.results import Work
from tests.report.drawn import cells
from tests.report.subjects import charged, evaluated


def test_every_model_with_each_convention_the_chosen_one_first():
    table, _ = conventions_section(evaluated()).tables
    assert table.caption == "Energy a sample at T = 4"
    names = list(builtin_models())
    assert names[0] == "45nm-float32"
    assert [row[0] for row in table.rows] == [name for name in names for _ in range(4)]
    assert cells(table.rows[:2]) == [
        [
            "45nm-float32",
            "Each spike of a burst counts; layers before the first neuron are charged once, as MACs",
            *("19.8 µJ", "184 µJ", "0.11"),
        ],
        [
            "45nm-float32",
            "Each spike of a burst counts; layers before the first neuron are charged at every timestep, "
            "as MACs",
            *("25.4 µJ", "184 µJ", "0.14"),
        ],
    ]


def test_each_row_has_the_figures_of_its_own_convention():
    subject = evaluated()
    energy = charged([4], [20_000_000.0])
    usual, cheap = energy.conventions[0], energy.conventions[2]
    less = replace(cheap, snn_joules_per_sample=[1e-6], ratio=[0.25])
    energy = replace(energy, conventions=[usual, less], models={})
    figures = replace(subject.figures, timesteps=[4], energy=energy)
    table, _ = conventions_section(replace(subject, figures=figures)).tables
    assert [row[2:] for row in cells(table.rows)] == [
        ["19.8 µJ", "184 µJ", "0.11"],
        ["1 µJ", "184 µJ", "0.25"],
    ]


def test_prices_of_every_model():
    _, table = conventions_section(evaluated()).tables
    assert table.columns[3:] == ("MAC", "MAC on analog input", "synaptic operation", "neuron update")
    assert [row[3:] for row in cells(table.rows)] == [
        ["4.6 pJ", "4.6 pJ", "0.9 pJ", "0 fJ"],
        ["0.3 pJ", "0.3 pJ", "0.1 pJ", "0 fJ"],
        ["12.5 pJ", "12.5 pJ", "77 fJ", "0 fJ"],
    ]


def test_an_ann_that_multiplies_nothing_has_no_ratio():
    subject = evaluated()
    energy = subject.figures.energy
    first = replace(energy.conventions[0], ratio=[None, None, None])
    energy = replace(energy, conventions=[first], models={})
    figures = replace(subject.figures, energy=energy)
    table, _ = conventions_section(replace(subject, figures=figures)).tables
    assert [row[-1] for row in table.rows] == [""]


def test_graded_spikes_are_one_row_for_both_and_bits_are_told():
    subject = evaluated()
    activity = Activity([4], [2e7], [2e7], [1234567.0], "4 bits a spike: of 7 sizes", graded=True)
    work = Work(40_000_000, 400_000, 0, 0, 640, {})
    figures = replace(subject.figures, timesteps=[4], energy=estimate_energy(work, activity))
    section = conventions_section(replace(subject, figures=figures))
    table, _ = section.tables
    assert len(table.rows) == 2 * len(builtin_models())
    assert table.rows[0][1].startswith("Each spike is one event, whatever its size")
    assert section.lead[1].replace("\u00a0", " ") == (
        "Neurons send 1,234,567 bits a sample: 4 bits a spike: of 7 sizes."
    )
    assert len(conventions_section(subject).lead) == 1
