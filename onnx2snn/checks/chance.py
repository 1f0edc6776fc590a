"""The ANN itself is no better than guessing."""

from __future__ import annotations

from onnx2snn.checks.evidence import AS_IT_IS, Evidence
from onnx2snn.checks.scores import chance_odds

#: Odds for guessing that are strong evidence, and substantial evidence (Jeffreys); of how many samples the
#: latter will do: of few, a net that is only weak may look like it.
_STRONG, _SUBSTANTIAL, _MANY = 10.0, 3.0, 128
#: Samples of which nobody says it: a weak net may well miss all of a few.
_FEWEST = 32
#: Odds at which nobody need look on.
_SOUND = 0.01


def check(evidence: Evidence) -> str | None:
    """Whether guessing explains the ANN's right answers better than any accuracy above it.

    More samples are looked at as long as that is open.
    """
    done, right, classes, odds = 0, 0, 0, 0.0
    for count in evidence.looks:
        labels = evidence.labels(count)
        answers = None if labels is None or len(labels) == done else evidence.answers(AS_IT_IS, count)
        if labels is None or answers is None:
            break
        done, classes = len(labels), answers.shape[1]
        right = int((answers.argmax(axis=1) == labels).sum())
        odds = chance_odds(right, done, classes)
        if odds < _SOUND:
            return None
    if done < _FEWEST or odds < (_SUBSTANTIAL if done >= _MANY else _STRONG):
        return None
    return (
        f"{evidence.source}: expected labels that the ANN mostly gets right, found {right} of {done} right, "
        f"as by guessing among {classes} classes; check the labels and their order, and the preprocessing "
        "(--scale, --mean, --std, --layout)"
    )
