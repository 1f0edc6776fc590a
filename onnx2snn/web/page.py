"""Write the page: files that never change, what this network and its samples are, and onnxruntime-web."""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import onnx

from onnx2snn.analysis.evaluation import Reference
from onnx2snn.data.readers import Dataset
from onnx2snn.errors import ModelError, OutputError
from onnx2snn.lowering.write_out import runnable
from onnx2snn.model.file import load_model, serialize, write_atomically
from onnx2snn.model.weights import model_bytes, references
from onnx2snn.runtime.session import SpikingSession
from onnx2snn.web.onnxruntime_web import VERSION, OnnxruntimeWeb
from onnx2snn.web.samples import batch_size, describe_layers, describe_samples, observe
from onnx2snn.web.stepping import Stepping, little_endian, take_steps

INDEX = "index.html"
#: By what a folder of ours is known.
_MARK = '<meta name="generator" content="onnx2snn web">'
_RUNTIME = "onnxruntime-web"
#: Of onnxruntime-web, which says MIT in its package.json and has no text of it.
_LICENCE = "LICENSE.txt"
#: How folders begin in which a page is written before it is moved.
_BESIDE = ".onnx2snn-page-"
#: The most bytes of one model; a browser does not hold a text of more than about 500 MB.
_LARGEST = 256 * 10**6


@dataclass(frozen=True)
class Page:
    """A page that was written: its first file, and the bytes of all its files."""

    index: Path
    size: int


def check_folder(folder: str | Path) -> None:
    """Find out before any work that a page may be written into a folder.

    Raises:
        OutputError: it is a file, or a folder with something else in it.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: expected a folder for the page, found a file; choose another with -o")
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.is_dir())
    if not os.access(there, os.W_OK):
        raise OutputError(f"{folder}: no permission to write there; choose another with -o")
    try:
        empty = not folder.exists() or all(there.name.startswith(_BESIDE) for there in folder.iterdir())
        ours = (
            not empty and (folder / INDEX).is_file() and _MARK in (folder / INDEX).read_text(encoding="utf-8")
        )
    except (OSError, UnicodeDecodeError):
        ours = empty = False
    if not (empty or ours):
        raise OutputError(
            f"{folder}: expected no folder, an empty one or an earlier page, found other files; "
            "choose another with -o"
        )


def make_page(
    source: str | Path,
    session: SpikingSession,
    dataset: Dataset,
    runtime: OnnxruntimeWeb,
    reference: Reference | None = None,
    progress: Callable[[int], None] | None = None,
) -> dict[str, bytes]:
    """The page's files: the same arguments give the same bytes.

    Args:
        source: the artifact's file.
        session: the artifact.
        dataset: the samples to choose from, all of them.
        runtime: onnxruntime-web.
        reference: the ANN to compare with.
        progress: called with the number of samples that the network has run on, after each.

    Raises:
        DataError: labels past the output's classes, or more samples than a page should hold.
        ModelError: a model that is too large for a page, or a reference that does not fit.
    """
    stepping = take_steps(session.artifact)
    models = _models(Path(source), stepping, reference)
    observed = observe(session, dataset, reference, progress)
    description = {
        "name": Path(source).name,
        "runtime": VERSION,
        "timesteps": session.timesteps,
        "schedule": session.artifact.schedule,
        "inputs": [
            {"name": name, "type": array.dtype.name, "dims": list(array.shape[1:])}
            for name, array in observed.inputs.items()
        ],
        "batch": batch_size(session),
        "output": session.artifact.outputs[0],
        "exit": _describe_exit(Path(source), session),
        "reference": _describe_reference(reference),
        "layers": describe_layers(session.artifact, observed, stepping.spikes),
        **stepping.describe(),
        **describe_samples(dataset, observed),
    }
    files = dict(_static_files())
    files["description.js"] = f"describe({_script_json(description)});\n".encode()
    files |= dict(_embedded(f"models/{name}", content) for name, content in models.items())
    files |= dict(
        _embedded(f"samples/{number}", little_endian(array))
        for number, array in enumerate(observed.inputs.values())
    )
    files[f"{_RUNTIME}/ort.js"] = runtime.script
    files |= dict([_embedded(f"{_RUNTIME}/loader", runtime.loader)])
    files |= dict([_embedded(f"{_RUNTIME}/wasm", runtime.binary)])
    return files


def _models(source: Path, stepping: Stepping, reference: Reference | None) -> dict[str, bytes]:
    """Every model of the page as a file: the artifact's bytes as they are, its parts, the ANN."""
    loaded = {"artifact": load_model(source), **stepping.models}
    if reference is not None:
        loaded["ann"] = runnable(load_model(reference.source))
    for name, model in loaded.items():
        size = model_bytes(model)
        if size > _LARGEST:
            where = reference.source if reference is not None and name == "ann" else source
            raise ModelError(
                f"{where}: expected at most {_LARGEST / 1e6:.0f} MB for a page, found "
                f"{size / 1e6:.0f} MB; use a smaller model"
            )
    files = {name: serialize(model) for name, model in loaded.items()}
    content = source.read_bytes()
    return files if references(onnx.ModelProto.FromString(content)) else files | {"artifact": content}


def _describe_exit(source: Path, session: SpikingSession) -> dict[str, Any] | None:
    """The early exit of the file itself, and the output that says when it came."""
    rule = session.artifact.exit_rule
    added = [o.name for o in load_model(source).graph.output if o.name not in session.artifact.outputs]
    if rule is None or not added:
        return None
    return {"output": added[0], **rule.to_dict()}


def _describe_reference(reference: Reference | None) -> dict[str, Any] | None:
    if reference is None:
        return None
    return {
        "name": Path(reference.source).name,
        "inputs": dict(reference.inputs),
        "output": reference.output,
    }


def _static_files() -> Iterator[tuple[str, bytes]]:
    for item in resources.files("onnx2snn.web").joinpath("static").iterdir():
        yield (f"{_RUNTIME}/{item.name}" if item.name == _LICENCE else item.name), item.read_bytes()


def _embedded(name: str, content: bytes) -> tuple[str, bytes]:
    """A file as a script that hands it to the page: a page opened as a file may read nothing else."""
    packed = base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()
    return f"{name}.js", f'embed("{name}", "{packed}");\n'.encode()


def _script_json(content: object) -> str:
    """JSON that is safe inside a script, whatever the names in it."""
    return json.dumps(content, ensure_ascii=True, separators=(",", ":"))


def save_page(
    folder: str | Path, files: Mapping[str, bytes], moving: Callable[[], None] = lambda: None
) -> Page:
    """Write a page into a folder, made where it is not there; an earlier page in it is overwritten.

    All is written beside, and moved once it is whole. While files are moved the first one says that the page
    is not complete, so that no mixture of two pages passes for one; the same call mends it.

    Args:
        folder: where.
        files: path in the folder → content.
        moving: called before the first file is moved.

    Raises:
        OutputError: the folder cannot be written.
    """
    folder = Path(folder)
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left in folder.glob(f"{_BESIDE}*"):  # by a call that was killed
            shutil.rmtree(left)
        with tempfile.TemporaryDirectory(prefix=_BESIDE, dir=folder) as beside:
            for name, content in files.items():
                (Path(beside) / name).parent.mkdir(parents=True, exist_ok=True)
                (Path(beside) / name).write_bytes(content)
            moving()
            _move(Path(beside), folder, files)
    except OSError as error:
        raise OutputError(
            f"{folder}: cannot be made a page's folder ({error.strerror}); choose another with -o"
        ) from error
    finally:
        if new and folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
    return Page(folder / INDEX, sum(map(len, files.values())))


def _move(beside: Path, folder: Path, names: Collection[str]) -> None:
    """Put the files of a page into the place of an earlier one's, the one that names the others last."""
    write_atomically(folder / INDEX, f"<!doctype html>{_MARK}<title>not complete</title>\n".encode())
    for name in (name for name in names if name != INDEX):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (beside / name).replace(folder / name)
    for stale in (*folder.glob("models/*.js"), *folder.glob("samples/*.js")):
        if f"{stale.parent.name}/{stale.name}" not in names:
            stale.unlink()
    (beside / INDEX).replace(folder / INDEX)
