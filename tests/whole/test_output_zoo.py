"""Every net of the zoo goes through everything: it works, with figures checked, or is refused in one line."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

import onnx2snn
from onnx2snn.analysis.diagnosis import PreparedReference, diagnose
from onnx2snn.analysis.evaluation import evaluate, open_reference
from onnx2snn.cli import main
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.errors import OptionError
from onnx2snn.web.samples import observe
from tests import outputs_zoo as zoo
from tests.helpers import run

DATA = zoo.samples()
CODES = {
    "graded": {"timesteps": 3},
    "graded layer": {"timesteps": 2, "schedule": "layer"},
    "burst": {"code": "burst", "timesteps": 4},
    "radix int8": {"code": "radix", "schedule": "layer", "timesteps": 4, "weights": "int8"},
}
#: What searches; few samples, so few that they are quick.
SEARCHES = {
    "sizes": {"exponents": "auto", "timesteps": 2, "max_search_samples": 8},
    "compression": {"code": "burst", "timesteps": 2, "compress": "spikes", "max_loss": 5.0},
    "bits": {"code": "radix", "schedule": "layer", "timesteps": 3, "levels": "auto"},
    "options": {"max_loss": 20.0},
}
#: Nets that go through what takes long.
FEW = ("scores and their class", "time-major", "batch of 4, mean")
SEARCHED = (
    *(("compression", name) for name in ("two scores", "scores and a map", "mask", "batch of 4, mean")),
    *(("options", name) for name in ("two scores", "class alone", "time-major", "batch of 1")),
    ("sizes", "scores and a loss"),
    ("bits", "two scores"),
    ("bits", "batch of 4"),
)
GRID = ("--kinds", "graded", "--timesteps", "2,3", "--exponents", "5")
#: Which outputs an early exit can go by; of the others what is said.
EXITS = {
    "class alone": r"found int64 of shape \[N\]",
    "mask": r"found bool of shape \[N, 4\]",
    "scores and a loss": "expected one row a sample in output 'l'",
    "mean of the batch": "expected one row a sample in output 'mean'",
    "time-major": r"expected one row a sample in output 't', found shape \[2, 4, 2\] for 4",
    "detections": "expected one row a sample in output 'd'",
    "stacked heads": "expected one row a sample in output 'd'",
    "batch of 2, time-major": r"expected one row a sample in output 't', found shape \[2, 2, 2\] for 2",
    "batch of 4, mean": "expected one row a sample in output 'mean'",
}


def batches(name, size=4):
    """The samples in the batches that a net takes, the last one filled up, and how many count."""
    size = size if zoo.ZOO[name].batch == "N" else zoo.ZOO[name].batch
    for start in range(0, len(DATA["images"]), size):
        part = DATA["images"][start : start + size]
        count = len(part)
        if zoo.ZOO[name].batch != "N":
            part = part[np.minimum(np.arange(size), count - 1)]
        yield part, count


def errors_by_hand(name, session):
    """Error of each output over the samples, from outputs of network and ANN alone."""
    model, missed, size = zoo.model(name), {}, {}
    names = [output.name for output in model.graph.output]
    for part, count in batches(name):
        theirs = dict(zip(names, run(model, {"x": part}), strict=True))
        for output, mine in session.run(part).outputs.items():
            found, expected = np.asarray(mine), np.asarray(theirs[output])
            if count < len(part) and output != "mean":
                axis = 1 if output == "t" else 0
                found, expected = (values.take(np.arange(count), axis) for values in (found, expected))
            if expected.dtype.kind in "ib":
                gap, norm = (found != expected).sum(), expected.size
            else:
                gap, norm = ((found - expected.astype(float)) ** 2).sum(), (expected.astype(float) ** 2).sum()
            missed[output], size[output] = missed.get(output, 0) + gap, size.get(output, 0) + norm
    whole = {output.name: output.type.tensor_type.elem_type != 1 for output in model.graph.output}
    return {n: missed[n] / size[n] if whole[n] else np.sqrt(missed[n] / size[n]) for n in names}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("zoo")
    for name in zoo.ZOO:
        onnx.save(zoo.model(name), place / f"{name}.onnx")
    np.savez(place / "data.npz", **DATA)
    np.savez(place / "unlabelled.npz", images=DATA["images"])
    return place


@pytest.mark.parametrize(
    ("code", "name"),
    [("graded", name) for name in zoo.ZOO] + [(code, name) for code in CODES for name in FEW],
)
def test_evaluation_tells_the_error_of_every_output(name, code, folder):
    path = folder / f"{name}.onnx"
    session = onnx2snn.SpikingSession(onnx2snn.compile(path, DATA["images"], **CODES[code]).model)
    reference = open_reference(path, session)
    answer = session.artifact.outputs[0]
    answers = answer in ("y", "r", "v", "k")
    # The highest scores of each sample have no classes of their own, nor have other outputs.
    labels = DATA["labels"] if answers and name != "best two" else None
    dataset = dataset_from_arrays(DATA["images"], session.inputs, labels=labels)
    if not answers:
        labelled = dataset_from_arrays(DATA["images"], session.inputs, labels=DATA["labels"])
        with pytest.raises(onnx2snn.Onnx2SnnError, match=r"expected (one row a sample|those of a task)"):
            evaluate(session, labelled, [session.timesteps], reference, batch_size=4)
    figures = evaluate(session, dataset, [session.timesteps], reference, batch_size=4)
    expected = errors_by_hand(name, session)
    if figures.outputs is not None:
        assert figures.outputs.errors == pytest.approx(expected, rel=1e-4, abs=1e-9)
        joint = np.sqrt(np.mean(np.square(list(expected.values()))))
        assert figures.outputs.joint == pytest.approx(joint, rel=1e-4, abs=1e-9)
    else:
        assert figures.output_error[0] == pytest.approx(expected[answer], rel=1e-4)
    if answer in ("k", "m", "i"):
        assert figures.output_error == [None]
    assert (figures.agreement[0] is not None) == answers
    assert (figures.accuracy[0] is not None) == (answers and labels is not None)


def test_a_class_is_compared_with_labels_as_scores_are(folder):
    rates = []
    for name in ("class alone", "scores and a map"):
        path = folder / f"{name}.onnx"
        session = onnx2snn.SpikingSession(onnx2snn.compile(path, DATA["images"], timesteps=3).model)
        dataset = dataset_from_arrays(DATA["images"], session.inputs, labels=DATA["labels"])
        figures = evaluate(session, dataset, [1, 3], open_reference(path, session))
        rates.append((figures.accuracy, figures.agreement, figures.reference_accuracy))
    assert rates[0] == rates[1]


@pytest.mark.parametrize(("search", "name"), SEARCHED)
def test_searches_take_it(name, search):
    compiled = onnx2snn.compile(zoo.model(name), DATA["images"], **SEARCHES[search])
    measured = {
        "compression": lambda: compiled.report.adaptation.measure,
        "options": lambda: compiled.report.search.measure,
    }
    if search in measured:
        one = name in ("scores and a map", "class alone", "batch of 4, mean")
        assert measured[search]() == ("agreement" if one else "error")
    session = onnx2snn.SpikingSession(compiled.model)
    part, _ = next(batches(name))
    mine, theirs = session.run(part).outputs, run(zoo.model(name), {"x": part})
    assert {n: v.shape for n, v in mine.items()} == {
        output.name: values.shape for output, values in zip(zoo.model(name).graph.output, theirs, strict=True)
    }


@pytest.mark.parametrize("name", zoo.ZOO)
def test_an_early_exit_gives_all_outputs_as_they_were(name):
    session = onnx2snn.SpikingSession(onnx2snn.compile(zoo.model(name), DATA["images"], timesteps=4).model)
    part, _ = next(batches(name))
    if name in EXITS:
        with pytest.raises(OptionError, match=EXITS[name]) as caught:
            session.run(part, early_exit="confidence:0.6")
        assert "\n" not in str(caught.value)
        return
    found = session.run(part, early_exit="confidence:0.6")
    steps = list(session.outputs_by_step(part))
    for output, values in found.outputs.items():
        expected = [steps[used - 1][output][row] for row, used in enumerate(found.timesteps_used)]
        np.testing.assert_allclose(values, np.stack(expected), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("name", "answer"), [("two scores", "z"), ("two scores", "y"), ("batch of 4", None)])
def test_the_file_stops_by_the_output_that_answers(name, answer):
    options = {"timesteps": 4, "answer": answer}
    plain = onnx2snn.SpikingSession(onnx2snn.compile(zoo.model(name), DATA["images"], **options).model)
    compiled = onnx2snn.compile(zoo.model(name), DATA["images"], early_exit="confidence:0.5", **options)
    judged = plain.artifact.outputs[0]
    assert compiled.report.early_exit.output == judged
    for part, _ in batches(name):
        names = [output.name for output in compiled.model.graph.output]
        found = dict(zip(names, run(compiled.model, {"x": part}), strict=True))
        decided, steps = np.zeros(len(part), bool), list(plain.outputs_by_step(part))
        for used, step in enumerate(steps, 1):
            decided |= compiled.report.early_exit.decided(step[judged], used)
            if decided.all():
                break
        assert found["timesteps_used"] == used
        for output, values in steps[used - 1].items():
            np.testing.assert_allclose(found[output], values, rtol=1e-4, atol=1e-5)


def test_thresholds_of_another_output_are_refused():
    x = DATA["images"]
    model = onnx2snn.compile(
        zoo.model("two scores"), x, timesteps=4, answer="z", early_exit="auto", max_loss=5.0
    ).model
    assert onnx2snn.SpikingSession(model).run(x, early_exit="auto").outputs["y"].shape == (22, 4)
    with pytest.raises(OptionError, match="expected --answer z, whose thresholds the file has, found 'y'"):
        onnx2snn.SpikingSession(model, answer="y").run(x, early_exit="auto")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mean of the batch", "expected one row a sample in output 'mean'"),
        ("detections", "expected one row a sample in output 'd'"),
        ("time-major", "expected class scores"),
        ("mask", "expected class scores"),
    ],
)
@pytest.mark.parametrize("rule", ["auto", "confidence:0.5"])
def test_a_file_stops_by_no_rows_that_are_no_samples(name, message, rule):
    with pytest.raises(OptionError, match=message):
        onnx2snn.compile(zoo.model(name), DATA["images"], timesteps=2, early_exit=rule)


@pytest.mark.parametrize("name", zoo.ZOO)
def test_diagnosis_judges_layers_by_all_outputs(name, folder):
    path = folder / f"{name}.onnx"
    session = onnx2snn.SpikingSession(onnx2snn.compile(path, DATA["images"], timesteps=3).model)
    dataset = dataset_from_arrays(DATA["images"], session.inputs)
    figures = diagnose(session, PreparedReference(path, session), dataset, batch_size=4)
    expected = errors_by_hand(name, session)
    joint = np.sqrt(np.mean(np.square(list(expected.values()))))
    assert figures.output.error == pytest.approx(expected[session.artifact.outputs[0]], rel=1e-4, abs=1e-9)
    several = len(expected) > 1 or session.artifact.outputs[0] not in ("y", "v", "k")
    for layer in figures.layers:
        assert (layer.outputs_if_exact is not None) == several
    if len(expected) > 1:
        assert figures.outputs.joint == pytest.approx(joint, rel=1e-4)
        assert f"jointly are off by {100 * joint:.1f} %" in figures.verdict[0]
    # The last layer alone exact leaves what the first one does, and the other way round.
    if several:
        alone = [layer.outputs_if_only_spiking for layer in figures.layers]
        assert all(0 <= error <= 3 * joint + 0.2 for error in alone)


@pytest.mark.parametrize("name", ["hidden layers", "batch of 4, mean"])
def test_commands_take_it(name, folder, tmp_path):
    snn, data, model = tmp_path / "net.snn.onnx", folder / "data.npz", folder / f"{name}.onnx"
    chosen = ["--answer", "y"] if name == "hidden layers" else []  # the labels are classes of that

    def pages(page):
        return ["--report", tmp_path / page] if name == "batch of 4, mean" else []

    for line in (
        ["compile", model, "--calib", data, "-T", "3", "-o", snn, *chosen],
        ["evaluate", snn, "--data", data, "--reference", model, *pages("e.html")],
        ["diagnose", snn, "--data", data, "--reference", model, *pages("d.html")],
        ["sweep", model, "--calib", data, "--data", data, "--cache", tmp_path / "cache", *chosen, *GRID],
        ["inspect", snn],
    ):
        result = CliRunner().invoke(main, [str(word) for word in line])
        assert result.exit_code == 0, result.output
    result = CliRunner().invoke(main, ["run", str(snn), "--input", str(data), "-o", str(tmp_path / "o.npz")])
    if "batch of" in name:  # two samples fill the last batch up, and count in its mean
        assert result.exit_code == 2
        assert "expected 4 samples, one batch, where output 'mean'" in result.stderr
        return
    assert result.exit_code == 0, result.output
    saved, expected = np.load(tmp_path / "o.npz"), onnx2snn.SpikingSession(snn).run(DATA["images"]).outputs
    for output, values in expected.items():
        np.testing.assert_allclose(saved[output], values, rtol=1e-4, atol=1e-5)


def test_a_page_shows_no_part_of_what_is_no_row_of_a_sample():
    x = DATA["images"]
    session = onnx2snn.SpikingSession(
        onnx2snn.compile(zoo.model("batch of 4, mean"), x, timesteps=2).model, answer="mean"
    )
    with pytest.raises(OptionError, match=r"page: expected one row a sample in output 'mean', found shape"):
        observe(session, dataset_from_arrays(x[:3], session.inputs))
    session = onnx2snn.SpikingSession(onnx2snn.compile(zoo.model("class alone"), x, timesteps=2).model)
    assert observe(session, dataset_from_arrays(x[:3], session.inputs)).classes == 0
