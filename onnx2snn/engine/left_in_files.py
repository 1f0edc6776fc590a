"""Load a model whose weights are in files: onnxruntime reads them there, however many sessions there are."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime
from packaging.version import Version

from onnx2snn.errors import ModelError
from onnx2snn.model import weights as in_files

#: What a session reads, which must live as long as it does.
Weights = list[onnxruntime.OrtValue]

#: Says which folder the weights of a model in memory are in.
_FOLDER = "session.model_external_initializers_file_folder_path"
_FIRST_WITH_FOLDER = Version("1.21")


def leave_in_files(
    model: onnx.ModelProto, settings: onnxruntime.SessionOptions, *, share: bool
) -> tuple[onnx.ModelProto, Weights]:
    """A copy for onnxruntime to load, which leaves its weights where they are.

    Packed or reordered for its operators they would be in memory once more, for each session.

    Args:
        model: the graph.
        settings: of the session; changed.
        share: let all sessions read the same maps; otherwise each makes its own copy, on its device.
    """
    if Version(onnxruntime.__version__) < _FIRST_WITH_FOLDER:
        raise ModelError(
            f"weights: expected onnxruntime {_FIRST_WITH_FOLDER} or newer for so many, found "
            f"{onnxruntime.__version__}; upgrade it"
        )
    in_files.let_go()
    settings.add_session_config_entry("session.disable_prepacking", "1")
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    light = onnx.ModelProto()
    light.CopyFrom(model)
    weights = Weights()
    for tensor in in_files.references(light):
        path, offset = in_files.place_of(tensor)
        if share:
            weights.append(onnxruntime.OrtValue.ortvalue_from_numpy(in_files.values_of(tensor)))
            settings.add_initializer(tensor.name, weights[-1])
        root = Path(path).anchor
        in_files.locate(tensor, path.removeprefix(root), offset)
    settings.add_session_config_entry(_FOLDER, root)
    return light, weights
