"""What a spiking network loses against its ANN where no output alone says it: the error of all, jointly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from onnx2snn.aim import Aim
from onnx2snn.analysis.loss import Measure
from onnx2snn.artifact.output_errors import distance, error_of, joint_error
from onnx2snn.artifact.outputs import OutputSpec
from onnx2snn.compiler.quality import find_judged
from onnx2snn.errors import OptionError
from onnx2snn.runtime.session import SpikingSession

Array = npt.NDArray[Any]
#: Of one output what is missed, and its size.
_Sums = tuple[float, float]

#: Parts of the samples whose errors tell how sure that of all is.
_PARTS = 8


class JointLoss:
    """Measures networks by the joint relative error of their outputs, see `onnx2snn.artifact.output_errors`.

    What is read of a batch is one piece for each sample, or one for all of them where some output has not a
    row for each: such pieces are never cut.

    Args:
        specs: the outputs by name.
        aim: with what is to be measured.

    Attributes:
        measure: percent of `error`; points of `agreement` where all outputs are whole numbers.

    Raises:
        OptionError: another measure.
    """

    def __init__(self, specs: Mapping[str, OutputSpec], aim: Aim) -> None:
        self.measure: Measure = "agreement" if all(spec.counts for spec in specs.values()) else "error"
        if aim.loss_measure not in ("auto", self.measure):
            raise OptionError(
                f"--loss-measure: expected one output with class scores for {aim.loss_measure}, found none, "
                f"or more, among {', '.join(specs)}; name it with --answer, or leave --loss-measure out to "
                "bound the relative error in percent"
            )
        self._specs = specs
        self._expected: list[dict[str, Array]] = []

    def read(self, outputs: Mapping[str, Array], count: int, samples: int) -> list[dict[str, Array]]:
        """The pieces of a batch of `samples`, of which the first `count` count."""
        apart = all(spec.has_rows(outputs[name].shape, samples) for name, spec in self._specs.items())
        if not apart:
            return [{name: spec.first(outputs[name], count, samples) for name, spec in self._specs.items()}]
        return [{name: outputs[name][row : row + 1] for name in self._specs} for row in range(count)]

    def expect(self, pieces: Sequence[dict[str, Array]]) -> None:
        """Take the ANN's pieces of the next samples."""
        self._expected.extend(pieces)

    def loss(self, found: Sequence[dict[str, Array]]) -> tuple[float, float]:
        """Percent, and its standard error, from the pieces of the first samples."""
        sums = [
            {name: self._distance(name, mine, theirs) for name in self._specs}
            for mine, theirs in zip(found, self._expected, strict=False)
        ]
        parts = [self._joint(sums[start::_PARTS]) for start in range(min(_PARTS, len(sums)))]
        spread = float(np.std(parts, ddof=1)) / float(np.sqrt(len(parts))) if len(parts) > 1 else 0.0
        return 100 * self._joint(sums), 100 * spread

    def changed(self, _: Sequence[dict[str, Array]]) -> float | None:
        """Nothing: there are no answers to count."""
        return None

    @staticmethod
    def over(
        session: SpikingSession, outputs: Mapping[str, Array], samples: int, aim: Aim
    ) -> JointLoss | None:
        """What measures a network of such outputs; None where the first one's scores, or rows, will do."""
        judged, first = find_judged(session, outputs, samples), session.artifact.outputs[0]
        named = judged or (first if session.artifact.named else None)
        specs = session.outputs if named is None else {named: session.outputs[named]}
        if len(specs) > 1:
            return JointLoss(specs, aim)
        ((name, spec),) = specs.items()
        plain = spec.has_rows(outputs[name].shape, samples) and not spec.counts and name == first
        return None if plain else JointLoss(specs, aim)

    def _distance(self, name: str, found: Mapping[str, Array], expected: Mapping[str, Array]) -> _Sums:
        return distance(found[name], expected[name], equal=self._specs[name].counts)

    def _joint(self, sums: Sequence[Mapping[str, _Sums]]) -> float:
        return joint_error(
            error_of(*np.sum([one[name] for one in sums], axis=0).tolist(), equal=spec.counts)
            for name, spec in self._specs.items()
        )
