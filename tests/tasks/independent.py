"""Prints the figures of the fitted nets by other people's libraries, to be written down in `test_<task>.py`.

pip install scikit-learn==1.9.1 scikit-image==0.26.0 pycocotools==2.0.11
python -m tests.tasks.independent
"""

from __future__ import annotations

import contextlib
import io
import sys

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from sklearn import metrics

from tests.tasks.fitted import TASKS, example


def classify(y, t):
    classes = np.arange(y.shape[1])
    five = metrics.top_k_accuracy_score(t, y, k=5, labels=classes)
    return {"top1": metrics.accuracy_score(t, y.argmax(axis=1)), "top5": five}


def multilabel(y, t):
    return {f"f1_{kind}": metrics.f1_score(t, y > 0, average=kind) for kind in ("micro", "macro")}


def regress(y, t):
    largest = max(metrics.max_error(a, b) for a, b in zip(t.T, y.T, strict=True))
    rmse = np.sqrt(metrics.mean_squared_error(t, y))
    return {"rmse": rmse, "r2": metrics.r2_score(t, y), "largest_error": largest}


def control(y, t):
    worst = max(metrics.max_error(a, b) for a, b in zip(t.T, y.T, strict=True))
    return {"mean_difference": metrics.mean_absolute_error(t, y), "worst_difference": worst}


def restore(y, t):
    width = t.max() - t.min()
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": width}
    alike = [structural_similarity(a, b, channel_axis=0, **options) for a, b in zip(t, y, strict=True)]
    return {"psnr": peak_signal_noise_ratio(t, y, data_range=width), "ssim": np.mean(alike)}


def segment(y, t):
    said, wanted = y.argmax(axis=1).ravel(), t.ravel().astype(int)
    said, wanted = said[wanted != 255], wanted[wanted != 255]
    miou = metrics.jaccard_score(wanted, said, average="macro")
    return {"miou": miou, "pixel_accuracy": metrics.accuracy_score(wanted, said)}


def detect(y, t):
    """One box an image is given, and at most one is there."""
    truth = {"images": [], "annotations": [], "categories": [{"id": 1}, {"id": 2}]}
    found = []
    for number, (rows, objects) in enumerate(zip(y, t, strict=True), 1):
        truth["images"].append({"id": number})
        for box, kind, crowd in zip(objects.boxes, objects.classes, objects.crowd, strict=True):
            width, height = box[2:] - box[:2]
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": number,
                    "category_id": int(kind) + 1,
                    "bbox": [*box[:2], width, height],
                    "area": width * height,
                    "iscrowd": int(crowd),
                }
            )
        for x1, y1, x2, y2, score, kind in rows:
            box = [x1, y1, x2 - x1, y2 - y1]
            if min(box[2:]) >= 0:
                one = {"image_id": number, "category_id": int(np.rint(kind)) + 1, "bbox": box, "score": score}
                found.append(one)
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = truth
        known.createIndex()
        judged = COCOeval(known, known.loadRes(found), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    return {"map": judged.stats[0], "map50": judged.stats[1]}


def main() -> None:
    for task in TASKS:
        one = example(task)
        network = one.session().run(one.samples).outputs["y"]
        ann = one.reference().run_all({"x": one.samples})["y"]
        sides = {"network": network, "ANN": ann}
        for side, outputs in sides.items():
            labels = one.labels
            if isinstance(labels, np.ndarray) and labels.dtype.kind == "f":
                labels = labels.astype(np.float64)
            figures = globals()[task](outputs.astype(np.float64), labels)
            figures = {key: float(value) for key, value in figures.items()}
            sys.stdout.write(f"{task}, {side}: {figures}\n")


if __name__ == "__main__":
    main()
