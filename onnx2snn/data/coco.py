"""Boxes in COCO's form: `images`, `annotations` and `categories` in a `.json`.

A class number is the place of its category among all, in the order of their ids, since ids leave numbers out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from onnx2snn.data.targets import Objects
from onnx2snn.errors import DataError, one_line
from onnx2snn.files import check_regular

_REMEDY = "write COCO's images, annotations and categories"
#: A float32 holds every whole number up to this one.
_MOST_PIXELS = 1 << 24
#: Parts of a path that a file name may have, at most.
_DEEPEST = 8


def read_coco(file: Path, samples: Sequence[str] | int, *, cut: bool = False) -> tuple[Objects, ...]:
    """The objects of each sample.

    Args:
        file: the `.json`.
        samples: path of each sample's image, which ends in the `file_name` of COCO's; or how many samples
            there are, where images go by the order of their ids.
        cut: whether samples are the first of more.

    Raises:
        DataError: no such file, or images that are not those of the samples.
    """
    content = _load(file)
    images = {int(image["id"]): image for image in content["images"]}
    places = {int(one["id"]): one for one in content["categories"]}
    numbers = {category: number for number, category in enumerate(sorted(places))}
    of_image: dict[int, list[tuple[list[float], int, bool]]] = {image: [] for image in images}
    for annotation in content["annotations"]:
        image, category, box = (annotation[key] for key in ("image_id", "category_id", "bbox"))
        if image not in of_image or category not in numbers:
            what = f"image {image}" if image not in of_image else f"category {category}"
            raise DataError(
                f"{file}: expected annotations of its own images and categories, found one of {what}, which "
                "it does not list; list it, or leave the annotation out"
            )
        left, top, width, height = map(float, box)
        corners = [left, top, left + width, top + height]
        of_image[image].append((corners, numbers[category], bool(annotation.get("iscrowd", 0))))
    if isinstance(samples, int):
        chosen = _by_order(file, sorted(images), samples, cut=cut)
    else:
        chosen = _by_name(file, {str(image.get("file_name")): key for key, image in images.items()}, samples)
    return tuple(_objects(of_image[image]) for image in chosen)


def _load(file: Path) -> Mapping[str, Any]:
    """The file's content, whose records have the keys that they need."""
    check_regular(file, "JSON")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: expected JSON, cannot be read ({one_line(error)}); {_REMEDY}") from error
    needed = {"images": {"id"}, "annotations": {"image_id", "category_id", "bbox"}, "categories": {"id"}}
    for key, fields in needed.items():
        records = content.get(key) if isinstance(content, dict) else None
        if not isinstance(records, list):
            raise DataError(f"{file}: expected a list '{key}', found none; {_REMEDY}")
        for number, record in enumerate(records):
            if (wrong := _wrong(record, fields)) is not None:
                raise DataError(f"{file}: {key}[{number}]: {wrong}; {_REMEDY}")
    return dict(content)


def _wrong(record: object, fields: set[str]) -> str | None:
    """What is wrong with a record that has to have these fields, as half a sentence."""
    if not isinstance(record, dict) or fields - record.keys():
        found = ", ".join(sorted(record))[:200] if isinstance(record, dict) else "no record"
        return f"expected {', '.join(sorted(fields))}, found {found}"
    for name in sorted(fields - {"bbox"}):
        if not isinstance(record[name], int):
            return f"expected a whole number as {name}, found {repr(record[name])[:60]}"
    if "bbox" in fields and not _is_box(record["bbox"]):
        return f"expected bbox [x, y, width, height] in pixels, found {str(record['bbox'])[:60]}"
    return None


def _is_box(box: object) -> bool:
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(v, int | float) for v in box):
        return False
    return all(abs(value) <= _MOST_PIXELS for value in box) and min(box[2:]) >= 0  # no NaN either


def _by_order(file: Path, ids: Sequence[int], samples: int, *, cut: bool) -> Sequence[int]:
    if len(ids) != samples and not (cut and len(ids) > samples):
        raise DataError(
            f"{file}: expected {samples} images, one a sample in the order of their ids, found {len(ids)}; "
            "give the data that these boxes are of"
        )
    return ids[:samples]


def _by_name(file: Path, known: Mapping[str, int], samples: Sequence[str]) -> list[int]:
    chosen = []
    for sample in samples:
        parts = Path(sample).parts
        tails = ("/".join(parts[-depth:]) for depth in range(min(len(parts), _DEEPEST), 0, -1))
        name = next((tail for tail in tails if tail in known), None)
        if name is None:
            raise DataError(
                f"{file}: expected an image with the file_name of {sample}, found none; list it, with no "
                "annotations where it has no objects"
            )
        chosen.append(known[name])
    return chosen


def _objects(found: list[tuple[list[float], int, bool]]) -> Objects:
    return Objects(
        np.array([box for box, _, _ in found], np.float64).reshape(-1, 4),
        np.array([number for _, number, _ in found], np.int64),
        np.array([crowd for _, _, crowd in found], bool),
    )
