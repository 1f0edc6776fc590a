"""Twenty images with objects, crowds, and boxes that are near them, doubled, wrong or elsewhere; seeded.

Scores and corners are coarse, so that there are ties.

    pip install pycocotools==2.0.11
    python -m tests.tasks.coco_case
"""

from __future__ import annotations

import contextlib
import io
import sys

import numpy as np

from onnx2snn.data.targets import Objects
from onnx2snn.tasks.average_precision import Detections

_CLASSES = 3


def cases() -> list[tuple[Detections, Objects]]:
    rng = np.random.default_rng(18)
    return [_image(rng) for _ in range(20)]


def _image(rng: np.random.Generator) -> tuple[Detections, Objects]:
    count = rng.integers(0, 6)
    corners, sizes = rng.integers(0, 60, (count, 2)), rng.integers(8, 40, (count, 2))
    boxes = np.concatenate([corners, corners + sizes], axis=1).astype(np.float64)
    classes, crowd = rng.integers(0, _CLASSES, count), rng.random(count) < 0.15
    found = []
    for box, number in zip(boxes, classes, strict=True):
        for _ in range(rng.integers(0, 4)):
            wrong = rng.random() < 0.1
            said = rng.integers(0, _CLASSES) if wrong else number
            found.append([*(box + rng.integers(-3, 4, 4)), rng.integers(1, 11) / 10, said])
    for _ in range(rng.integers(0, 3)):
        corner = rng.integers(0, 60, 2)
        elsewhere = [*corner, *(corner + rng.integers(5, 40, 2))]
        found.append([*elsewhere, rng.integers(1, 11) / 10, rng.integers(0, _CLASSES)])
    rows = np.array(found, np.float64).reshape(-1, 6)
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64)), Objects(boxes, classes, crowd)


def coco_form() -> tuple[dict[str, list[dict]], list[dict]]:
    """The same as COCO's files have it: truth, and what is found."""
    truth = {"images": [], "annotations": [], "categories": [{"id": 1 + k} for k in range(_CLASSES)]}
    found = []
    for number, (detections, objects) in enumerate(cases(), 1):
        truth["images"].append({"id": number})
        for box, kind, crowd in zip(objects.boxes, objects.classes, objects.crowd, strict=True):
            size = box[2:] - box[:2]
            annotation = {"image_id": number, "category_id": int(kind) + 1, "bbox": [*box[:2], *size]}
            annotation |= {"id": len(truth["annotations"]) + 1, "iscrowd": int(crowd), "area": size.prod()}
            truth["annotations"].append(annotation)
        for box, score, kind in zip(detections.boxes, detections.scores, detections.classes, strict=True):
            one = {"image_id": number, "category_id": int(kind) + 1, "score": score}
            found.append(one | {"bbox": [*box[:2], *(box[2:] - box[:2])]})
    return truth, found


def main() -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, found = coco_form()
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = truth
        known.createIndex()
        judged = COCOeval(known, known.loadRes(found), "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    by_class = judged.eval["precision"][:, :, :, 0, 2].mean(axis=(0, 1))
    sys.stdout.write(f"{judged.stats[:2].tolist()} {by_class.tolist()}\n")


if __name__ == "__main__":
    main()
