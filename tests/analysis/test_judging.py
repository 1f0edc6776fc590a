"""Who judges a network, by which labels, in which range."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
import pytest

import onnx2snn
from onnx2snn.analysis.evaluation import evaluate, open_reference
from onnx2snn.analysis.judging import Measured, open_judge
from onnx2snn.data.preprocessing import Preprocessing
from onnx2snn.data.readers import dataset_from_arrays
from onnx2snn.errors import DataError, OptionError
from onnx2snn.tasks.asked import Asked
from tests.helpers import parse
from tests.tasks.fitted import example

IMAGES = np.arange(2 * 12 * 12).reshape(2, 1, 12, 12) % 200


def net(shape="N,1,12,12", body="y = Relu(x)"):
    return parse(f"(float[{shape}] x) => (float[{shape}] y) {{ {body} }}")


def compiled(model, x):
    return onnx2snn.SpikingSession(onnx2snn.compile(model, x, timesteps=4).model)


def judge(labels=None, preprocessing=Preprocessing(), **asked):  # noqa: B008 - it is frozen
    x = (IMAGES / 200).astype(np.float32)
    session = compiled(net(), x)
    data = dataset_from_arrays(x, session.inputs, preprocessing, labels=labels)
    return open_judge(Asked(**asked), session.artifact, data, {"x": x}, session.run(x).outputs)


def test_integer_images_among_labels_go_through_the_preprocessing():
    found = judge(IMAGES.astype(np.uint8), Preprocessing(scale=1 / 199))
    assert found.task.name == "restore"
    assert found.labels(0, 1).max() == pytest.approx(143 / 199)
    assert found.setting.data_range == pytest.approx(1)
    assert judge(IMAGES.astype(np.float32)).setting.data_range == 199
    assert judge(IMAGES.astype(np.float32), data_range=255.0).setting.data_range == 255


def test_without_labels_the_ann_has_the_range(tmp_path):
    x = (IMAGES / 200).astype(np.float32)
    model = net()
    session = compiled(model, x)
    onnx.save(model, tmp_path / "ann.onnx")
    data = dataset_from_arrays(x, session.inputs)
    found = [
        evaluate(
            session, data, [4], open_reference(tmp_path / "ann.onnx", session), batch_size=size, asked=asked
        )
        for size, asked in ((1, None), (2, None), (2, Asked(data_range=x.max())))
    ]
    assert found[0].task == "restore"
    for one in found[1:]:
        for key, values in one.agreement_measures.items():
            assert values == pytest.approx(found[0].agreement_measures[key])


def test_probabilities_are_told_by_the_operator():
    x = np.eye(2, dtype=np.float32)
    for body, expected in (("r = Relu(x) y = Sigmoid(r)", True), ("r = Relu(x) y = Add(r, r)", False)):
        session = compiled(net("N,2", body), x)
        data = dataset_from_arrays(x, session.inputs, labels=np.eye(2, dtype=int))
        found = open_judge(Asked(), session.artifact, data, {"x": x}, session.run(x).outputs)
        assert (found.task.name, found.setting.probabilities) == ("multilabel", expected)


def test_labels_of_another_task_are_one_line():
    one = example("detect")
    session = one.session()
    with pytest.raises(
        DataError, match=r"labels: expected class numbers \[N\] for the task classify and output 'y'"
    ):
        evaluate(session, one.dataset(), [2], asked=Asked("classify", decode=lambda o: o["y"][:, 0]))
    one = replace(one, labels=np.zeros((100, 5), np.float32))
    with pytest.raises(DataError, match=r"found float32 of shape \[100, 5\], which are of another"):
        evaluate(session, one.dataset(), [2])


def test_a_function_gives_boxes():
    one = example("detect")
    session = one.session()
    plain = evaluate(session, one.dataset(), [2])

    def boxes(outputs):
        return [(row[:, :4], row[:, 4], row[:, 5]) for row in outputs["y"]]

    found = evaluate(session, one.dataset(), [2], asked=Asked(decode=boxes))
    assert found.measures == plain.measures
    with pytest.raises(OptionError, match="--decode: expected --task beside it, found none"):
        evaluate(session, one.dataset(labelled=False), [2], asked=Asked(decode=boxes))


def test_a_function_gives_numbers():
    one = example("detect")
    data = replace(
        one, labels=np.stack([np.r_[o.boxes.ravel(), 0, 0, 0, 0][:4] for o in one.labels])
    ).dataset()
    asked = Asked("regress", decode=lambda outputs: outputs["y"][:, 0, :4])
    found = evaluate(one.session(), data, [2], asked=asked)
    assert len(found.by_output["rmse_by_output"]) == 4


def test_rows_that_are_no_samples():
    x = np.ones((4, 2), np.float32)
    model = parse("(float[4,2] x) => (float[8] y) { r = Relu(x) y = Reshape(r, s) }", s=np.int64([8]))
    session = compiled(model, x)
    data = dataset_from_arrays(x, session.inputs)
    assert evaluate(session, data, [1]).task == ""
    with pytest.raises(
        OptionError, match="--task regress: expected one row a sample in output 'y', found shape"
    ):
        evaluate(session, data, [1], asked=Asked("regress"))


def test_nobody_judges_nothing():
    measured = Measured(None, 2)
    measured.add([{}, {}], None, 3)
    assert (measured.task, measured.right, measured.agreeing, measured.reference) == ("", {}, {}, {})
    assert measured.by_output == {}
