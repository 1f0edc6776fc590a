"""Tasks that nets have: what each is measured by, and which labels it takes.

A task is one file, with a `Task`, and one line here.
"""

from __future__ import annotations

from onnx2snn.tasks.classify import CLASSIFY
from onnx2snn.tasks.control import CONTROL
from onnx2snn.tasks.detect import DETECT
from onnx2snn.tasks.multilabel import MULTILABEL
from onnx2snn.tasks.regress import REGRESS
from onnx2snn.tasks.restore import RESTORE
from onnx2snn.tasks.segment import SEGMENT
from onnx2snn.tasks.task import Task

#: `auto` means the first that an output, and labels, tell.
TASKS = (CLASSIFY, MULTILABEL, SEGMENT, RESTORE, DETECT, CONTROL, REGRESS)


def named(name: str) -> Task:
    """A task by its name."""
    return next(task for task in TASKS if task.name == name)


#: What `--task` takes.
AUTO = "auto"
TASK_NAMES = (*(task.name for task in TASKS), AUTO)
