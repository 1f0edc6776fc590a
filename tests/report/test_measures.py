"""What a task is measured by, on a page and in a table."""

from __future__ import annotations

from dataclasses import replace

from onnx2snn.report.accuracy import accuracy_section
from onnx2snn.report.measures import measure_columns, measure_named, measure_table, reached
from onnx2snn.report.summary import summary, tiles
from tests.report.drawn import letters, plain
from tests.report.subjects import evaluated

NOTHING = [None] * 3
RESTORED = {
    "task": "restore",
    "accuracy": NOTHING,
    "agreement": NOTHING,
    "reference_accuracy": None,
    "measures": {"psnr": [10.0, 20, 30], "ssim": [0.1, 0.2, 0.3]},
    "agreement_measures": {"psnr": [11.0, 22, 33], "ssim": [0.4, 0.5, 0.6]},
    "reference_measures": {"psnr": 31.0, "ssim": 0.4},
}


def subject(**figures):
    found = evaluated()
    return replace(found, figures=replace(found.figures, **{**RESTORED, **figures}))


def test_against_labels_all_and_against_the_ann_one():
    titles = [title for title, _ in measure_columns(subject().figures)]
    assert titles == ["PSNR", "SSIM", "PSNR, ANN as truth", "error of the output"]
    columns = dict(measure_columns(subject(measures={}).figures))
    assert columns["SSIM, ANN as truth"] == ["0.4", "0.5", "0.6"]


def test_a_table_of_them():
    made = measure_table(subject().figures)
    assert made is not None
    assert [column.header for column in made.columns][:2] == ["timesteps", "PSNR"]
    assert list(made.columns[1].cells) == ["10.00 dB", "20.00 dB", "30.00 dB"]
    scores = {"measures": {"top1": [1.0]}, "agreement_measures": {"top1": [1.0]}}
    assert measure_table(subject(task="classify", **scores).figures) is None


def test_of_class_scores_the_first_is_the_accuracy():
    scores = {
        "task": "classify",
        "measures": {"top1": [0.5], "top5": [0.9]},
        "agreement_measures": {"top1": [1]},
    }
    assert measure_columns(subject(**scores).figures) == [("top-5", ["90.0 %"])]
    assert reached("classify", {"top1": 0.5, "top5": 0.9}) == "50.0 %"
    assert measure_named("detect", "map50").name == "mAP@0.5"


def test_a_page_of_images():
    made = accuracy_section(subject())
    assert made.lead == ["The task is taken for restore; its figures are those against the labels."]
    first = made.plots[0]
    assert first.title == "PSNR against T"
    assert plain(first.description) == (
        "against labels: 10.00 dB at T = 1, 20.00 dB at T = 2, 30.00 dB at T = 4; "
        "ANN as truth: 11.00 dB at T = 1, 22.00 dB at T = 2, 33.00 dB at T = 4."
    )
    assert {"PSNR, dB", "the ANN's", "ANN as truth"} <= set(letters(first))
    assert {"PSNR", "SSIM"} <= set(made.tables[0].columns)
    said = plain(" ".join(summary(subject())))
    assert "reaches PSNR 30.00 dB, SSIM 0.3 on 1,234 samples; the ANN: PSNR 31.00 dB, SSIM 0.4." in said
    assert "With the ANN's output as the truth: PSNR 33.00 dB, SSIM 0.6." in said
    first = tiles(subject())[0]
    assert (first.value, first.note) == ("30.00 dB", "ANN 31.00 dB")


def test_what_is_not_defined_is_not_drawn():
    nothing = subject(agreement_measures={"psnr": NOTHING, "ssim": NOTHING}, measures={})
    assert [plot.key for plot in accuracy_section(nothing).plots] == ["against-time", "against-energy"]
