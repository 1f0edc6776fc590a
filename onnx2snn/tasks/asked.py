"""What the user says of the task: `--task`, `--decode`, `--data-range`."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from pathlib import Path

from onnx2snn.errors import OptionError
from onnx2snn.tasks import AUTO, TASK_NAMES
from onnx2snn.tasks.decode import Decode, load_decode


@dataclass(frozen=True)
class Asked:
    """What the user says of the task.

    Attributes:
        task: one of `TASK_NAMES`.
        decode: `module:function`, or the function itself, that makes of the outputs what the task is about.
        data_range: largest less least value that a true image may have; None: that of the labels.

    Raises:
        OptionError: no such task or function, or a range that is not above 0.
    """

    task: str = AUTO
    decode: str | Decode | None = None
    data_range: float | None = None

    def __post_init__(self) -> None:
        if self.task not in TASK_NAMES:
            raise OptionError(f"--task: expected one of {', '.join(TASK_NAMES)}, found {self.task!r}")
        if self.data_range is not None and not 0 < self.data_range < float("inf"):
            raise OptionError(
                f"--data-range: expected a number above 0, found {self.data_range}; give 1 for images from 0 "
                "to 1, say"
            )

    def fingerprint(self) -> str:
        """What figures depend on, the function's file included."""
        function = self.function()
        module = None if function is None else sys.modules.get(function.__module__)
        file = None if module is None else getattr(module, "__file__", None)
        code = "" if file is None else hashlib.sha256(Path(file).read_bytes()).hexdigest()
        return f"{self.task} {getattr(function, '__qualname__', None)} {code} {self.data_range}"

    def function(self) -> Decode | None:
        """The function that decodes outputs, loaded."""
        return load_decode(self.decode) if isinstance(self.decode, str) else self.decode
