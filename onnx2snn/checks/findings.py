"""Ask all checks, and say what they found."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import onnx

from onnx2snn.artifact.records import CalibrationRecord, InputRecord, Metadata
from onnx2snn.calibration.statistics import Statistics
from onnx2snn.checks import CHECKS
from onnx2snn.checks.evidence import Evidence
from onnx2snn.checks.net import Net, look_at
from onnx2snn.checks.outliers import stretched
from onnx2snn.data.dataset import Dataset
from onnx2snn.errors import DataError, ModelError
from onnx2snn.graph.reading import read_graph
from onnx2snn.model.file import flatten_model, load_model

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Findings:
    """What checks found.

    Attributes:
        warnings: one line each.
        inputs: input → what it was fed with.
        asked: whether anybody wants to hear more.
    """

    warnings: list[str] = field(default_factory=list)
    inputs: dict[str, InputRecord] = field(default_factory=dict)
    asked: bool = True

    def with_ranges(self, statistics: Statistics | None, dataset: Dataset, *, strict: bool) -> Findings:
        """What calibration saw of single samples, too.

        Raises:
            DataError: with `strict`, a sample that stretches a range.
        """
        found = stretched(statistics, dataset) if statistics is not None and self.asked else None
        if found is None:
            return self
        say([found], strict=strict)
        return replace(self, warnings=[*self.warnings, found])


#: Of a conversion that is only tried: nobody looks, and nothing is said.
UNASKED = Findings(asked=False)


def examine(
    dataset: Dataset, net: Net | None, calibrated: CalibrationRecord | None = None, *, strict: bool = False
) -> Findings:
    """Look at a spread sample of the data before any work is done with it.

    Args:
        dataset: the data.
        net: the ANN that is to see it; None where there is none.
        calibrated: what the network saw when it was compiled, to compare with.
        strict: refuse it instead of warning.

    Raises:
        DataError: data that cannot be read; with `strict` what a check found.
    """
    if not len(dataset):
        return Findings()
    evidence = Evidence(dataset, net, calibrated)
    with np.errstate(all="ignore"):  # what is not finite tells a check nothing
        found = next(filter(None, (check(evidence) for check in CHECKS)), None)
        inputs = {name: evidence.describe(name) for name in evidence.names}
    warnings = [] if found is None else [found]
    say(warnings, strict=strict)
    return Findings(warnings, inputs)


def examine_model(dataset: Dataset, model: onnx.ModelProto, *, strict: bool = False) -> Findings:
    """As `examine`, for an ANN that nobody has read as a graph yet."""
    return examine(dataset, net_of(model), strict=strict)


def examine_network(
    dataset: Dataset, record: Metadata, reference: str | Path | None, *, strict: bool = False
) -> list[str]:
    """As `examine`, for data that a network is to be measured on.

    Args:
        dataset: the data.
        record: what the artifact says of itself.
        reference: file of the ANN that it was compiled from; without it nothing is asked of a net.
        strict: as there.

    Returns:
        One line for each finding.
    """
    net = None if reference is None else net_of(reference)
    return examine(dataset, net, record.calibration, strict=strict).warnings


def examine_both(
    calibration: Dataset, dataset: Dataset, model: onnx.ModelProto, *, strict: bool = False
) -> list[str]:
    """As `examine`, for data to calibrate on and data to measure on, one after the other."""
    net = net_of(model)
    first = examine(calibration, net, strict=strict)
    seen = CalibrationRecord(len(calibration), calibration.source, first.inputs)
    return [*first.warnings, *examine(dataset, net, seen, strict=strict).warnings]


def net_of(model: onnx.ModelProto | str | Path) -> Net | None:
    """An ANN, or that of a file, to ask; None where it cannot be read as a graph."""
    try:
        flat = flatten_model(model if isinstance(model, onnx.ModelProto) else load_model(model))
        return look_at(flat, read_graph(flat))
    except ModelError as error:
        logger.info("the data is not checked against the net: %s", error)
        return None


def say(warnings: Sequence[str], *, strict: bool) -> None:
    """Log warnings; the first is an error where the user is strict.

    Raises:
        DataError: there is one, and `strict`.
    """
    if warnings and strict:
        raise DataError(f"{warnings[0]} (found by --strict)")
    for warning in warnings:
        logger.warning("%s", warning)
