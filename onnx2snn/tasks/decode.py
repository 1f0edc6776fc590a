"""`--decode module:function`: the user's, which makes of a net's outputs what its task is about."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from onnx2snn.errors import OptionError, one_line
from onnx2snn.tasks.task import Outputs, Task

#: Takes outputs by name, gives boxes of each sample or an array.
Decode = Callable[[Outputs], Any]

# What a module or function of somebody else may raise that is no fault of ours.
_THEIRS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


def load_decode(text: str) -> Decode:
    """The function that `module:function` names; the module may lie in the working directory.

    Raises:
        OptionError: no such module or function.
    """
    name, _, attribute = text.partition(":")
    if not (name and attribute):
        raise OptionError(f"--decode: expected module:function, found '{text}'; name both")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        module = importlib.import_module(name)
    except _THEIRS as error:
        raise OptionError(
            f"--decode: expected a module '{name}' here or installed, cannot be imported "
            f"({type(error).__name__}: {one_line(error)}); mend or install it"
        ) from error
    finally:
        sys.path.remove(here)
    function = getattr(module, attribute, None)
    if not callable(function):
        what = "nothing of that name" if function is None else type(function).__name__
        raise OptionError(
            f"--decode: expected a function '{attribute}' in module '{name}', found {what}; name one that "
            "takes the outputs by name"
        )
    decode: Decode = function
    return decode


def read_outputs(task: Task, outputs: Outputs, samples: int, decode: Decode | None) -> Any:
    """What a task is about: of the outputs as they are, or through the user's function.

    Args:
        task: says which.
        outputs: those of a batch, by name.
        samples: the first so many of a batch count; others fill it up.
        decode: the user's function; None: there is none.

    Raises:
        OptionError: outputs that the task cannot read, or a function that fails or gives something else.
    """
    counted = {name: values[:samples] if values.ndim else values for name, values in outputs.items()}
    if decode is None:
        return task.read(counted)
    try:
        given = decode(counted)
    except _THEIRS as error:
        raise OptionError(
            f"--decode: expected a function of the outputs by name ({', '.join(counted)}), it raised "
            f"{type(error).__name__}: {one_line(error)}; mend it"
        ) from error
    if task.decoded is not None:
        return task.decoded(given, samples)
    if not isinstance(given, np.ndarray) or given.shape[:1] != (samples,) or given.dtype.kind not in "iubf":
        kind = f"{given.dtype} {list(given.shape)}" if isinstance(given, np.ndarray) else type(given).__name__
        raise OptionError(
            f"--decode: expected an array with a row for each of {samples} samples, found {kind}; return that"
        )
    return given
